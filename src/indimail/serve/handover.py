"""A queue of another worker, as reception sees it.

    queue = HandOver([("/var/indimail/queue/queue2", "/var/indimail/run/queue2.sock")], transit, aside)
    queue.accept(message, recipients, done)      # done(None) after the owner's commit

A worker without an open queue that fits (fewer queues than workers, closed, another one named) takes
the mail all the same, and hands envelope, routes and body to an owner over its socket, under the
same id.  The owners are asked in turn; after one that may have queued it, nobody else is: then
`done` has an error, the client a 451, and it may come twice, as with every queue.

A large body waits in a file of `Transit` meanwhile.  It is never synced: no row names it, and it
goes with its conversation.

Source: DESIGN 4 (who owns a queue).  Not here: the owner's side (`serve.inject`).
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final

from indimail.durable.committer import Done
from indimail.durable.disk import Disk
from indimail.mail.errors import MailError, QueueFull, QueueUnwritable
from indimail.mail.ids import QueueId
from indimail.queue.port import QueuedMessage, QueuedRecipient
from indimail.queue.spool import Spool
from indimail.queue.submission import (
    QUEUED,
    REFUSED_FOR_NOW,
    NobodyListens,
    Receipt,
    Submission,
    submit,
)
from indimail.serve.hands import RunAside

PATIENCE: Final = 60.0  # seconds for an owner's commit; a client waits longer (RFC 5321 4.5.3.2.6)

Owner = tuple[str, str]  # a queue's directory, and the socket of who has it
Submit = Callable[[str, Submission, Iterable[bytes], float], Receipt]


class Transit:
    """Large bodies on their way to another worker, in a folder of this worker's own."""

    def __init__(self, disk: Disk, directory: str, reserve: Callable[[], int] = lambda: 0) -> None:
        self._disk = disk
        self._directory = directory
        self._reserve = reserve
        self._lock = threading.Lock()
        self._spool: Spool | None = None

    def clear(self) -> None:
        """Remove what an earlier process left; its conversations are over."""
        folder = os.path.join(self._directory, "mess")
        if self._disk.exists(folder):
            for name in self._disk.names(folder):
                with suppress(OSError):
                    self._disk.unlink(os.path.join(folder, name))

    def begin(self, queue_id: QueueId, parts: Sequence[bytes]) -> None:
        """Create the file with its first parts."""
        self._made().begin(queue_id, parts)

    def add(self, queue_id: QueueId, parts: Sequence[bytes]) -> None:
        """Write more of the body."""
        self._made().add(queue_id, parts)

    def seal(self, queue_id: QueueId) -> None:
        """Do nothing: the owner syncs its own copy before anything is promised."""

    def discard(self, queue_id: QueueId) -> None:
        """Remove the file; missing is fine."""
        self._made().discard(queue_id)

    def read(self, queue_id: QueueId, offset: int) -> Iterator[bytes]:
        """Yield the body from `offset` on."""
        return self._made().read(queue_id, offset)

    def _made(self) -> Spool:
        """Make the folder at the first use; most servers have none."""
        with self._lock:
            if self._spool is None:
                self._spool = Spool(self._disk, self._directory, self._reserve)
            return self._spool


class HandOver:
    """One message's way to the owner of a queue."""

    def __init__(
        self, owners: Sequence[Owner], spool: Transit, aside: RunAside, submit: Submit = submit
    ) -> None:
        """`aside` has threads of its own: two workers that wait for each other must not stop."""
        self.name = os.path.basename(owners[0][0])
        self.spool = spool
        self._owners = owners
        self._aside = aside
        self._submit = submit

    def accept(
        self, message: QueuedMessage, recipients: tuple[QueuedRecipient, ...], done: Done
    ) -> None:
        """Hand a message over; `done(None)` after the owner's commit."""

        def told(result: object) -> None:
            if message.body is None:
                self._aside(lambda: self.spool.discard(message.id), lambda _: None)
            if isinstance(result, str):
                self.name = result
                done(None)
            else:
                done(result if isinstance(result, Exception) else QueueUnwritable(repr(result)))

        self._aside(lambda: self._ask(message, recipients), told)

    def _ask(self, message: QueuedMessage, recipients: tuple[QueuedRecipient, ...]) -> str:
        """Return the name of the queue that took it.  Raises QueueUnwritable, QueueFull."""
        failure: MailError = QueueUnwritable("no owner of a queue listens")
        for directory, path in self._owners:
            submission = _submission(message, recipients, directory)
            name = os.path.basename(directory)
            try:
                receipt = self._submit(path, submission, self._body(message), PATIENCE)
            except NobodyListens as error:
                failure = QueueUnwritable(str(error))
                continue
            if receipt.code == QUEUED:
                return name
            failure = _failure(name, receipt)
            if receipt.code != REFUSED_FOR_NOW:
                break
        raise failure

    def _body(self, message: QueuedMessage) -> Iterable[bytes]:
        if message.body is not None:
            return (message.body,) if message.body else ()
        return self.spool.read(message.id, message.offset)


def _submission(
    message: QueuedMessage, recipients: tuple[QueuedRecipient, ...], directory: str
) -> Submission:
    m = message
    return Submission(
        m.reverse_path,
        tuple(r.address for r in recipients),
        m.eight_bit,
        m.smtputf8,
        m.auth,
        m.ret,
        m.envid,
        tuple(r.notify for r in recipients),
        tuple(r.orcpt for r in recipients),
        id=m.id,
        queue=directory,
        uid=m.uid,
        channels=tuple(r.channel.value for r in recipients),
        targets=tuple(r.target for r in recipients),
        rules=tuple(r.route for r in recipients),
    )


def _failure(name: str, receipt: Receipt) -> MailError:
    text = f"{name}: {receipt.code} {receipt.reason}"
    return QueueFull(text) if "#4.3.1" in receipt.text else QueueUnwritable(text)
