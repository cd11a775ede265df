"""What a program of this machine submits, whichever way it comes: judged, routed, told.

    submission = without_claims(Submission.from_bytes(envelope))
    refusal = judge(submission, settings)        # None: take it
    recipients = recipients_of(submission, routing)
    story.accepted(message_of(...), recipients, message_id, "queue1")

Sources: spec/queue.md 1.3.  Not here: the socket (`serve.inject`), the files (`serve.adopt`), the
envelope's octets (`queue.submission`).
"""

from dataclasses import dataclass
from typing import Final

from indimail.mail.address import Address
from indimail.mail.channel import Channel
from indimail.mail.clock import Clock
from indimail.mail.events import Event, Facts, Record, Trace
from indimail.mail.ids import QueueId
from indimail.mail.verdict import NO_RULE, Rule
from indimail.queue.port import QueuedMessage, QueuedRecipient
from indimail.queue.submission import AS_TOLD, FORMAT, TOO_LONG, Submission
from indimail.schedule.route import Routing, route
from indimail.serve.intake import route_text
from indimail.serve.snapshot import InjectSettings

LONGEST_ADDRESS: Final = 1002  # octets; qmail-queue's 1003 count its NUL


@dataclass(frozen=True, slots=True)
class Origin:
    """Who a message is from, and which way it came: the rule that took it, and facts of it."""

    uid: int
    rule: Rule
    facts: Facts


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a submission is not taken: an exit code of qmail-queue, its text, the rule."""

    code: int
    text: str
    rule: Rule = NO_RULE


def without_claims(submission: Submission) -> Submission:
    """Return what a program may say of itself: no id, no user, no routes."""
    s = submission
    if not (s.id or s.uid or s.channels or s.targets or s.rules):
        return s
    return Submission(
        s.reverse_path, s.recipients, s.eight_bit, s.smtputf8, s.auth, s.ret, s.envid,
        s.notify, s.orcpt, queue=s.queue,
    )  # fmt: skip


def judge(submission: Submission, settings: InjectSettings) -> Refusal | None:
    """Decide over the envelope of a local program; None: take it."""
    addresses = (submission.reverse_path, *submission.recipients)
    if any(len(address.encode()) > LONGEST_ADDRESS for address in addresses):
        return Refusal(TOO_LONG, "envelope address too long (#5.1.3)")
    if not submission.recipients or not all(submission.recipients):
        return Refusal(FORMAT, "envelope without a recipient (#4.3.0)")
    if 0 < settings.max_recipients < len(submission.recipients):
        text = "Dsorry, too many recipients (#5.7.1)"
        return Refusal(AS_TOLD, text, settings.max_recipients_rule)
    return None


def judge_size(size: int, settings: InjectSettings) -> Refusal | None:
    """Decide over a body's size so far, our Received line not counted."""
    if not 0 < settings.databytes < size:
        return None
    text = "Dsorry, that message size exceeds my databytes limit (#5.3.4)"
    return Refusal(AS_TOLD, text, settings.databytes_rule)


def recipients_of(submission: Submission, routing: Routing) -> tuple[QueuedRecipient, ...]:
    """Route the recipients, unless the worker that handed them over did."""
    count = len(submission.recipients)
    notify = submission.notify if len(submission.notify) == count else ("",) * count
    orcpt = submission.orcpt if len(submission.orcpt) == count else ("",) * count
    if len(submission.channels) == len(submission.targets) == len(submission.rules) == count:
        ways = [
            (Channel(channel), target, rule)
            for channel, target, rule in zip(
                submission.channels, submission.targets, submission.rules, strict=True
            )
        ]
    else:
        found = (route(Address.parse(a), routing) for a in submission.recipients)
        ways = [(way.channel, way.target, str(way.rule)) for way in found]
    return tuple(
        QueuedRecipient(number, address, *ways[number], notify[number], orcpt[number])
        for number, address in enumerate(submission.recipients)
    )


def message_of(
    queue_id: QueueId, born: float, submission: Submission, uid: int, size: int,
    body: bytes | None, source: str = "", *, eight_bit: bool = False,
) -> QueuedMessage:  # fmt: skip
    """Return the row of a submission's message."""
    s = submission
    utf8 = s.smtputf8 or not all(a.isascii() for a in (s.reverse_path, *s.recipients))
    return QueuedMessage(
        queue_id, born, s.reverse_path, size, body, 0, s.eight_bit or eight_bit, utf8,
        s.auth, s.ret, s.envid, uid, source,
    )  # fmt: skip


class Story:
    """The records of one local program's message."""

    def __init__(self, trace: Trace, clock: Clock, queue_id: int, origin: Origin) -> None:
        self._trace = trace
        self._clock = clock
        self._id = queue_id
        self._origin = origin

    def connected(self) -> None:
        """Somebody has a message."""
        self._add(Event.CONNECT, "accept", "local programs may send", self._origin.rule)

    def refused(self, refusal: Refusal, submission: Submission | None, verdict: str) -> None:
        """It was not taken."""
        facts: Facts = {}
        if submission is not None:
            facts["sender"] = submission.reverse_path
            if submission.recipients:
                facts["recipient"] = submission.recipients[0]
            facts["recipients"] = len(submission.recipients)
        reply = f"exit {refusal.code}"
        self._add(Event.MESSAGE, verdict, _plain(refusal), refusal.rule, reply, facts)

    def accepted(
        self, message: QueuedMessage, recipients: tuple[QueuedRecipient, ...],
        message_id: str, queue: str,
    ) -> None:  # fmt: skip
        """It is in a queue."""
        facts: Facts = {
            "sender": message.reverse_path, "size": message.size, "recipients": len(recipients),
            "message_id": message_id, "queue": queue,
        }  # fmt: skip
        self._add(Event.MESSAGE, "accept", f"queued in {queue}", NO_RULE, "exit 0", facts)
        for r in recipients:
            text = route_text(r.channel, r.target)
            told: Facts = {
                "recipient": r.address, "number": r.number, "target": r.target,
                "sender": message.reverse_path,
            }  # fmt: skip
            self._add(Event.ROUTE, r.channel.value, text, Rule.parse(r.route), "", told)

    def ended(self, text: str) -> None:
        """The conversation is over."""
        self._add(Event.DISCONNECT, "end", text)

    def _add(
        self, event: Event, verdict: str, text: str, rule: Rule = NO_RULE, reply: str = "",
        facts: Facts | None = None,
    ) -> None:  # fmt: skip
        told = {**self._origin.facts, **(facts or {})}
        self._trace.add(
            Record(self._id, self._clock.now(), event, verdict, text, rule, reply, told)
        )


def _plain(refusal: Refusal) -> str:
    return refusal.text[1:] if refusal.code == AS_TOLD else refusal.text
