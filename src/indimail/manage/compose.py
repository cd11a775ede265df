"""What a program's message lacks before it is mail: recipients from its header, and fields.

    composed = compose(fields, Author("eve@example.net", "Eve"), "<1.2@mx>", header_date(now))
    composed.header, composed.recipients

Recipients come from To, Cc, Bcc and Apparently-To; of a message with Resent- fields, from those.
Bcc, Return-Path and Content-Length are removed.  From, Date and Message-ID are added where they are
missing (in Resent- form likewise), and a Cc where there is neither To nor Cc.

Source: spec/queue.md 6.1.  Not here: qmail-inject's variables and rewriting, which have their own
issue; the queue (`queue.submission`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from indimail.mail.header import addresses, field_name, field_value

RECIPIENTS: Final = ("to", "cc", "bcc", "apparently-to")
RESENT: Final = ("resent-to", "resent-cc", "resent-bcc")
REMOVED: Final = frozenset({"bcc", "resent-bcc", "return-path", "content-length"})
NOBODY: Final = b"Cc: recipient list not shown: ;\n"


@dataclass(frozen=True, slots=True)
class Author:
    """Who sends: the address, and a name for people (may be empty)."""

    address: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Composed:
    """A header without its empty line, and the recipients that stood in it."""

    header: bytes
    recipients: tuple[str, ...]


def compose(fields: Sequence[bytes], author: Author, message_id: str, date: str) -> Composed:
    """Complete a header.  Lines end in LF."""
    names = {field_name(field) for field in fields}
    resent = any(name.startswith("resent-") for name in names)
    kept = [field for field in fields if field_name(field) not in REMOVED]
    added = list(_missing(names, "Resent-" if resent else "", author, message_id, date))
    if not resent and not names & {"to", "cc"}:
        added.append(NOBODY)
    header = b"".join(map(_whole, [*added, *kept] if resent else [*kept, *added]))
    return Composed(header, tuple(_recipients(fields, RESENT if resent else RECIPIENTS)))


def _missing(
    names: set[str], prefix: str, author: Author, message_id: str, date: str
) -> Iterable[bytes]:
    values = {"Date": date, "Message-ID": message_id, "From": _mailbox(author)}
    for name, value in values.items():
        if f"{prefix}{name}".lower() not in names:
            yield f"{prefix}{name}: {value}\n".encode("utf-8", "surrogateescape")


def _recipients(fields: Sequence[bytes], wanted: Sequence[str]) -> Iterable[str]:
    for field in fields:
        if field_name(field) in wanted:
            yield from addresses(field_value(field))


def _mailbox(author: Author) -> str:
    if not author.name:
        return author.address
    name = author.name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{" ".join(name.split())}" <{author.address}>'


def _whole(field: bytes) -> bytes:
    return field if field.endswith(b"\n") else field + b"\n"
