"""What people outside the machine know: senders who got a 250, readers who saw a copy.

No crash changes it.  A reader files what it finds in new/ or deletes it, at once: that is why a
name found is no proof of a delivery, and a name missing none against it.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Final

from indimail.testing.disk import SimulatedDisk

from .script import DOMAIN, MAIL, Sent

NAME: Final = re.compile(r"\d+\.Q(\d+)R(\d+)\.(\d+)\..*,S=(\d+)(:2,[A-Z]*)?\Z")
TAG: Final = re.compile(rb"^X-Tag: (.+)$", re.M)


@dataclass
class Taken:
    """A copy that a reader deleted."""

    name: str
    tag: str
    folder: str
    key: tuple[int, int]
    recorded: bool  # its recipient's outcome was committed before


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
    faults: list[str] = field(default_factory=list)

    def accept(self, queue_id: int, mail: Sent) -> None:
        """A client read its 250."""
        if queue_id in self.accepted:
            self.faults.append(f"id {queue_id} was given twice")
        self.accepted[queue_id] = mail

    def after_restart(self, disk: SimulatedDisk, power: bool) -> None:
        """Forget deletions that a power cut undid: the copy is the same one."""
        if not power:
            return
        there = {base(path) for _, path, _ in copies(disk)}
        self.unsure |= there
        for taken in self.taken:
            if not taken.recorded and taken.key not in self.finished:
                self.excused.add(taken.name)
        self.taken = [taken for taken in self.taken if taken.name not in there]


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
    whole = (
        content.startswith(b"Return-Path: <sender@example.net>\nDelivered-To: ")
        and content.endswith(mail.stored)
        and len(content) == int(name[4])
        and content.count(b"Delivered-To: ") == 1
    )
    return mail.tag, "" if whole else f"{path}: not whole ({len(content)} octets)"


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
        tag, wrong = check_copy(path, self._disk.read(path), self._ledger.sent)
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
            found = NAME.fullmatch(name)
            assert found is not None
            key = int(found[1]), int(found[2])
            recorded = key in self._ledger.finished
            if not recorded and name in self._ledger.unsure:
                self._ledger.excused.add(name)
            self._ledger.taken.append(Taken(name, tag, folder, key, recorded))
