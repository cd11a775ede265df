"""A mailbox's quota as pw_shell and maildirsize have it, what the mailbox holds, and whether it fits.

    quota = parse_quota("50M,1000")         -> Quota(octets=52428800, messages=1000)
    str(quota)                              -> '52428800,1000'   as it is stored
    quota.definition                        -> '52428800S,1000C' as maildirsize begins
    quota.is_over(Usage(52428000, 3), 2048) -> True

Units: octets, messages; 0 is no limit.
Sources: spec/delivery.md 1.3 (quota string), 8.3 (first line of maildirsize), 8.4 (over quota).
Not here: what a delivery does about it (`delivery.overquota`), the file (`mailbox.maildirsize`).
"""

import re
from dataclasses import dataclass
from typing import Final

NO_QUOTA: Final = "NOQUOTA"

_NUMBER: Final = r"(0[xX][0-9a-fA-F]+|[0-9]+)"
_SCALES: Final = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_QUOTA: Final = re.compile(
    rf"{_NUMBER}[kKmMgG]?[sS]?[kKmMgG]?(?:,{_NUMBER}[kKmMgG]?[cC]?[kKmMgG]?)?"
)
_LIMIT: Final = re.compile(r" *([0-9]+)([A-Za-z]) *")
_LONGEST: Final = 80  # pw_shell has 30


@dataclass(frozen=True, slots=True)
class Usage:
    """What a mailbox holds, Trash not counted."""

    octets: int = 0
    messages: int = 0

    def __str__(self) -> str:
        return f"{self.octets}S,{self.messages}C"


@dataclass(frozen=True, slots=True)
class Quota:
    """The limits of a mailbox; 0 is none."""

    octets: int = 0
    messages: int = 0

    @property
    def is_unlimited(self) -> bool:
        """Tell whether nothing is limited: ``NOQUOTA``, an empty text, ``0S``."""
        return not (self.octets or self.messages)

    @property
    def definition(self) -> str:
        """The first line of maildirsize."""
        return f"{self.octets}S,{self.messages}C" if self.messages else f"{self.octets}S"

    def is_over(self, usage: Usage, arriving: int) -> bool:
        """Tell whether a mail of `arriving` octets, prepended lines included, is too much (8.4)."""
        return bool(
            (self.octets and usage.octets + arriving > self.octets)
            or (self.messages and usage.messages + 1 > self.messages)
        )

    def is_exceeded(self, usage: Usage) -> bool:
        """Tell whether the mailbox holds too much already, whatever arrives."""
        return bool(
            (self.octets and usage.octets > self.octets)
            or (self.messages and usage.messages > self.messages)
        )

    def __str__(self) -> str:
        if self.messages:
            return f"{self.octets},{self.messages}"
        return str(self.octets) if self.octets else NO_QUOTA


UNLIMITED: Final = Quota()


def parse_quota(text: str) -> Quota | None:
    """Read what users write and pw_shell holds; None: not understood.

    Numbers are as C reads them (0x hexadecimal, a leading 0 octal); the first k, m or g anywhere
    scales the size.  Empty is no limit.
    """
    if text.upper() in ("", NO_QUOTA):
        return UNLIMITED
    found = _QUOTA.fullmatch(text) if len(text) <= _LONGEST else None
    if not found:
        return None
    try:
        octets, messages = _number(found[1]), _number(found[2] or "0")
    except ValueError:  # an octal number with an 8
        return None
    scale = next((_SCALES[letter] for letter in text.lower() if letter in _SCALES), 1)
    return Quota(octets * scale, messages)


def parse_definition(line: str) -> Quota | None:
    """Read the first line of maildirsize: limits of any kind in any order, ours among them."""
    if line.strip().upper() == NO_QUOTA:
        return UNLIMITED
    limits = {"S": 0, "C": 0}
    for part in line.split(","):
        found = _LIMIT.fullmatch(part) if len(line) <= _LONGEST else None
        if not found:
            return None
        limits[found[2]] = int(found[1])
    return Quota(limits["S"], limits["C"])


def _number(text: str) -> int:
    """Read a number as C does."""
    is_octal = len(text) > 1 and text.isdecimal() and text[0] == "0"
    return int(text, 8) if is_octal else int(text, 0)
