"""The mails of the crash kit, and what is to be done for each recipient.

    SCRIPTS["plain"][0]    -> the mails that clients send at once, on a connection each
    plan_of("later", now)  -> Plan((Defer(...),))

Every mail has a tag of its own in its body, by which its copies are known again, also those that
were forwarded and those inside a bounce.  What is to come of it all: `expected`.
"""

from dataclasses import dataclass
from typing import Final

from indimail.delivery.plan import (
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
)
from indimail.mail.dsn import Dsn
from indimail.mail.foreseen import Foreseen
from indimail.mail.outcome import Delivered, Failed, Outcome, Peer
from indimail.mail.verdict import Rule
from indimail.queue import spool
from indimail.testing.clock import START

DOMAIN: Final = "example.com"
ME: Final = "mx.example.com"
STRANGER: Final = "sender@example.net"
MAIL: Final = "/mail"
# Seconds after the beginning these users may be delivered to.  Whose delay is told fails meanwhile,
# or is delivered, behind his report; none may be of `later`, who is delayed only if something fails.
LATER: Final = {"later": 60.0, "much-later": 1000.0}


@dataclass(frozen=True)
class Sent:
    """A mail as its client sends it; `users` are the local parts of its recipients.

    `notify` is what is asked for each of them (NOTIFY).
    `like`: the word that its header has instead of the tag; mails with the same one are duplicates.
    """

    tag: str
    users: tuple[str, ...]
    octets: int = 200
    pieces: int = 1  # a body arrives in so many reads
    pause: float = 0.0  # seconds between them
    sender: str = STRANGER
    notify: str = ""
    like: str = ""

    @property
    def body(self) -> bytes:
        """The message with CRLF, without the dot that ends it."""
        tag, like = f"X-Tag: {self.tag}\r\n", self.like
        head = f"Subject: {self.tag}\r\n{tag}\r\n"
        if like:
            head = f"Subject: {like}\r\nMessage-ID: <{like}@example.net>\r\n\r\n{tag}"
        line = f"{self.tag} says the same on every line, so that a hole shows\r\n".encode()
        return head.encode() + line * (self.octets // len(line) + 1)

    @property
    def stored(self) -> bytes:
        """What every copy ends with."""
        return self.body.replace(b"\r\n", b"\n")


def home(user: str) -> str:
    """Return a user's Maildir."""
    return f"{MAIL}/{DOMAIN}/{user}/Maildir"


RULE: Final = Rule("domains/example.com/.qmail-default", 1)
ABSENT: Final = Fail("no such user here. (#5.1.1)", "5.1.1", Foreseen.ABSENT, RULE)
# The exit codes of a command's runs for one recipient of one mail; the last one stays.
PROGRAMS: Final = {
    "./sort": (0,),
    "./once-more": (111, 0),
    "./stop": (99,),
    "./refuse": (100,),
}


QUOTA: Final = "100000000S,1000C"


def _runs(command: str, skip: int = 0) -> Run:
    return Run(command, RULE, skip)


def _mailbox(user: str) -> Deliver:
    return Deliver(home(user), RULE)


def _limited(user: str, limit: str) -> Deliver:
    return Deliver(home(user), RULE, f"{user}@{DOMAIN}", limit=limit)


def _forward(*addresses: str) -> tuple[Forward, ...]:
    return tuple(Forward(address, RULE) for address in addresses)


PLANS: Final[dict[str, tuple[Action, ...]]] = {
    "absent": (ABSENT,),
    "nobody": (ABSENT,),
    "never": (Defer("come back later. (#4.2.1)", RULE),),
    "never-too": (Defer("come back later. (#4.2.1)", RULE),),
    # One file with a line of each kind.
    "sorted": (*_forward("grace@example.com"), _mailbox("sorted"), _runs("./sort")),
    "several": (_mailbox("several"), _mailbox("several-b"), _mailbox("several-c")),
    # The program defers once: what was made before has its mark, and is not made again.
    "busy": (
        _mailbox("busy"), _runs("./sort"), _runs("./once-more"), _mailbox("busy-b"),
        *_forward("grace@example.com"),
    ),
    # 99 leaves out one line, also for the attempt after the one that it was said in.
    "stopped": (
        _runs("./stop", skip=1), _mailbox("left-out"), _runs("./once-more"), _mailbox("stopped"),
        _runs("./stop", skip=2), *_forward("absent@example.com"),
    ),
    "boxed": (Mbox("/home/boxed/mbox", RULE), _mailbox("boxed")),
    "boxed-last": (_mailbox("boxed-last"), Mbox("/home/boxed-last/mbox", RULE)),
    "alias": _forward("heidi@example.com", "ivan@example.com", "friend@example.org"),
    "chain": _forward("alias@example.com"),
    "looped": _forward("looped-too@example.com"),
    "looped-too": _forward("looped@example.com"),
    "far": _forward("bo@plain.example"),
    "strict": _forward("gone@strict.example"),
    "answers": _forward("bo@dsn.example"),
    "relayed": (Relay("relayed@example.com", "example.com:mail.example.org:25", RULE),),
    "dropped": (Discard("nobody wants it", RULE),),
    # Fails after a step was made.
    "refused": (_mailbox("refused"), _runs("./refuse"), _mailbox("left-out")),
    # Mailboxes with a quota: one that everything fits in, one that takes small mails alone.
    "limited": (_limited("limited", QUOTA), _runs("./once-more"), _limited("limited-b", QUOTA)),
    "measured": (_limited("measured", QUOTA),),
    "full": (_limited("full", "100S"),),
    # A mailbox, and somebody who is not there any more: so ends what has the sender #@[].
    "postmaster": (_mailbox("postmaster"), *_forward("absent@example.com")),
}  # fmt: skip


# What becomes of mail at other hosts; where none is written down nobody answers.
_MX: Final = Peer("mx.far.example", "192.0.2.1", "250 ok")
REMOTE: Final[dict[str, Outcome]] = {
    "plain.example": Delivered("192.0.2.1 accepted message", RULE, Dsn.RELAYED, _MX),
    "dsn.example": Delivered("192.0.2.1 accepted message", RULE, None, _MX),
    "strict.example": Failed("Remote host said: 550 no (#5.1.1)", RULE, _MX),
}


def plan_of(user: str, now: float) -> Plan:
    """Return what is to be done for a user."""
    if now < START + LATER.get(user, 0.0):
        return Plan(PLANS["never"], virtual=True)
    return Plan(PLANS.get(user, (_mailbox(user),)), virtual=user not in PLANS)


def user_of(address: str) -> str:
    """Return whose mail it is that comes to an address; empty for one that is not ours."""
    local, _, domain = address.partition("@")
    return local if domain in {DOMAIN, ME} else ""


def is_foreseen(user: str) -> bool:
    """Tell whether the plan is known without asking: a `cold` user's has to be looked up."""
    return not user.startswith("cold")


LARGE: Final = spool.LARGE + 4_000  # octets: a body in a file

WRITER: Final = "writer@example.com"
ALL: Final = "SUCCESS,FAILURE,DELAY"
DELAYWARN: Final = 100  # seconds: a mail that waits for longer is told of, where that was asked

# What follows in a line comes at the same moment; between lines the world goes on.
PLAIN: Final[tuple[tuple[Sent, ...], ...]] = (
    (Sent("one", ("alice",)),),
    (Sent("three", ("alice", "bob", "absent")), Sent("failing", ("absent",))),
    (Sent("linked", ("alice",), LARGE, 3),),
    (Sent("slow", ("erin",), 2 * LARGE, 4, 7.0), Sent("cold", ("cold1",))),
    (Sent("copied", ("alice", "bob"), LARGE, 2),),
    (Sent("mixed", ("later", "carol", "never", "absent", "alice")),),
    (
        *(Sent(f"group{n}", ("dave" if n % 2 else f"user{n}",)) for n in range(8)),
        Sent("cold-large", ("cold2",), LARGE),
    ),
    (Sent("last", ("bob", "later")),),
)
STEPS: Final[tuple[tuple[Sent, ...], ...]] = (
    (Sent("sorted", ("sorted",)), Sent("several", ("several", "boxed"))),
    (Sent("busy", ("busy", "alice")), Sent("stopped", ("stopped",))),
    (Sent("large-busy", ("busy",), LARGE, 2),),
    (Sent("boxed", ("boxed-last", "several")), Sent("sorted2", ("sorted",))),
    (Sent("large-several", ("several",), LARGE),),
)
FORWARDS: Final[tuple[tuple[Sent, ...], ...]] = (
    (Sent("alias", ("alias",)), Sent("relayed", ("relayed", "bob"))),
    (Sent("chain", ("chain", "grace")),),
    (Sent("large-alias", ("alias",), LARGE, 2), Sent("dropped", ("dropped",))),
    (Sent("loop", ("looped",), sender=WRITER),),
    (Sent("large-relayed", ("relayed",), LARGE), Sent("large-chain", ("chain",), LARGE)),
)
BOUNCES: Final[tuple[tuple[Sent, ...], ...]] = (
    (Sent("told", ("absent",), sender=WRITER), Sent("alone", ("absent", "alice"))),
    (Sent("refused", ("refused", "absent", "bob"), sender=WRITER),),
    (Sent("large-told", ("absent", "nobody"), LARGE, 2, sender=WRITER),),
    (
        Sent("double", ("absent",), sender="nobody@example.com"),
        Sent("null", ("absent",), sender=""),
    ),
    (Sent("unasked", ("absent", "nobody"), sender=WRITER, notify="NEVER"),),
    (Sent("large-double", ("absent",), LARGE, sender="nobody@example.com"),),
    (Sent("late", ("never", "absent", "later", "nobody"), sender=WRITER),),
)
SMALL: Final = 200
FULL: Final = 4_000  # more than a full mailbox still takes
QUOTAS: Final[tuple[tuple[Sent, ...], ...]] = (
    (Sent("first", ("measured", "limited")), Sent("second", ("measured",))),
    (Sent("too-much", ("full", "measured"), FULL, sender=WRITER),),
    (Sent("small", ("full",), SMALL), Sent("large-measured", ("measured",), LARGE)),
    (
        Sent("large-limited", ("limited",), LARGE),
        Sent("large-full", ("full",), LARGE, sender=WRITER),
    ),
    (Sent("third", ("measured", "limited", "full"), FULL),),
)
DUPLICATES: Final[tuple[tuple[Sent, ...], ...]] = (
    (Sent("twin-1", ("measured",), like="twin"),),
    (Sent("twin-2", ("measured",), like="twin"), Sent("other", ("measured",), like="other")),
    (
        Sent("twin-3", ("limited", "measured"), like="twin"),
        Sent("twin-4", ("limited",), like="twin"),
    ),
    (Sent("large-1", ("measured",), LARGE, 2, like="large"),),
    (Sent("large-2", ("measured",), LARGE, like="large"), Sent("plain", ("alice",), like="twin")),
)
REPORTS: Final[tuple[tuple[Sent, ...], ...]] = (
    (
        Sent("success", ("alice", "sorted"), sender=WRITER, notify="SUCCESS"),
        Sent("unasked-success", ("alice",), sender=WRITER, notify="FAILURE,DELAY"),
    ),
    (Sent("mixed-reports", ("absent", "bob", "never", "much-later"), sender=WRITER, notify=ALL),),
    (
        Sent("expanded", ("chain", "sorted", "alias"), sender=WRITER, notify="SUCCESS,FAILURE"),
        Sent("handed-on", ("relayed", "dropped"), sender=WRITER, notify=ALL),
    ),
    (Sent("large-success", ("alice", "refused"), LARGE, 2, sender=WRITER, notify=ALL),),
    (
        Sent("nobody-asks", ("alice",), sender="nobody@example.com", notify="SUCCESS"),
        Sent("null-asks", ("alice",), sender="", notify="SUCCESS,DELAY"),
        Sent("null-waits", ("never",), sender="", notify="SUCCESS,DELAY"),
    ),
    (Sent("far-reports", ("far", "strict", "answers", "bob"), sender=WRITER, notify=ALL),),
    (
        Sent("far-failures", ("far", "strict"), sender=WRITER, notify="FAILURE"),
        Sent("far-never", ("far", "strict"), sender=WRITER, notify="NEVER"),
        Sent("large-far", ("far", "strict"), LARGE, sender=WRITER, notify=ALL),
    ),
    (
        Sent("waits", ("never", "much-later", "never-too"), sender=WRITER, notify="DELAY"),
        Sent("late-success", ("later",), sender=WRITER, notify="SUCCESS"),
    ),
)
SCRIPTS: Final = {
    "plain": PLAIN, "steps": STEPS, "forwards": FORWARDS, "bounces": BOUNCES, "quotas": QUOTAS,
    "duplicates": DUPLICATES, "reports": REPORTS,
}  # fmt: skip


def fresh(life: int) -> tuple[tuple[Sent, ...], ...]:
    """Return what is sent in a life after a crash."""
    return ((Sent(f"life{life}", ("alice", "carol")),),)
