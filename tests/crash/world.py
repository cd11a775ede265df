"""One life of a server on a simulated disk: clients, queue, deliveries, trace and a reader.

    with World(disk, clock, ledger, Random("1/0"), SCRIPT) as world:
        world.run()                  # until nothing is left to do

Every part is the server's own (`serve.smtpd`, `serve.send`, `serve.local`, SQLite, the trace);
only the threads, the sockets and what a mailbox is are ours.  One thread runs all of it, and at
each turn the seed says who goes next, so that the same seed takes the same way again, up to the
operation at which the disk crashes.

A world that crashed is left as it lies: `World` and everything in it is dropped, and the next life
gets `disk.restart()`, the clock, and the ledger.
"""

import random
from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from types import TracebackType
from typing import Any, Final, Self

import apsw

from indimail.accounts.memory import MemoryAccounts
from indimail.delivery.blackhole import EMPTY
from indimail.durable.batch import FileSyncs, Unsynced
from indimail.durable.committer import at_once
from indimail.mail.dates import header_date
from indimail.mail.events import Event, Record
from indimail.mail.ids import QueueIds
from indimail.mailbox.maildirsize import MaildirSizes
from indimail.net.connections import ConnectionTable
from indimail.net.names import ClientName
from indimail.policy.sender import SenderState
from indimail.queue.port import Change, QueueStore, Stepped
from indimail.queue.spool import Spool
from indimail.queue.sqlite import SqliteQueue, SqliteReader, database_of
from indimail.serve.authoffer import AuthOffer
from indimail.serve.bounce import Bounces
from indimail.serve.duplicates import Duplicates
from indimail.serve.forward import Forwards
from indimail.serve.local import LocalDelivery, Own
from indimail.serve.locks import QuotaLocks
from indimail.serve.maillog import DeliveryLog, TcpserverLog
from indimail.serve.opening import REOPEN
from indimail.serve.quota import OwnQuotas, Quotas
from indimail.serve.reception import Reception, SenderFound
from indimail.serve.send import Send
from indimail.serve.snapshot import LocalSettings, QuotaSettings, SessionSettings
from indimail.serve.traced import TracedOutcomes
from indimail.testing.clock import FakeClock
from indimail.testing.disk import SimulatedDisk
from indimail.testing.vfs import SimulatedVfs
from indimail.trace.write import TraceWriter

from .client import Client
from .ledger import Ledger, Reader
from .scene import Fixed, ScriptedForesight, ScriptedHands, ScriptedRemote, Silent
from .script import Sent
from .stepped import SteppedAside, SteppedCommitter

QUEUE: Final = "/queue/queue1"
TRACE: Final = "/trace"
DUPLICATE: Final = 100_000  # seconds: longer than a world lives
PATIENCE: Final = 20_000  # turns after which a world does not end by itself
# Seconds to let pass, one after the other: also for what an error put off at one of these moments.
RETRIES: Final = (3.0, 120.0, 400.0, 10.0, 900.0, 1600.0, 200.0)


class WatchedTrace(TraceWriter):
    """Tells the ledger which outcomes were recorded after their commit."""

    ledger: Ledger

    def add(self, record: Record) -> None:
        super().add(record)
        if record.event is Event.OUTCOME:
            self.ledger.finished.add((record.id, int(record.facts["number"])))


