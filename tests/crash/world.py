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

import asyncio
import random
import re
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Final, Self

import apsw

from indimail.accounts.memory import MemoryAccounts
from indimail.app.configuration import load
from indimail.app.instance import Instance
from indimail.delivery.blackhole import EMPTY
from indimail.delivery.environment import Addressee
from indimail.delivery.headers import delivered_to
from indimail.delivery.program import Ended
from indimail.durable.batch import FileSyncs, Unsynced
from indimail.durable.committer import Done, at_once
from indimail.mail.address import Address
from indimail.mail.dates import header_date
from indimail.mail.events import Event, Record
from indimail.mail.ids import QueueIds
from indimail.mailbox.maildirsize import MaildirSizes
from indimail.net.connections import ConnectionTable
from indimail.queue.port import Change, QueuedMessage, QueuedRecipient, QueueStore, Stepped
from indimail.queue.spool import Spool
from indimail.queue.sqlite import SqliteQueue, SqliteReader, database_of
from indimail.schedule.route import route
from indimail.serve.bounce import Bounces
from indimail.serve.foresight import Decided
from indimail.serve.forward import Forwards
from indimail.serve.hands import Content, OwnHands, Program
from indimail.serve.local import LocalDelivery, Own
from indimail.serve.locks import QuotaLocks
from indimail.serve.maillog import DeliveryLog, TcpserverLog
from indimail.serve.quota import Quotas
from indimail.serve.reception import Reception
from indimail.serve.send import REOPEN, Send
from indimail.serve.smtpd import SmtpConnection
from indimail.serve.snapshot import Configuration, QuotaSettings, SessionSettings, Snapshot
from indimail.serve.traced import TracedOutcomes
from indimail.testing.clock import FakeClock
from indimail.testing.disk import SimulatedDisk
from indimail.testing.vfs import SimulatedVfs
from indimail.trace.write import TraceWriter

from .ledger import Ledger, Reader
from .script import Sent, is_foreseen, plan_of
from .stepped import SteppedAside, SteppedCommitter

QUEUE: Final = "/queue/queue1"
TRACE: Final = "/trace"
ACCEPTED: Final = re.compile(rb"^250 2\.0\.0 ok \d+ qp (\d+)\r$", re.M)
PATIENCE: Final = 20_000  # turns after which a world does not end by itself
RETRIES: Final = (3.0, 120.0, 400.0, 900.0)  # seconds to let pass, one after the other


@cache
def configuration() -> Snapshot:
    """Read a plain configuration, once: example.com is ours."""
    with tempfile.TemporaryDirectory() as root:
        control = Path(root, "control")
        control.mkdir()
        Path(control, "me").write_text("mx.example.com\n")
        Path(control, "rcpthosts").write_text("example.com\n")
        Path(control, "virtualdomains").write_text("example.com:example.com\n")
        Path(control, "bouncemaxbytes").write_text("0\n")  # a large mail makes a large bounce
        return load(Instance(root), {})


class Fixed(Configuration):
    """A configuration that nobody changes."""

    @property
    def current(self) -> Snapshot:
        return configuration()

    def when_fresh(self, go_on: Callable[[], None]) -> bool:
        return True


class Silent:
    """Log lines that nobody reads."""

    def add(self, line: str) -> None: ...

    def urgent(self, line: str) -> None: ...


class ScriptedHands(OwnHands):
    """Copies are real; programs end as the script says, and an mbox is what the ledger counts."""

    def __init__(self, world: "World") -> None:
        super().__init__(world.disk, world.syncs, world.aside, self._run)
        self._world = world

    def _run(self, program: Program, done: Callable[[Ended | Exception], None]) -> None:
        what = f"{program.command} {_user(program.environment['RECIPIENT'])}"
        self._work(what, program.content, lambda code: done(Ended(code, f"exit {code} of {what}")),
                   done)  # fmt: skip

    def append(self, path: str, content: Content, from_line: str, done: Done) -> None:
        self._work(path, content, lambda _: done(None), done)

    def _work(
        self, what: str, content: Content, done: Callable[[int], None],
        failed: Callable[[Exception], None],
    ) -> None:  # fmt: skip
        def ended(result: object) -> None:
            if isinstance(result, Exception):
                failed(result)
            else:
                assert isinstance(result, int)
                done(result)

        ledger = self._world.ledger
        self._world.aside(lambda: ledger.run(what, b"".join(content.pieces())), ended)


