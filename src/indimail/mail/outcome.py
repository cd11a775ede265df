"""What became of one recipient: `Delivered`, `Deferred` or `Failed`.

`text` is what the log and `explain` show, and for a failure what the bounce tells the sender;
`rule` names who decided (``domains/example.com/.qmail-default:1``); `peer` is the other server that
had a word in it.
"""

from dataclasses import dataclass

from msgspec import Struct

from indimail.mail.dsn import Dsn
from indimail.mail.verdict import NO_RULE, Rule


class Peer(Struct, frozen=True, array_like=True):
    """Another server: its name, its address, and its own reply (lines with LF; empty: none)."""

    name: str
    address: str
    reply: str = ""


@dataclass(frozen=True, slots=True)
class Delivered:
    """Done for good.

    `dsn` is what a sender is told who asked for success: None where somebody else tells it (the
    next server, the address that an alias stands for), or where nobody got the mail.
    """

    text: str
    rule: Rule = NO_RULE
    dsn: Dsn | None = Dsn.DELIVERED
    peer: Peer | None = None


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not now; the recipient stays queued and is tried again."""

    text: str
    rule: Rule = NO_RULE
    peer: Peer | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Never; the sender is to be told."""

    text: str
    rule: Rule = NO_RULE
    peer: Peer | None = None


Outcome = Delivered | Deferred | Failed
