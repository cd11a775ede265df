"""The bounce: who is told that a message failed, and the mail that tells it; other reports too.

    match addressed(message.reverse_path, settings):
        case Discard() as why: ...                  # nobody; a line in the log
        case Addressed() as envelope:
            copy = enclosed(pieces, message, settings, bounce_id, Dsn.FAILED)
            bounce = compose(envelope, settings, message, reported, copy, bounce_id, now)
            bounce.head; ...                        # then `copy.size` octets of the message
            bounce.tail

It is a multipart/report: a text for people, of a failure in qmail's format, a report for programs,
and the message or its header.  All is composed from records, so one that has not left may get more
recipients until it is composed; composed again from the same records it is the same.

Everything in it that came from strangers is one printable line of text, or inside a part whose
boundary does not occur in it.  8-bit octets are declared and not encoded, since qmail's format is
read as it stands; UTF-8 in a header or in parts of RFC 6533 is for peers with SMTPUTF8.  Line ends
are LF, times seconds since the epoch.

Sources: spec/queue.md 4; RFC 6522; RFC 3464; RFC 3461 4.3, 6; RFC 6533 4; RFC 3834 5.
Not here: when a bounce leaves (`serve`), the report's fields (`delivery.report`), the texts
(`delivery.qsbmf`, `delivery.notice`), SRS (`serve.bounce`), BOUNCEQUEUE and BOUNCEPROCESSOR.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from indimail.delivery import notice, qsbmf
from indimail.delivery.headers import printable, quoted
from indimail.delivery.original import Copy, examine
from indimail.delivery.qsbmf import Enclosed
from indimail.delivery.report import address_in_ascii, delivery_status
from indimail.delivery.reported import ReportedMessage, ReportedRecipient
from indimail.delivery.verp import reduced
from indimail.mail.dates import header_date
from indimail.mail.dsn import Dsn
from indimail.mail.errors import Misuse

DOUBLE_BOUNCE: Final = "#@[]"  # the reverse-path of a double bounce
STRIPPED: Final = "--- End of message stripped.\n"
_WORD: Final = 63  # characters of an encoded-word, without the 12 around them (RFC 2047 2)


@dataclass(frozen=True, slots=True)
class BounceSettings:
    """The control files; `...message` takes the place of the apology where it has lines.

    An empty `doublebounceto`, or one that begins with ``@``: double bounces are discarded.
    `delaywarn` is the age, in seconds, at which a delay is told; 0: never.
    """

    me: str = "localhost"
    bouncefrom: str = "MAILER-DAEMON"
    bouncehost: str = "localhost"
    bouncesubject: str = "failure notice"
    bouncemessage: tuple[str, ...] = ()
    bouncemaxbytes: int = 50_000  # 0 = the whole message
    doublebounceto: str = "postmaster"
    doublebouncehost: str = "localhost"
    doublebouncesubject: str = "failure notice"
    doublebouncemessage: tuple[str, ...] = ()
    delaywarn: float = 14_400
    queuelifetime: float = 604_800


@dataclass(frozen=True, slots=True)
class Addressed:
    """A bounce's envelope.  It asks for no DSN parameters (RFC 3461 6.1)."""

    reverse_path: str
    recipient: str

    @property
    def is_double(self) -> bool:
        """Tell whether a bounce bounced."""
        return self.reverse_path == DOUBLE_BOUNCE


class Discard(Enum):
    """Nobody is told: how the line in the log begins (spec/queue.md 4.2)."""

    DOUBLE = "double bounce: discarding"
    TRIPLE = "triple bounce: discarding"


@dataclass(frozen=True, slots=True)
class Bounce:
    """A composed bounce: `head`, the first `copied` octets of the original, `tail`."""

    envelope: Addressed
    head: bytes
    copied: int
    tail: bytes
    eight_bit: bool
    smtputf8: bool

    @property
    def size(self) -> int:
        """Octets in all."""
        return len(self.head) + self.copied + len(self.tail)


def addressed(reverse_path: str, settings: BounceSettings) -> Addressed | Discard:
    """Decide who is told of the failure of mail with this reverse-path."""
    if reverse_path == DOUBLE_BOUNCE:
        return Discard.TRIPLE
    sender = reduced(reverse_path)
    if sender:
        return Addressed("", sender)
    to = settings.doublebounceto.strip()
    if not to or to.startswith("@"):
        return Discard.DOUBLE
    return Addressed(DOUBLE_BOUNCE, f"{to}@{settings.doublebouncehost}")


def enclosed(
    pieces: Iterable[bytes], message: ReportedMessage, settings: BounceSettings, bounce_id: int,
    dsn: Dsn = Dsn.FAILED,
) -> Copy:  # fmt: skip
    """Decide what of the message is enclosed; without RET it is the message (RFC 6522 3).

    RET is about failures: with other reports it is the header (RFC 3461 4.3).  `pieces` are its
    octets, read once, and no further than `bouncemaxbytes`.
    """
    headers_only = message.ret.upper() == "HDRS" or dsn is not Dsn.FAILED
    return examine(
        pieces, settings.bouncemaxbytes, headers_only=headers_only, mark=_mark(bounce_id)
    )


