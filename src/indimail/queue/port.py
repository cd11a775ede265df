"""What a queue promises, apart from how it keeps the promise.

    store.apply([Accepted(message, recipients)])      # returned: durable (commit point 1)
    store.apply([Staged(id, step), Finished(id, 1, Failed("..."), now, owed=Dsn.FAILED)])

A queue is changed by *changes*, frozen values, and only by `apply`: a batch is one transaction,
so either all of it is true after a crash or nothing.  `apply` returns after the batch is durable.
One thread applies (see `durable.committer`); everything that reads may be called from another
connection or process.

A recipient is *waiting* (its `due` says until when), or *finished* with an outcome.  A finished
recipient's row stays until `Traced`: the trace that holds its outcome is on disk; and as long as its
sender is *owed* a report of it (a bounce, a delay, a success) that is not queued yet (`Reported`).
A message's row, body included, goes with its last recipient's.

Units: times are seconds since the epoch (UTC), sizes octets.  Raises `QueueUnwritable` where the
disk fails: then nothing of the batch is true.

Source: spec/queue.md B.4 (the contract), DESIGN 4.  Not here: which recipient is tried when
(`schedule`), the lock that makes one process the owner (`durable.lock`).
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from indimail.mail.channel import Channel
from indimail.mail.dsn import Dsn
from indimail.mail.ids import QueueId
from indimail.mail.outcome import Outcome, Peer


class QueuedMessage(Struct, frozen=True):
    """A message as its row holds it.

    `body` is what was received with our Received line in front, line ends LF; None means the
    octets are in the spool file `mess/<id>`, from `offset` on (what is before `offset` are the
    lines of a delivery that was foreseen, see `queue.spool`).  `size` counts the body alone.
    `source` is the name of a spool file that was adopted, so that it is adopted once.
    """

    id: QueueId
    born: float
    reverse_path: str
    size: int
    body: bytes | None
    offset: int = 0
    eight_bit: bool = False
    smtputf8: bool = False
    auth: str = ""
    ret: str = ""
    envid: str = ""
    uid: int = 0
    source: str = ""


class QueuedRecipient(Struct, frozen=True):
    """A recipient of a message, by its number in the envelope (from 0).

    `address` is the forward-path, `target` what the route made of it: for the local channel
    qmail's local address (``example.com-alice@example.com``), for the remote one the host.
    `attempts` were made so far; `due` is when the next one may start (0 = at once).  `delayed`: the
    sender was told that it takes longer, or is owed to be.
    """

    number: int
    address: str
    channel: Channel
    target: str
    route: str = ""
    notify: str = ""
    orcpt: str = ""
    attempts: int = 0
    due: float = 0.0
    delayed: bool = False


class Step(Struct, frozen=True):
    """What was made of one step (a line of a .qmail file) of one recipient.

    `place` tells the step from others of the recipient, whatever line it stands on by the next
    attempt: a Maildir's path, or ``|`` and a command.  Staged: `name` is synced in the Maildir's
    tmp/, in the boot `boot`.  `last`: nothing comes after it, so once it is done the recipient has
    the mail.  `done`: it is not to be made again.
    """

    number: int
    step: int
    place: str
    name: str
    boot: str
    at: float
    last: bool = True
    done: bool = False


class Accepted(Struct, frozen=True):
    """A new message with its recipients.  After it is applied, 250 may be said."""

    message: QueuedMessage
    recipients: tuple[QueuedRecipient, ...]


class Staged(Struct, frozen=True):
    """A copy for one step of one recipient is synced in tmp/ under a name of its own."""

    id: QueueId
    step: Step


class Stepped(Struct, frozen=True):
    """A step of a recipient that has more of them is done (`step.done`)."""

    id: QueueId
    step: Step


@dataclass(frozen=True, slots=True)
class Postponed:
    """An attempt was deferred: text and rule of the reason, and when the next may start.

    What was staged stays staged: the next attempt settles it first.  `owed`: the sender is to be
    told that it takes longer, once.
    """

    id: QueueId
    number: int
    due: float
    text: str
    rule: str
    at: float = 0.0
    owed: Dsn | None = None
    peer: Peer | None = None


class Finished(Struct, frozen=True):
    """A recipient reached its one final outcome (Delivered or Failed).

    `forwards` are the mails that its delivery made: they are queued if it still waited, and only
    then.  `owed`: what the sender is to be told, so the row stays until `Reported`; it takes the
    place of a delay that was owed, for there is none any longer.
    """

    id: QueueId
    number: int
    outcome: Outcome
    at: float
    forwards: tuple[Accepted, ...] = ()
    owed: Dsn | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """A report of these recipients of a message is queued; without one, nobody is told.

    It ends what they are owed by `debts`, (number, report) each, and no other debt: who was delayed
    may have failed since.
    """

    id: QueueId
    debts: tuple[tuple[int, Dsn], ...]
    report: Accepted | None


@dataclass(frozen=True, slots=True)
class Traced:
    """The trace of these outcomes, (id, number) each, is on disk: their rows may go.

    Others of the same message may have ended since: theirs stay.
    """

    outcomes: tuple[tuple[QueueId, int], ...]


Change = Accepted | Staged | Stepped | Postponed | Finished | Reported | Traced


class State(StrEnum):
    """Of a recipient's row, as qread and explain see it."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RecipientStatus:
    """A recipient's row with its state: `text`, `rule`, `at` and `peer` are the last attempt's."""

    recipient: QueuedRecipient
    state: State
    text: str
    rule: str
    at: float
    owed: Dsn | None = None
    peer: Peer | None = None