class ScriptedForesight:
    """Plans by the name of the user."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def cached(self, target: str) -> Decided | None:
        return self.decide(target) if is_foreseen(_user(target)) else None

    def decide(self, target: str) -> Decided:
        plan = plan_of(_user(target), self._clock.now())
        local, _, host = target.rpartition("@")
        who = Addressee("indimail", "/home", local, host, local)
        return Decided(plan, delivered_to(target), who, 89, 89, (), 0.0, (0, 0))


def _user(target: str) -> str:
    return target.partition("@")[0].rpartition("example.com-")[2]


class Client(asyncio.Transport):
    """A sender and its end of the connection."""

    def __init__(self, world: "World", mail: Sent) -> None:
        super().__init__({"peername": ("127.0.0.1", 40_000), "sockname": ("127.0.0.1", 25)})
        self._world = world
        self._mail = mail
        self._told = b""
        self._gone = False
        self.connection = SmtpConnection(world.reception, "smtp")

    def begin(self) -> None:
        """Connect, and say everything up to the body at once (PIPELINING)."""
        self.connection.connection_made(self)
        lines = [f"RCPT TO:<{user}@example.com>" for user in self._mail.users]
        lines = ["EHLO client.example.net", f"MAIL FROM:<{self._mail.sender}>", *lines, "DATA"]
        self._say("".join(f"{line}\r\n" for line in lines).encode())

    def write(self, data: Any) -> None:
        self._told += bytes(data)
        if b"\r\n354 " in self._told:
            self._told = b""
            body = self._mail.body + b".\r\n"
            size = -(-len(body) // self._mail.pieces)
            for number, at in enumerate(range(0, len(body), size)):
                self._say_later(number * self._mail.pause, body[at : at + size])
        elif found := ACCEPTED.search(self._told):
            self._world.ledger.accept(int(found[1]), self._mail)
            self._told = b""
            self._say(b"QUIT\r\n")

    def _say(self, data: bytes) -> None:
        self._world.ready.append(lambda: self.connection.data_received(data))

    def _say_later(self, seconds: float, data: bytes) -> None:
        if seconds:
            self._world.after(seconds, lambda: None if self._gone else self._say(data))
        else:
            self._say(data)

    def is_closing(self) -> bool:
        return self._gone

    def close(self) -> None:
        if not self._gone:
            self._gone = True
            self._world.ready.append(lambda: self.connection.connection_lost(None))

    abort = close

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def submit(world: "World", mail: Sent) -> None:
    """Queue a mail as a program of this machine does, with NOTIFY=NEVER."""
    now = world.clock.now()
    body = b"Received: by a test\n" + mail.stored
    message = QueuedMessage(world.ids.next(int(now * 1e6)), now, mail.sender, len(body), body)
    recipients = []
    for number, user in enumerate(mail.users):
        way = route(Address(user, "example.com"), configuration().routing)
        address = f"{user}@example.com"
        to = QueuedRecipient(number, address, way.channel, way.target, str(way.rule), "NEVER")
        recipients.append(to)

    def told(failure: Exception | None) -> None:
        if failure is None:
            world.ledger.accept(message.id, mail)

    world.send.accept(message, tuple(recipients), told)


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
        config = Fixed()
        self.ids = ids = QueueIds(1)
        sizes, accounts = MaildirSizes(self.disk, self.clock), MemoryAccounts()
        locks = QuotaLocks(accounts, accounts, sizes, lambda name, domain: None)
        self.local = LocalDelivery(
            foresight, lambda uid, gid: ScriptedHands(self),
            Forwards(ids, self.clock, lambda: config.current, header_date, self.aside),
            self.clock, self.aside, wake,
            Own(lambda: "mx.example.com", self.disk.boot, header_date, lambda: EMPTY),
            Quotas(sizes, QuotaSettings, self.disk, self.clock, locks, self.aside, 89),
        )  # fmt: skip
        bounces = Bounces(
            ids, self.clock, lambda: config.current.queue.bounces,
            lambda: config.current.routing, self.aside, 89,
        )  # fmt: skip
        self.disk.make_directories(QUEUE)

        def opened() -> tuple[QueueStore, QueueStore, Spool]:
            path = database_of(QUEUE)
            store: Any = SqliteQueue.open(path, self._vfs.name)
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
            bounces=bounces, settings=lambda: config.current.queue.send, clock=self.clock, trace=self.trace,
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
            local=self.local,
            aside=self.aside,
            choose_queue=choose,
            local_host="mx.example.com",
            tls=lambda: None,
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
            if mail.never:
                submit(self, mail)
            else:
                Client(self, mail).begin()

    def _tick(self) -> None:
        """A second passes."""
        self.clock.advance(1.0)
        self.send.tick()
        self.traced.tick([self.send])
