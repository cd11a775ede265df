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
from typing import TYPE_CHECKING, Final

from indimail.cli.answering import (
    PLAIN,
    PREFIX,
    Answer,
    History,
    or_silent,
    read_text,
    received,
    refusal,
    reply_to,
    send_once,
)
from indimail.cli.program_line import LONGEST_HEADER, TEMPORARY, attempt, variable
from indimail.cli.root import add_root

if TYPE_CHECKING:
    from indimail.delivery.autoreply import Mail

PROGRAM: Final = "autoresponder"
WEEK: Final = 604_800


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
    variable("HOST", TEMPORARY)
    told = _answer(args, received(variable("DTLINE", TEMPORARY)), time.time())
    if not args.quiet:
        print(f"{PROGRAM}: {told}", file=sys.stderr if args.show else sys.stdout)
    return 0


def _answer(args: argparse.Namespace, mail: "Mail", now: float) -> str:
    """Answer a mail; return what was done."""
    if now < (args.begin or 0):
        return "silent: it is before -b"
    if args.end is not None and now > args.end:
        return "silent: it is after -e"
    why = refusal(args.root, mail, lax=args.lax)
    if why:
        return f"silent: {why}"
    pieces = reply_to(mail, _as_told(args), now)
    if args.show:
        sys.stdout.buffer.writelines(pieces)
        return "shown, not sent"
    history = History(args.directory, args.window, args.most)
    return or_silent(lambda: send_once(args.root, mail.sender, pieces, history, now))


def _as_told(args: argparse.Namespace) -> Answer:
    text, type_ = read_text(args.file), _content_type(args.type)
    return Answer(text, args.from_, args.subject, args.prefix, type_, args.enclose)


def _content_type(given: str) -> str:
    if not os.path.exists(given):
        return given
    with open(given, "rb") as file:
        return file.readline(LONGEST_HEADER).decode("utf-8", "replace").strip()


def _moment(text: str) -> float:
    from datetime import datetime  # noqa: PLC0415 - few need it

    return datetime.fromisoformat(text).timestamp()
