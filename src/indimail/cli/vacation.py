"""`vacation`: answer a mail with `.vacation.msg`, from a dot-qmail file; the file goes on.

    |vacation

It is `autoresponder` without a choice: each sender gets one reply in 24 hours, who was answered is kept
in `.vacation.dir` (made where it is missing), and the same mails get none.  The text may begin with a
Subject and a From of its own and an empty line; letters behind a % stand for words as there.

Exit codes: 0; 100 wrong use; 111 a variable or the text is missing, or try again later.

Sources: spec/delivery.md 7; vacation(1) of BSD (the text's header); RFC 3834.
"""

import argparse
import os
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
    add_root(parser)


def run(args: argparse.Namespace) -> int:
    """Answer."""
    return attempt(PROGRAM, lambda: _run(args.root))


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
