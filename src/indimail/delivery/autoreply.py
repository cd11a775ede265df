r"""Automatic replies: whether a mail gets one, and how it is written.

    mail = Mail.read(sender, ("alice@example.com",), dtline, split_header(head)[0])
    objection(mail, lax=False)             -> "", or why nobody is answered
    fill("I am away. (%S)", words_of(mail, "alice@example.com", "2026-12-24", "08:00:00"))

Who wrote by hand to a person gets an answer; a list, a program, a bounce, or who did not name the
recipient gets none.  No text of a stranger can add a field or a line to the reply's header.

Sources: spec/delivery.md 7 (autoresponder); RFC 3834 2 (when), 3.1 (fields), 5 (Auto-Submitted);
RFC 5322 3.6.4.  Not here: how often somebody is answered (`mailbox.answered`), files and the queue
(`cli.autoresponder`).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from indimail.mail.addresses import parse_addresses, quoted
from indimail.mail.header import field_name, split_header

NAMING: Final = ("to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc")
LISTS: Final = ("list-", "mailing-list", "x-mailing-list", "x-ml-name")
BULK: Final = frozenset({"junk", "bulk", "list"})
LONGEST_VALUE: Final = 900  # octets; RFC 5322 2.1.1 allows 998 on a line
_MESSAGE_ID: Final = re.compile(r"<[!-;=?-~]+>")
_FOLD: Final = re.compile(r"\r?\n")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]+")
_LETTER: Final = re.compile(r"%([SDdtTCBFRrMm%])")


@dataclass(frozen=True, slots=True)
class Mail:
    """What came: the envelope sender, the recipient's addresses, the fields by lower-case name.

    Each field is on one line; `is_looping`: it has the recipient's Delivered-To already.
    """

    sender: str
    addresses: tuple[str, ...]
    values: Mapping[str, Sequence[str]]
    is_looping: bool = False

    @classmethod
    def read(
        cls, sender: str, addresses: tuple[str, ...], delivered_to: bytes, fields: Sequence[bytes]
    ) -> Self:
        """Read a mail's header; `delivered_to` is DTLINE."""
        values: dict[str, list[str]] = {}
        for octets in fields:
            text = octets.partition(b":")[2].decode("utf-8", "replace")
            value = _CONTROLS.sub(" ", _FOLD.sub("", text)).strip()
            values.setdefault(field_name(octets), []).append(value)
        return cls(sender, addresses, values, delivered_to in fields)

    def first(self, name: str) -> str:
        """Return a field's value, short enough for a line; empty where there is none."""
        value = self.values.get(name, [""])[0].encode()
        return value[:LONGEST_VALUE].decode("utf-8", "ignore")

    @property
    def named(self) -> str:
        """The recipient's address that To, Cc, Bcc or their Resent- forms have, or nothing."""
        mine = {address.lower(): address for address in self.addresses}
        found = (
            str(mailbox).lower()
            for name in NAMING
            for value in self.values.get(name, ())
            for mailbox in parse_addresses(value).mailboxes
        )
        return next((mine[address] for address in found if address in mine), "")

    @property
    def message_id(self) -> str:
        """The Message-ID with its brackets, or nothing."""
        found = _MESSAGE_ID.search(self.first("message-id"))
        return found.group() if found else ""


def objection(mail: Mail, *, lax: bool) -> str:
    """Return why nobody is answered, or nothing.  `lax`: also who did not name the recipient."""
    return (
        _of_sender(mail)
        or _of_header(mail)
        or ("" if lax or mail.named else "the recipient is not in To, Cc or Bcc")
    )


def _of_sender(mail: Mail) -> str:
    sender = mail.sender.lower()
    local, at, host = sender.rpartition("@")
    if sender in {"", "#@[]"}:
        return "a bounce"
    if not (at and local and host) or not sender.isprintable():
        return "the sender is no address"
    if local == "mailer-daemon" or local.startswith("owner-") or local.endswith("-request"):
        return "the sender is a program"
    if sender in {address.lower() for address in mail.addresses}:
        return "the sender is the recipient"
    return ""


