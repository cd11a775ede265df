"""What is to come of a mail, all of it: computed from the plans alone, without a server.

    told = expect(Sent("told", ("absent", "alias"), sender="writer@example.com"))
    told.verdicts           -> ["failed", "delivered"]
    told.things             -> Counter({("/mail/example.com/heidi/Maildir", ""): 1, ...})
    told.runs               -> Counter({"./sort sorted": 1, "/home/boxed/mbox": 1})

A thing is what can be seen at the end, and has to be there once: a copy in a Maildir, or a row that
waits for an address; with it what is told in it of a recipient (``absent@example.com failed``), if it
is a report.  Failures of one mail may be told in one bounce or in several, so it is the recipients that
are counted; so it is with successes and delays.  Runs, and mboxes, are made at least so often.
"""

from collections import Counter
from dataclasses import dataclass, field

from indimail.delivery.notify import NOBODY
from indimail.delivery.overquota import MAILSIZE
from indimail.delivery.plan import Defer, Deliver, Discard, Fail, Forward, Mbox, Relay, Run
from indimail.mail.dsn import without_success
from indimail.mail.outcome import Delivered, Failed
from indimail.testing.clock import START

from .script import DELAYWARN, DOMAIN, LATER, ME, PROGRAMS, REMOTE, Sent, plan_of, user_of

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
    """A mail on its way: whom it went through, and what it tells of."""

    sender: str
    through: frozenset[str] = frozenset()
    tells: tuple[str, ...] = ()
    notify: str = ""
    octets: int = 0


def expect(sent: Sent) -> Expected:
    """Follow a mail to all its ends."""
    found = Expected()
    mail = _Mail(sent.sender, notify=sent.notify, octets=sent.octets)
    found.verdicts = [_deliver(found, mail, f"{user}@{DOMAIN}") for user in sent.users]
    return found


def _deliver(found: Expected, mail: _Mail, address: str) -> str:
    """Return the verdict of one recipient, and add what it leads to."""
    user = user_of(address)
    if not user:
        return _deliver_far(found, mail, address)
    if user in mail.through:
        return _fail(found, mail, address)
    if LATER.get(user, 0.0) > DELAYWARN and "DELAY" in mail.notify:
        _tell(found, mail, address, "delayed")
    actions = plan_of(user, LATE).actions
    sent_on: list[Forward | Relay] = []
    at = made = 0
    while at < len(actions):
        action = actions[at]
        at += 1
        made += not isinstance(action, Discard)
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
                if "DELAY" in mail.notify:
                    _tell(found, mail, address, "delayed")
                return _seen(found, mail, address, "deferred")
            case Forward() | Relay():
                sent_on.append(action)
    notify = mail.notify
    if "SUCCESS" in notify and made:
        expanded = bool(sent_on) and made > 1
        if expanded or not sent_on:
            _tell(found, mail, address, "expanded" if expanded else "delivered")
        notify = without_success(notify) if expanded else notify
    onward = _Mail(mail.sender, mail.through | {user}, mail.tells, notify, mail.octets)
    for action in sent_on:
        if isinstance(action, Relay):
            _seen(found, onward, action.address, "")
        else:
            _deliver(found, onward, action.address)
    return "delivered"


def _deliver_far(found: Expected, mail: _Mail, address: str) -> str:
    match REMOTE.get(address.rpartition("@")[2]):
        case Delivered(dsn=dsn):
            if dsn and "SUCCESS" in mail.notify:
                _tell(found, mail, address, dsn)
            return "delivered"
        case Failed():
            return _fail(found, mail, address)
        case _:
            return _seen(found, mail, address, "deferred")


def _seen(found: Expected, mail: _Mail, where: str, verdict: str) -> str:
    for told in mail.tells or ("",):
        found.things[where, told] += 1
    return verdict


def _fail(found: Expected, mail: _Mail, address: str) -> str:
    """Tell the sender, or the postmaster where a report failed, or nobody where that failed."""
    tells = (f"{address} failed", *mail.tells)
    if not mail.sender:
        _deliver(found, _Mail("#@[]", tells=tells), POSTMASTER)
    elif mail.sender != "#@[]" and (not mail.notify or "FAILURE" in mail.notify):
        _deliver(found, _Mail("", tells=tells), mail.sender)
    return "failed"


def _tell(found: Expected, mail: _Mail, address: str, dsn: str) -> None:
    """Tell the sender of what did not fail, where there is one."""
    if mail.sender not in NOBODY:
        _deliver(found, _Mail("", tells=(f"{address} {dsn}",)), mail.sender)
