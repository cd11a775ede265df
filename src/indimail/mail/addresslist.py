"""Lists of addresses as control files hold them, and how an address is found in one.

    senders = parse_address_list(lines)
    senders.find("eve@noise.example")      -> Rule("control/authdomains", 2), or None

A line is a whole address, ``@host`` for all of a host, or a shell pattern; of the patterns one that
begins with ``!`` takes back what lines before it said, and the last that matches decides.  Addresses
are asked first.  Without regard to case.

Source: spec/smtp.md 7.  Not here: lists of domains (`mail.match`), regular expressions (QREGEX).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from indimail.mail.glob import literal, matches
from indimail.mail.line import Line
from indimail.mail.verdict import Rule


@dataclass(frozen=True, slots=True)
class Pattern:
    """A line that is a shell pattern; `literal` is in all that it fits, and looked for first."""

    glob: str
    lists: bool  # False: it begins with "!"
    rule: Rule
    literal: str = ""


@dataclass(frozen=True, slots=True)
class AddressList:
    """`exact` has addresses and ``@host``, in lower case."""

    exact: Mapping[str, Rule] = field(default_factory=dict)
    patterns: tuple[Pattern, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.exact or self.patterns)

    def find(self, address: str) -> Rule | None:
        """Return the line that lists an address."""
        if not self:
            return None
        address = address.lower()
        at = address.rfind("@")
        listed = self.exact.get(address) or (self.exact.get(address[at:]) if at >= 0 else None)
        if listed is not None:
            return listed
        for pattern in reversed(self.patterns):
            if pattern.literal in address and matches(pattern.glob, address):
                return pattern.rule if pattern.lists else None
        return None


NO_ADDRESSES: Final = AddressList()
_GLOB: Final = frozenset("*?[!\\")


def parse_address_list(
    lines: Sequence[Line], patterns: Sequence[Line] | None = None
) -> AddressList:
    """Read a list; with a file of `patterns` no other line is one.

    There is nothing that a line cannot be.
    """
    if patterns is None:
        patterns = [line for line in lines if not _GLOB.isdisjoint(line.text)]
    return AddressList(
        {line.text.lower(): line.rule for line in reversed(lines)}, tuple(map(_pattern, patterns))
    )


def _pattern(line: Line) -> Pattern:
    text = line.text.removeprefix("!").lower()
    return Pattern(text, not line.text.startswith("!"), line.rule, literal(text))
