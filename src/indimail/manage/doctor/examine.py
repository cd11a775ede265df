"""All checks, one after the other, and the list of writes that mends what is safe.

    examination = examine(patient)
    examination.findings, examination.skipped
    plan(examination.findings)      -> [SetMode(...), ..., Recount(...)]

A check that cannot read what it needs is a finding, and the others go on; those that need the user
database are skipped where it does not answer.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from indimail.mail.errors import AccountsUnavailable, MailError
from indimail.manage.doctor import (
    aliasdomains,
    databases,
    domains,
    dotqmail,
    places,
    queues,
    quotas,
    state,
    users,
)
from indimail.manage.doctor.finding import Finding
from indimail.manage.doctor.patient import Patient
from indimail.manage.file_writes import MakeDirectory, SetMode
from indimail.manage.writes import TellAccount, TellControls, Write


class Check(NamedTuple):
    """A check by its name; `rows`: it asks the user database."""

    name: str
    run: Callable[[Patient], Iterator[Finding]]
    rows: bool = False


CHECKS: Final = (
    Check("places", places.check_places),
    Check("files", places.check_files),
    Check("keys", places.check_keys),
    Check("state", state.check_state),
    Check("space", state.check_space),
    Check("databases", databases.check_databases),
    Check("routes", domains.check_routes),
    Check("directories", domains.check_directories),
    Check("domains", domains.check_modes),
    Check("received domains", domains.check_received),
    Check("relayed domains", domains.check_relayed),
    Check(".qmail files", dotqmail.check_files),
    Check("queues", queues.check_queues),
    Check("spool", queues.check_spool),
    Check("alias domains", aliasdomains.check_aliases, rows=True),
    Check("postmasters", domains.check_postmasters, rows=True),
    Check("rows of domains", domains.check_rows, rows=True),
    Check("tables", users.check_tables, rows=True),
    Check("homes", users.check_homes, rows=True),
    Check("shared homes", users.check_shared, rows=True),
    Check("directories of homes", users.check_strays, rows=True),
    Check("counters", users.check_counters, rows=True),
    Check("files of users", dotqmail.check_own_files, rows=True),
    Check("alias lines", dotqmail.check_alias_lines, rows=True),
    Check("quotas", quotas.check_quotas, rows=True),
    Check("unfinished copies", queues.check_maildirs, rows=True),
)


@dataclass(frozen=True, slots=True)
class Examination:
    """`skipped` are the checks that were not made for want of the user database."""

    findings: tuple[Finding, ...]
    skipped: tuple[str, ...] = ()


def examine(patient: Patient) -> Examination:
    """Make all checks."""
    findings: list[Finding] = []
    skipped: list[str] = []
    has_rows = patient.has_accounts
    for check in CHECKS:
        if check.rows and not has_rows:
            skipped.append(check.name)
            continue
        patient.tell(check.name)
        try:
            findings += check.run(patient)
        except AccountsUnavailable as error:
            findings.append(Finding("accounts", "the user database", str(error), "an answer"))
            skipped.append(check.name)
            has_rows = False
        except OSError as error:
            subject = patient.shown(str(error.filename or check.name))
            found = (error.strerror or str(error)).lower()
            findings.append(Finding("unreadable", subject, found, "to be looked at by the owner"))
        except MailError as error:
            findings.append(Finding("unreadable", check.name, str(error), "to be looked at"))
    return Examination(tuple(dict.fromkeys(findings)), tuple(skipped))


def plan(findings: Iterable[Finding]) -> Sequence[Write]:
    """Return what mends the findings, each write once: modes first, for the others may need them."""
    writes = list(dict.fromkeys(write for finding in findings for write in finding.writes))
    return sorted(writes, key=_turn)


def _turn(write: Write) -> int:
    match write:
        case MakeDirectory():
            return 0
        case SetMode():
            return 1
        case TellAccount() | TellControls():
            return 3
        case _:
            return 2
