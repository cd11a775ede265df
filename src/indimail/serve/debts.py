"""Whom a queue owes a bounce or another report, and the commits that end the debts.

    debts.owe(id, now)    # a commit said that the sender is to be told something
    debts.last_ended(id)  # nothing of that mail waits any longer
    debts.tick()          # about once a second

The commit of a final failure owes its sender a bounce: the row stays until another commit has queued
the bounce.  It is made `COALESCE` seconds later, or at once where no recipient of the mail is left,
for all that failed by then.  So it is with a success or a delay that the sender asked to be told: those
of a mail are told in a report of their own (`TOGETHER`), since readers of bounces take whoever is in
one for failed.  One at a time of a mail: who ends meanwhile is in the next, and nobody is in two.

Commit point 3: the round of `Reported` has the report and ends the debt.  What a closed queue owed
is in its rows.

Source: spec/queue.md 4; RFC 3461 5.2; DESIGN 3.  Not here: what a report says (`serve.bounce`), who
is owed one (`delivery.notify`).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from indimail.delivery.bounce import Discard
from indimail.mail.clock import Clock
from indimail.mail.dsn import Dsn
from indimail.mail.errors import MailError
from indimail.mail.events import Event, Facts, Record, Trace
from indimail.mail.ids import QueueId
from indimail.mail.outcome import Outcome
from indimail.queue.port import (
    Accepted,
    MessageStatus,
    QueuedMessage,
    QueuedRecipient,
    Reported,
    State,
)
from indimail.queue.spool import Spool
from indimail.serve.maillog import DeliveryLog
from indimail.serve.opening import OpenQueue
from indimail.serve.traced import Endings

COALESCE: Final = 2.0  # seconds in which failures of one mail gather for one bounce
BOUNCE_AGAIN: Final = 60.0
BOUNCES_AT_ONCE: Final = 100  # in the making; each holds a body
SHOWN: Final = 10  # addresses in a record of the trace
# What may be told in one report, the most urgent first.
TOGETHER: Final = (
    frozenset({Dsn.FAILED}),
    frozenset({Dsn.DELIVERED, Dsn.RELAYED, Dsn.EXPANDED}),
    frozenset({Dsn.DELAYED}),
)


class Bounces(Protocol):
    """Makes the reports."""

    def owes(
        self, message: QueuedMessage, recipient: QueuedRecipient, outcome: Outcome, now: float
    ) -> Dsn | None:
        """Return what the sender is to be told of an attempt's end."""

    def make(self, told: MessageStatus, spool: Spool, made: Callable[[object], None]) -> None:
        """Hand `made` an `Accepted` for these recipients, a `Discard`, or an exception."""


class Debts:
    """The reports that a queue owes."""

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
        self._owed: dict[QueueId, float] = {}  # whose report is to be made, and when
        self._bouncing: dict[QueueId, bool] = {}  # whose is made; True: nothing of it waits

    def recover(self) -> None:
        """Learn from the rows what is owed."""
        self._owed = dict.fromkeys(self._queue.store.owed(), 0.0)

    def forget(self) -> None:
        """The queue was closed."""
        self._owed.clear()
        self._bouncing.clear()

    def owe(self, queue_id: QueueId, since: float) -> None:
        """A commit said so, of an attempt that ended at that time."""
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
        """Make the reports whose time has come."""
        now = self._clock.now()
        for queue_id in [id_ for id_, due in self._owed.items() if due <= now]:
            self._bounce(queue_id)

    def _bounce(self, queue_id: QueueId) -> None:
        """Make the report for all who are owed one of a kind by now."""
        if queue_id in self._bouncing or len(self._bouncing) >= BOUNCES_AT_ONCE:
            return  # its turn comes with `tick`
        if self._owed.pop(queue_id, None) is None:
            return  # the queue was closed
        queue = self._queue
        life = queue.life
        try:
            found = queue.look.message(queue_id)
        except MailError as error:
            queue.fail(error)
            return
        waits = found is not None and any(s.state is State.WAITING for s in found.recipients)
        told = None if found is None else _told_together(found)
        if found is None or told is None:  # a delay is over, or an earlier report had it
            if not waits:
                self._log.end_msg(queue_id)
            return
        if any(s.owed for s in found.recipients if s not in told.recipients):
            self._owed[queue_id] = self._clock.now()
        self._bouncing[queue_id] = not waits

        def made(result: object) -> None:
            match result:
                case Accepted() | Discard():
                    self._settle(told, life, result)
                case _ if life == queue.life:
                    del self._bouncing[queue_id]
                    self._log.alert(f"bounce for {queue_id} is not made yet: {result}")
                    self._owed[queue_id] = self._clock.now() + BOUNCE_AGAIN

        self._bounces.make(told, queue.spool, made)

    def _settle(self, told: MessageStatus, life: int, report: Accepted | Discard) -> None:
        """Queue the report by the commit that ends the debt."""
        queue_id = told.message.id
        debts = tuple((s.recipient.number, s.owed) for s in told.recipients if s.owed)
        ended = [number for number, dsn in debts if dsn is not Dsn.DELAYED]
        queued = report if isinstance(report, Accepted) else None

        def settled() -> None:
            self._endings.add(queue_id, *ended)
            self._tell(told, report)
            if queued is not None:
                self._queued(queued, f"{_word(told)} of {queue_id}")
            if self._bouncing.pop(queue_id):
                self.last_ended(queue_id)
            if not self._bouncing:
                self.tick()

        own = () if queued is None else (queued,)
        self._queue.mark(Reported(queue_id, debts, queued), life, settled, own)

    def _tell(self, told: MessageStatus, report: Accepted | Discard) -> None:
        queue_id = told.message.id
        facts: Facts = {
            "report": told.recipients[0].owed or "",
            "told": _names(told),
        }
        match report:
            case Accepted(message, (recipient, *_)):
                say = self._log.bounce_msg if _word(told) == "bounce" else self._log.dsn_msg
                say(queue_id, message.id)
                verdict, text = "queued", f"to <{recipient.address}>, qp {message.id}"
            case Discard.DOUBLE:
                self._log.double_bounce_discarded(queue_id)
                verdict, text = "discarded", "of a bounce, and doublebounceto names nobody"
            case Discard.TRIPLE:
                self._log.triple_bounce_discarded(queue_id)
                verdict, text = "discarded", "of a double bounce"
        now = self._clock.now()
        self._trace.add(Record(queue_id, now, Event.BOUNCE, verdict, text, facts=facts))


def _names(told: MessageStatus) -> str:
    """Return of whom a report tells, the first ones of many: the report has them all."""
    addresses = [status.recipient.address for status in told.recipients]
    more = len(addresses) - SHOWN
    return " ".join(addresses[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _word(told: MessageStatus) -> str:
    return "bounce" if told.recipients[0].owed is Dsn.FAILED else "report"


def _told_together(found: MessageStatus) -> MessageStatus | None:
    """Return a mail with the recipients of its next report alone; None: nobody is owed one."""
    for kind in TOGETHER:
        recipients = tuple(s for s in found.recipients if s.owed in kind)
        if recipients:
            return replace(found, recipients=recipients)
    return None
