"""What `autoresponder` and `vacation` share: the mail, whether it is answered, the reply, how often.

    mail = received(variable("DTLINE"))
    why = refusal(root, mail, lax=False)            # why nobody is answered, or nothing
    pieces = reply_to(mail, Answer(text), now)
    send_once(root, mail.sender, pieces, History("./answered", window=604_800), now)

What is told is a line such as ``qp 1024`` or ``silent: a bounce``.

Source: spec/delivery.md 7; RFC 3834.  Not here: the decisions (`delivery.autoreply`), who was answered
(`mailbox.answered`).
"""

import os
import time
from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from indimail.cli.program_line import (
    LONGEST_HEADER,
    TEMPORARY,
    Ended,
    address,
    forward,
    known_as,
    make_seekable,
    message,
)

if TYPE_CHECKING:
    from indimail.delivery.autoreply import Mail, Reply

PREFIX: Final = "Autoreply: Re: "
PLAIN: Final = "text/plain; charset=utf-8"
LONGEST_TEXT: Final = 1 << 20


def read_text(path: str) -> bytes:
    """Return a file's text."""
    with open(path, "rb") as file:
        return file.read(LONGEST_TEXT)


class Answer(NamedTuple):
    """What the reply says; without `from_` the recipient says it, without `subject` the mail's counts."""

    text: bytes
    from_: str | None = None
    subject: str | None = None
    prefix: str = PREFIX
    type: str = PLAIN
    enclose: bool = False


class History(NamedTuple):
    """Where it is kept who was answered, and how many replies each sender gets in so many seconds."""

    directory: str
    window: int
    most: int = 1


def received(delivered_to: bytes) -> "Mail":
    """Return the mail on standard input; `delivered_to` is the recipient's line."""
    from indimail.delivery.autoreply import Mail  # noqa: PLC0415 - not for --help
    from indimail.mail.header import split_header  # noqa: PLC0415

    sender, recipient = address("SENDER", TEMPORARY), address("RECIPIENT", TEMPORARY)
    size = make_seekable()
    fields, rest = split_header(os.pread(0, LONGEST_HEADER, 0))
    if size > LONGEST_HEADER and not rest:
        raise Ended("silent: the header is too long", 0)
    return Mail.read(sender, known_as(recipient), delivered_to, fields)


def refusal(root: str | None, mail: "Mail", *, lax: bool) -> str:
    """Return why nobody is answered, or nothing; badrcptto and badrcptpatterns count too."""
    from indimail.delivery.autoreply import objection  # noqa: PLC0415 - not for --help

    return objection(mail, lax=lax) or _of_control(root, mail.sender)


def _of_control(root: str | None, sender: str) -> str:
    """Return the line of a control file that refuses mail to the sender, or nothing."""
    from indimail.app.instance import find_root, open_instance  # noqa: PLC0415 - not for --help
    from indimail.control.files import read_control  # noqa: PLC0415
    from indimail.delivery.blackhole import parse_black_hole  # noqa: PLC0415

    folder = open_instance(find_root(root, os.environ), os.environ).control_dir
    lists = []
    for name in ("badrcptto", "badrcptpatterns"):
        file, mistakes = read_control(os.path.join(folder, name), f"control/{name}")
        if mistakes:
            raise Ended(str(mistakes[0]), TEMPORARY)
        lists.append(file.lines)
    rule = parse_black_hole(*lists).find(sender)  # the same forms
    return "" if rule is None else f"{rule} refuses {sender}"


def send_once(
    root: str | None, to: str, pieces: Iterable[bytes], history: History, now: float
) -> str:
    """Send a reply where not too many were sent.  Commit point: it is in the queue."""
    from indimail.mailbox.answered import MOST, answered, key_of, note_answer  # noqa: PLC0415

    with answered(history.directory, now, history.window) as senders:
        if senders.count(key_of(to)) >= history.most:
            return f"silent: {to} was answered"
        if len(senders) >= MOST:
            return f"silent: {MOST} were answered"
        note = note_answer(history.directory, to, now, os.getpid())
    # Noted first: a crash here costs a reply, and never makes two.
    try:
        return f"qp {forward(root, '', [to], pieces)}"
    except BaseException:
        os.unlink(note)
        raise


def or_silent(work: Callable[[], str]) -> str:
    """Send, and return what was done; the mail is no worse for a reply that is refused for good."""
    try:
        return work()
    except Ended as end:
        if end.code == TEMPORARY:
            raise
        return f"silent: {end}"


# -- the reply ------------------------------------------------------------------------------------


def reply_to(mail: "Mail", answer: Answer, now: float) -> Iterable[bytes]:
    """Return the reply; a mail that is enclosed is read later."""
    from indimail.delivery.autoreply import (  # noqa: PLC0415 - not for --help
        enclosing_body,
        plain_body,
        reply_header,
    )

    recipient = mail.named or mail.addresses[0]
    subject = _subject(answer, mail.first("subject"))
    header = reply_header(header_of(mail, answer.from_, subject, now))
    text = _filled(answer, mail, recipient, now)
    if answer.enclose:
        body = enclosing_body(answer.type, text, message(), f"=_{os.urandom(16).hex()}")
    else:
        body = plain_body(answer.type, text)
    return chain([header], body)


def header_of(mail: "Mail", from_: str | None, subject: str, now: float) -> "Reply":
    """Return what stands in the header of a reply."""
    from indimail.delivery.autoreply import Reply  # noqa: PLC0415 - not for --help
    from indimail.mail.addresses import mailbox_of  # noqa: PLC0415
    from indimail.mail.dates import header_date  # noqa: PLC0415

    host = mail.addresses[0].rpartition("@")[2]
    return Reply(
        from_ or mailbox_of(mail.named or mail.addresses[0]).written,
        mail.sender,
        subject,
        header_date(now),
        f"<{int(now)}.{os.getpid()}.{os.urandom(6).hex()}@{host}>",
        mail.message_id,
    )


def _filled(answer: Answer, mail: "Mail", recipient: str, now: float) -> bytes:
    from indimail.delivery.autoreply import fill, words_of  # noqa: PLC0415 - not for --help

    text = answer.text.replace(b"\r\n", b"\n").decode("utf-8", "surrogateescape")
    today = time.localtime(now)
    day, clock = time.strftime("%Y-%m-%d", today), time.strftime("%H:%M:%S", today)
    found = words_of(mail, recipient, day, clock)
    words = {letter: _readable(word) for letter, word in found.items()}
    if answer.type.lower().startswith("text/html"):  # a stranger's text is text there too
        from html import escape  # noqa: PLC0415

        words = {letter: escape(word) for letter, word in words.items()}
    return fill(text, words).encode("utf-8", "surrogateescape")


def _subject(answer: Answer, original: str) -> str:
    if answer.subject is not None:
        return _encoded(answer.subject)
    if answer.prefix.isascii():
        return f"{answer.prefix}{original}"
    return f"{_encoded(answer.prefix)} {original}"


def _readable(text: str) -> str:
    """Return a text with its encoded words decoded (RFC 2047), where they can be."""
    if "=?" not in text:
        return text
    from email.errors import HeaderParseError  # noqa: PLC0415 - few need it
    from email.header import decode_header, make_header  # noqa: PLC0415

    try:
        return str(make_header(decode_header(text)))
    except (HeaderParseError, LookupError, ValueError):
        return text


def _encoded(text: str) -> str:
    """Return a header's text in encoded words, where it needs them."""
    if text.isascii():
        return text
    from email.header import Header  # noqa: PLC0415 - few need it

    return Header(text, "utf-8", maxlinelen=0).encode()
