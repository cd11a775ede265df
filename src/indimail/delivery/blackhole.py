"""Senders whose mail to virtual users is taken and discarded.

    hole = parse_black_hole(lines_of_blackholedsender, lines_of_blackholedpatterns)
    hole.find("eve@noise.example")      -> Rule("control/blackholedsender", 2), or None

`blackholedsender` has whole addresses, and ``@host`` for all of a host.  `blackholedpatterns` has
shell patterns; one that begins with ``!`` takes back what lines before it said, and the last that
matches decides.  Both are asked, without regard to case.

Source: spec/delivery.md 5.2 (4), 10 (16).  Not here: blackholedsender at MAIL (`policy`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from indimail.mail.glob import matches
from indimail.mail.line import Line
from indimail.mail.verdict import Rule


@dataclass(frozen=True, slots=True)
class Pattern:
    """A line of blackholedpatterns."""

    glob: str
    discards: bool
    rule: Rule


@dataclass(frozen=True, slots=True)
class BlackHole:
    """Both lists."""

    senders: Mapping[str, Rule] = field(default_factory=dict)
    patterns: tuple[Pattern, ...] = ()

    def find(self, sender: str) -> Rule | None:
        """Return the line that discards this sender's mail."""
        if not (self.senders or self.patterns):
            return None
        sender = sender.lower()
        at = sender.rfind("@")
        listed = self.senders.get(sender) or (self.senders.get(sender[at:]) if at >= 0 else None)
        if listed is not None:
            return listed
        for pattern in reversed(self.patterns):
            if matches(pattern.glob, sender):
                return pattern.rule if pattern.discards else None
        return None


EMPTY: Final = BlackHole()


def parse_black_hole(senders: Sequence[Line], patterns: Sequence[Line]) -> BlackHole:
    """Read both files; there is nothing that a line cannot be."""
    return BlackHole(
        {line.text.lower(): line.rule for line in reversed(senders)},
        tuple(
            Pattern(line.text.removeprefix("!").lower(), not line.text.startswith("!"), line.rule)
            for line in patterns
        ),
    )


def discarding(sender: str) -> str:
    """Return vdelivermail's text."""
    return f"vdelivermail: Discarding BlackHoled Address [{sender}]"
