"""What is to come of a mail, all of it: computed from the plans alone, without a server.

    told = expect(Sent("told", ("absent", "alias"), sender="writer@example.com"))
    told.verdicts           -> ["failed", "delivered"]
    told.things             -> Counter({("/mail/example.com/heidi/Maildir", ""): 1, ...})
    told.runs               -> Counter({"./sort sorted": 1, "/home/boxed/mbox": 1})

A thing is what can be seen at the end, and has to be there once: a copy in a Maildir, or a row that
waits for an address; with it a failed recipient that is told in it, if it is a bounce.  Failures of one
mail may be told in one bounce or in several, so it is the recipients that are counted.  Runs, and
mboxes, are made at least so often.
"""

from collections import Counter
from dataclasses import dataclass, field

from indimail.delivery.overquota import MAILSIZE
from indimail.delivery.plan import Defer, Deliver, Fail, Forward, Mbox, Relay, Run
from indimail.testing.clock import START

from .script import DOMAIN, ME, PROGRAMS, Sent, plan_of, user_of

LATE = START + 10_000.0  # by then everybody who defers for a while takes mail
POSTMASTER = f"postmaster@{ME}"


@dataclass
class Expected:
    """Everything that one mail leads to."""

    verdicts: list[str] = field(default_factory=list)
    things: Counter[tuple[str, str]] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Mail:
    """A mail on its way: whom it went through, and the failures that it tells of."""

    sender: str
    through: frozenset[str] = frozenset()
    tells: tuple[str, ...] = ()
    never: bool = False
    octets: int = 0


def expect(sent: Sent) -> Expected:
    """Follow a mail to all its ends."""
    found = Expected()
    mail = _Mail(sent.sender, never=sent.never, octets=sent.octets)
    found.verdicts = [_deliver(found, mail, f"{user}@{DOMAIN}") for user in sent.users]
    return found


def _deliver(found: Expected, mail: _Mail, address: str) -> str:
    """Return the verdict of one recipient, and add what it leads to."""
    user = user_of(address)
    if not user:
        return _seen(found, mail, address, "deferred")
    if user in mail.through:
        return _fail(found, mail, address)
    actions = plan_of(user, LATE).actions
    sent_on: list[Forward | Relay] = []
    at = 0
    while at < len(actions):
        action = actions[at]
        at += 1
        match action:
            case Deliver(maildir=folder, limit=limit):
                if limit == "100S" and mail.octets > MAILSIZE:
                    return _fail(found, mail, address)
                _seen(found, mail, folder, "")
            case Mbox(path=place):
                found.runs[place] += 1
            case Run(command=command, skip=skip):
                codes = PROGRAMS[command]
                found.runs[f"{command} {user}"] += len(codes)
                if codes[-1] == 100:
                    return _fail(found, mail, address)
                at += skip if codes[-1] == 99 else 0
            case Fail():
                return _fail(found, mail, address)
            case Defer():
                return _seen(found, mail, address, "deferred")
            case Forward() | Relay():
                sent_on.append(action)
    onward = _Mail(mail.sender, mail.through | {user}, mail.tells, mail.never, mail.octets)
    for action in sent_on:
        if isinstance(action, Relay):
            _seen(found, onward, action.address, "")
        else:
            _deliver(found, onward, action.address)
    return "delivered"


def _seen(found: Expected, mail: _Mail, where: str, verdict: str) -> str:
    for told in mail.tells or ("",):
        found.things[where, told] += 1
    return verdict


def _fail(found: Expected, mail: _Mail, address: str) -> str:
    """Tell the sender, or the postmaster where a bounce failed, or nobody where that failed."""
    if mail.sender != "#@[]" and (not mail.never or not mail.sender):
        double = not mail.sender
        bounce = _Mail("#@[]" if double else "", tells=(address, *mail.tells))
        _deliver(found, bounce, POSTMASTER if double else mail.sender)
    return "failed"
