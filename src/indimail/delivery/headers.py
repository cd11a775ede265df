"""The lines a delivery puts in front of the message.

    prepended("bob@example.org", "example.com-alice@example.com", 7, "mx.example.com", 555, date)

    Return-Path: <bob@example.org>
    Delivered-To: example.com-alice@example.com
    X-Filter: None
    Received: indimail-virtual 7 by host mx.example.com (invoked by uid 555); <date>

That is vdelivermail's; qmail-local's own copies have the first two lines alone (`ahead`).
`forwarded` is the same for what is sent on, `ahead_of_command` for a command of vdelivermail's.

Delivered-To names qmail's local address, with the virtual domain's prefix: that is the address
whose second passage is a loop.  No address can add a line: control characters become ``_``.
Lines end in LF.  Not hot enough to cache whole: about a microsecond.

Source: spec/delivery.md 4 (Delivered-To, Return-Path), 5.5; RFC 5321 4.4 (Return-Path), 4.1.2
(quoting).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from indimail.mail.addresses import quoted as quoted_local

_CONTROLS: Final = dict.fromkeys([*range(32), 127], "_")


def prepended(
    sender: str, local_address: str, queue_id: int, host: str, uid: int, date: str
) -> bytes:
    """Return the block for a copy that vdelivermail stores.

    `queue_id` stands where IndiMail has a process number; `date` is an RFC 5322 date-time.
    """
    return (
        f"{return_path(sender)}"
        f"Delivered-To: {_on_one_line(local_address)}\n"
        "X-Filter: None\n"
        f"Received: indimail-virtual {queue_id} by host {host} (invoked by uid {uid}); {date}\n"
    ).encode("utf-8", "surrogateescape")


def ahead(sender: str, local_address: str) -> bytes:
    """Return the block for a copy that qmail-local stores, in a Maildir or an mbox."""
    return return_path(sender).encode("utf-8", "surrogateescape") + delivered_to(local_address)


def ahead_of_command(line: str, recipient: str, queue_id: int, uid: int, date: str) -> bytes:
    """Return the block that vdelivermail puts in front of a command's input."""
    return (
        f"X-Forwarded-To: {_on_one_line(line)}\n"
        f"X-Forwarded-For: {_on_one_line(recipient)}\n"
        "X-Filter: None\n"
        f"Received: (indimail {queue_id} invoked by uid {uid}); {date}\n"
    ).encode("utf-8", "surrogateescape")


def return_path(sender: str) -> str:
    """Return the Return-Path line."""
    return f"Return-Path: <{quoted(sender)}>\n"


def from_line(sender: str, date: str) -> str:
    """Return the From_ line; `date` as asctime(3) gives it, in UTC."""
    name = "-".join(_on_one_line(sender).split(" ")) or "MAILER-DAEMON"
    return f"From {name} {date}\n"


def delivered_to(local_address: str) -> bytes:
    """Return the Delivered-To line alone, as `prepended` writes it and the loop check seeks it."""
    line = f"Delivered-To: {_on_one_line(local_address)}\n"
    return line.encode("utf-8", "surrogateescape")


def forwarded(
    delivered_to: bytes, recipients: Sequence[str], sender: str, extra: bytes = b""
) -> bytes:
    """Return the block for a message that is sent on: who it was for, to whom it goes, from whom.

    `delivered_to` is the whole line, `extra` whole lines that qmail-queue kept apart (QQEH).
    """
    to = "".join(f"X-Forwarded-To: {_on_one_line(recipient)}\n" for recipient in recipients)
    lines = f"{to}X-Forwarded-For: {_on_one_line(sender)}\n"
    return delivered_to + lines.encode("utf-8", "surrogateescape") + extra


@lru_cache(maxsize=4096)
def quoted(address: str) -> str:
    """Return the address with its local part quoted where the syntax asks for it."""
    local, at, domain = _on_one_line(address).rpartition("@")
    if not at:
        local, domain = domain, ""
    return f"{quoted_local(local)}{at}{domain}"


def printable(text: str) -> str:
    """Return a text of one line that can be shown: white space as blanks, the rest as ``_``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "_" for c in text)


def _on_one_line(text: str) -> str:
    return text if text.isprintable() else text.translate(_CONTROLS)
