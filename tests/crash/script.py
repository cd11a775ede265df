"""The mails of the crash kit, and what is to become of each recipient.

    SCRIPT[0]              -> the mails that clients send at once, on a connection each
    plan_of("later", now)  -> Defer(...)

Every mail has a tag of its own in its body, by which its copies are known again.
"""

from dataclasses import dataclass
from typing import Final

from indimail.delivery.plan import Action, Defer, Deliver, Fail
from indimail.mail.foreseen import Foreseen
from indimail.mail.verdict import Rule
from indimail.testing.clock import START

DOMAIN: Final = "example.com"
MAIL: Final = "/mail"
LATER: Final = 60.0  # seconds after the beginning the user `later` may be delivered to


@dataclass(frozen=True)
class Sent:
    """A mail as its client sends it; `users` are the local parts of its recipients."""

    tag: str
    users: tuple[str, ...]
    octets: int = 200
    pieces: int = 1  # a body arrives in so many reads
    pause: float = 0.0  # seconds between them

    @property
    def body(self) -> bytes:
        """The message with CRLF, without the dot that ends it."""
        head = f"Subject: {self.tag}\r\nX-Tag: {self.tag}\r\n\r\n".encode()
        line = f"{self.tag} says the same on every line, so that a hole shows\r\n".encode()
        return head + line * (self.octets // len(line) + 1)

    @property
    def stored(self) -> bytes:
        """What every copy ends with."""
        return self.body.replace(b"\r\n", b"\n")


def home(user: str) -> str:
    """Return a user's Maildir."""
    return f"{MAIL}/{DOMAIN}/{user}/Maildir"


def plan_of(user: str, now: float) -> Action:
    """Return the step of a delivery to a user."""
    rule = Rule("domains/example.com/.qmail-default", 1)
    if user == "absent":
        return Fail("no such user here. (#5.1.1)", "5.1.1", Foreseen.ABSENT, rule)
    if user == "never" or (user == "later" and now < START + LATER):
        return Defer("come back later. (#4.2.1)", rule)
    return Deliver(home(user), rule)


def is_foreseen(user: str) -> bool:
    """Tell whether the plan is known without asking: a `cold` user's has to be looked up."""
    return not user.startswith("cold")


LARGE: Final = 140_000

# What follows in a line comes at the same moment; between lines the world goes on.
SCRIPT: Final[tuple[tuple[Sent, ...], ...]] = (
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


def fresh(life: int) -> tuple[tuple[Sent, ...], ...]:
    """Return what is sent in a life after a crash."""
    return ((Sent(f"life{life}", ("alice", "carol")),),)
