"""Who touches files and starts programs for a delivery: the server itself, in its own user's homes.

    hands.store(folder, name, content, done)       # in tmp/, synced with its name: done(None)
    hands.publish(folder, name, done)              # in new/, that name synced: done(None)
    hands.append(path, content, done)              # an mbox
    hands.run(program, done)                       # done(Ended(...)), or done(a MailError)
    hands.find_mark(maildir, digest, now, 900, told)    # told(Mark(...)), told(None), or an error
    hands.add_mark(maildir, mark, 900, done)       # in dupmd5

`done` may run on any thread, and gets a failure as a value.  Files of many deliveries are synced
together (`durable.batch`).  `serve.spawned` has the hands of other users.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from indimail.delivery.program import Ended
from indimail.durable.batch import Unsynced
from indimail.durable.committer import Done, Rounds
from indimail.durable.disk import Disk
from indimail.mail.errors import MailError
from indimail.mail.ids import QueueId
from indimail.mailbox import dupmd5, maildir
from indimail.mailbox.dupmd5 import Mark
from indimail.mailbox.mbox import append_mbox

# Runs the first call on a thread, then the second, with what it returned or raised, on the loop.
RunAside = Callable[[Callable[[], object], Callable[[object], None]], None]


class Bodies(Protocol):
    """Where large bodies lie: a queue's spool, or an open file."""

    def path(self, queue_id: QueueId, /) -> str | None:
        """Return a name that can be linked; None where there is none for us."""

    def read(self, queue_id: QueueId, offset: int, /) -> Iterator[bytes]:
        """Yield the body from `offset` on."""


@dataclass(frozen=True, slots=True)
class Content:
    """A copy's octets: lines of ours, then the mail; a large one lies in a spool file."""

    block: bytes
    body: bytes | None
    size: int
    spool: Bodies
    id: QueueId
    offset: int = 0

    def pieces(self) -> Iterator[bytes]:
        """Yield all of it; may wait for the disk."""
        yield self.block
        if self.body is not None:
            yield self.body
        else:
            yield from self.spool.read(self.id, self.offset)


@dataclass(frozen=True, slots=True)
class Program:
    """A command of a .qmail line, for sh, in a home; `content` is its standard input."""

    command: str
    home: str
    environment: Mapping[str, str]
    envdirs: tuple[str, ...]
    content: Content


Run = Callable[[Program, Callable[[Ended | Exception], None]], None]


class Hands(Protocol):
    """What a delivery does in the home of one user of the system."""

    def store(self, folder: str, name: str, content: Content, done: Done) -> None:
        """Write a copy into tmp/; `done` once it and its name survive a power cut."""

    def publish(self, folder: str, name: str, done: Done) -> None:
        """Move it into new/; `done` once that name survives a power cut."""

    def settle(
        self, folder: str, name: str, *, same_boot: bool, staged_age: float
    ) -> maildir.Settlement:
        """Tell what a crash left of a staged copy; one that is DONE is synced.  May block."""

    def append(self, path: str, content: Content, from_line: str, done: Done) -> None:
        """Append to an mbox."""

    def run(self, program: Program, done: Callable[[Ended | Exception], None]) -> None:
        """Run a program to its end."""

    def find_mark(
        self, inbox: str, digest: str, now: int, interval: int, told: Callable[[object], None]
    ) -> None:
        """Tell which mail of this digest is there: its mark, None, or an error; on the loop."""

    def add_mark(self, inbox: str, mark: Mark, interval: int, done: Done) -> None:
        """Mark a mail that is in new/ for good."""


class OwnHands:
    """The server's own."""

    def __init__(self, disk: Disk, syncs: Rounds[Unsynced], aside: RunAside, run: Run) -> None:
        """`syncs` tells on its own thread (`durable.committer.at_once`); `run` starts programs."""
        self._disk = disk
        self._syncs = syncs
        self._aside = aside
        self.run = run

    def store(self, folder: str, name: str, content: Content, done: Done) -> None:
        """Write a small copy at once, a large one on a thread."""
        if content.body is None:
            self._aside(
                lambda: self._store_large(folder, name, content),
                lambda result: self._sync(result, done),
            )
            return
        try:
            unsynced = maildir.stage(self._disk, folder, name, (content.block, content.body))
        except MailError as error:
            done(error)
            return
        self._syncs.add(unsynced, done)

    def _store_large(self, folder: str, name: str, content: Content) -> Unsynced:
        """Link a spooled body where our lines are in front of it already, else copy."""
        path, block = content.spool.path(content.id), content.block
        has_lines = content.offset == len(block)
        if path and has_lines and self._disk.read(path, 0, len(block)) == block:
            linked = maildir.stage_by_link(self._disk, path, folder, name)
            if linked is not None:
                return linked
        return maildir.stage_pieces(self._disk, folder, name, content.pieces())

    def _sync(self, result: object, done: Done) -> None:
        if isinstance(result, Unsynced):
            self._syncs.add(result, done)
        elif isinstance(result, Exception):
            done(result)

    def publish(self, folder: str, name: str, done: Done) -> None:
        """Rename; a later round syncs the name."""
        try:
            unsynced = maildir.publish(self._disk, folder, name)
        except MailError as error:
            done(error)
            return
        self._syncs.add(unsynced, done)

    def settle(
        self, folder: str, name: str, *, same_boot: bool, staged_age: float
    ) -> maildir.Settlement:
        """Look, and make what was published durable."""
        found = maildir.recovery(
            self._disk, folder, name, same_boot=same_boot, staged_age=staged_age
        )
        if found is maildir.Settlement.DONE:
            maildir.sync_new(self._disk, folder)
        return found

    def append(self, path: str, content: Content, from_line: str, done: Done) -> None:
        """Lock, write and sync, on a thread."""
        self._aside(
            lambda: append_mbox(path, content.pieces(), from_line),
            lambda result: done(result if isinstance(result, Exception) else None),
        )

    def find_mark(
        self, inbox: str, digest: str, now: int, interval: int, told: Callable[[object], None]
    ) -> None:
        """Look, on a thread."""
        self._aside(lambda: dupmd5.find_mark(self._disk, inbox, digest, now, interval), told)

    def add_mark(self, inbox: str, mark: Mark, interval: int, done: Done) -> None:
        """Write, on a thread."""
        self._aside(
            lambda: dupmd5.add_mark(self._disk, inbox, mark, interval),
            lambda result: done(result if isinstance(result, Exception) else None),
        )