def compose(
    envelope: Addressed, settings: BounceSettings, message: ReportedMessage,
    reported: Sequence[ReportedRecipient], copy: Copy, bounce_id: int, now: float,
) -> Bounce:  # fmt: skip
    """Return the report.

    `bounce_id` is its own queue-id; `reported` has the oldest outcome first, and failures or delays
    alone.
    """
    if not reported:
        raise Misuse("a bounce of no recipient")
    parts = (
        _notice(envelope, settings, message, reported, copy),
        _report(settings, message, reported),
        _original(message, copy),
    )
    texts = b"".join(part.octets for part in parts)
    boundary = _boundary(bounce_id, texts, copy)
    eight_bit = copy.eight_bit or not texts.isascii()
    header = _header(envelope, settings, reported, boundary, bounce_id, now, eight_bit=eight_bit)
    return Bounce(
        envelope,
        header + b"".join(b"\n--%b\n%b" % (boundary.encode(), part.whole) for part in parts),
        copy.size,
        _stripped(copy) + b"\n--%b--\n" % boundary.encode(),
        eight_bit=eight_bit or not header.isascii(),
        smtputf8=not header.isascii() or any(part.is_global for part in parts),
    )


# -- the header ----------------------------------------------------------------------------------


def _header(
    envelope: Addressed, settings: BounceSettings, reported: Sequence[ReportedRecipient],
    boundary: str, bounce_id: int, now: float, *, eight_bit: bool,
) -> bytes:  # fmt: skip
    """Return the header, in IndiMail's order.  UTF-8 where the recipient's address is."""
    dsn, bounced = reported[-1].dsn, f"<{address_in_ascii(reported[-1].address)}>"
    author = f"{settings.bouncefrom}@{settings.bouncehost}"
    fields = [
        ("Date", header_date(now)),
        *([("X-Bounced-Address", bounced)] if dsn is Dsn.FAILED else []),
        ("From", address_in_ascii(author)),
        ("To", quoted(printable(envelope.recipient))),
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/report; report-type=delivery-status;\n boundary="{boundary}"'),
        *([("Content-Transfer-Encoding", "8bit")] if eight_bit else []),
        ("Subject", encoded_words(printable(_subject(envelope, settings, dsn)))),
        ("Auto-Submitted", "auto-replied"),
        ("Message-ID", f"<{bounce_id}.bounce@{settings.bouncehost}>"),
    ]
    return "".join(f"{name}: {value}\n" for name, value in fields).encode()


def _subject(envelope: Addressed, settings: BounceSettings, dsn: Dsn) -> str:
    if dsn is not Dsn.FAILED:
        return notice.subject(dsn)
    return settings.doublebouncesubject if envelope.is_double else settings.bouncesubject


def encoded_words(text: str) -> str:
    """Return an unstructured text as it is, or as encoded-words (RFC 2047) if it is not ASCII."""
    if text.isascii():
        return text
    words, word = [], ""
    for char in text:
        more = char if char.isascii() and char.isalnum() else _as_q(char)
        if len(word) + len(more) > _WORD:
            words.append(word)
            word = ""
        word += more
    return "\n ".join(f"=?utf-8?Q?{word}?=" for word in [*words, word])


def _as_q(char: str) -> str:
    return "".join(f"={octet:02X}" for octet in char.encode())


# -- the parts -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the bounce, as far as it is composed here."""

    kind: str
    octets: bytes
    eight_bit: bool

    @property
    def whole(self) -> bytes:
        encoding = "Content-Transfer-Encoding: 8bit\n" if self.eight_bit else ""
        return f"Content-Type: {self.kind}\n{encoding}\n".encode() + self.octets

    @property
    def is_global(self) -> bool:
        return self.kind.startswith("message/global")


def _notice(
    envelope: Addressed, settings: BounceSettings, message: ReportedMessage,
    reported: Sequence[ReportedRecipient], copy: Copy,
) -> _Part:  # fmt: skip
    double = envelope.is_double
    own = settings.doublebouncemessage if double else settings.bouncemessage
    last = Enclosed.HEADER if copy.headers_only else Enclosed.MESSAGE
    if reported[0].dsn is Dsn.FAILED:
        text = qsbmf.notice(settings.bouncehost, own, reported, Enclosed.BOUNCE if double else last)
    else:
        text = notice.notice(settings.bouncehost, reported, message.until)
    charset = "us-ascii" if text.isascii() else "utf-8"
    return _Part(f"text/plain; charset={charset}", text.encode(), not text.isascii())


def _report(
    settings: BounceSettings, message: ReportedMessage, reported: Sequence[ReportedRecipient]
) -> _Part:
    text = delivery_status(message, reported, settings.me)
    kind = "message/delivery-status" if text.isascii() else "message/global-delivery-status"
    return _Part(kind, text.encode(), not text.isascii())


def _original(message: ReportedMessage, copy: Copy) -> _Part:
    """Return what is in front of the copy."""
    sender = f"Return-Path: <{quoted(printable(message.reverse_path))}>\n".encode()
    eight_bit = copy.eight_bit or not sender.isascii()
    kinds = ("text/rfc822-headers", "message/rfc822")
    if message.smtputf8 and eight_bit:
        kinds = ("message/global-headers", "message/global")
    return _Part(kinds[0] if copy.headers_only else kinds[1], sender, eight_bit)


def _stripped(copy: Copy) -> bytes:
    """Return what tells that the copy is cut: below an empty line, for it may end in a header."""
    if not copy.cut:
        return b""
    return (b"\n" if copy.ends_line else b"\n\n") + STRIPPED.encode()


def _mark(bounce_id: int) -> bytes:
    return f"=_bounce_{bounce_id}_".encode()


def _boundary(bounce_id: int, texts: bytes, copy: Copy) -> str:
    """Return a boundary that is nowhere in what it bounds."""
    mark = _mark(bounce_id)
    taken = copy.taken | examine([texts], 0, headers_only=False, mark=mark).taken
    number = min(set(range(len(taken) + 1)) - taken)
    return f"{mark.decode()}{number}_"
