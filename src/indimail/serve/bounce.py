"""Bounces: who is owed one, and the mail that tells it.

    bounces.owes(message, recipient)            -> True: the final failure's commit says so
    bounces.make(failed, spool, made)           # made(Accepted(...)) on the loop, or Discard, or an error

Made from the queue's own rows, whenever it is asked: `serve.send` queues it by the commit that ends
the debt, so it is queued once whatever crashes.  A large one goes into a spool file first.

Source: spec/queue.md 4; DESIGN 3 (commit point 3).  Not here: the text (`delivery.bounce`), when it
is made (`serve.send`).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from indimail.delivery.bounce import (
    Addressed,
    Bounce,
    BounceSettings,
    Discard,
    addressed,
    compose,
    enclosed,
)
from indimail.delivery.failure import FailedMessage, FailedRecipient, is_told
from indimail.mail.address import Address
from indimail.mail.clock import Clock
from indimail.mail.ids import QueueId, QueueIds
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


@dataclass(frozen=True, slots=True)
class Bounces:
    """Makes the bounces of a worker's queues."""

    ids: QueueIds
    clock: Clock
    settings: Callable[[], BounceSettings]
    routing: Callable[[], Routing]
    aside: RunAside
    uid: int

    def owes(self, message: QueuedMessage, recipient: QueuedRecipient) -> bool:
        """Tell whether somebody is to be told, or a line in the log to be written."""
        return not message.reverse_path or is_told(recipient.notify)

    def make(self, failed: MessageStatus, spool: Spool, made: Callable[[object], None]) -> None:
        """Compose on a thread, and hand over what there is to be queued."""
        settings, routing = self.settings(), self.routing()
        envelope = addressed(failed.message.reverse_path, settings)
        if isinstance(envelope, Discard):
            made(envelope)
            return
        now = self.clock.now()
        id_ = self.ids.next(int(now * 1e6))

        def work() -> Accepted:
            bounce = _composed(failed, spool, envelope, settings, id_, now)
            body = None if bounce.size > LARGE else b"".join(_whole(bounce, failed, spool))
            if body is None:
                spool.store(id_, _whole(bounce, failed, spool))
            message = QueuedMessage(
                id_, now, envelope.reverse_path, bounce.size, body, 0, bounce.eight_bit,
                bounce.smtputf8, uid=self.uid,
            )  # fmt: skip
            way = route(Address.parse(envelope.recipient), routing)
            to = QueuedRecipient(0, str(way.address), way.channel, way.target, str(way.rule))
            return Accepted(message, (to,))

        self.aside(work, made)


def _composed(
    failed: MessageStatus, spool: Spool, envelope: Addressed, settings: BounceSettings,
    id_: QueueId, now: float,
) -> Bounce:  # fmt: skip
    m = failed.message
    message = FailedMessage(m.reverse_path, m.born, m.smtputf8, m.ret, m.envid)
    owed = sorted(
        (s for s in failed.recipients if s.owed), key=lambda s: (s.at, s.recipient.number)
    )
    copy = enclosed(_original(failed, spool), message, settings, id_)
    return compose(envelope, settings, message, [_record(s) for s in owed], copy, id_, now)


def _record(status: RecipientStatus) -> FailedRecipient:
    return FailedRecipient(status.recipient.address, status.text, status.at, status.recipient.orcpt)


def _original(failed: MessageStatus, spool: Spool) -> Iterable[bytes]:
    message = failed.message
    if message.body is not None:
        return (message.body,)
    return spool.read(message.id, message.offset)


def _whole(bounce: Bounce, failed: MessageStatus, spool: Spool) -> Iterator[bytes]:
    """Yield the bounce with as much of the original as belongs into it."""
    yield bounce.head
    left = bounce.copied
    for piece in _original(failed, spool):
        if not left:
            break
        yield piece[:left]
        left -= len(piece[:left])
    yield bounce.tail
