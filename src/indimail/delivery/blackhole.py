"""Senders whose mail to virtual users is taken and discarded.

    hole = parse_black_hole(lines_of_blackholedsender, lines_of_blackholedpatterns)
    hole.find("eve@noise.example")      -> Rule("control/blackholedsender", 2), or None

`blackholedsender` has whole addresses, and ``@host`` for all of a host; `blackholedpatterns` has
shell patterns (`mail.addresslist`).

Source: spec/delivery.md 5.2 (4), 10 (16).  Not here: blackholedsender at MAIL (`policy`).
"""

from collections.abc import Sequence
from typing import Final

from indimail.mail.addresslist import NO_ADDRESSES, AddressList, parse_address_list
from indimail.mail.line import Line

BlackHole = AddressList
EMPTY: Final = NO_ADDRESSES


def parse_black_hole(senders: Sequence[Line], patterns: Sequence[Line]) -> BlackHole:
    """Read both files."""
    return parse_address_list(senders, patterns)


def discarding(sender: str) -> str:
    """Return vdelivermail's text."""
    return f"vdelivermail: Discarding BlackHoled Address [{sender}]"
