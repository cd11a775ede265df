"""Whom a queue owes a bounce, and the commits that end the debts.

    debts.owe(id, now)    # a commit said that the sender is to be told of a failure
    debts.last_ended(id)  # nothing of that mail waits any longer
    debts.tick()          # about once a second

The commit of a final failure owes its sender a bounce: the row stays until another commit has queued
the bounce.  It is made `COALESCE` seconds later, or at once where no recipient of the mail is left,
for all that failed by then.  One at a time of a mail: who fails meanwhile is in the next, and nobody
is in two.

Commit point 3: the round of `Bounced` has the bounce and ends the debt.  What a closed queue owed is
in its rows.

Source: spec/queue.md 4; DESIGN 3.  Not here: what a bounce says (`serve.bounce`).
"""

from collections.abc import Callable
from typing import Final, Protocol

from indimail.delivery.bounce import Discard
from indimail.mail.clock import Clock
from indimail.mail.errors import MailError
from indimail.mail.events import Event, Record, Trace
from indimail.mail.ids import QueueId
from indimail.queue.port import (
    Accepted,
    Bounced,
    MessageStatus,
    QueuedMessage,
    QueuedRecipient,
    State,
)
from indimail.queue.spool import Spool
from indimail.serve.maillog import DeliveryLog
from indimail.serve.opening import OpenQueue
from indimail.serve.traced import Endings

COALESCE: Final = 2.0  # seconds in which failures of one mail gather for one bounce
BOUNCE_AGAIN: Final = 60.0
BOUNCES_AT_ONCE: Final = 100  # in the making; each holds a body


class Bounces(Protocol):
    """Makes the bounces."""

    def owes(self, message: QueuedMessage, recipient: QueuedRecipient) -> bool:
        """Tell whether the sender is to be told of a final failure."""

    def make(self, failed: MessageStatus, spool: Spool, made: Callable[[object], None]) -> None:
        """Hand `made` an `Accepted` for those who are owed one, a `Discard`, or an exception."""


class Debts:
    """The bounces that a queue owes."""

    def __init__(
        self,
        queue: OpenQueue,
        endings: Endings,
        bounces: Bounces,
        queued: Callable[[Accepted, str], None],
        *,
        clock: Clock,
        trace: Trace,
        log: DeliveryLog,
    ) -> None:
        """`queued` goes on with a bounce whose commit was ours, and is told why there is one."""
        self._queue = queue
        self._endings = endings
        self._bounces = bounces
        self._queued = queued
        self._clock = clock
        self._trace = trace
        self._log = log
        self._owed: dict[QueueId, float] = {}  # whose bounce is to be made, and when
        self._bouncing: dict[QueueId, bool] = {}  # whose is made; True: nothing of it waits

    def recover(self) -> None:
        """Learn from the rows what is owed."""
        self._owed = dict.fromkeys(self._queue.store.owed(), 0.0)

    def forget(self) -> None:
        """The queue was closed."""
        self._owed.clear()
        self._bouncing.clear()

    def owe(self, queue_id: QueueId, since: float) -> None:
        """A commit said so, of a failure at that time."""
        self._owed.setdefault(queue_id, since + COALESCE)

    def last_ended(self, queue_id: QueueId) -> None:
        """Nothing of a mail waits any longer: say so, after its bounce where one is owed."""
        if queue_id in self._bouncing:
            self._bouncing[queue_id] = True
        elif queue_id in self._owed:
            self._bounce(queue_id)
        else:
            self._log.end_msg(queue_id)

    def tick(self) -> None:
        """Make the bounces whose time has come."""
        now = self._clock.now()
        for queue_id in [id_ for id_, due in self._owed.items() if due <= now]:
            self._bounce(queue_id)

    def _bounce(self, queue_id: QueueId) -> None:
        """Make the bounce for all that failed by now."""
        if queue_id in self._bouncing or len(self._bouncing) >= BOUNCES_AT_ONCE:
            return  # its turn comes with `tick`
        if self._owed.pop(queue_id, None) is None:
            return  # the queue was closed
        queue = self._queue
        life = queue.life
        try:
            failed = queue.look.message(queue_id)
        except MailError as error:
            queue.fail(error)
            return
        numbers = tuple(s.recipient.number for s in failed.recipients if s.owed) if failed else ()
        if failed is None or not numbers:
            return
        self._bouncing[queue_id] = all(s.state is not State.WAITING for s in failed.recipients)

        def made(result: object) -> None:
            match result:
                case Accepted() | Discard():
                    self._settle(queue_id, life, numbers, result)
                case _ if life == queue.life:
                    del self._bouncing[queue_id]
                    self._log.alert(f"bounce for {queue_id} is not made yet: {result}")
                    self._owed[queue_id] = self._clock.now() + BOUNCE_AGAIN

        self._bounces.make(failed, queue.spool, made)

    def _settle(
        self, queue_id: QueueId, life: int, numbers: tuple[int, ...], bounce: Accepted | Discard
    ) -> None:
        """Queue the bounce by the commit that ends the debt."""
        queued = bounce if isinstance(bounce, Accepted) else None

        def settled() -> None:
            self._endings.add(queue_id, *numbers)
            self._tell(queue_id, bounce)
            if queued is not None:
                self._queued(queued, f"bounce of {queue_id}")
            if self._bouncing.pop(queue_id):
                self.last_ended(queue_id)
            if not self._bouncing:
                self.tick()

        own = () if queued is None else (queued,)
        self._queue.mark(Bounced(queue_id, numbers, queued), life, settled, own)

    def _tell(self, queue_id: QueueId, bounce: Accepted | Discard) -> None:
        match bounce:
            case Accepted(message, (recipient, *_)):
                self._log.bounce_msg(queue_id, message.id)
                verdict, text = "queued", f"to <{recipient.address}>, qp {message.id}"
            case Discard.DOUBLE:
                self._log.double_bounce_discarded(queue_id)
                verdict, text = "discarded", "of a bounce, and doublebounceto names nobody"
            case Discard.TRIPLE:
                self._log.triple_bounce_discarded(queue_id)
                verdict, text = "discarded", "of a double bounce"
        self._trace.add(Record(queue_id, self._clock.now(), Event.BOUNCE, verdict, text))