class World:
    """A server process, from its start."""

    def __init__(
        self,
        disk: SimulatedDisk,
        clock: FakeClock,
        ledger: Ledger,
        chance: Random,
        script: Sequence[Sequence[Sent]],
        between: Callable[[], None] = lambda: None,
    ) -> None:
        """Nothing is done yet: `run` opens the queue."""
        self.disk = disk
        self.clock = clock
        self.ledger = ledger
        self.ready: deque[Callable[[], None]] = deque()
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._chance = chance
        self._script = deque(script)
        self._between = between
        self._vfs = SimulatedVfs(disk)
        self._reader = Reader(disk, ledger, chance)
        random.seed(chance.random())  # the retry's jitter

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._vfs.close()

    def open(self) -> None:
        """Start: open the queue, and begin with what the last life left."""
        wake = self.ready.append
        self.aside = SteppedAside(wake)
        self.trace = WatchedTrace(TRACE, 1, self.disk)
        self.trace.ledger = self.ledger
        self.traced = TracedOutcomes(self.trace, self.aside)
        self.syncs: SteppedCommitter[Unsynced] = SteppedCommitter(
            FileSyncs(self.disk, self.clock.steady).run, at_once, self._between
        )
        foresight: Any = ScriptedForesight(self.clock)
        nobody: Any = None  # is asked: no client logs in
        config = Fixed()
        self.ids = ids = QueueIds(1)
        sizes, accounts = MaildirSizes(self.disk, self.clock), MemoryAccounts()
        own = OwnQuotas(sizes, QuotaSettings, self.disk, self.clock, self.aside)
        locks = QuotaLocks(accounts, accounts, lambda uid, gid: own, lambda name, domain: None)
        self.local = LocalDelivery(
            foresight, lambda uid, gid: ScriptedHands(self),
            Forwards(ids, self.clock, lambda: config.current, header_date, self.aside),
            self.clock, self.aside, wake,
            Own(lambda: "mx.example.com", self.disk.boot, header_date, lambda: EMPTY,
                lambda: LocalSettings(duplicates=DUPLICATE)),
            Quotas(lambda uid, gid: own, QuotaSettings, locks, self.aside),
            Duplicates(self.clock, wake),
        )  # fmt: skip
        bounces = Bounces(
            ids, self.clock, lambda: config.current.queue.bounces,
            lambda: config.current.routing, self.aside, 89,
        )  # fmt: skip
        self.disk.make_directories(QUEUE)

        def opened() -> tuple[QueueStore, QueueStore, Spool]:
            path = database_of(QUEUE)
            store: Any = SqliteQueue.open(path, self._vfs.name)
            store.reserve_log(pages=8)
            look: Any = SqliteReader.open(path, self._vfs.name)
            return store, look, Spool(self.disk, QUEUE)

        def commits(run: Callable[[Sequence[Change]], None], name: str) -> SteppedCommitter[Change]:
            def watched(changes: Sequence[Change]) -> None:
                run(changes)
                done = [c.step for c in changes if isinstance(c, Stepped) and c.step.done]
                self.ledger.stepped.update(step.name for step in done)

            self.commits = SteppedCommitter(watched, wake, self._between)
            return self.commits

        self.send = Send(
            "queue1", 1, QUEUE, opened=opened, commits=commits, local=self.local,
            remote=ScriptedRemote(self), bounces=bounces, settings=lambda: config.current.queue.send,
            clock=self.clock, trace=self.trace,
            log=DeliveryLog(Silent(), "queue1", 1),
        )  # fmt: skip

        def choose(_: SessionSettings) -> Any:
            return self.send.failure or self.send

        self.reception = Reception(
            config=config,
            connections=ConnectionTable(1).of_worker(0),
            ids=ids,
            clock=self.clock,
            trace=self.trace,
            lines=Silent(),
            tcpserver=TcpserverLog(Silent()),
            foresight=foresight,
            foresee=lambda target, told: self.aside(lambda: foresight.decide(target), told),
            local=self.local,
            aside=self.aside,
            choose_queue=choose,
            local_host="mx.example.com",
            tls=lambda: None,
            name_of=lambda ip, told: told(ClientName()),
            accounts=accounts,
            authenticator=nobody,
            offer=AuthOffer(accounts, accounts, self.aside, self.clock),
            sender_state=lambda address, target: SenderFound(SenderState.THERE),
        )

    # -- the turns -------------------------------------------------------------------------------

    def run(self) -> None:
        """Start, and live."""
        self.open()
        self.live()

    def live(self) -> None:
        """Let all mail be sent, and all come that time can bring."""
        self._settle()
        for seconds in RETRIES:
            self.clock.advance(seconds)
            self._tick()
            self.local.duplicates.tick()  # not each second, or slow turns would double mail
            self._settle()
        self._reader.look()
        for _ in range(3):  # outcomes of the last turns, after a failure too
            self.clock.advance(REOPEN)
            self._tick()
            self._settle()

    def look(self) -> SqliteReader:
        """Return a connection to what the queue holds."""
        return SqliteReader.open(database_of(QUEUE), self._vfs.name)

    def connection(self) -> apsw.Connection:
        """Return a connection of its own to the database."""
        return apsw.Connection(database_of(QUEUE), vfs=self._vfs.name)

    def _settle(self) -> None:
        """Take turns until nobody has anything to do."""
        for _ in range(PATIENCE):
            self.clock.advance(0.001)
            self._come_due()
            while self.ready:
                self.ready.popleft()()
            actors = self._actors()
            if not actors:
                return
            self._chance.choice(actors)()
        raise AssertionError("the world does not come to rest")

    def _actors(self) -> list[Callable[[], None]]:
        """Return who can go next; who brings the world on is there more than once."""
        actors: list[Callable[[], None]] = []
        if self._script:
            actors.append(self._send_next)
        for part in (self.commits, self.syncs, self.aside):
            if part.waiting:
                actors += [part.step] * 3
        if actors or self._later:
            actors += [self._reader.look, self._tick, self.trace.flush]
        return actors

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Let something happen later."""
        self._later.append((self.clock.steady() + seconds, call))

    def _come_due(self) -> None:
        due = [call for at, call in self._later if at <= self.clock.steady()]
        self._later = [item for item in self._later if item[0] > self.clock.steady()]
        self.ready.extend(due)

    def _send_next(self) -> None:
        for mail in self._script.popleft():
            self.ledger.sent[mail.tag] = mail
            Client(self, mail).begin()

    def _tick(self) -> None:
        """A second passes."""
        self.clock.advance(1.0)
        self.send.tick()
        self.traced.tick([self.send.endings])
