"""What a delivery would do, step by step, decided as it would be and changing nothing.

    found = rehearse(Letter(address, sender, header, size), foresight, snapshot, disk, mailboxes)
    found.rcpt                  -> Refuse(550 5.1.1 ...): what a stranger's RCPT would be told
    found.steps                 -> (Rehearsed("copy", "into /srv/mail/.../Maildir", rule, figures),)
    found.end                   -> Delivered("did 0+0+1"), Failed, Deferred; None: it goes elsewhere

A program is not run: it is taken to exit 0.  Nothing is locked, no count of a quota is renewed.

Source: spec/delivery.md 4 (``-n``).  Not here: how it is printed (`cli.dry_run`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from indimail.delivery.blackhole import discarding
from indimail.delivery.localdomains import refuse_remote
from indimail.delivery.loop import LOOPING, is_looping
from indimail.delivery.overquota import QuotaFacts, decide_quota
from indimail.delivery.plan import (
    DID_ONE,
    TO_THE_END,
    Action,
    Defer,
    Deliver,
    Discard,
    Fail,
    Forward,
    Mbox,
    Plan,
    Relay,
    Run,
    discarded,
    foresee,
    joined,
    outcome,
)
from indimail.durable.disk import Disk
from indimail.mail.address import Address
from indimail.mail.channel import Channel
from indimail.mail.clock import SystemClock
from indimail.mail.errors import MailError
from indimail.mail.foreseen import Foreseen
from indimail.mail.outcome import Delivered, Failed, Outcome
from indimail.mail.verdict import Accept, Refuse, Rule, TryLater
from indimail.mailbox.maildirsize import MaildirSizes, inbox
from indimail.policy.recipient import judge_mailbox
from indimail.policy.relay import RelayFacts, decide_relay
from indimail.schedule.route import Route, route
from indimail.serve.foresight import Foresight, deferred
from indimail.serve.forward import new_sender
from indimail.serve.locks import Mailboxes
from indimail.serve.quota import quota_of
from indimail.serve.rewriting import rewritten
from indimail.serve.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail and one recipient of it; `header` is how the mail begins, line ends LF."""

    recipient: Address
    sender: Address
    header: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A step: what it is in a word, what it does, whose line it is, the figures of a quota."""

    step: str
    text: str
    rule: Rule
    quota: str = ""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """All of it; `rcpt` is what a client without permissions would be told."""

    route: Route
    rcpt: Accept | Refuse | TryLater
    steps: tuple[Rehearsed, ...] = ()
    end: Outcome | None = None


def rehearse(
    letter: Letter,
    foresight: Foresight,
    snapshot: Snapshot,
    disk: Disk,
    mailboxes: Callable[[int, int], Mailboxes],
) -> Rehearsal:
    """Decide as a delivery would.  May wait for disk and database.

    `mailboxes` returns those of a user, by uid and gid.
    """
    way = route(letter.recipient, snapshot.routing)
    facts = RelayFacts("", reverse_path=letter.sender, forward_path=letter.recipient)
    relay = decide_relay(facts, snapshot.relay)
    if way.channel is Channel.REMOTE:
        return Rehearsal(way, relay)
    home, delivered_to = "", b""
    who = 0, 0
    try:
        decided = foresight.decide(way.target)
        plan, foreseen = decided.plan, foresee(decided.plan)
        home, delivered_to = decided.who.home, decided.delivered_to
        who = decided.uid, decided.gid
    except MailError as error:
        plan, foreseen = Plan((deferred(error),)), Foreseen.UNKNOWN
    rcpt: Accept | Refuse | TryLater = relay
    if isinstance(relay, Accept):
        rcpt = judge_mailbox(foreseen, plan.rule, letter.sender, letter.recipient)
    settings = snapshot.local
    remote = refuse_remote(str(letter.sender), plan.only_local, settings.local_domains)
    if remote is not None:
        return Rehearsal(way, rcpt, end=remote)
    if delivered_to and is_looping(letter.header, delivered_to, settings.max_delivered_to):
        return Rehearsal(way, rcpt, end=Failed(LOOPING, plan.rule))
    discards = snapshot.queue.black_hole.find(str(letter.sender)) if plan.virtual else None
    if discards is not None:
        text = discarding(str(letter.sender))
        step = Rehearsed("discard", text, discards)
        return Rehearsal(way, relay, (step,), Delivered(f"{text}\n{DID_ONE}", discards))
    walk = _Walk(letter, home, snapshot, disk, mailboxes(*who))
    steps = tuple(walk.steps(plan))
    return Rehearsal(way, rcpt, steps, walk.end)


class _Walk:
    """Goes through a plan, up to the step that ends it."""

    def __init__(
        self, letter: Letter, home: str, snapshot: Snapshot, disk: Disk, mailboxes: Mailboxes
    ) -> None:
        self._letter = letter
        self._home = home
        self._snapshot = snapshot
        self._disk = disk
        self._failures: list[Failed] = []
        self._mailboxes = mailboxes
        self.end: Outcome | None = None

    def steps(self, plan: Plan) -> Iterator[Rehearsed]:
        counts = [0, 0, 0]
        for action in plan.actions:
            yield from self._step(action, plan)
            if self.end is not None:
                return
            if not isinstance(action, Discard):
                counts[_kind(action)] += 1
        did = DID_ONE if plan.virtual else "did {}+{}+{}".format(*counts)
        self.end = joined(self._failures) if self._failures else Delivered(did, plan.rule)

    def _step(self, action: Action, plan: Plan) -> Iterator[Rehearsed]:
        match action:
            case Deliver():
                yield from self._copy(action, plan)
            case Mbox(path, rule):
                yield Rehearsed("mbox", f"append to {path}", rule)
            case Run(command, rule, skip):
                most = f", 99 leaves out the next {skip}" if 0 < skip < TO_THE_END else ""
                home = action.home or self._home
                yield Rehearsed("program", f"{command} (in {home}{most})", rule)
            case Forward(address, rule):
                way = route(Address.parse(address), self._snapshot.routing)
                sender = self._sender_of_forwards(plan)
                where = f"{way.channel.value}, {way.target}"
                yield Rehearsed("forward", f"to <{way.address}> from <{sender}> ({where})", rule)
            case Relay(address, host, rule):
                yield Rehearsed("forward", f"to <{address}> at {host}", rule)
            case Discard(text, rule):
                yield Rehearsed("discard", text, rule)
            case Fail() | Defer():
                yield self._ends(action)

    def _sender_of_forwards(self, plan: Plan) -> str:
        """Return the sender of the one mail that all addresses get."""
        addresses = [action.address for action in plan.actions if isinstance(action, Forward)]
        ways = (route(Address.parse(to), self._snapshot.routing) for to in addresses)
        sender = new_sender(plan, str(self._letter.sender))
        now = SystemClock().now()
        return rewritten(sender, [way.channel for way in ways], self._snapshot, now)

    def _copy(self, action: Deliver, plan: Plan) -> Iterator[Rehearsed]:
        text = f"into {action.maildir}" + (f" ({action.text})" if action.text else "")
        maildir = inbox(action.maildir)
        quota = quota_of(action.limit) if action.limit else None
        try:
            if action.limit == "":
                quota = MaildirSizes(self._disk, SystemClock()).definition(maildir)
            if quota is None or quota.is_unlimited:
                yield Rehearsed("copy", text, action.rule)
                return
            held = self._mailboxes.held(action, counted=True)
        except MailError as error:
            yield Rehearsed("copy", f"{text}, whose quota cannot be seen: {error}", action.rule)
            return
        verdict = decide_quota(
            QuotaFacts(
                action.account or maildir, maildir, self._letter.size, held.usage,
                action.limit or quota.definition, quota, held.waits,
                self._snapshot.quota.mailsize, action.rule,
            )
        )  # fmt: skip
        yield Rehearsed("copy", text, action.rule, verdict.figures)
        match verdict.plan:
            case None:
                return
            case Fail() as fail if self._snapshot.local.discard_bounce:
                yield Rehearsed("discard", discarded(fail).text, fail.rule)
            case Fail() as fail if action.is_row and plan.virtual:
                self._failures.append(Failed(fail.text, fail.rule))
                yield Rehearsed("bounce", fail.text, fail.rule)
            case refused:
                yield self._ends(refused)

    def _ends(self, action: Fail | Defer) -> Rehearsed:
        self.end = outcome(action)
        word = "bounce" if isinstance(action, Fail) else "defer"
        return Rehearsed(word, action.text, action.rule)


def _kind(action: Action) -> int:
    """Return which of files, forwards and programs a step counts as."""
    match action:
        case Run():
            return 2
        case Forward() | Relay():
            return 1
        case _:
            return 0
