"""A queue, a configuration and a trace in memory, for what puts mail into a queue."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from indimail.durable.disk import SystemDisk
from indimail.mail.errors import MailError
from indimail.mail.events import Record
from indimail.mail.line import Line
from indimail.policy.relay import RelayRules
from indimail.policy.signing import Signing
from indimail.queue.memory import MemoryQueue
from indimail.queue.port import Accepted, QueuedMessage, QueuedRecipient
from indimail.queue.spool import Spool
from indimail.schedule.route import parse_routing
from indimail.serve.snapshot import InjectSettings

DAY = 1_795_477_000.0
ROUTING = parse_routing(
    {"virtualdomains": [Line("control/virtualdomains", 1, "example.com:example.com")]}, "mx.org"
)[0]


def at_once(work: Callable[[], object], then: Callable[[object], None]) -> None:
    """Run what would be run on a thread."""
    try:
        result = work()
    except Exception as error:
        result = error
    then(result)


class Aside:
    """Keeps what would be run on a thread until `run`."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[], object], Callable[[object], None]]] = []

    def __call__(self, work: Callable[[], object], then: Callable[[object], None]) -> None:
        self.waiting.append((work, then))

    def run(self) -> None:
        while self.waiting:
            at_once(*self.waiting.pop(0))


class Config:
    def __init__(self, inject: InjectSettings | None = None) -> None:
        inject = inject or InjectSettings()
        queue = SimpleNamespace(inject=inject)
        self.current = SimpleNamespace(
            me="mx.org", routing=ROUTING, queue=queue, relay=RelayRules(), signing=Signing()
        )
        self.waiting: list[Callable[[], None]] = []
        self.fresh = True

    def when_fresh(self, go_on: Callable[[], None]) -> bool:
        if not self.fresh:
            self.waiting.append(go_on)
        return self.fresh


@dataclass
class Trace:
    records: list[Record] = field(default_factory=list)

    def add(self, record: Record) -> None:
        self.records.append(record)

    def told(self) -> list[tuple[str, str]]:
        return [(str(r.event), r.verdict) for r in self.records]


class Unsynced(SystemDisk):
    """Knows which files have octets that a power cut would take."""

    def __init__(self) -> None:
        self.files: set[str] = set()

    def write_new(self, path: str, parts: Sequence[bytes], mode: int = 0o600) -> None:
        super().write_new(path, parts, mode)
        self.files.add(path)

    def append(self, path: str, parts: Sequence[bytes], mode: int = 0o600) -> None:
        super().append(path, parts, mode)
        self.files.add(path)

    def sync_file(self, path: str) -> None:
        super().sync_file(path)
        self.files.discard(path)


class Queue:
    """An `Intake` over the memory adapter; `commit` answers what `hold` kept back.

    It takes no row whose body is not synced: that is who offers it to see to.
    """

    name = "queue1"

    def __init__(self, folder: Path) -> None:
        self.disk = Unsynced()
        self.spool = Spool(self.disk, str(folder))
        self.mess = folder / "mess"
        self.store = MemoryQueue()
        self.failure: MailError | None = None
        self.hold = False
        self._held: list[Callable[[], None]] = []

    def accept(
        self,
        message: QueuedMessage,
        recipients: tuple[QueuedRecipient, ...],
        done: Callable[[Exception | None], None],
    ) -> None:
        assert message.body is not None or self.spool.path(message.id) not in self.disk.files

        def commit() -> None:
            if self.failure is None:
                self.store.apply([Accepted(message, recipients)])
            done(self.failure)

        if self.hold:
            self._held.append(commit)
        else:
            commit()

    def commit(self) -> None:
        while self._held:
            self._held.pop(0)()

    @property
    def messages(self) -> list[QueuedMessage]:
        found = [self.store.message(status.message.id) for status in self.store.status()]
        return [status.message for status in found if status is not None]

    @property
    def recipients(self) -> list[tuple[str, str, str, str]]:
        return [
            (r.recipient.address, r.recipient.channel.value, r.recipient.target, r.recipient.route)
            for status in self.store.status()
            for r in status.recipients
        ]