@dataclass(frozen=True, slots=True)
class MessageStatus:
    """A message's row without its body."""

    message: QueuedMessage
    recipients: tuple[RecipientStatus, ...]


@dataclass(frozen=True, slots=True)
class Due:
    """One waiting recipient, enough to order the work: load the rest when its turn comes."""

    id: QueueId
    number: int
    channel: Channel
    due: float


@dataclass(frozen=True, slots=True)
class Counts:
    """What a queue holds: messages with a waiting recipient, and waiting recipients by channel."""

    messages: int
    local: int
    remote: int


class QueueReader(Protocol):
    """What can be looked at, by the owner and by others."""

    def message(self, queue_id: QueueId) -> MessageStatus | None:
        """Return a message with its body (None in the value when it is in a spool file)."""

    def due(
        self,
        channel: Channel,
        before: float,
        after: tuple[float, int, int],
        limit: int,
        without: Collection[str] = (),
    ) -> list[Due]:
        """Return waiting recipients with ``due <= before``, ordered by (due, id, number).

        Only those ordered after the triple `after` (``(-1, 0, 0)`` to begin), at most `limit`, and
        none whose target is one of `without`.
        """

    def staged(self) -> list[tuple[QueueId, Step]]:
        """Return every step that is staged and not done (for recovery)."""

    def steps(self, queue_id: QueueId) -> list[Step]:
        """Return the steps, staged or done, of a message's recipients that wait, in order."""

    def untraced(self) -> list[QueueId]:
        """Return ids with finished recipients whose rows are still here (for recovery)."""

    def owed(self) -> list[QueueId]:
        """Return ids with recipients of whom the sender is owed a report (for recovery)."""

    def adopted(self) -> set[str]:
        """Return the `source` of every message that came from a spool file."""

    def status(self) -> Iterator[MessageStatus]:
        """Walk all messages in id order, without bodies."""

    def counts(self) -> Counts:
        """Count what waits."""

    def largest_id(self) -> int:
        """Return the largest id ever applied that is still known (0 for none)."""

    def close(self) -> None:
        """Let go; everything applied stays."""


class QueueStore(QueueReader, Protocol):
    """The one writer's side."""

    def apply(self, changes: Sequence[Change]) -> None:
        """Make a batch true, durably, all or nothing.  Raises QueueUnwritable."""
