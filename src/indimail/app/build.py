"""Which adapters a worker runs on: the only place that picks them.

    parts = Parts(place, number, connections, follower, loop, channel, listening)

The disk is the machine's, queues are SQLite, accounts SQL behind a cache, the trace and the log are
files.  Everything is made after the fork: no connection, thread or watch lives across one.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from typing import Final

from indimail.accounts.cache import CachedLookup
from indimail.accounts.database import prepare
from indimail.accounts.passwords import default_method
from indimail.accounts.sql import SqlAccounts
from indimail.accounts.url import accounts_url
from indimail.app.aside import Aside
from indimail.app.authsite import AuthSite
from indimail.app.certificate import Certificate
from indimail.app.channel import Changed, Channel, HostStates
from indimail.app.follow import Follower
from indimail.app.instance import Instance
from indimail.app.logs import LogLines
from indimail.app.means import Means, Place
from indimail.app.queues import Queues
from indimail.app.turn import OncePerTurn
from indimail.app.users import Users
from indimail.control.watch import FolderWatch
from indimail.durable.batch import FileSyncs, SyncMode, Unsynced
from indimail.durable.committer import Committer, at_once
from indimail.durable.disk import SystemDisk
from indimail.durable.lock import DirectoryLock
from indimail.mail.clock import SystemClock
from indimail.mail.dates import header_date
from indimail.mail.ids import QueueIds
from indimail.net.connections import ConnectionTable, WorkerConnections
from indimail.net.dns import ResolvConf, Server
from indimail.net.dnscache import CachedDns
from indimail.net.names import ClientNames
from indimail.net.own import LocalAddresses
from indimail.net.recent import RecentTable
from indimail.net.resolver import Resolver
from indimail.schedule.deadhosts import DeadHosts
from indimail.serve.adopt import Adoption, SpoolFiles
from indimail.serve.authentication import Authenticator
from indimail.serve.authoffer import AuthOffer
from indimail.serve.bounce import Bounces
from indimail.serve.checkpassword import ask_modules, ask_postauth
from indimail.serve.duplicates import Duplicates
from indimail.serve.foreseeing import Foresee, Foreseeing
from indimail.serve.foresight import Foresight
from indimail.serve.foresight import Place as Owned
from indimail.serve.forward import Forwards
from indimail.serve.inject import Injection
from indimail.serve.local import LocalDelivery, Own
from indimail.serve.locks import QuotaLocks
from indimail.serve.loginlimits import FAILURES_KEPT, LOGINS_KEPT, LoginLimits
from indimail.serve.maillog import TcpserverLog
from indimail.serve.outside import Outside
from indimail.serve.peertls import PeerTls
from indimail.serve.quota import Quotas
from indimail.serve.reception import Reception
from indimail.serve.remote import RemoteDelivery
from indimail.serve.senders import SenderLookup
from indimail.serve.snapshot import Snapshot
from indimail.serve.verifying import Verifier
from indimail.serve.watched import WatchedHomes
from indimail.trace.write import TraceWriter

RESOLV_CONF: Final = "/etc/resolv.conf"
THREADS: Final = 8  # for disks and databases that make one wait
HASH_THREADS: Final = 2
HASH_NICE: Final = 10  # below the event loops, which others wait for
ACCOUNTS_KEPT: Final = 3.0  # seconds; see serve.foresight.KEPT


class Parts:
    """A worker's objects, joined: each group needs those above it."""

    def __init__(
        self,
        place: Place,
        number: int,
        connections: ConnectionTable,
        follower: Follower,
        loop: asyncio.AbstractEventLoop,
        channel: Channel,
        listening: Sequence[tuple[str, int]],
    ) -> None:
        """`listening` is where this server takes mail."""
        instance = place.instance
        self.place = place
        self.number = number
        self.config = follower
        self._loop = loop
        self._channel = channel

        # What nearly every part works with.
        self.disk = SystemDisk()
        self.clock = SystemClock()
        self.aside = Aside(loop, THREADS)
        self.trace = TraceWriter(instance.trace, number + 1, self.disk)
        self.lines = place.lines
        self._means = means = Means(
            place, number, follower, loop, self.disk, self.clock, self.aside,
            QueueIds(number + 1), self.trace,
        )  # fmt: skip

        # Who works for which user of the system.
        mode = SyncMode(follower.current.variables.get("FILE_SYNC", SyncMode.AUTO))
        syncs = FileSyncs(self.disk, self.clock.steady, mode)
        self._syncs: Committer[Unsynced] = Committer(syncs.run, at_once, "files")
        self.users = Users(means, channel, self._syncs)

        # What other parts ask DNS for.
        self._dns = _dns(means)

        # What a delivery finds, and its steps.
        accounts = _accounts(instance, follower.current)
        self._accounts = CachedLookup(accounts, self.clock, expiry=ACCOUNTS_KEPT)
        self._folders = _Folders(loop, self.users.watched)
        locks = QuotaLocks(accounts, self._accounts, self.users.quotas, self._changed)
        self._foresight = Foresight(
            self._accounts, lambda: follower.current, self.clock.steady, self.disk, self._folders,
            Owned(instance.root, instance.alias, place.uid, os.getegid()),
            self.users.look_as, locks,
        )  # fmt: skip
        self._decisions: Committer[str] = Committer(
            Foreseeing(
                self._foresight, self._accounts, lambda: follower.current, place.uid
            ).decide_all,
            loop.call_soon_threadsafe, "foresight",
        )  # fmt: skip
        self.duplicates = Duplicates(self.clock, loop.call_soon_threadsafe)
        local = _local_delivery(means, self.users, self._foresight, locks, self.duplicates)

        # The queues, what takes mail out of the house, and what puts mail in.
        self.dead = DeadHosts(tell=lambda host: channel.send(HostStates((host,))))
        self.remote = _remote_delivery(means, self._dns, self.dead, listening)
        self.queues = Queues(
            means, local, self.remote, _bounces(means), lambda: self.reception.under_way > 0
        )
        self.injection = Injection(
            follower, means.ids, self.clock, self.trace, self.aside, self.queues.find, place.uid
        )
        self.spool_files = SpoolFiles(self.disk, instance.queue_base)
        self.adoption = Adoption(
            self.spool_files, follower, means.ids, self.clock, self.trace, self.aside,
            lambda: self.queues.find(own=True), self.queues.adopted,
        )  # fmt: skip
        self.names = ClientNames(self._dns)
        self.authenticator = self._authenticator(accounts)
        self.offer = AuthOffer(self._accounts, accounts, self.aside, self.clock)
        self.certificate = Certificate(lambda: follower.current.process, instance.display)
        self.reception = self._reception(connections.of_worker(number), local)
        self._locks: list[DirectoryLock] = []

    def _authenticator(self, accounts: SqlAccounts) -> Authenticator:
        """Return who knows passwords, with threads of its own: hashes keep no disk waiting."""
        place, number = self.place, self.number
        self._hashing = Aside(self._loop, HASH_THREADS, HASH_NICE)
        method = default_method(self.config.current.process.database_url.reveal())
        site = AuthSite(place.instance, lambda: self.config.current, place.uid, self.disk, method)
        verifier = Verifier(
            self._accounts, accounts, site, self.clock, ask_modules, ask_postauth, place.secret
        )  # fmt: skip
        limits = LoginLimits(
            place.failures.of_worker(number), place.logins.of_worker(number), self.clock
        )
        return Authenticator(verifier, limits, self.clock, self._hashing)

    def _reception(self, connections: WorkerConnections, local: LocalDelivery) -> Reception:
        return Reception(
            config=self.config,
            connections=connections,
            ids=self._means.ids,
            clock=self.clock,
            trace=self.trace,
            lines=self.lines,
            tcpserver=TcpserverLog(self.lines),
            foresight=self._foresight,
            foresee=Foresee(self._decisions, self._foresight, self.aside),
            local=local,
            aside=self.aside,
            choose_queue=lambda settings: self.queues.find(settings.queuedir),
            local_host=self.config.current.me,
            tls=self.certificate.context,
            name_of=self.names.ask,
            accounts=self._accounts,
            authenticator=self.authenticator,
            offer=self.offer,
            sender_state=SenderLookup(self._foresight, self._accounts),
        )

    def take_number(self) -> bool:
        """Make sure that nobody else gives ids and writes the trace under our number."""
        home = os.path.join(self.place.instance.run, f"worker{self.number}")
        self.disk.make_directories(home)
        lock = DirectoryLock.take(home)
        if lock is None:
            return False
        self._locks.append(lock)
        self.queues.transit.clear()
        return True

    # -- accounts --------------------------------------------------------------------------------

    def _changed(self, name: str, domain: str) -> None:
        """Let all workers know, us first, that a delivery changed an account; on a thread."""
        self._accounts.invalidate(name, domain)
        self._loop.call_soon_threadsafe(self._channel.send, Changed(name, domain))

    def invalidate(self, name: str, domain: str) -> None:
        """An account changed: forget what is known."""
        if domain:
            self._accounts.invalidate(name, domain)
        else:
            self._accounts.invalidate_all()
        self._foresight.invalidate()
        self.authenticator.invalidate()
        self.offer.changed(name, domain)

    # -- end -------------------------------------------------------------------------------------

    def close(self) -> None:
        """Finish what was begun, in the order in which parts need each other.

        The locks end with the process: what is ours is nobody else's before.
        """
        self.queues.handing_over.abandon()
        self.users.close()
        self.queues.stop_listening()
        self._syncs.close()
        self._folders.close()
        self.queues.close()
        self._decisions.close()
        self._hashing.abandon()  # a program may take its time, and nobody waits for a login
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


