"""Which adapters a worker runs on: the only place that picks them.

    parts = build(place, number, connections, follower, loop)

The disk is the machine's, queues are SQLite, accounts SQL behind a cache, the trace and the log are
files.  Everything is made after the fork: no connection, thread or watch lives across one.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from indimail.accounts.cache import CachedLookup
from indimail.accounts.sql import SqlAccounts, sqlite_url
from indimail.app.aside import Aside
from indimail.app.channel import Changed, Channel, Listening, Spawn
from indimail.app.follow import Follower
from indimail.app.instance import Instance
from indimail.app.logs import LogLines
from indimail.app.turn import OncePerTurn
from indimail.control.watch import FolderWatch
from indimail.delivery.assign import AssignEntry
from indimail.delivery.dotqmail import Name
from indimail.delivery.program import Ended
from indimail.durable.batch import FileSyncs, SyncMode, Unsynced
from indimail.durable.committer import Committer, at_once
from indimail.durable.disk import SystemDisk
from indimail.durable.lock import DirectoryLock
from indimail.mail.clock import SystemClock
from indimail.mail.dates import header_date
from indimail.mail.errors import ConfigErrors, MailError, QueueFull, QueueUnwritable
from indimail.mail.ids import QueueIds
from indimail.mailbox.maildirsize import MaildirSizes
from indimail.net.connections import ConnectionTable
from indimail.net.local import listen_local
from indimail.net.tls import TlsContext
from indimail.queue.found import found_queues
from indimail.queue.port import Change, QueueReader, QueueStore
from indimail.queue.spool import Spool
from indimail.queue.sqlite import SqliteQueue, SqliteReader, database_of
from indimail.serve.adopt import Adoption, SpoolFiles
from indimail.serve.bounce import Bounces
from indimail.serve.foresight import Foresight
from indimail.serve.foresight import Place as Owned
from indimail.serve.forward import Forwards
from indimail.serve.handover import HandOver, Transit
from indimail.serve.hands import Hands, OwnHands, Program
from indimail.serve.home import Home, HomeUnreadable, Look, look
from indimail.serve.inject import Injection
from indimail.serve.intake import Intake
from indimail.serve.local import LocalDelivery, Own
from indimail.serve.locks import QuotaLocks
from indimail.serve.maillog import DeliveryLog, TcpserverLog
from indimail.serve.quota import MailboxQuotas, OwnQuotas, Quotas
from indimail.serve.reception import Reception
from indimail.serve.send import Send
from indimail.serve.snapshot import QuotaSettings, SessionSettings, Snapshot
from indimail.serve.spawned import Spawned, SpawnedHands, SpawnedQuotas, Who
from indimail.serve.watched import WatchedHomes
from indimail.trace.write import TraceWriter

LOG: Final = logging.getLogger("indimail.worker")
HANDING_OVER: Final = 16  # threads that wait for other workers' commits
THREADS: Final = 8  # for disks and databases that make one wait
ACCOUNTS_KEPT: Final = 3.0  # seconds; see serve.foresight.KEPT
SPACE_KEPT: Final = 1.0  # seconds for which a disk's free space is believed


@dataclass(frozen=True, slots=True)
class Place:
    """Where this server is: the instance, and what of it was decided at the start."""

    instance: Instance
    lines: LogLines
    workers: int
    uid: int


class Parts:
    """A worker's objects, joined."""

    def __init__(
        self,
        place: Place,
        number: int,
        connections: ConnectionTable,
        follower: Follower,
        loop: asyncio.AbstractEventLoop,
        channel: Channel,
    ) -> None:
        instance = place.instance
        self.place = place
        self.number = number
        self.config = follower
        self.disk = SystemDisk()
        self.clock = SystemClock()
        self.aside = Aside(loop, THREADS)
        self._loop = loop
        self._channel = channel
        self._spawned: dict[Who, Spawned] = {}
        self._watched = WatchedHomes()
        self.lines = place.lines
        self.trace = TraceWriter(instance.trace, number + 1, self.disk)
        accounts = _accounts(instance, follower.current)
        self.accounts = CachedLookup(accounts, self.clock, expiry=ACCOUNTS_KEPT)
        self._folders = _Folders(loop, self._watched)
        self.sizes = MaildirSizes(self.disk, self.clock)
        self.quotas = OwnQuotas(self.sizes, self._quota_settings, self.disk, self.clock, self.aside)
        locks = QuotaLocks(accounts, self.accounts, self._quotas, self._changed)
        self.foresight = Foresight(
            self.accounts, lambda: follower.current, self.clock.steady, self.disk,
            self._folders, Owned(instance.root, instance.alias, place.uid, os.getegid()),
            self._look_as, locks,
        )  # fmt: skip
        mode = SyncMode(follower.current.variables.get("FILE_SYNC", SyncMode.AUTO))
        syncs = FileSyncs(self.disk, self.clock.steady, mode)
        self.syncs: Committer[Unsynced] = Committer(syncs.run, at_once, "files")
        self.ids = ids = QueueIds(number + 1)
        forwards = Forwards(ids, self.clock, lambda: follower.current, header_date, self.aside)
        self.bounces = Bounces(
            ids, self.clock, lambda: follower.current.queue.bounces,
            lambda: follower.current.routing, self.aside, place.uid,
        )  # fmt: skip
        self.hands = OwnHands(self.disk, self.syncs, self.aside, self._run)
        self.local = LocalDelivery(
            self.foresight, self._hands, forwards, self.clock, self.aside,
            loop.call_soon_threadsafe,
            Own(lambda: follower.current.me, boot_id(), header_date,
                lambda: follower.current.queue.black_hole, lambda: follower.current.local),
            Quotas(self._quotas, self._quota_settings, locks, self.aside),
        )  # fmt: skip
        self.sends: list[Send] = []
        self._locks: list[DirectoryLock] = []
        self._free: dict[str, tuple[float, int]] = {}
        self._tls: tuple[tuple[tuple[str, int], ...], TlsContext | None] = ((), None)
        self._turn = 0
        self._queue_sockets: dict[str, socket.socket] = {}
        self.handing_over = Aside(loop, HANDING_OVER)
        self.transit = Transit(
            self.disk, os.path.join(instance.queue_base, "handover", str(number)), self._min_free
        )
        self.injection = Injection(
            follower, ids, self.clock, self.trace, self.aside, self.find_queue, place.uid
        )
        self.spool_files = SpoolFiles(self.disk, instance.queue_base)
        self.adoption = Adoption(
            self.spool_files, follower, ids, self.clock, self.trace, self.aside,
            lambda: self.find_queue(own=True), self._adopted,
        )  # fmt: skip
        self.reception = Reception(
            config=follower,
            connections=connections.of_worker(number),
            ids=ids,
            clock=self.clock,
            trace=self.trace,
            lines=self.lines,
            tcpserver=TcpserverLog(self.lines),
            foresight=self.foresight,
            local=self.local,
            aside=self.aside,
            choose_queue=self.choose_queue,
            local_host=follower.current.me,
            tls=self.tls,
        )

    # -- users of the system ---------------------------------------------------------------------

    def _hands(self, uid: int, gid: int) -> Hands:
        """Return who works in the homes of a user."""
        return self.hands if uid == self.place.uid else self._others(Who(uid, gid))

    def _look_as(self, entry: AssignEntry) -> Look:
        """Return who looks at a home; where nobody can, the look says whose rule it is."""
        if entry.uid == self.place.uid:
            return look

        def look_there(home: str, names: tuple[Name, ...], owner_file: str) -> Home:
            spawned = self._process_of(Who(entry.uid, entry.gid))
            try:
                return spawned.look(home, names, owner_file)
            except HomeUnreadable:
                raise
            except MailError as error:
                raise HomeUnreadable(f"{entry.rule}: {error}") from error

        return look_there

    def _run(self, program: Program, done: Callable[[Ended | Exception], None]) -> None:
        """Run a program of ours where a fork is cheap."""
        self._others(Who(self.place.uid, os.getegid())).run(program, done)

    def _others(self, who: Who) -> SpawnedHands:
        return SpawnedHands(self._process_of(who), lambda: self.config.current.queue.programs)

    def _quotas(self, uid: int, gid: int) -> MailboxQuotas:
        """Return the quotas of a user's mailboxes."""
        if uid == self.place.uid:
            return self.quotas
        return SpawnedQuotas(self._process_of(Who(uid, gid)), self._quota_settings)

    def _quota_settings(self) -> QuotaSettings:
        return self.config.current.quota

    def _process_of(self, who: Who) -> Spawned:
        """Return a user's process, also where it does not run."""
        found = self._spawned.get(who)
        if found is None:
            found = Spawned(who, self._loop, self._ask_for, self._idle, self._watched)
            found = self._spawned.setdefault(who, found)  # threads come here too
        return found

    def _ask_for(self, who: Who, instead_of: int) -> None:
        self._channel.send(Spawn(who.uid, who.gid, instead_of))

    def _idle(self) -> float:
        return self.config.current.queue.lspawn_idle

    def listening(self, message: Listening) -> None:
        """Take the supervisor's word about a user's process."""
        self._process_of(Who(message.uid, message.gid)).told(message.path, message.error)

    def tick(self) -> None:
        """Once a second: who has nothing to do is let go."""
        for spawned in list(self._spawned.values()):
            spawned.tick()

    # -- queues ----------------------------------------------------------------------------------

    def take_number(self) -> bool:
        """Make sure that nobody else gives ids and writes the trace under our number."""
        home = os.path.join(self.place.instance.run, f"worker{self.number}")
        self.disk.make_directories(home)
        lock = DirectoryLock.take(home)
        if lock is None:
            return False
        self._locks.append(lock)
        self.transit.clear()
        return True

    def open_queue(self, directory: str) -> bool:
        """Own and open a queue; False while another process has its lock."""
        self.disk.make_directories(directory)  # its name is made sure by the `Spool` in it
        lock = DirectoryLock.take(directory)
        if lock is None:
            return False
        name = os.path.basename(directory)
        ident = int("".join(filter(str.isdigit, name)) or 0)

        def opened() -> tuple[QueueStore, QueueReader, Spool]:
            path = database_of(directory)
            store = SqliteQueue.open(path)
            store.reserve_log()
            return store, SqliteReader.open(path), Spool(self.disk, directory, self._min_free)

        def commits(run: Callable[[Sequence[Change]], None], name: str) -> Committer[Change]:
            return Committer(
                run, self._loop.call_soon_threadsafe, name,
                company=lambda: self.reception.under_way > 0,
            )  # fmt: skip

        path = self._socket_of(directory)
        send: Send | None = None
        try:
            send = Send(
                name, ident, directory, opened=opened, commits=commits, local=self.local,
                bounces=self.bounces,
                settings=lambda: self.config.current.queue.send_settings(name),
                clock=self.clock, trace=self.trace, log=DeliveryLog(self.lines, name, ident),
            )  # fmt: skip
            self.ids.rise_above(send.largest_id())
            self._queue_sockets[path] = listen_local(path, 0o600)
        except BaseException:
            if send is not None:
                send.close()
            lock.release()
            raise
        self._locks.append(lock)
        self.sends.append(send)
        return True

    @property
    def queue_sockets(self) -> list[socket.socket]:
        """Where other workers hand mail over for our queues."""
        return list(self._queue_sockets.values())

    def _socket_of(self, directory: str) -> str:
        """Return the socket of a queue's owner: ``run/queue1.sock``."""
        above, name = os.path.split(directory)
        if above != self.config.current.queue.base:
            name = f"{name}-{crc32(directory.encode()):08x}"
        return os.path.join(self.place.instance.run, f"{name}.sock")

    def choose_queue(self, settings: SessionSettings) -> Intake | MailError:
        """Return the queue for a client's message."""
        return self.find_queue(settings.queuedir)

    def find_queue(self, queue: str = "", own: bool = False) -> Intake | MailError:
        """Return the queue for a new message: an open one of ours, in turn, else another worker's.

        `queue` is a name or directory, empty for any; `own`: only one of ours.
        """
        failure: MailError = QueueUnwritable("no queue is open")
        queues = self.config.current.queue
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
        return failure if own else self._other_queue(fitting) or failure

    def _other_queue(self, fitting: Sequence[str]) -> Intake | MailError | None:
        """Return the way to the owners of the queues that fit; None where nobody owns one."""
        queues = self.config.current.queue
        ours = {send.directory for send in self.sends}
        wanted = [(path, self._socket_of(path)) for path in fitting if path not in ours]
        owners = [owner for owner in wanted if os.path.exists(owner[1])]
        if not owners:
            return None
        if self._space(queues.base) < queues.min_free:
            return QueueFull(f"{queues.base}: less than {queues.min_free} octets free")
        self._turn = turn = (self._turn + 1) % len(owners)
        return HandOver(owners[turn:] + owners[:turn], self.transit, self.handing_over)

    def _adopted(self) -> set[str]:
        """Return the spool files that any queue has a row of; on a thread."""
        found: set[str] = set()
        base = self.config.current.queue.base
        for directory in found_queues(base, *(send.directory for send in self.sends)):
            reader = SqliteReader.open(database_of(directory))
            try:
                found |= reader.adopted()
            finally:
                reader.close()
        return found

    def _min_free(self) -> int:
        return self.config.current.queue.min_free

    def _space(self, directory: str) -> int:
        now = self.clock.steady()
        known = self._free.get(directory)
        if known is None or now - known[0] > SPACE_KEPT:
            known = self._free[directory] = (now, self.disk.free(directory))
        return known[1]

    # -- TLS -------------------------------------------------------------------------------------

    def tls(self) -> TlsContext | None:
        """Return the certificate in force; a new file is seen at the next handshake.

        One that cannot be used leaves the old one in force, and says so once.
        """
        process = self.config.current.process
        if not process.certificate:
            return None
        files = [process.certificate, process.key or process.certificate]
        try:
            seen = tuple((path, os.stat(path).st_mtime_ns) for path in files)
        except OSError:
            return self._tls[1]
        if self._tls[0] != seen:
            self._tls = (seen, self._tls[1])
            try:
                shown = self.place.instance.display
                self._tls = (seen, TlsContext.load(process.certificate, process.key, shown))
            except ConfigErrors as error:
                for mistake in error.mistakes:
                    LOG.warning("certificate not changed: %s", mistake)
        return self._tls[1]

    # -- accounts --------------------------------------------------------------------------------

    def _changed(self, name: str, domain: str) -> None:
        """Let all workers know, us first, that a delivery changed an account; on a thread."""
        self.accounts.invalidate(name, domain)
        self._loop.call_soon_threadsafe(self._channel.send, Changed(name, domain))

    def invalidate(self, name: str, domain: str) -> None:
        """An account changed: forget what is known."""
        if domain:
            self.accounts.invalidate(name, domain)
        else:
            self.accounts.invalidate_all()
        self.foresight.invalidate()

    # -- end -------------------------------------------------------------------------------------

    def close(self) -> None:
        """Finish what was begun, in the order in which parts need each other.

        The locks end with the process: what is ours is nobody else's before.
        """
        self.handing_over.abandon()
        for spawned in self._spawned.values():
            spawned.close()
        for path, sock in self._queue_sockets.items():
            sock.close()
            with suppress(FileNotFoundError):
                os.unlink(path)
        self.syncs.close()
        self._folders.close()
        for send in self.sends:
            send.close()
        self.aside.close()
        self.trace.close()
        self.lines.flush()


class _Folders:
    """The folders of .qmail files, looked at once in a turn of the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, homes: WatchedHomes) -> None:
        watch = FolderWatch()
        self.add = watch.add
        self.close = watch.close
        nothing: tuple[bool, frozenset[int]] = (False, frozenset())
        self.news = OncePerTurn(lambda: (watch.changed(), homes.changed()), loop.call_soon, nothing)


def _accounts(instance: Instance, snapshot: Snapshot) -> SqlAccounts:
    url = snapshot.process.database_url.reveal()
    return SqlAccounts(url or sqlite_url(os.path.join(instance.db, "indimail.db")))


def boot_id() -> str:
    """Return what tells this boot of the machine from every other."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:  # no Linux: a boot is told by its second
        return str(int(time.time() - time.monotonic()))
