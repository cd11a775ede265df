"""Senders whose mail to virtual users is taken and discarded.

    hole = parse_black_hole(lines_of_blackholedsender, lines_of_blackholedpatterns)
    hole.find("eve@noise.example")      -> Rule("control/blackholedsender", 2), or None

`blackholedsender` has whole addresses, and ``@host`` for all of a host.  `blackholedpatterns` has
shell patterns; one that begins with ``!`` takes back what lines before it said, and the last that
matches decides.  Both are asked, without regard to case.

Source: spec/delivery.md 5.2 (4), 10 (16).  Not here: blackholedsender at MAIL (`policy`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from indimail.mail.line import Line
from indimail.mail.verdict import Rule

_CLASS: Final = re.compile(r"\[!?\]?[^\]]*\]")


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


def matches(glob: str, text: str) -> bool:
    r"""Tell whether a shell pattern (``*``, ``?``, ``[a-z]``, ``[!a-z]``, ``\c``) fits all of it."""
    # Greedy with one way back: no pattern makes it take more than len(glob) * len(text) steps.
    tokens = _tokens(glob)
    at = place = 0
    star, behind = -1, 0
    while place < len(text):
        if at < len(tokens) and tokens[at] is None:
            star, behind = at, place
            at += 1
        elif at < len(tokens) and _fits(tokens[at], text[place]):
            at += 1
            place += 1
        elif star >= 0:
            behind += 1
            at, place = star + 1, behind
        else:
            return False
    return all(token is None for token in tokens[at:])


@lru_cache(maxsize=4096)
def _tokens(glob: str) -> tuple[str | None, ...]:
    """Cut a pattern into what fits one character each; None is ``*``."""
    tokens: list[str | None] = []
    at = 0
    while at < len(glob):
        found = _CLASS.match(glob, at) if glob[at] == "[" else None
        length = len(found[0]) if found else 2 if glob[at] == "\\" and at + 1 < len(glob) else 1
        tokens.append(None if glob[at] == "*" else glob[at : at + length])
        at += length
    return tuple(tokens)


def _fits(token: str | None, character: str) -> bool:
    if token is None:
        return False
    if len(token) == 1:
        return token in ("?", character)
    if token[0] == "\\":
        return token[1] == character
    inside = token[1:-1].removeprefix("!")
    found = any(
        first <= character <= (last or first)
        for first, last in re.findall(r"(.)(?:-(.))?", inside, re.DOTALL)
    )
    return found is not token.startswith("[!")
