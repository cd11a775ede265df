"""What a delivery sends on: a mail of its own, queued by the commit that ends the delivery.

    forwards.make(job, spool, decided, sender, actions, dsn, made)   # made((Accepted(...),)) on the loop

All addresses of a plan get one mail, each with a line of its own in front; a host that takes the
recipient as it is (``domain:ip:port``) gets the mail unchanged but for the Received line, since the
same address is delivered there.  A large body is copied into a spool file of its own first.

An alias hands on what the sender asked to be told, and for which address; of several addresses none
answers for success, which is told here (`Dsn.EXPANDED`).  A list answers for itself.

Sources: spec/delivery.md 4 (forwarded message, -owner), 5.4, 5.5; RFC 3461 5.2.7; DESIGN 4 (forwards
are rows of the same queue in the transaction that marks their step).
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Final, Protocol

from msgspec.structs import replace

from indimail.delivery.headers import forwarded
from indimail.delivery.plan import Forward, Plan, Relay
from indimail.mail.address import Address
from indimail.mail.channel import Channel
from indimail.mail.clock import Clock
from indimail.mail.dsn import Dsn, orcpt, without_success
from indimail.mail.errors import MailError
from indimail.mail.ids import QueueIds
from indimail.mail.verdict import NO_RULE, Rule
from indimail.policy.relay import RelayRules
from indimail.policy.signing import Signing
from indimail.queue.port import Accepted, QueuedMessage, QueuedRecipient
from indimail.queue.spool import Spool
from indimail.schedule.route import Routing, route
from indimail.serve.foresight import Decided
from indimail.serve.hands import RunAside
from indimail.serve.intake import received_line
from indimail.serve.job import Job
from indimail.serve.rewriting import rewritten

NOBODY: Final = ("", "#@[]")  # senders whose mail has no owner but the postmaster


def new_sender(plan: Plan, sender: str) -> str:
    """Return NEWSENDER: the sender of what is forwarded, the address's owner where it has one."""
    return plan.owner or sender if sender not in NOBODY else sender


class Routed(Protocol):
    """The part of the configuration snapshot that is looked at."""

    @property
    def me(self) -> str: ...
    @property
    def routing(self) -> Routing: ...
    @property
    def relay(self) -> RelayRules: ...
    @property
    def signing(self) -> Signing: ...


@dataclass(frozen=True, slots=True)
class Forwards:
    """Makes the mails; one for all deliveries of a worker."""

    ids: QueueIds
    clock: Clock
    snapshot: Callable[[], Routed]
    dates: Callable[[float], str]
    aside: RunAside

    def make(
        self, job: Job, spool: Spool, decided: Decided, sender: str,
        actions: Sequence[Forward | Relay], dsn: Dsn | None, made: Callable[[object], None],
    ) -> None:  # fmt: skip
        """Hand `made` a tuple of new mails, or what went wrong; `dsn` is what the sender is told."""
        told = job.recipient
        if dsn is Dsn.EXPANDED:
            told = replace(told, notify=without_success(told.notify))
        drafts = self._drafts(job, decided, sender, actions, told)
        body = job.mail.message.body
        if body is not None:
            made(tuple(draft.small(body) for draft in drafts))
        else:
            self.aside(lambda: _copied(drafts, spool, job.mail.message), made)

    @property
    def srs_rule(self) -> Rule:
        """Why a forward's sender is another than the one that it was made with."""
        srs = self.snapshot().signing.srs
        return NO_RULE if srs is None else srs.rule

    def _drafts(
        self, job: Job, decided: Decided, sender: str, actions: Sequence[Forward | Relay],
        told: QueuedRecipient,
    ) -> "list[_Draft]":  # fmt: skip
        new = new_sender(decided.plan, sender)
        now = self.clock.now()
        found = []
        addresses = [action.address for action in actions if isinstance(action, Forward)]
        if addresses:
            message = self._message(job, new, now)
            asked = replace(told, orcpt=told.orcpt or orcpt(told.address))
            if new != sender:
                message = replace(message, ret="", envid="")
                asked = replace(told, notify="", orcpt="")
            original = self._original(job, decided, new)
            block = self._received(message, decided.uid)
            block += forwarded(decided.delivered_to, addresses, original)
            recipients = [self._routed(n, to, asked) for n, to in enumerate(addresses)]
            sender_ = rewritten(new, [r.channel for r in recipients], self.snapshot(), now)
            message = replace(message, reverse_path=sender_)
            found.append(_Draft(message, tuple(recipients), block))
        for action in actions:
            if isinstance(action, Relay):
                message = self._message(job, sender, now)
                to = replace(
                    told, number=0, address=action.address, channel=Channel.REMOTE,
                    target=action.route, route=str(action.rule), attempts=0, due=0.0, delayed=False,
                )  # fmt: skip
                block = self._received(message, decided.uid)
                found.append(_Draft(message, (to,), block))
        return found

    def _original(self, job: Job, decided: Decided, sender: str) -> str:
        """Return whom X-Forwarded-For names: vdelivermail's recipient, qmail-local's sender."""
        return job.recipient.address if decided.plan.virtual else sender

    def _message(self, job: Job, sender: str, now: float) -> QueuedMessage:
        id_ = self.ids.next(int(now * 1e6))
        return replace(job.mail.message, id=id_, born=now, reverse_path=sender, offset=0, source="")

    def _routed(self, number: int, to: str, told: QueuedRecipient) -> QueuedRecipient:
        way = route(Address.parse(to), self.snapshot().routing)
        return QueuedRecipient(
            number, str(way.address), way.channel, way.target, str(way.rule), told.notify,
            told.orcpt,
        )  # fmt: skip

    def _received(self, message: QueuedMessage, uid: int) -> bytes:
        date = self.dates(message.born)
        return received_line(message.id, uid, self.snapshot().me, date, hide_host=False)


def _copied(drafts: "list[_Draft]", spool: Spool, original: QueuedMessage) -> tuple[Accepted, ...]:
    """Copy a large body for each draft, all or none; on a thread."""
    try:
        return tuple(draft.large(spool, original) for draft in drafts)
    except MailError:
        for draft in drafts:
            with suppress(MailError):  # it stays until the next start sweeps it away
                spool.discard(draft.message.id)
        raise


@dataclass(frozen=True, slots=True)
class _Draft:
    message: QueuedMessage
    recipients: tuple[QueuedRecipient, ...]
    block: bytes

    def small(self, body: bytes) -> Accepted:
        whole = self.block + body
        return Accepted(replace(self.message, body=whole, size=len(whole)), self.recipients)

    def large(self, spool: Spool, original: QueuedMessage) -> Accepted:
        """The file and its name are synced before its row is committed."""
        parts = chain((self.block,), spool.read(original.id, original.offset))
        spool.store(self.message.id, parts)
        size = len(self.block) + original.size
        return Accepted(replace(self.message, body=None, size=size), self.recipients)
