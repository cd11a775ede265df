"""Limits of domains and users, from a table or vpopmail's file, as our columns.

    read_limits(tables, "vlimits")                           -> {'example.com': [FoundLimits(...)]}
    parse_limits_file(b"maxpopaccounts: 10\ndisable_pop\n")   -> {'maxpopaccounts': 10, 'disable_pop': 1}

IndiMail's columns are ours.  vpopmail has the same, the quota of a domain in megabytes, and two for
spam (`delete_spam`, `disable_spamassassin`), which have no equivalent; its file `.qmailadmin-limits`
calls some of them otherwise, and has a word alone for what is closed.

Sources: spec/delivery.md 1.3, 9.2; README.vlimits of vpopmail.  Not here: what limits do.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from indimail.accounts.port import LIMITS, NO_DEFAULT, Accounts
from indimail.manage.importing.report import Report, State
from indimail.manage.importing.rows import Tables
from indimail.manage.importing.source import FoundDomain, FoundLimits
from indimail.manage.row_writes import SetLimits
from indimail.manage.writes import Write

MEGABYTE: Final = 1 << 20
_LARGEST: Final = (1 << 31) - 1
_OTHERS: Final = ("delete_spam", "disable_spamassassin")
_NAMES: Final = {
    "quota": "diskquota", "default_quota": "defaultquota",
    "default_maxmsgcount": "defaultmaxmsgcount",
    "disable_password_changing": "disable_passwordchanging",
    "disable_external_relay": "disable_relay",
}  # fmt: skip


def read_limits(
    tables: Tables, table: str, report: Report, *, unit: int = 1
) -> dict[str, list[FoundLimits]]:
    """Return the rows by domain; `unit` is how many octets one of diskquota has."""
    found: dict[str, list[FoundLimits]] = defaultdict(list)
    for row in tables.rows(table):
        subject = str(row.get("domain") or "").lower()
        name, _, domain = subject.rpartition("@")
        where = f"{table} {subject}"
        found[domain].append(FoundLimits(where, name, _values(row, where, report, unit)))
    return found


def parse_limits_file(octets: bytes) -> dict[str, int]:
    """Return what a `.qmailadmin-limits` says, by column; what is no number is left out."""
    values = {}
    for line in octets.decode("utf-8", "replace").split("\n"):
        words = line.partition("#")[0].replace(":", " ").split()
        name = _NAMES.get(words[0].lower(), words[0].lower()) if words else ""
        number = _number(words[1]) if len(words) > 1 else 1
        if name and number is not None:
            values[name] = number
    return values


def limits_of_file(octets: bytes, where: str, report: Report) -> FoundLimits:
    """Return the limits of a domain from its file; their unit is the megabyte."""
    return FoundLimits(where, "", _values(parse_limits_file(octets), where, report, MEGABYTE))


def limit_writes(
    accounts: Accounts, domain: FoundDomain, names: Mapping[str, object], report: Report
) -> list[Write]:
    """Return what sets the limits that are not set here; `names` are the users who are."""
    writes: list[Write] = []
    for found in domain.limits:
        here = accounts.limits(found.name, domain.name)
        if found.name and found.name not in names:
            report.note(State.LEFT, found.where, "", "no such user")
        elif here is None:
            writes.append(SetLimits(found.name, domain.name, tuple(found.values.items())))
        elif any(getattr(here, column) != value for column, value in found.values.items()):
            report.note(State.KEPT, found.where, "", "other limits are set here, and stay")
        else:
            report.here["limits"] += 1
    report.count("limits", len(writes))
    return writes


def _values(row: Mapping[str, Any], where: str, report: Report, unit: int) -> dict[str, int]:
    """Return our columns with what they may hold."""
    for name in _OTHERS:
        if _number(row.get(name)):
            report.note(State.LEFT, where, name, "no equivalent")
    values = {}
    for column in LIMITS:
        number = _number(row.get(column))
        if number is not None:
            values[column] = _fitting(column, number, unit)
    return values


def _fitting(column: str, number: int, unit: int) -> int:
    if column.startswith("disable_"):
        return int(number != 0)
    if column.startswith("perm_"):
        return number & (0o777 if column == "perm_maillist" else 0o7)
    if column == "diskquota":
        return min(number * unit, NO_DEFAULT - 1) if number > 0 else 0
    if column == "defaultquota":
        return min(number, NO_DEFAULT) if number >= 0 else NO_DEFAULT  # IndiMail wrote -1 for none
    if column in ("maxmsgcount", "defaultmaxmsgcount"):
        return max(min(number, NO_DEFAULT - 1), 0)
    return max(min(number, NO_DEFAULT - 1 if "expiry" in column else _LARGEST), -1)


def _number(value: object) -> int | None:
    if isinstance(value, int):  # also true and false
        return int(value)
    try:
        return int(str(value), 0) if value is not None else None
    except ValueError:
        return None
