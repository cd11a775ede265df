"""A queue whose local deliveries are the real ones, each step by hand.

world = Delivering()
world.plan(Deliver(MAILDIR), Run("sort"), Forward("bob@example.org"))
world.ends["sort"] = Ended(99)
world.mail(); world.rest()
world.steps                # the disk's operations, the programs and the commits, in their order
"""

from collections.abc import Callable
from typing import Any

from indimail.accounts.memory import MemoryAccounts
from indimail.delivery.blackhole import EMPTY
from indimail.delivery.headers import prepended
from indimail.delivery.plan import Action, Deliver
from indimail.delivery.program import Ended
from indimail.durable.batch import FileSyncs, Unsynced
from indimail.mail.channel import Channel
from indimail.mail.ids import QueueId, QueueIds
from indimail.mail.verdict import Rule
from indimail.queue.port import MessageStatus, QueuedMessage, QueuedRecipient
from indimail.serve.duplicates import Duplicates
from indimail.serve.forward import Forwards
from indimail.serve.hands import OwnHands, Program
from indimail.serve.local import LocalDelivery, Own
from indimail.serve.snapshot import LocalSettings, QuotaSettings
from indimail.testing.clock import START
from indimail.testing.disk import Operation
from serve.desk import Foresight, Threads, quotas, snapshot
from serve.sending import BrittleQueue, ByHand, Sending

RULE = Rule("domains/example.com/.qmail-default", 1)
MAILDIR = "/mail/alice/Maildir"
ALICE = "alice@example.com"
ONE = QueueId(1)
TO_ALICE = QueuedRecipient(0, ALICE, Channel.LOCAL, ALICE)
BLOCK = prepended("eve@example.net", ALICE, 1, "mx.example.com", 89, "today")
PATIENCE = 500  # turns after which a world does not end by itself
LARGE = b"Subject: large\n\n" + b"0123456789\n" * 20_000


class Telling(BrittleQueue):
    """Tells its changes to the list that has the disk's operations."""

    happened: list[str]

    def apply(self, changes: Any) -> None:
        super().apply(changes)
        self.happened += [f"commit {type(change).__name__}" for change in changes]


class Delivering(Sending):
    """A queue whose local deliveries are the real ones, each step by hand."""

    def __init__(self, store: BrittleQueue | None = None) -> None:
        self.steps: list[str] = []
        self.accounts = MemoryAccounts()
        self.quota = QuotaSettings()
        self.black_hole = EMPTY
        self.local_settings = LocalSettings()
        self.ends: dict[str, Ended | Exception] = {}
        self.programs: list[Program] = []
        mine = store or Telling()
        if isinstance(mine, Telling):
            mine.happened = self.steps
        super().__init__(mine)

    def start(self) -> Any:
        self.threads = Threads()
        self.foresight = Foresight()
        self.plan(Deliver(MAILDIR, RULE))
        self.syncs: ByHand[Unsynced] = ByHand(FileSyncs(self.disk, self.clock.steady).run)
        known: Any = self.foresight
        self.config = config = snapshot()
        self.hands = OwnHands(self.disk, self.syncs, self.threads, self.run)
        self.delivery = LocalDelivery(
            known, lambda uid, gid: self.hands,
            Forwards(QueueIds(1), self.clock, lambda: config, lambda _: "today", self.threads),
            self.clock, self.threads, lambda call: call(),
            Own(lambda: "mx.example.com", "this boot", lambda _: "today", lambda: self.black_hole,
                lambda: self.local_settings),
            quotas(self.disk, self.clock, self.threads, self.accounts, lambda: self.quota),
            Duplicates(self.clock, lambda call: call()),
        )  # fmt: skip
        self.local: Any = self.delivery
        self.disk.watch = self._watch
        return super().start()

    def run(self, program: Program, done: Callable[[Ended | Exception], None]) -> None:
        """Tell what was run; it ends as the test said."""
        self.steps.append(f"run {program.command}")
        self.programs.append(program)
        done(self.ends.get(program.command, Ended()))

    def plan(self, *plan: Action, **of: Any) -> None:
        """Say what Alice's delivery does; `owner`, `virtual` as in `Plan`."""
        self.foresight.knows(ALICE, *plan, **of)

    def _watch(self, operation: Operation) -> None:
        if operation.path.startswith(f"{MAILDIR}/"):
            self.steps.append(f"{operation.kind} {operation.path.removeprefix(f'{MAILDIR}/')}")

    def mail(
        self, body: bytes | None = b"Subject: x\n\nhello\n", offset: int = 0,
        sender: str = "eve@example.net", to: QueuedRecipient = TO_ALICE, **more: Any,
    ) -> None:  # fmt: skip
        """Accept the mail ONE; without a body it is the spooled LARGE one."""
        size = len(LARGE if body is None else body)
        message = QueuedMessage(ONE, START, sender, size, body, offset, **more)
        self.send.accept(message, (to,), lambda _: None)
        self.commit()

    def rest(self) -> None:
        """Let everything run to its end."""
        for _ in range(PATIENCE):
            if not (self.rounds.waiting or self.syncs.waiting or len(self.threads)):
                return
            self.threads.run()
            self.syncs.step()
            self.commit()
        raise AssertionError("it does not come to rest")

    @property
    def outcome(self) -> tuple[str, str]:
        last = self.trace.told("delivery")[-1]
        return last.verdict, last.text

    def new(self) -> list[str]:
        return self.disk.names(f"{MAILDIR}/new")

    def retry(self) -> None:
        """Let the time of the next attempt come."""
        self.pass_time(102.0)
        self.rest()

    @property
    def forwarded(self) -> list[MessageStatus]:
        """What deliveries sent on, with bodies, as the queue has it."""
        ids = [status.message.id for status in self.store.status() if status.message.id != ONE]
        return [found for id_ in ids if (found := self.store.message(id_)) is not None]
