"""A queue's scheduler with a store in memory, rounds run by hand, and deliveries that wait.

world = Sending()
world.accept(1, "alice")
world.commit()                       # one round
world.local.end(Delivered("ok"))     # the oldest delivery in work says so
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from indimail.delivery.bounce import Discard
from indimail.durable.committer import Done, Run
from indimail.mail.channel import Channel
from indimail.mail.dsn import Dsn
from indimail.mail.errors import MailError, Misuse, QueueUnwritable
from indimail.mail.ids import QueueId
from indimail.mail.outcome import Deferred, Delivered, Outcome
from indimail.queue.memory import MemoryQueue
from indimail.queue.port import (
    Change,
    MessageStatus,
    QueuedMessage,
    QueuedRecipient,
    QueueStore,
)
from indimail.queue.spool import Spool
from indimail.serve.job import Job
from indimail.serve.maillog import DeliveryLog
from indimail.serve.send import RemoteDeliverer, Send
from indimail.testing.clock import START, FakeClock
from indimail.testing.disk import SimulatedDisk
from serve.desk import SEND, Lines, Records

T = TypeVar("T")
DONE = Delivered("did 0+0+1")


class ByHand(Generic[T]):
    """`durable.committer.Rounds`, a round when the test says so; `done` follows at once."""

    def __init__(self, run: Run[T]) -> None:
        self._run = run
        self._gathered: list[tuple[T, Done]] = []
        self._closed = False

    @property
    def waiting(self) -> int:
        return len(self._gathered)

    def submit(self, item: T, done: Done) -> None:
        if self._closed:
            raise Misuse("the committer is closed")
        self._gathered.append((item, done))

    add = submit

    def close(self) -> None:
        self._closed = True
        while self._gathered:
            self.step()

    def step(self) -> None:
        round_, self._gathered = self._gathered, []
        failure: Exception | None = None
        alone: Mapping[int, Exception] | None = None
        try:
            alone = self._run([item for item, _ in round_])
        except Exception as error:
            failure = error
        for place, (_, done) in enumerate(round_):
            done(failure or (alone or {}).get(place))


class BrittleQueue(MemoryQueue):
    """Fails when it is told; with `half` it has the batch all the same, as a torn sync may."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: MailError | None = None
        self.read_failure: MailError | None = None
        self.unreadable: QueueId | None = None
        self.half = False
        self.looked = 0
        self.closed = 0

    def apply(self, changes: Sequence[Change]) -> None:
        if self.failure is None or self.half:
            super().apply(changes)
        if self.failure is not None:
            raise self.failure

    def message(self, queue_id: QueueId) -> MessageStatus | None:
        self.looked += 1
        if queue_id == self.unreadable:
            raise QueueUnwritable("EIO")
        return super().message(queue_id)

    def close(self) -> None:
        self.closed += 1

    def due(self, *args: Any) -> Any:
        if self.read_failure is not None:
            raise self.read_failure
        return super().due(*args)


class Waiting:
    """Local deliveries that end when they are told."""

    def __init__(self) -> None:
        self.jobs: deque[tuple[Job, Send]] = deque()

    def start(self, job: Job, send: Send) -> None:
        self.jobs.append((job, send))

    @property
    def users(self) -> list[str]:
        return [job.recipient.target.partition("@")[0] for job, _ in self.jobs]

    def end(self, outcome: Outcome = DONE) -> Job:
        job, send = self.jobs.popleft()
        send.finish(job, outcome)
        return job


class Away:
    """Remote deliveries that end when they are told; `started` has the groups of recipients."""

    at_once = 4

    def __init__(self) -> None:
        self.started: list[Sequence[Job]] = []

    def start(self, jobs: Sequence[Job], _send: Send) -> None:
        self.started.append(jobs)

    @property
    def addresses(self) -> list[list[str]]:
        return [[job.recipient.address for job in jobs] for jobs in self.started]


class Owing:
    """Makes no bounce, until the test says which."""

    def __init__(self) -> None:
        self.told: dict[type[Outcome], Dsn] = {}  # of which ends
        self.ends: list[Outcome] = []
        self.made: object = Discard.DOUBLE
        self.asked: list[MessageStatus] = []
        self.slow: list[Callable[[object], None]] | None = None  # who waits, where it takes time

    def owes(
        self, message: QueuedMessage, recipient: QueuedRecipient, outcome: Outcome, now: float
    ) -> Dsn | None:
        self.ends.append(outcome)
        if isinstance(outcome, Deferred) and recipient.delayed:
            return None
        return self.told.get(type(outcome))

    def make(self, told: MessageStatus, spool: Spool, made: Callable[[object], None]) -> None:
        self.asked.append(told)
        if self.slow is None:
            made(self.made)
        else:
            self.slow.append(made)


class Sending:
    """A queue at work."""

    def __init__(
        self,
        store: BrittleQueue | None = None,
        remote: RemoteDeliverer | None = None,
        clock: FakeClock | None = None,
        **settings: Any,
    ) -> None:
        self.clock = clock or FakeClock()
        self.disk = SimulatedDisk()
        self.store = store or BrittleQueue()
        self.local = Waiting()
        self.remote: RemoteDeliverer = remote or Away()
        self.trace = Records()
        self.log = Lines()
        self.settings = replace(SEND, **settings)
        self.opened = 0
        self.open_failure: MailError | None = None
        self.told: list[Exception | None] = []
        self.bounces = Owing()
        self.send = self.start()

    def start(self) -> Send:
        """A process begins with what the store holds."""
        return Send(
            "queue1", 1, "/queue/queue1", opened=self._open, commits=self._commits,
            local=self.local, remote=self.remote, bounces=self.bounces, settings=lambda: self.settings,
            clock=self.clock, trace=self.trace,
            log=DeliveryLog(self.log, "queue1", 1),
        )  # fmt: skip

    def _open(self) -> tuple[QueueStore, QueueStore, Spool]:
        if self.open_failure is not None:
            raise self.open_failure
        self.opened += 1
        return self.store, self.store, Spool(self.disk, "/queue/queue1")

    def _commits(self, run: Callable[[Sequence[Change]], None], _: str) -> ByHand[Change]:
        self.rounds = ByHand(run)
        return self.rounds

    def accept(self, number: int, *users: str, born: float = START, body: bytes | None = b"x\n",
               channel: Channel = Channel.LOCAL) -> None:  # fmt: skip
        message = QueuedMessage(QueueId(number), born, "eve@example.net", 2, body)
        recipients = [
            QueuedRecipient(n, f"{user}@example.com", channel, f"{user}@example.com")
            for n, user in enumerate(users)
        ]
        self.send.accept(message, tuple(recipients), self.told.append)

    def commit(self) -> None:
        self.rounds.step()

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.send.tick()
