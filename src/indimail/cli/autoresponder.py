"""`autoresponder`: answer a mail, from a dot-qmail file; the file goes on.

    |autoresponder -q "$HOME/.vacation.msg" "$HOME/.vacation.dir"

The text is the file's, with words of the mail for %S Subject, %F From, %T To, %C Cc, %B Bcc, %D Date,
%M Message-ID, %m the same without brackets, %R the recipient, %r the sender, %d the day, %t the time
of the reply, %% a %.  It goes to SENDER with an empty envelope sender.  The directory keeps who was
answered: at most -n replies in -t seconds.

Silent, and 0, are mails that `delivery.autoreply` or the control files badrcptto and badrcptpatterns
object to, replies that the queue refuses for good, and those before -b and after -e.  What was done
is a line on standard output, with -q none.

Exit codes: 0; 111 wrong use, a variable is missing, or try again later.

Source: spec/delivery.md 7; RFC 3834.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Final

from indimail.cli.program_line import (
    TEMPORARY,
    Ended,
    address,
    attempt,
    forward,
    make_seekable,
    message,
    variable,
)
from indimail.cli.root import add_root

if TYPE_CHECKING:
    from indimail.delivery.autoreply import Mail

PROGRAM: Final = "autoresponder"
LONGEST_HEADER: Final = 262_144
LONGEST_TEXT: Final = 1 << 20
WEEK: Final = 604_800
PREFIX: Final = "Autoreply: Re: "
PLAIN: Final = "text/plain; charset=utf-8"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_root(parser)
    flag = parser.add_argument
    flag("-c", dest="enclose", action="store_true", help="enclose the mail")
    flag("-q", dest="quiet", action="store_true", help="do not tell what was done")
    flag("-l", dest="lax", action="store_true", help="also where To, Cc and Bcc do not name us")
    flag("-L", dest="links", action="store_true", help="no hard links (there are none)")
    flag("-N", dest="show", action="store_true", help="print the reply and send none")
    flag("-n", dest="most", type=int, default=1, metavar="N", help="replies to each (1)")
    flag("-t", dest="window", type=int, default=WEEK, metavar="SECONDS", help="in so long (a week)")
    flag("-T", dest="type", default=PLAIN, metavar="TYPE", help="content type, or a file with it")
    flag("-s", dest="prefix", default=PREFIX, metavar="TEXT", help=f"before the subject ({PREFIX})")
    flag("-S", dest="subject", metavar="TEXT", help="the subject")
    flag("-b", dest="begin", type=_moment, metavar="TIME", help="from then on: 2026-12-24 08:00:00")
    flag("-e", dest="end", type=_moment, metavar="TIME", help="until then")
    flag("-f", dest="from_", metavar="FROM", help="who answers (the recipient)")
    flag("file", metavar="FILE", help="the text")
    flag("directory", metavar="DIR", help="keeps who was answered")


def run(args: argparse.Namespace) -> int:
    """Answer."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    told = _answer(args, _mail(), time.time())
    if not args.quiet:
        print(f"{PROGRAM}: {told}", file=sys.stderr if args.show else sys.stdout)
    return 0


def _answer(args: argparse.Namespace, mail: "Mail", now: float) -> str:
    """Answer a mail; return what was done."""
    from indimail.delivery.autoreply import objection  # noqa: PLC0415 - not for --help

    if now < (args.begin or 0):
        return "silent: it is before -b"
    if args.end is not None and now > args.end:
        return "silent: it is after -e"
    why = objection(mail, lax=args.lax) or _refusal(args.root, mail.sender)
    if why:
        return f"silent: {why}"
    pieces = _reply(args, mail, now)
    if args.show:
        sys.stdout.buffer.writelines(pieces)
        return "shown, not sent"
    try:
        return _send(args, mail.sender, pieces, now)
    except Ended as end:
        if end.code == TEMPORARY:
            raise
        return f"silent: {end}"  # the mail is no worse for it


def _send(args: argparse.Namespace, to: str, pieces: Iterable[bytes], now: float) -> str:
    """Send a reply where not too many were sent.  Commit point: it is in the queue."""
    from indimail.mailbox.answered import MOST, answered, key_of, note_answer  # noqa: PLC0415

    with answered(args.directory, now, args.window) as senders:
        if senders.count(key_of(to)) >= args.most:
            return f"silent: {to} was answered"
        if len(senders) >= MOST:
            return f"silent: {MOST} were answered"
        note = note_answer(args.directory, to, now, os.getpid())
    # Noted first: a crash here costs a reply, and never makes two.
    try:
        return f"qp {forward(args.root, '', [to], pieces)}"
    except BaseException:
        os.unlink(note)
        raise


