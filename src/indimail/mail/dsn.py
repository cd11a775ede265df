"""Delivery status notifications: what a sender is told of a recipient, and what was asked for.

    Dsn.DELIVERED                            # "delivered", the Action field of RFC 3464
    without_success("SUCCESS,FAILURE")       -> "FAILURE"
    orcpt("a+b@example.com")                 -> "rfc822;a+2Bb@example.com"

NOTIFY is kept as it came (upper-case): empty, ``NEVER``, or a list of SUCCESS, FAILURE and DELAY.

Sources: RFC 3461 4 (xtext), 4.1, 4.2, 5.2.7.3; RFC 3464 2.3.3; RFC 6533 3.  Not here: who is told
what (`delivery.notify`).
"""

import re
from enum import StrEnum
from typing import Final

NEVER: Final = "NEVER"
SUCCESS: Final = "SUCCESS"
FAILURE: Final = "FAILURE"
DELAY: Final = "DELAY"
_NOT_QCHAR: Final = re.compile(r"[^!-~]|[\\+=]")
_NOT_XCHAR: Final = re.compile(r"[^!-~]|[+=]")


class Dsn(StrEnum):
    """What became of a recipient, in the words of the report's Action field."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"  # to a server that does not know what was asked for
    EXPANDED = "expanded"  # to several addresses, each of which may still fail


def asked(notify: str) -> frozenset[str]:
    """Return the words of a NOTIFY; none where there is none."""
    return frozenset(notify.upper().split(",")) if notify else frozenset()


def without_success(notify: str) -> str:
    """Return what is asked for further addresses, once success is told (RFC 3461 5.2.7.3 c).

    Who asked for success alone does not ask to be told of failures.
    """
    words = [word for word in notify.upper().split(",") if word != SUCCESS]
    return ",".join(words) or (NEVER if notify else "")


def orcpt(address: str) -> str:
    """Return the ORCPT of an address that came without one."""
    if not address.isascii():
        return f"utf-8;{utf8_address(address)}"
    return "rfc822;" + _NOT_XCHAR.sub(lambda char: f"+{ord(char[0]):02X}", address)


def utf8_address(address: str) -> str:
    r"""Return an address of type utf-8 in ASCII: ``\x{E9}@example.com`` (RFC 6533 3)."""
    return _NOT_QCHAR.sub(as_unitext, address)


def as_unitext(found: re.Match[str]) -> str:
    """Return a character in its escaped form."""
    return f"\\x{{{ord(found[0]):02X}}}"
