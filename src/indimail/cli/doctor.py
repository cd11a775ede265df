"""`indimail doctor`: what is wrong with an instance; with --fix what is safe is mended.

    indimail doctor                  # each finding a line; exit 1 where there is one
    indimail doctor --fix --dry-run  # what would be done
    indimail doctor --fix            # does it, says it, and tells what is left

It may run beside the server, and where the server or the database is down.  Nothing is changed
without --fix; with it no mail, user or row goes, and nothing is opened that somebody may have closed.
What belongs to somebody else is given to the owner first, by root alone; the rest is one change, made
whole or not at all (`manage.change`).

Exit 0: nothing found, or nothing left; 1: findings; else sysexits.
The checks: `manage.doctor`.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from indimail.cli.change import add_dry_run
from indimail.cli.site import Failed, add_root, attempt, find_setup, now, server_of, url_of

if TYPE_CHECKING:
    from indimail.accounts.port import Accounts
    from indimail.cli.progress import Progress
    from indimail.manage.doctor.examine import Examination
    from indimail.manage.doctor.finding import Finding
    from indimail.manage.site import Site

PROGRAM: Final = "indimail doctor"
FOUND: Final = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--fix", action="store_true", help="mend what is safe: no mail, user or row goes"
    )
    add_dry_run(parser)
    parser.add_argument("--json", action="store_true", help="print an object")
    add_root(parser)


def run(args: argparse.Namespace) -> int:
    """Examine it, mend it, tell what was found."""
    return attempt(PROGRAM, lambda: _run(args))


@dataclass(slots=True)
class _Report:
    """What is told in the end."""

    examination: "Examination"
    mended: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def _run(args: argparse.Namespace) -> int:
    # The slowest imports, and nothing that --help needs.
    from indimail.cli.progress import Progress  # noqa: PLC0415
    from indimail.manage.doctor.examine import plan  # noqa: PLC0415

    with Progress(PROGRAM) as progress:
        practice = _Practice(args, progress)
        try:
            report = _Report(practice.examine())
            if args.fix and not args.dry_run:
                practice.mend(report)
        finally:
            practice.close()
    findings = report.examination.findings
    if args.json:
        _print_json(report)
    else:
        _print(report, args.fix and not args.dry_run)
    if args.fix and args.dry_run and not args.json:
        gives = (finding.give for finding in findings if finding.give is not None)
        for write in (*dict.fromkeys(gives), *plan(findings)):
            print(write)
    return FOUND if findings or report.failed else os.EX_OK


class _Practice:
    """Examines an instance as its owner, and its configuration as the server would read it."""

    def __init__(self, args: argparse.Namespace, progress: "Progress") -> None:
        from indimail.accounts.sql import SqlAccounts  # noqa: PLC0415
        from indimail.app.configuration import load  # noqa: F401, PLC0415 - see cli.site
        from indimail.durable.disk import SystemDisk  # noqa: PLC0415
        from indimail.manage.writes import Stores  # noqa: PLC0415

        self._progress = progress
        self._is_fixing = args.fix and not args.dry_run
        self.site, setup, mistakes = find_setup(args.root)
        try:
            # A file that cannot be read may name another database than the default one.
            self._url = (
                "" if any("TOML" in m.expected for m in mistakes) else url_of(self.site, setup)
            )
        except Failed:  # told as a line of the file
            self._url = ""
        self._accounts = SqlAccounts(self._url or "sqlite://", exists=True)
        self._stores = Stores(
            self.site, self._accounts, SystemDisk(), server_of(PROGRAM, self.site)
        )

    def examine(self) -> "Examination":
        """Make all checks."""
        from indimail.manage.doctor.examine import Examination, examine  # noqa: PLC0415
        from indimail.manage.doctor.patient import Patient  # noqa: PLC0415
        from indimail.manage.site import acting_as  # noqa: PLC0415

        self._progress.tell("configuration")
        lines = _configured(self.site)
        with acting_as(self.site.uid, self.site.gid):
            accounts, found = self._database()
            patient = Patient(self.site, accounts, self._stores.disk, now(), self._progress.tell)
            made = examine(patient)
        return Examination((*lines, *found, *made.findings), made.skipped)

    def _database(self) -> "tuple[Accounts | None, list[Finding]]":
        """Return the user database, where it may be asked, and what is wrong with it."""
        from indimail.accounts.health import VERSION, look  # noqa: PLC0415
        from indimail.mail.errors import AccountsUnavailable  # noqa: PLC0415
        from indimail.manage.doctor.finding import Finding  # noqa: PLC0415

        subject = "the user database"
        if not self._url:
            return None, []
        try:
            health = look(self._url)
        except AccountsUnavailable as error:
            return None, [Finding("accounts", subject, str(error), "an answer")]
        found = [Finding("accounts", subject, fault, "a whole file") for fault in health.faults]
        if health.version > VERSION:
            what = f"schema version {health.version}"
            return None, [*found, Finding("schema", subject, what, f"{VERSION}, or a newer server")]
        if health.version < VERSION and not self._is_fixing:
            what = f"schema version {health.version or 'none'}"
            expected = f"{VERSION}: --fix and the next start bring it up to date, after a copy"
            return None, [*found, Finding("schema", subject, what, expected)]
        if health.missing and not self._is_fixing:
            what = f"no table {' '.join(health.missing)}"
            expected = "all tables: the next question makes them, empty"
            found.append(Finding("schema", subject, what, expected))
        return self._accounts, found

    def mend(self, report: _Report) -> None:
        """Do what is safe, say it, and examine the instance anew."""
        from indimail.manage.change import carry_out, complete  # noqa: PLC0415
        from indimail.manage.doctor.examine import plan  # noqa: PLC0415
        from indimail.manage.site import acting_as, alone  # noqa: PLC0415

        self._give_away(report)
        with acting_as(self.site.uid, self.site.gid):
            if title := complete(self._stores):
                report.mended.append(f"completed what was interrupted: {title}")
        writes = plan(self.examine().findings)
        with acting_as(self.site.uid, self.site.gid), alone(self.site, PROGRAM):
            if writes:
                carry_out(self._stores, PROGRAM, writes)
        report.mended += map(str, writes)
        report.examination = self.examine()

    def _give_away(self, report: _Report) -> None:
        """Let everything belong to whom it should; root alone can."""
        from indimail.manage.doctor.owners import give_away  # noqa: PLC0415

        found = (finding.give for finding in report.examination.findings)
        for give in dict.fromkeys(give for give in found if give is not None):
            if os.geteuid() != 0:
                report.failed.append(f"{give}: root alone can do that")
            elif refusal := give_away(self.site.places.root, give):
                report.failed.append(refusal)
            else:
                report.mended.append(str(give))

    def close(self) -> None:
        """Let go of the database."""
        self._accounts.close()


def _configured(site: "Site") -> "list[Finding]":
    """Return the lines that no parser understands, as findings."""
    from indimail.app.configuration import load  # noqa: PLC0415
    from indimail.app.instance import open_instance  # noqa: PLC0415
    from indimail.app.reading import Reading  # noqa: PLC0415
    from indimail.app.relaycheck import read_and_look  # noqa: PLC0415
    from indimail.mail.errors import ConfigErrors  # noqa: PLC0415
    from indimail.manage.doctor.finding import Finding  # noqa: PLC0415
    from indimail.policy.relaycheck import Grade  # noqa: PLC0415

    instance = open_instance(site.places.root, os.environ)
    try:
        load(instance, os.environ)
    except ConfigErrors as errors:
        return [
            Finding("line", f"{m.file}:{m.line}" if m.line else m.file, m.found, m.expected)
            for m in errors.mistakes
        ]
    expected = "a permission that nobody can claim: a sender is whatever a client says"
    return [
        Finding("claimable", str(each.finding.rule), each.finding.why, expected)
        for each in read_and_look(Reading(instance, os.environ))
        if each.finding.grade is Grade.CLAIMABLE
    ]


def _print(report: _Report, is_fixing: bool) -> None:
    for line in report.mended:
        print(f"mended: {line}")
    for line in report.failed:
        print(f"not mended: {line}")
    findings = report.examination.findings
    for finding in findings:
        print(f"{finding}{'' if is_fixing else _hint(finding)}")
    for name in report.examination.skipped:
        print(f"not looked at: {name}")
    print(_summary(findings, is_fixing))


def _hint(finding: "Finding") -> str:
    if finding.give is not None and os.geteuid() != 0:
        return " (root mends it with --fix)"
    return " (--fix mends it)" if finding.mends else ""


def _summary(findings: "Sequence[Finding]", is_fixing: bool) -> str:
    if not findings:
        return "nothing left" if is_fixing else "nothing found"
    safe = sum(1 for finding in findings if finding.mends)
    count = f"{len(findings)} finding{'' if len(findings) == 1 else 's'}"
    return f"{count}, {safe} of them to be mended by --fix"


def _print_json(report: _Report) -> None:
    from indimail.cli.shown import print_json  # noqa: PLC0415

    findings = [
        {
            "code": finding.code,
            "subject": finding.subject,
            "found": finding.found,
            "expected": finding.expected,
            "mends": list(finding.mends),
            "needs_root": finding.give is not None,
        }
        for finding in report.examination.findings
    ]
    told = {
        "findings": findings,
        "mended": report.mended,
        "not_mended": report.failed,
        "not_looked_at": list(report.examination.skipped),
    }
    print_json(told)
