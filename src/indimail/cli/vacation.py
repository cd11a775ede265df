"""`vacation`: answer a mail with `.vacation.msg`, from a dot-qmail file; the file goes on.

    |vacation
    vacation alice@example.com away.txt       # or sets it up: + standard input, - no more

With an address and a file it does what `vmoduser -l` does, and there `autoresponder` answers.
Without it is `autoresponder` without a choice: each sender gets one reply in 24 hours, who was
answered is kept in `.vacation.dir` (made where it is missing), and the same mails get none.  The text
may begin with a Subject and a From of its own and an empty line; letters behind a % stand for words
as there.

Exit codes: 0; 100 wrong use; 111 a variable or the text is missing, or try again later; with an
address those of `vmoduser`.

Sources: spec/delivery.md 2, 7; vacation(1) of BSD (the text's header); RFC 3834.
"""

import argparse
import os
import sys
import time
from typing import Final

from indimail.cli.answering import (
    Answer,
    History,
    or_silent,
    read_text,
    received,
    refusal,
    reply_to,
    send_once,
)
from indimail.cli.program_line import TEMPORARY, address, attempt
from indimail.cli.root import add_root

PROGRAM: Final = "vacation"
TEXT: Final = ".vacation.msg"
ANSWERED: Final = ".vacation.dir"
DAY: Final = 86_400


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = "Answer the mail of a .qmail file, or set up who answers a user's mail."
    parser.add_argument("email", nargs="?", help="whose mail is to be answered")
    parser.add_argument("file", nargs="?", help="the text; +: from stdin; -: no more answers")
    parser.add_argument("--dry-run", action="store_true", help="print what would be written")
    add_root(parser)
    parser.set_defaults(usage=parser.format_usage())


def run(args: argparse.Namespace) -> int:
    """Answer, or set it up."""
    if args.email is None:
        return attempt(PROGRAM, lambda: _run(args.root))
    if args.file is None:
        print(args.usage.strip(), file=sys.stderr)
        return 100
    # Of this use alone: a delivery does not wait for it.
    from indimail.cli.set_reply import set_reply  # noqa: PLC0415

    return set_reply(PROGRAM, args)


def _run(root: str | None) -> int:
    print(f"{PROGRAM}: {_answer(root, time.time())}")
    return 0


def _answer(root: str | None, now: float) -> str:
    """Answer the mail; return what was done."""
    from indimail.delivery.autoreply import own_header  # noqa: PLC0415 - not for --help
    from indimail.delivery.headers import delivered_to  # noqa: PLC0415

    # Not DTLINE: vdelivermail leaves it to some programs alone.
    mail = received(delivered_to(address("RECIPIENT", TEMPORARY)))
    why = refusal(root, mail, lax=False)
    if why:
        return f"silent: {why}"
    header, text = own_header(read_text(TEXT))
    pieces = reply_to(mail, Answer(text, header.get("from"), header.get("subject")), now)
    os.makedirs(ANSWERED, 0o700, exist_ok=True)
    history = History(ANSWERED, DAY)
    return or_silent(lambda: send_once(root, mail.sender, pieces, history, now))