def place(instance: Instance, lines: LogLines, snapshot: Snapshot, uid: int) -> Place:
    """Return the place of this server.

    Imports what the accounts' database needs, before the fork and while the library is readable.
    """
    prepare(_accounts_url(instance, snapshot))
    workers = snapshot.process.workers
    return Place(
        instance, lines, workers, uid, RecentTable(workers, FAILURES_KEPT),
        RecentTable(workers, LOGINS_KEPT), os.urandom(32),
    )  # fmt: skip


def _accounts(instance: Instance, snapshot: Snapshot) -> SqlAccounts:
    return SqlAccounts(_accounts_url(instance, snapshot), exists=True)


def _accounts_url(instance: Instance, snapshot: Snapshot) -> str:
    return accounts_url(snapshot.process.database_url.reveal(), instance.root, instance.db)


def _local_delivery(
    means: Means, users: Users, foresight: Foresight, locks: QuotaLocks, duplicates: Duplicates
) -> LocalDelivery:
    config = means.config
    forwards = Forwards(means.ids, means.clock, lambda: config.current, header_date, means.aside)
    own = Own(
        lambda: config.current.me, boot_id(), header_date,
        lambda: config.current.queue.black_hole, lambda: config.current.local,
    )  # fmt: skip
    quotas = Quotas(users.quotas, users.quota_settings, locks, means.aside)
    return LocalDelivery(
        foresight, users.hands, forwards, means.clock, means.aside,
        means.loop.call_soon_threadsafe, own, quotas, duplicates,
    )  # fmt: skip


def _bounces(means: Means) -> Bounces:
    config = means.config
    return Bounces(
        means.ids, means.clock, lambda: config.current.queue.bounces,
        lambda: config.current.routing, means.aside, means.place.uid,
        lambda: config.current.signing,
    )  # fmt: skip


def _dns(means: Means) -> CachedDns:
    """Return DNS as all of a worker ask it."""
    config, clock = means.config, means.clock
    of_system = ResolvConf(RESOLV_CONF, clock)

    def servers() -> Sequence[Server]:
        return config.current.remote.servers or of_system.servers()

    return CachedDns(Resolver(servers, clock), clock)


def _remote_delivery(
    means: Means, dns: CachedDns, dead: DeadHosts, listening: Sequence[tuple[str, int]]
) -> RemoteDelivery:
    config, clock = means.config, means.clock
    outside = Outside(
        lambda: config.current.remote, dns, LocalAddresses(clock),
        PeerTls(means.place.instance.certs), clock, means.aside, tuple(listening),
    )  # fmt: skip
    return RemoteDelivery(outside, dead)


def boot_id() -> str:
    """Return what tells this boot of the machine from every other."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:  # no Linux: a boot is told by its second
        return str(int(time.time() - time.monotonic()))
