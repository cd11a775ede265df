"""Delivered-To loops: a message that already went through this very address.

    is_looping(message, delivered_to("example.com-alice@example.com"))      -> False

Source: spec/delivery.md 4 (exactly equal lines, maxdeliveredto).  Not here: counting hops, which SMTP
reception does (`smtp`); the line itself (`delivery.headers`).
"""

from typing import Final

LOOPING: Final = "This message is looping: it already has my Delivered-To line. (#5.4.6)"


def is_looping(message: bytes, delivered_to: bytes, allowed: int = 0) -> bool:
    """Tell whether the header has that line more often than is `allowed` (below 0: no matter how).

    `message` has LF line ends and begins with the whole header; `delivered_to` ends in LF.
    """
    if allowed < 0:
        return False
    header_end = message.find(b"\n\n")
    end = len(message) if header_end < 0 else header_end + 1
    if allowed:
        return message[:end].split(b"\n").count(delivered_to[:-1]) > allowed
    return message.startswith(delivered_to) or message.find(b"\n" + delivered_to, 0, end) >= 0