def _of_header(mail: Mail) -> str:
    values = mail.values
    if mail.is_looping:
        return "a loop: it has the recipient's Delivered-To"
    listed = next((name for name in values if name.startswith(LISTS)), "")
    if listed:
        return f"mail of a list: {listed}"
    if any(_word(value) != "no" for value in values.get("auto-submitted", ())):
        return "an automatic mail: auto-submitted"
    if any(_word(value) in BULK for value in values.get("precedence", ())):
        return "mail for many: precedence"
    if any(value.lower().startswith("yes,") for value in values.get("x-bogosity", ())):
        return "spam: x-bogosity"
    return ""


def _word(value: str) -> str:
    """Return a value's first word; a comment in front is none that means ``no``."""
    return value.lower().partition(";")[0].partition("(")[0].strip()


# -- the reply ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply:
    """What the reply's header says; `from_` and `subject` as a header has them."""

    from_: str
    to: str
    subject: str
    date: str
    message_id: str
    answered_id: str = ""


def reply_header(reply: Reply) -> bytes:
    """Return the fields without those of MIME.  Each value stays on its line, whatever it holds."""
    local, _, host = reply.to.rpartition("@")
    values = {
        "From": reply.from_,
        "To": f"{quoted(local)}@{host}",
        "Subject": reply.subject,
        "Date": reply.date,
        "Message-ID": reply.message_id,
        "In-Reply-To": reply.answered_id,
        "References": reply.answered_id,
        "Auto-Submitted": "auto-replied",
    }
    return b"".join(
        f"{name}: {_CONTROLS.sub(' ', value)}\n".encode("utf-8", "surrogateescape")
        for name, value in values.items()
        if value
    )


def plain_body(content_type: str, text: bytes) -> tuple[bytes, ...]:
    """Return the fields of MIME, the empty line and the text."""
    return (b"MIME-Version: 1.0\n", *_part(content_type, text))


def enclosing_body(
    content_type: str, text: bytes, original: Iterable[bytes], boundary: str
) -> Iterable[bytes]:
    """Yield the same with the original behind the text (RFC 2046 5.1.3, 5.2.1)."""
    yield (
        "MIME-Version: 1.0\n"
        f'Content-Type: multipart/mixed; boundary="{boundary}"\n'
        f"Content-Transfer-Encoding: 8bit\n\n--{boundary}\n"
    ).encode()
    yield from _part(content_type, text)
    yield (
        f"\n--{boundary}\n"
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n"
        "Content-Disposition: inline\n\n"
    ).encode()
    yield from original
    yield f"\n--{boundary}--\n".encode()


def _part(content_type: str, text: bytes) -> tuple[bytes, bytes]:
    encoding = "7bit" if text.isascii() else "8bit"
    ended = text if text.endswith(b"\n") else text + b"\n"
    type_ = _CONTROLS.sub(" ", content_type)
    fields = f"Content-Type: {type_}\nContent-Transfer-Encoding: {encoding}\n\n"
    return fields.encode("utf-8", "surrogateescape"), ended


def fill(text: str, words: Mapping[str, str]) -> str:
    """Put words for ``%S`` and its kind; ``%%`` is a ``%``, all else stays."""
    return _LETTER.sub(lambda found: words.get(found[1], "") if found[1] != "%" else "%", text)


def words_of(mail: Mail, recipient: str, day: str, clock: str) -> dict[str, str]:
    """Return what each letter stands for, as the header has it (maybe with encoded words)."""
    return {
        "S": mail.first("subject"),
        "F": mail.first("from"),
        "T": mail.first("to"),
        "C": mail.first("cc"),
        "B": mail.first("bcc"),
        "D": mail.first("date"),
        "d": day,
        "t": clock,
        "R": recipient,
        "r": mail.sender,
        "M": mail.message_id,
        "m": mail.message_id.strip("<>"),
    }


def own_header(text: bytes) -> tuple[dict[str, str], bytes]:
    """Return the Subject and From that a text begins with, and what stands below its empty line.

    A text that begins otherwise is one, whatever looks like a field in it.
    """
    fields, below = split_header(text)
    if not fields or field_name(fields[0]) not in {"subject", "from"}:
        return {}, text
    found = {
        field_name(field): _FOLD.sub(
            "", field.partition(b":")[2].decode("utf-8", "replace")
        ).strip()
        for field in reversed(fields)
    }
    return found, below
