"""What a program's message lacks before it is mail: full addresses, recipients, fields.

    composed = compose(fields, author, Marks("<1.2@mx>", header_date(now)), hosts, Wishes())
    composed.header, composed.recipients, composed.return_path

Addresses in the fields of RFC 5322 and qmail are completed (`mail.addresses`).  Recipients come from
To, Cc, Bcc and Apparently-To; of a message with Resent- fields, from those.  Bcc, Return-Path and
Content-Length are removed.  From, Date and Message-ID are added where they are missing (in Resent-
form likewise), and a Cc where there is neither To nor Cc.

Source: spec/queue.md 6.1.  Not here: the variables and options (`cli.injection`); the queue
(`queue.submission`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from indimail.mail.addresses import Hosts, Mailbox, complete, mailbox_of
from indimail.mail.header import field_name

RECIPIENTS: Final = frozenset({"to", "cc", "bcc", "apparently-to"})
RESENT: Final = frozenset({"resent-to", "resent-cc", "resent-bcc"})
ADDRESSES: Final = RECIPIENTS | RESENT | {
    "from", "sender", "reply-to", "resent-from", "resent-sender", "resent-reply-to",
    "mail-followup-to", "mail-reply-to", "errors-to", "return-receipt-to",
    "notice-requested-upon-delivery-to", "disposition-notification-to", "return-path",
}  # fmt: skip
REMOVED: Final = frozenset({"bcc", "resent-bcc", "return-path", "content-length"})
NOBODY: Final = b"Cc: recipient list not shown: ;\n"
_QUOTING: Final = '\\"'
_COMMENTING: Final = "\\()"
_CONTROLS: Final = dict.fromkeys([*range(32), 127], " ")


@dataclass(frozen=True, slots=True)
class Author:
    """Who sends: the address, and a name for people (may be empty)."""

    address: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Marks:
    """What a message gets once: its Message-ID with brackets, and its date."""

    message_id: str
    date: str


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the author asked for: the letters f, i and c of QMAILINJECT, and QMAILMFTFILE."""

    new_from: bool = False  # whatever From the message has goes
    new_message_id: bool = False
    name_as_comment: bool = False  # ``address (Name)``
    mailing_lists: frozenset[str] = frozenset()  # lower-case; mail to one gets Mail-Followup-To


@dataclass(frozen=True, slots=True)
class Composed:
    """A header without its empty line, the recipients in it, and its Return-Path (None: none)."""

    header: bytes
    recipients: tuple[str, ...]
    return_path: str | None = None


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    octets: bytes
    mailboxes: tuple[Mailbox, ...] = ()


def compose(
    fields: Sequence[bytes],
    author: Author,
    marks: Marks,
    hosts: Hosts,
    wishes: Wishes = Wishes(),
) -> Composed:
    """Complete a header.  Lines end in LF."""
    found = [_completed(field, hosts) for field in fields]
    names = {field.name for field in found}
    resent = any(name.startswith("resent-") for name in names)
    prefix = "Resent-" if resent else ""
    removed = REMOVED | _replaced(prefix.lower(), wishes)
    kept = [field.octets for field in found if field.name not in removed]
    added = list(_missing(names - removed, prefix, author, marks, wishes))
    if not resent:
        if not names & {"to", "cc"}:
            added.append(NOBODY)
        added += _followup(found, names, wishes)
    wanted = RESENT if resent else RECIPIENTS
    return Composed(
        b"".join([*added, *kept] if resent else [*kept, *added]),
        tuple(str(m) for field in found if field.name in wanted for m in field.mailboxes),
        _return_path(found),
    )


def _completed(octets: bytes, hosts: Hosts) -> _Field:
    octets = octets if octets.endswith(b"\n") else octets + b"\n"
    name = field_name(octets)
    if name not in ADDRESSES:
        return _Field(name, octets)
    label, _, value = octets.removesuffix(b"\n").partition(b":")
    done = complete(value.decode("utf-8", "surrogateescape"), hosts.qualify)
    return _Field(name, label + b":" + _octets(done.text) + b"\n", done.mailboxes)


def _replaced(prefix: str, wishes: Wishes) -> frozenset[str]:
    names = {"from": wishes.new_from, "message-id": wishes.new_message_id}
    return frozenset(prefix + name for name, wished in names.items() if wished)


def _missing(
    names: set[str], prefix: str, author: Author, marks: Marks, wishes: Wishes
) -> Iterator[bytes]:
    origin = _mailbox(author, as_comment=wishes.name_as_comment)
    values = {"Date": marks.date, "Message-ID": marks.message_id, "From": origin}
    for name, value in values.items():
        if f"{prefix}{name}".lower() not in names:
            yield _octets(f"{prefix}{name}: {value}\n")


def _followup(found: Iterable[_Field], names: set[str], wishes: Wishes) -> Iterator[bytes]:
    """Yield a Mail-Followup-To where a mailing list of the author's gets the message."""
    if not wishes.mailing_lists or "mail-followup-to" in names:
        return
    to = [m for field in found if field.name in {"to", "cc"} for m in field.mailboxes]
    first = {str(m).lower(): m for m in reversed(to)}
    if first.keys() & wishes.mailing_lists:
        shown = [m.written for m in to if first[str(m).lower()] is m]
        yield _octets("Mail-Followup-To: " + ",\n  ".join(shown) + "\n")


def _return_path(found: Iterable[_Field]) -> str | None:
    """Return what Return-Path says; ``<>`` is the null reverse-path."""
    paths = [field for field in found if field.name == "return-path"]
    if not paths:
        return None
    return str(paths[0].mailboxes[0]) if paths[0].mailboxes else ""


def _mailbox(author: Author, *, as_comment: bool) -> str:
    address = mailbox_of(author.address).written
    name = " ".join(author.name.translate(_CONTROLS).split())
    if not name:
        return address
    if as_comment:
        return f"{address} ({_escaped(name, _COMMENTING)})"
    return f'"{_escaped(name, _QUOTING)}" <{address}>'


def _escaped(text: str, special: str) -> str:
    return "".join(f"\\{c}" if c in special else c for c in text)


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
