"""`.qmail` files and alias lines: what would keep mail waiting, and what leads to nobody.

    list(check_files(patient))      -> [Finding("qmail", "domains/example.com/.qmail-default:1", ...)]

They are read by the delivery's own parser, so what is told here is what a mail would meet.

Source: spec/delivery.md 4, 5.3, 5.4.  Not here: programs of ``|`` lines, which are not looked for.
"""

import os
import stat
from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter

from indimail.accounts.port import AliasLine
from indimail.delivery.assign import AssignEntry
from indimail.delivery.dotqmail import (
    STICKY,
    WORLD_WRITABLE,
    DotQmail,
    VDeliver,
    find_dotqmail_names,
    read_dotqmail,
)
from indimail.delivery.instruction import BounceNoMailbox, Delete, ToMaildir
from indimail.delivery.plan import Defer
from indimail.delivery.virtual import base_user
from indimail.mail.address import Address
from indimail.mail.channel import Channel
from indimail.mail.errors import Mistake
from indimail.manage.doctor.finding import Finding
from indimail.manage.doctor.patient import Patient
from indimail.manage.file_writes import SetMode
from indimail.manage.instruction import Fault, find_fault
from indimail.schedule.route import route

LONGEST = 100_000  # octets; the delivery reads no more either


def check_files(patient: Patient) -> Iterator[Finding]:
    """The files of domains and of alias/."""
    alias = patient.site.places.alias
    homes = {entry.home: entry.uid for entry in patient.domains.values()}
    for home in sorted({os.path.realpath(home) for home in homes} | {alias}):
        if not os.path.isdir(home):
            continue
        mode = stat.S_IMODE(os.stat(home).st_mode)
        if mode & STICKY and home != alias:
            found = "the sticky bit: its mail waits"
            yield Finding("sticky", patient.shown(home), found, "no such bit, once it is edited")
        for name in sorted(os.listdir(home)):
            if name.startswith(".qmail"):
                yield from _file(patient, home, name, is_virtual=False)


def check_own_files(patient: Patient) -> Iterator[Finding]:
    """The files of users."""
    for user in patient.each_user("files of users"):
        if user.directory and os.path.lexists(os.path.join(user.directory, ".qmail")):
            yield from _file(patient, user.directory, ".qmail", is_virtual=True)


def _file(patient: Patient, home: str, name: str, *, is_virtual: bool) -> Iterator[Finding]:
    path = os.path.join(home, name)
    try:
        state = os.stat(path)
        if not stat.S_ISREG(state.st_mode):
            return
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            text = file.read(LONGEST + 1)
    except OSError as error:
        found = (error.strerror or str(error)).lower()
        yield Finding(
            "unreadable", patient.shown(path), found, "a file that its home's owner can read"
        )
        return
    mode, shown = stat.S_IMODE(state.st_mode), patient.shown(path)
    if mode & WORLD_WRITABLE:
        mends = (SetMode(path, mode & ~0o022),) if state.st_uid == patient.site.uid else ()
        yield Finding(
            "mode", shown, f"mode {mode:04o}: its mail waits", f"{mode & ~0o022:04o}", mends
        )
    if text and not (is_virtual and not text.strip()):
        what = DotQmail(shown, text, home, mode & ~WORLD_WRITABLE, is_virtual)
        yield from _steps(what, shown)


def _steps(what: DotQmail, shown: str) -> Iterator[Finding]:
    steps = read_dotqmail(what)
    if isinstance(steps, Defer):
        where = str(steps.rule) if steps.rule.file else shown
        text = steps.text.removeprefix(f"{where}: found ")
        yield Finding("qmail", where, text.partition(", expected ")[0], _expected(text))
        return
    for _, step in steps:
        if not isinstance(step, VDeliver):
            continue
        if what.is_virtual:
            yield Finding(
                "qmail", str(step.rule), "vdelivermail", "a line that is not its own again"
            )
        elif isinstance(step.instruction, Mistake):
            mistake = step.instruction
            yield Finding("qmail", str(step.rule), mistake.found, mistake.expected)
        elif isinstance(step.instruction, ToMaildir) and (
            find_fault(step.instruction.path) is Fault.NO_MAILDIR
        ):
            found = f"{step.instruction.path}: no Maildir there"
            yield Finding("qmail", str(step.rule), found, "a Maildir for mail to absent users")


def _expected(text: str) -> str:
    return text.partition(", expected ")[2] or "lines that a delivery can obey"


def check_alias_lines(patient: Patient) -> Iterator[Finding]:
    """Rows of valias that a delivery could not obey, or that lead to nobody."""
    for domain, entry in patient.domains.items():
        if domain not in patient.users:
            continue
        for name, of_name in groupby(patient.alias_lines[domain], attrgetter("name")):
            yield from _alias(patient, f"{name}@{domain}", list(of_name), entry)


def _alias(
    patient: Patient, address: str, lines: list[AliasLine], entry: AssignEntry
) -> Iterator[Finding]:
    text = "\n".join(line.line for line in lines)
    shown = f"valias({address})"
    yield from _steps(DotQmail(shown, text, entry.home, is_virtual=True), shown)
    for line in lines:
        target = line.line.removeprefix("&")
        if line.line[:1] not in "|/.#" and "@" in target and not _has_mailbox(patient, target):
            yield Finding("nobody", shown, line.line, "an address that somebody has")


def _has_mailbox(patient: Patient, address: str) -> bool:
    """Tell whether an address is elsewhere, or somebody's here."""
    name, _, domain = address.lower().rpartition("@")
    there = route(Address(name, domain), patient.routing)
    entry = patient.assign.find(there.target.rpartition("@")[0])
    if there.channel is Channel.REMOTE or entry is None or entry.home not in patient.domain_homes:
        return True
    if not os.path.isdir(entry.home):  # that is told already
        return True
    files = find_dotqmail_names(entry.dash, entry.ext)
    found = next((f.file for f in files if os.path.isfile(os.path.join(entry.home, f.file))), "")
    if found != ".qmail-default":
        return bool(found)
    real = patient.alias_rows.get(domain, domain)
    base = base_user(name) if patient.site.variables.get("QMAIL_EXT") else ""
    if any(f"{user}@{real}" in patient.taken for user in (name, base)):
        return True
    return _takes_everybody(entry.home)


def _takes_everybody(home: str) -> bool:
    """Tell whether mail for absent users of a domain is kept or sent on."""
    path = os.path.join(home, ".qmail-default")
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        steps = read_dotqmail(DotQmail(path, file.read(LONGEST), home))
    if isinstance(steps, Defer):
        return True
    instructions = [step.instruction for _, step in steps if isinstance(step, VDeliver)]
    return not instructions or not all(
        isinstance(i, BounceNoMailbox | Delete) for i in instructions
    )
