"""Quotas as users write them and as they are stored, and what a mailbox holds now.

    parse_quota("50M")            -> '52428800'
    parse_quota("50M,1000")       -> '52428800,1000'
    usage("/.../alice/Maildir")   -> Usage(octets=2048, messages=2)

Sources: spec/delivery.md 1.3 (quota string), 2.2 (what vadduser stores), 8.3 (what counts).
Not here: the file maildirsize, the decision at a delivery (`delivery.quota`).
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

NO_QUOTA: Final = "NOQUOTA"

_QUOTA: Final = re.compile(r"(0[xX][0-9a-fA-F]+|\d+)([kKmMgG]?)[sS]?(?:,(\d+)[cC]?)?\Z")
_SCALE: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SIZE_IN_NAME: Final = re.compile(r",S=(\d+)")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a mailbox holds, Trash not counted."""

    octets: int
    messages: int


def parse_quota(text: str) -> str | None:
    """Return what is stored: ``NOQUOTA``, octets, or octets and messages; None: not understood."""
    if text.upper() == NO_QUOTA:
        return NO_QUOTA
    found = _QUOTA.match(text)
    if not found:
        return None
    number, scale, count = found.groups()
    try:
        octets = _number(number) * _SCALE[scale.lower()]
    except ValueError:  # an octal number with an 8
        return None
    return f"{octets},{count}" if count else str(octets)


def octets_of(stored: str) -> int:
    """Return the octets of a stored quota; 0 is no limit."""
    found = _QUOTA.match(stored)
    if not found:
        return 0
    try:
        return _number(found[1]) * _SCALE[found[2].lower()]
    except ValueError:
        return 0


def usage(maildir: str) -> Usage:
    """Add up the messages of a Maildir and its folders; a missing one is empty."""
    octets = messages = 0
    for folder in _folders(maildir):
        for size in _sizes(folder):
            octets += size
            messages += 1
    return Usage(octets, messages)


def _number(text: str) -> int:
    """Read a number as C does: 0x is hexadecimal, a leading 0 octal."""
    is_octal = len(text) > 1 and text.isdecimal() and text[0] == "0"
    return int(text, 8) if is_octal else int(text, 0)


def _folders(maildir: str) -> Iterator[str]:
    try:
        names = os.listdir(maildir)
    except OSError:
        return
    yield maildir
    for name in names:
        if name.startswith(".") and name != ".Trash":
            yield os.path.join(maildir, name)


def _sizes(folder: str) -> Iterator[int]:
    for part in ("new", "cur"):
        try:
            entries = list(os.scandir(os.path.join(folder, part)))
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            named = _SIZE_IN_NAME.search(entry.name)
            if named:
                yield int(named[1])
            else:
                try:
                    yield entry.stat().st_size
                except FileNotFoundError:
                    continue  # a reader was faster
