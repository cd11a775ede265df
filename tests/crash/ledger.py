"""What people outside the machine know: senders who got a 250, readers who saw a copy.

No crash changes it.  A reader files what it finds in new/ or deletes it, at once: that is why a
name found is no proof of a delivery, and a name missing none against it.
"""

import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Final

from indimail.testing.disk import SimulatedDisk

from .script import DOMAIN, MAIL, PROGRAMS, Sent

NAME: Final = re.compile(r"\d+\.Q(\d+)R(\d+)\.(\d+)\..*,S=(\d+)(:2,[A-Z]*)?\Z")
TAG: Final = re.compile(rb"^X-Tag: (.+)$", re.M)
REPORTED: Final = re.compile(rb"^Final-Recipient: rfc822; (.+)\nAction: (.+)$", re.M)
IS_REPORT: Final = b"; report-type=delivery-status;"  # in a header that is ours
BOUNCED: Final = b"\nX-Bounced-Address: "  # the same, of a bounce
DELIVERED: Final = re.compile(rb"^Delivered-To: .+$", re.M)


@dataclass
class Taken:
    """A copy that a reader deleted."""

    name: str
    tag: str
    folder: str
    key: tuple[int, int]
    recorded: bool  # its recipient's outcome was committed before
    tells: tuple[str, ...]  # of a report (`told_in`)


@dataclass
class Ledger:
    """Kept by the test."""

    sent: dict[str, Sent] = field(default_factory=dict)
    accepted: dict[int, Sent] = field(default_factory=dict)
    taken: list[Taken] = field(default_factory=list)
    finished: set[tuple[int, int]] = field(default_factory=set)  # told after its commit
    unsure: set[str] = field(default_factory=set)  # copies that the queue has to look for
    # Copies that were deleted before their outcome was committed, and then the power was cut: where
    # the queue finds neither name it delivers again (DESIGN 4), and the deletion may be undone too.
    excused: set[str] = field(default_factory=set)
    stepped: set[str] = field(default_factory=set)  # copies whose steps are committed as done
    runs: Counter[tuple[str, str]] = field(default_factory=Counter)  # of programs and mboxes
    powered: bool = False  # the power was cut once
    faults: list[str] = field(default_factory=list)

    def run(self, what: str, content: bytes) -> int:
        """A program was run, or an mbox written to: return the exit code."""
        tag = TAG.search(content)
        mail = self.sent.get(tag[1].decode()) if tag else None
        if mail is None or not content.endswith(mail.stored):
            self.faults.append(f"{what} got {len(content)} octets that are not a mail")
            return 0
        codes = PROGRAMS.get(what.partition(" ")[0], (0,))
        before = self.runs[mail.tag, what]
        self.runs[mail.tag, what] += 1
        return codes[min(before, len(codes) - 1)]

    def accept(self, queue_id: int, mail: Sent) -> None:
        """A client read its 250."""
        if queue_id in self.accepted:
            self.faults.append(f"id {queue_id} was given twice")
        self.accepted[queue_id] = mail

    def after_restart(self, disk: SimulatedDisk, power: bool) -> None:
        """Forget deletions that a power cut undid: the copy is the same one."""
        if not power:
            return
        self.powered = True
        there = {base(path) for _, path, _ in copies(disk)}
        self.unsure |= there
        for taken in self.taken:
            if not taken.recorded and not self._is_recorded(taken.name, taken.key):
                self.excused.add(taken.name)
        self.taken = [taken for taken in self.taken if taken.name not in there]

    def _is_recorded(self, name: str, key: tuple[int, int]) -> bool:
        return name in self.stepped or key in self.finished

    def take(self, name: str, folder: str, content: bytes) -> None:
        """A reader deleted a copy."""
        found, tag = NAME.fullmatch(name), TAG.search(content)
        assert found is not None
        assert tag is not None
        key = int(found[1]), int(found[2])
        recorded = self._is_recorded(name, key)
        if not recorded and name in self.unsure:
            self.excused.add(name)
        tells = told_in(content)
        self.taken.append(Taken(name, tag[1].decode(), folder, key, recorded, tells))


def copies(disk: SimulatedDisk) -> Iterable[tuple[str, str, bytes]]:
    """Walk (folder, path, content) of every copy that readers find, in order."""
    found = disk.contents(MAIL) if disk.exists(MAIL) else {}
    for path, content in sorted(found.items()):
        folder, _, rest = path.partition("/Maildir/")
        if rest.startswith(("new/", "cur/")):
            yield f"{folder}/Maildir", path, content


def base(path: str) -> str:
    """Return a copy's name without a reader's flags."""
    return path.rpartition("/")[2].partition(":")[0]


def check_copy(path: str, content: bytes, sent: dict[str, Sent]) -> tuple[str, str]:
    """Return the tag of a copy and what is wrong with it (nothing: empty)."""
    tag = TAG.search(content)
    mail = sent.get(tag[1].decode()) if tag else None
    name = NAME.fullmatch(path.rpartition("/")[2])
    if mail is None or tag is None or name is None:
        return "", f"{path}: {len(content)} octets that nobody sent"
    if tells := told_in(content):
        header, _, _ = mail.stored.partition(b"\n\n")
        enclosed = mail.stored if all(tell.endswith(" failed") for tell in tells) else header
        whole = (
            content.startswith((b"Return-Path: <>\nDeliv", b"Return-Path: <#@[]>\nDeliv"))
            and enclosed in content
            and _is_bounce(content) == tells[0].endswith(" failed")
            and content.endswith(b"--\n")
        )
    else:
        through = DELIVERED.findall(content)
        whole = (
            content.startswith(f"Return-Path: <{mail.sender}>\nDelivered-To: ".encode())
            and content.endswith(mail.stored)
            and len(through) == len(set(through))
        )
    whole = whole and len(content) == int(name[4])
    return mail.tag, "" if whole else f"{path}: not whole ({len(content)} octets)"


def told_in(content: bytes) -> tuple[str, ...]:
    """Return the recipients that a report tells of, and what; none for any other mail."""
    if IS_REPORT not in content[: content.find(b"\n\n")]:
        return ()
    return tuple(f"{address.decode()} {dsn.decode()}" for address, dsn in REPORTED.findall(content))


def _is_bounce(content: bytes) -> bool:
    return BOUNCED in content[: content.find(b"\n\n")]


class Reader:
    """Looks into new/ at odd moments."""

    def __init__(self, disk: SimulatedDisk, ledger: Ledger, random: Random) -> None:
        self._disk = disk
        self._ledger = ledger
        self._random = random

    def look(self) -> None:
        """See to every new mail: leave it, file it with flags, or delete it."""
        users = f"{MAIL}/{DOMAIN}"
        for user in sorted(self._disk.names(users)) if self._disk.exists(users) else ():
            folder = f"{users}/{user}/Maildir"
            if self._disk.exists(f"{folder}/new") and self._disk.exists(f"{folder}/cur"):
                for name in sorted(self._disk.names(f"{folder}/new")):
                    with suppress(OSError):  # where one operation is to fail, it may be ours
                        self._see_to(folder, name)

    def _see_to(self, folder: str, name: str) -> None:
        path = f"{folder}/new/{name}"
        content = self._disk.read(path)
        _, wrong = check_copy(path, content, self._ledger.sent)
        if wrong:
            self._ledger.faults.append(f"a reader found {wrong}")
            return
        chance = self._random.random()
        if chance < 0.5:
            filed = f"{folder}/cur/{name}:2,S"
            self._disk.rename(path, filed)
            path = filed
        if 0.35 < chance < 0.85:
            self._disk.unlink(path)
            self._ledger.take(name, folder, content)
