r"""The part of a report that programs read: the fields of RFC 3464.

    delivery_status(message, reported, "mx.example.com")

    Reporting-MTA: dns; mx.example.com
    Arrival-Date: Tue, 11 Nov 2025 10:00:00 +0000

    Original-Recipient: rfc822; Ana@example.com
    Final-Recipient: rfc822; ana@example.com
    Action: failed
    Status: 5.2.2
    Diagnostic-Code: X-IndiMail; Over quota. (#5.2.2)
    Last-Attempt-Date: Tue, 11 Nov 2025 10:00:01 +0000

For a message that came with SMTPUTF8 addresses and texts are written as they are (RFC 6533 4.1);
for another one all is ASCII, and an address that is not becomes ``utf-8; \x{E9}@example.com``.
What was xtext is decoded, as far as it prints.  Lines end in LF and no field can end early.

Sources: RFC 3464 2; RFC 3461 4 (xtext), 6.3, 9.2; RFC 6533 3, 4.1.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from indimail.delivery.headers import printable, quoted
from indimail.delivery.qsbmf import server
from indimail.delivery.reported import TEXT_SHOWN, ReportedMessage, ReportedRecipient
from indimail.mail.dates import header_date
from indimail.mail.dsn import Dsn, utf8_address

_XTEXT: Final = re.compile(r"\+([2-6][0-9A-F]|7[0-9A-E])")
_UNITEXT: Final = re.compile(r"\\x\{([0-9A-F]{2,6})\}")
_TYPED: Final = re.compile(r"([A-Za-z0-9.-]+);(.+)", re.DOTALL)
_FOLDED: Final = re.compile(r".{1,200}(?= |$)|.{200}")  # characters; RFC 5322 2.1.1: 998 octets


def delivery_status(
    message: ReportedMessage, reported: Sequence[ReportedRecipient], mta: str
) -> str:
    """Return the part; it is ASCII, and so plain message/delivery-status, wherever it can be."""
    groups = [_of_message(message, mta), *(_of_recipient(message, one) for one in reported)]
    text = "\n".join(
        "".join(f"{name}: {value}\n" for name, value in group if value) for group in groups
    )
    return text if message.smtputf8 else text.encode("ascii", "replace").decode("ascii")


def address_in_ascii(address: str) -> str:
    r"""Return an address as it is, or with ``\x{...}`` where it is not ASCII (RFC 6533 3)."""
    text = quoted(printable(address))
    return text if text.isascii() else utf8_address(text)


def _of_message(message: ReportedMessage, mta: str) -> Iterator[tuple[str, str]]:
    yield "Original-Envelope-Id", printable(_xtext_decoded(message.envid))
    yield "Reporting-MTA", f"dns; {mta}"
    yield "Arrival-Date", header_date(message.born)


def _of_recipient(message: ReportedMessage, one: ReportedRecipient) -> Iterator[tuple[str, str]]:
    yield "Original-Recipient", printable(_original(one.orcpt, smtputf8=message.smtputf8))
    yield "Final-Recipient", _final(one.address, smtputf8=message.smtputf8)
    yield "Action", one.dsn
    yield "Status", one.status
    yield "Remote-MTA", f"dns; {server(one.peer)}" if one.peer else ""  # RFC 3464 2.2.3: a comment
    yield "Diagnostic-Code", _diagnostic(one)
    yield "Last-Attempt-Date", header_date(one.at)
    if one.dsn is Dsn.DELAYED:  # RFC 3464 2.3.9: in no other report
        yield "Will-Retry-Until", header_date(message.until)


def _original(orcpt: str, *, smtputf8: bool) -> str:
    """Return what the sender called the recipient; nothing where that has no type."""
    typed = _TYPED.fullmatch(orcpt)
    if typed is None:
        return ""
    kind, address = typed.groups()
    if kind.lower() != "utf-8":
        return f"{kind}; {_xtext_decoded(address)}"
    if smtputf8:
        return f"{kind}; {_UNITEXT.sub(_from_unitext, address)}"
    return f"{kind}; {address if address.isascii() else utf8_address(address)}"


def _final(address: str, *, smtputf8: bool) -> str:
    text = quoted(printable(address))
    if text.isascii():
        return f"rfc822; {text}"
    return f"utf-8; {text if smtputf8 else address_in_ascii(address)}"


def _diagnostic(one: ReportedRecipient) -> str:
    """Return the server's own reply (RFC 3461 9.2), else what went wrong; nothing of what did not."""
    if one.peer and one.peer.reply:
        return _folded(f"smtp; {_on_a_line(one.peer.reply.splitlines())}")
    text = _on_a_line(one.lines) if one.dsn in {Dsn.FAILED, Dsn.DELAYED} else ""
    return _folded(f"X-IndiMail; {text}") if text else ""


def _on_a_line(lines: Sequence[str]) -> str:
    text = " ".join(filter(None, map(str.strip, lines)))
    return text if len(text) <= TEXT_SHOWN else f"{text[:TEXT_SHOWN]} ..."


def _folded(text: str) -> str:
    return "\n ".join(filter(None, map(str.strip, _FOLDED.findall(printable(text)))))


def _xtext_decoded(text: str) -> str:
    return _XTEXT.sub(lambda found: chr(int(found[1], 16)), text)


def _from_unitext(found: re.Match[str]) -> str:
    point = int(found[1], 16)
    return chr(point) if point <= 0x10FFFF and chr(point).isprintable() else found[0]
