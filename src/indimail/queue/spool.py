"""Large bodies: files `mess/<id>` beside the queue's database, written while they arrive.

    spool = Spool(disk, "/var/indimail/queue/queue1")
    spool.begin(id, prefix); spool.add(id, chunks); spool.seal(id)     # sealed: durable
    spool.store(id, pieces)                                             # all of that at once
    spool.discard(id)                                                   # the row never came

`prefix` are the lines a foreseen delivery prepends (DESIGN 4: "a large mail is written once"):
such a delivery links the file into the Maildir, every other one skips `prefix` by its offset.
A file without a row is what a crash left of a mail that never got its 250: `sweep` removes it.

A body never takes the last `reserve` octets of its disk: they are for what is queued already, so that
a large one, which was begun when there was room, is refused once there is none.

Every call may block on the disk: callers are threads, not the event loop.
Raises `QueueUnwritable`, `QueueFull`.
"""

import errno
import os
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from indimail.durable.disk import Disk, sync_above
from indimail.mail.errors import MailError, QueueFull, QueueUnwritable
from indimail.mail.ids import QueueId

LARGE: Final = 131_072  # octets; a larger body goes to a file (docs/adr/0016)
READ_SIZE: Final = 262_144


class Spool:
    """The `mess/` folder of one queue."""

    def __init__(
        self, disk: Disk, queue_directory: str, reserve: Callable[[], int] = lambda: 0
    ) -> None:
        self._disk = disk
        self._reserve = reserve
        self._folder = os.path.join(queue_directory, "mess")
        with _translated():
            disk.make_directories(self._folder)
            sync_above(disk, self._folder)

    def path(self, queue_id: QueueId) -> str:
        """Return the file of a message."""
        return os.path.join(self._folder, str(queue_id))

    def begin(self, queue_id: QueueId, parts: Sequence[bytes]) -> None:
        """Create the file with its first parts."""
        with _translated():
            self._keep_reserve()
            self._disk.write_new(self.path(queue_id), parts)

    def add(self, queue_id: QueueId, parts: Sequence[bytes]) -> None:
        """Write more of the body."""
        with _translated():
            self._keep_reserve()
            self._disk.append(self.path(queue_id), parts)

    def _keep_reserve(self) -> None:
        reserve = self._reserve()
        if reserve and self._disk.free(self._folder) < reserve:
            raise QueueFull(f"{self._folder}: less than {reserve} octets free")

    def seal(self, queue_id: QueueId) -> None:
        """Make the body and its name durable; only then may its row be committed."""
        with _translated():
            self._disk.sync_file(self.path(queue_id))
            self._disk.sync_directory(self._folder)

    def store(self, queue_id: QueueId, parts: Iterable[bytes]) -> None:
        """Write and seal a body that is at hand; where that fails, nothing of it stays."""
        try:
            self.begin(queue_id, ())
            for part in parts:
                self.add(queue_id, (part,))
            self.seal(queue_id)
        except MailError:
            with suppress(MailError):
                self.discard(queue_id)
            raise

    def discard(self, queue_id: QueueId) -> None:
        """Remove the file of a message that is gone; missing is fine."""
        with _translated():
            try:
                self._disk.unlink(self.path(queue_id))
            except FileNotFoundError:
                return

    def read(self, queue_id: QueueId, offset: int) -> Iterator[bytes]:
        """Yield the body from `offset` on, in pieces."""
        path = self.path(queue_id)
        with _translated():
            end = self._disk.size(path)
            while offset < end:
                piece = self._disk.read(path, offset, READ_SIZE)
                if not piece:
                    return
                yield piece
                offset += len(piece)

    def beginning(self, queue_id: QueueId, offset: int, size: int) -> bytes:
        """Return at most `size` octets of the body from `offset` on."""
        with _translated():
            return self._disk.read(self.path(queue_id), offset, size)

    def sweep(self, known: Container[QueueId]) -> int:
        """Remove the files that no row knows; return how many.  A folder (lost+found) stays."""
        removed = 0
        with _translated():
            strays = [n for n in self._disk.names(self._folder) if not _is_known(n, known)]
            for name in strays:
                with suppress(IsADirectoryError):
                    self._disk.unlink(os.path.join(self._folder, name))
                    removed += 1
        return removed


def _is_known(name: str, known: Container[QueueId]) -> bool:
    return name.isdigit() and QueueId(int(name)) in known


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise QueueFull(str(error)) from error
        raise QueueUnwritable(str(error)) from error