# -- the mail -------------------------------------------------------------------------------------


def _mail() -> "Mail":
    from indimail.delivery.autoreply import Mail  # noqa: PLC0415 - not for --help
    from indimail.mail.header import split_header  # noqa: PLC0415

    names = ("SENDER", "RECIPIENT", "HOST")
    sender, recipient, host = (address(name, TEMPORARY) for name in names)
    line = variable("DTLINE", TEMPORARY)
    known = _known_as(recipient, host)
    size = make_seekable()
    fields, rest = split_header(os.pread(0, LONGEST_HEADER, 0))
    if size > LONGEST_HEADER and not rest:
        raise Ended("silent: the header is too long", 0)
    return Mail.read(sender, known, line, fields)


def _known_as(recipient: str, host: str) -> tuple[str, ...]:
    """Return the recipient's addresses, the one that people know first.

    A virtual domain's recipient is ``example.com-alice@example.com`` to qmail.
    """
    outside = recipient.removeprefix(f"{host}-")
    extension = os.environ.get("EXT", "")
    more = [recipient, f"{extension}@{host}"] if extension else [recipient]
    return tuple(dict.fromkeys([outside, *more]))


def _refusal(root: str | None, sender: str) -> str:
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


# -- the reply ------------------------------------------------------------------------------------


def _reply(args: argparse.Namespace, mail: "Mail", now: float) -> Iterable[bytes]:
    """Return the reply; the text is read at once, an enclosed mail later."""
    from indimail.delivery.autoreply import (  # noqa: PLC0415 - not for --help
        Reply,
        enclosing_body,
        plain_body,
        reply_header,
    )
    from indimail.mail.addresses import mailbox_of  # noqa: PLC0415
    from indimail.mail.dates import header_date  # noqa: PLC0415

    recipient = mail.named or mail.addresses[0]
    type_ = _content_type(args.type)
    text = _text(args.file, mail, recipient, now, is_html=type_.lower().startswith("text/html"))
    host = mail.addresses[0].rpartition("@")[2]
    reply = Reply(
        args.from_ or mailbox_of(recipient).written,
        mail.sender,
        _subject(args, mail.first("subject")),
        header_date(now),
        f"<{int(now)}.{os.getpid()}.{os.urandom(6).hex()}@{host}>",
        mail.message_id,
    )
    if args.enclose:
        body = enclosing_body(type_, text, message(), f"=_{os.urandom(16).hex()}")
    else:
        body = plain_body(type_, text)
    return chain([reply_header(reply)], body)


def _text(path: str, mail: "Mail", recipient: str, now: float, *, is_html: bool) -> bytes:
    from indimail.delivery.autoreply import fill, words_of  # noqa: PLC0415 - not for --help

    with open(path, "rb") as file:
        octets = file.read(LONGEST_TEXT)
    text = octets.replace(b"\r\n", b"\n").decode("utf-8", "surrogateescape")
    today = time.localtime(now)
    day, clock = time.strftime("%Y-%m-%d", today), time.strftime("%H:%M:%S", today)
    found = words_of(mail, recipient, day, clock)
    words = {letter: _readable(word) for letter, word in found.items()}
    if is_html:  # a stranger's text is text there too
        from html import escape  # noqa: PLC0415

        words = {letter: escape(word) for letter, word in words.items()}
    return fill(text, words).encode("utf-8", "surrogateescape")


def _subject(args: argparse.Namespace, original: str) -> str:
    if args.subject is not None:
        return _encoded(args.subject)
    if args.prefix.isascii():
        return f"{args.prefix}{original}"
    return f"{_encoded(args.prefix)} {original}"


def _content_type(given: str) -> str:
    if not os.path.exists(given):
        return given
    with open(given, "rb") as file:
        return file.readline(LONGEST_HEADER).decode("utf-8", "replace").strip()


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


def _moment(text: str) -> float:
    from datetime import datetime  # noqa: PLC0415 - few need it

    return datetime.fromisoformat(text).timestamp()
