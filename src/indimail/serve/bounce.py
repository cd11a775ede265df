"""Bounces and other reports: who is owed one, and the mail that tells it.

    bounces.owes(message, recipient, Failed("no"), now)   -> Dsn.FAILED: the commit of it says so
    bounces.make(told, spool, made)         # made(Accepted(...)) on the loop, or Discard, or an error

Made from the queue's own rows, whenever it is asked: `serve.debts` queues it by the commit that ends
the debt, so it is queued once whatever crashes.  A large one goes into a spool file first.

Source: spec/queue.md 4; DESIGN 3 (commit point 3).  Not here: the text (`delivery.bounce`), when it
is made (`serve.debts`).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from indimail.delivery.bounce import (
    Addressed,
    Bounce,
    BounceSettings,
    Discard,
    addressed,
    compose,
    enclosed,
)
from indimail.delivery.notify import is_late, owed
from indimail.delivery.reported import ReportedMessage, ReportedRecipient
from indimail.mail.address import Address
from indimail.mail.clock import Clock
from indimail.mail.dsn import Dsn
from indimail.mail.ids import QueueId, QueueIds
from indimail.mail.outcome import Deferred, Outcome
from indimail.policy.signing import Signing
from indimail.queue.port import (
    Accepted,
    MessageStatus,
    QueuedMessage,
    QueuedRecipient,
    RecipientStatus,
)
from indimail.queue.spool import LARGE, Spool
from indimail.schedule.route import Routing, route
from indimail.serve.hands import RunAside
from indimail.serve.rewriting import original


@dataclass(frozen=True, slots=True)
class Bounces:
    """Makes the reports of a worker's queues."""

    ids: QueueIds
    clock: Clock
    settings: Callable[[], BounceSettings]
    routing: Callable[[], Routing]
    aside: RunAside
    uid: int
    signing: Callable[[], Signing] = Signing

    def owes(
        self, message: QueuedMessage, recipient: QueuedRecipient, outcome: Outcome, now: float
    ) -> Dsn | None:
        """Return what somebody is to be told, or what a line in the log is to be written of."""
        sender, notify = message.reverse_path, recipient.notify
        if not isinstance(outcome, Deferred):
            return owed(sender, notify, outcome)
        if recipient.delayed or not is_late(
            sender, notify, message.born, now, self.settings().delaywarn
        ):
            return None
        return Dsn.DELAYED

    def make(self, told: MessageStatus, spool: Spool, made: Callable[[object], None]) -> None:
        """Compose on a thread, and hand over what there is to be queued."""
        settings, routing = self.settings(), self.routing()
        envelope = addressed(told.message.reverse_path, settings)
        if isinstance(envelope, Discard):
            made(envelope)
            return
        # A sender that we rewrote is told at once; our own row says so, whatever its age.
        envelope = replace(envelope, recipient=original(envelope.recipient, self.signing(), None))
        now = self.clock.now()
        id_ = self.ids.next(int(now * 1e6))

        def work() -> Accepted:
            bounce = _composed(told, spool, envelope, settings, id_, now)
            body = None if bounce.size > LARGE else b"".join(_whole(bounce, told, spool))
            if body is None:
                spool.store(id_, _whole(bounce, told, spool))
            message = QueuedMessage(
                id_, now, envelope.reverse_path, bounce.size, body, 0, bounce.eight_bit,
                bounce.smtputf8, uid=self.uid,
            )  # fmt: skip
            way = route(Address.parse(envelope.recipient), routing)
            to = QueuedRecipient(0, str(way.address), way.channel, way.target, str(way.rule))
            return Accepted(message, (to,))

        self.aside(work, made)


def _composed(
    told: MessageStatus, spool: Spool, envelope: Addressed, settings: BounceSettings,
    id_: QueueId, now: float,
) -> Bounce:  # fmt: skip
    m = told.message
    until = m.born + settings.queuelifetime
    message = ReportedMessage(m.reverse_path, m.born, m.smtputf8, m.ret, m.envid, until)
    in_time = sorted(told.recipients, key=lambda s: (s.at, s.recipient.number))
    records = [_record(status) for status in in_time]
    copy = enclosed(_original(told, spool), message, settings, id_, records[0].dsn)
    return compose(envelope, settings, message, records, copy, id_, now)


def _record(status: RecipientStatus) -> ReportedRecipient:
    to = status.recipient
    dsn = status.owed or Dsn.FAILED
    return ReportedRecipient(to.address, status.text, status.at, to.orcpt, status.peer, dsn)


def _original(told: MessageStatus, spool: Spool) -> Iterable[bytes]:
    message = told.message
    if message.body is not None:
        return (message.body,)
    return spool.read(message.id, message.offset)


def _whole(bounce: Bounce, told: MessageStatus, spool: Spool) -> Iterator[bytes]:
    """Yield the bounce with as much of the original as belongs into it."""
    yield bounce.head
    left = bounce.copied
    for piece in _original(told, spool):
        if not left:
            break
        yield piece[:left]
        left -= len(piece[:left])
    yield bounce.tail
