"""What a program of this machine submits, whichever way it comes: judged, routed, told.

    submission = without_claims(Submission.from_bytes(envelope))
    refusal = judge(submission, settings)        # None: take it
    settled = settle(submission, snapshot, now)
    story.readdressed(settled)
    story.accepted(message_of(...), settled.recipients, message_id, "queue1")

Sources: spec/queue.md 1.3.  Not here: the socket (`serve.inject`), the files (`serve.adopt`), the
envelope's octets (`queue.submission`).
"""

from dataclasses import dataclass, replace
from typing import Final, Protocol

from indimail.mail.address import Address
from indimail.mail.channel import Channel
from indimail.mail.clock import Clock
from indimail.mail.events import Event, Facts, Record, Trace
from indimail.mail.ids import QueueId
from indimail.mail.verdict import NO_RULE, Rule
from indimail.policy.permission import Permission
from indimail.queue.port import QueuedMessage, QueuedRecipient
from indimail.queue.submission import AS_TOLD, FORMAT, TOO_LONG, Submission
from indimail.schedule.route import Routing, route
from indimail.serve.intake import route_text
from indimail.serve.rewriting import Rules, originals, rewritten
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
        s.notify, s.orcpt, queue=s.queue, forwarded=s.forwarded,
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


@dataclass(frozen=True, slots=True)
class Settled:
    """A submission as it was given, as it is meant, and where it goes.

    They differ where SRS has a say, by `rule`: a recipient is a sender that was rewritten here, or the
    sender of a forward is rewritten.
    """

    given: Submission
    meant: Submission
    recipients: tuple[QueuedRecipient, ...]
    rule: Rule = NO_RULE


class Ways(Rules, Protocol):
    """The part of the configuration snapshot that is looked at."""

    @property
    def routing(self) -> Routing: ...


def settle(submission: Submission, ways: Ways, now: float) -> Settled:
    """Say where a submission goes.  Raises ValueError for a channel of another version."""
    srs = ways.signing.srs
    if srs is None or submission.id:  # the worker that hands over did it
        return Settled(submission, submission, recipients_of(submission, ways.routing))
    meant = replace(submission, recipients=originals(submission.recipients, ways.signing, now))
    recipients = recipients_of(meant, ways.routing)
    if submission.forwarded:
        channels = [recipient.channel for recipient in recipients]
        sender = rewritten(submission.reverse_path, channels, ways, now)
        meant = replace(meant, reverse_path=sender)
    return Settled(submission, meant, recipients, srs.rule)


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

    def readdressed(self, settled: Settled) -> None:
        """Which addresses are others than the program gave."""
        given, meant, rule = settled.given, settled.meant, settled.rule
        if given is meant:
            return
        if given.reverse_path != meant.reverse_path:
            told: Facts = {"sender": given.reverse_path}
            text = f"as <{meant.reverse_path}>"
            self._add(Event.SENDER, "rewritten", text, rule, facts=told)
        for offered, address in zip(given.recipients, meant.recipients, strict=True):
            if offered != address:
                told = {"recipient": address, "offered": offered}
                self._add(Event.RECIPIENT, "accept", Permission.SRS, rule, facts=told)

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
