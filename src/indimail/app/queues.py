"""A worker's queues: those it owns, and the way to those of other workers.

    queues = Queues(means, local, remote, bounces, company)
    queues.open(directory)                  # False while another process has its lock
    queues.find()                           # an `Intake` for a new message, or why there is none

Not here: which queues are a worker's (`app.worker`), what a queue does (`serve.send`).
"""

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Final
from zlib import crc32

from indimail.app.aside import Aside
from indimail.app.means import Means
from indimail.durable.committer import Committer
from indimail.durable.disk import Disk
from indimail.durable.lock import DirectoryLock
from indimail.mail.errors import MailError, QueueFull, QueueUnwritable
from indimail.net.local import listen_local
from indimail.queue.found import found_queues
from indimail.queue.port import Change, QueueReader, QueueStore
from indimail.queue.spool import Spool
from indimail.queue.sqlite import SqliteQueue, SqliteReader, database_of
from indimail.serve.debts import Bounces
from indimail.serve.handover import HandOver, Transit
from indimail.serve.intake import Intake
from indimail.serve.maillog import DeliveryLog
from indimail.serve.send import LocalDeliverer, RemoteDeliverer, Send

HANDING_OVER: Final = 16  # threads that wait for other workers' commits
SPACE_KEPT: Final = 1.0  # seconds for which a disk's free space is believed


def open_queue(
    disk: Disk, directory: str, min_free: Callable[[], int]
) -> tuple[QueueStore, QueueReader, Spool]:
    """Return what a queue's owner works with; where one part fails to open none stays open."""
    path = database_of(directory)
    with ExitStack() as undo:
        store = SqliteQueue.open(path)
        undo.callback(store.close)
        store.reserve_log()
        reader = SqliteReader.open(path)
        undo.callback(reader.close)
        spool = Spool(disk, directory, min_free)
        undo.pop_all()
    return store, reader, spool


class Queues:
    """Those that are open here take turns."""

    def __init__(
        self,
        means: Means,
        local: LocalDeliverer,
        remote: RemoteDeliverer,
        bounces: Bounces,
        company: Callable[[], bool],
    ) -> None:
        """`company` tells whether more mail will probably be accepted in a moment."""
        self._means = means
        self._config = means.config
        self._local = local
        self._remote = remote
        self._bounces = bounces
        self._company = company
        self.sends: list[Send] = []
        self._locks: list[DirectoryLock] = []
        self._sockets: dict[str, socket.socket] = {}
        self._free: dict[str, tuple[float, int]] = {}
        self._turn = 0
        self.handing_over = Aside(means.loop, HANDING_OVER)
        self.transit = Transit(
            means.disk,
            os.path.join(means.place.instance.queue_base, "handover", str(means.number)),
            self._min_free,
        )

    # -- ours ------------------------------------------------------------------------------------

    def open(self, directory: str) -> bool:
        """Own and open a queue; False while another process has its lock."""
        means = self._means
        means.disk.make_directories(directory)  # its name is made sure by the `Spool` in it
        lock = DirectoryLock.take(directory)
        if lock is None:
            return False
        path = self._socket_of(directory)
        send: Send | None = None
        try:
            send = self._send(directory)
            means.ids.rise_above(send.largest_id())
            self._sockets[path] = listen_local(path, 0o600)
        except BaseException:
            if send is not None:
                send.close()
            lock.release()
            raise
        self._locks.append(lock)
        self.sends.append(send)
        return True

    def _send(self, directory: str) -> Send:
        means = self._means
        name = os.path.basename(directory)
        ident = int("".join(filter(str.isdigit, name)) or 0)

        def opened() -> tuple[QueueStore, QueueReader, Spool]:
            return open_queue(means.disk, directory, self._min_free)

        def commits(run: Callable[[Sequence[Change]], None], name: str) -> Committer[Change]:
            return Committer(run, means.loop.call_soon_threadsafe, name, company=self._company)

        return Send(
            name, ident, directory, opened=opened, commits=commits, local=self._local,
            remote=self._remote, bounces=self._bounces,
            settings=lambda: self._config.current.queue.send_settings(name),
            clock=means.clock, trace=means.trace,
            log=DeliveryLog(means.place.lines, name, ident),
        )  # fmt: skip

    @property
    def sockets(self) -> list[socket.socket]:
        """Where other workers hand mail over for our queues."""
        return list(self._sockets.values())

    def _socket_of(self, directory: str) -> str:
        """Return the socket of a queue's owner: ``run/queue1.sock``."""
        above, name = os.path.split(directory)
        if above != self._config.current.queue.base:
            name = f"{name}-{crc32(directory.encode()):08x}"
        return os.path.join(self._means.place.instance.run, f"{name}.sock")

    # -- for a new message -----------------------------------------------------------------------

    def find(self, queue: str = "", own: bool = False) -> Intake | MailError:
        """Return the queue for a new message: an open one of ours, in turn, else another worker's.

        `queue` is a name or directory, empty for any; `own`: only one of ours.
        """
        failure: MailError = QueueUnwritable("no queue is open")
        queues = self._config.current.queue
        fitting = (os.path.join(queues.base, queue),) if queue else queues.directories
        for _ in range(len(self.sends)):
            send = self.sends.pop(0)
            self.sends.append(send)
            if send.directory not in fitting:
                continue
            if send.failure is not None:
                failure = send.failure
            elif self._space(send.directory) < queues.min_free:
                failure = QueueFull(f"{send.directory}: less than {queues.min_free} octets free")
            else:
                return send
        return failure if own else self._other(fitting) or failure

    def _other(self, fitting: Sequence[str]) -> Intake | MailError | None:
        """Return the way to the owners of the queues that fit; None where nobody owns one."""
        queues = self._config.current.queue
        ours = {send.directory for send in self.sends}
        wanted = [(path, self._socket_of(path)) for path in fitting if path not in ours]
        owners = [owner for owner in wanted if os.path.exists(owner[1])]
        if not owners:
            return None
        if self._space(queues.base) < queues.min_free:
            return QueueFull(f"{queues.base}: less than {queues.min_free} octets free")
        self._turn = turn = (self._turn + 1) % len(owners)
        return HandOver(owners[turn:] + owners[:turn], self.transit, self.handing_over)

    def adopted(self) -> set[str]:
        """Return the spool files that any queue has a row of; on a thread."""
        found: set[str] = set()
        base = self._config.current.queue.base
        for directory in found_queues(base, *(send.directory for send in self.sends)):
            reader = SqliteReader.open(database_of(directory))
            try:
                found |= reader.adopted()
            finally:
                reader.close()
        return found

    def _min_free(self) -> int:
        return self._config.current.queue.min_free

    def _space(self, directory: str) -> int:
        now = self._means.clock.steady()
        known = self._free.get(directory)
        if known is None or now - known[0] > SPACE_KEPT:
            known = self._free[directory] = (now, self._means.disk.free(directory))
        return known[1]

    # -- end -------------------------------------------------------------------------------------

    def stop_listening(self) -> None:
        """Take nothing more from other workers."""
        for path, sock in self._sockets.items():
            sock.close()
            with suppress(FileNotFoundError):
                os.unlink(path)

    def close(self) -> None:
        """Commit what was submitted.  The locks end with the process: no queue is another's before."""
        for send in self.sends:
            send.close()
