"""What became of one recipient: `Delivered`, `Deferred` or `Failed`.

`text` is what the log and `explain` show, and for a failure what the bounce tells the sender;
`rule` names who decided (``domains/example.com/.qmail-default:1``).
"""

from dataclasses import dataclass

from indimail.mail.verdict import NO_RULE, Rule


@dataclass(frozen=True, slots=True)
class Delivered:
    """Done for good."""

    text: str
    rule: Rule = NO_RULE


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not now; the recipient stays queued and is tried again."""

    text: str
    rule: Rule = NO_RULE


@dataclass(frozen=True, slots=True)
class Failed:
    """Never; the sender is to be told."""

    text: str
    rule: Rule = NO_RULE


Outcome = Delivered | Deferred | Failed
