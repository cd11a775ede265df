"""`qnotify`: send a message disposition notification (MDN), from a dot-qmail file; the file goes on.

    |qnotify -h

It goes to SENDER, if Disposition-Notification-To (or the field that DISPOSITION_HEADER names) has this
address and no other; it is from RECIPIENT, with an empty envelope sender.  The mail is enclosed, with
-h its header; -n prints the notification and sends none.  Nobody is told of what `delivery.autoreply`
objects to: bounces, lists, programs, loops, other notifications.

Exit codes: 0, also where SENDER or RECIPIENT is missing; 100 wrong use; 111 try again later.

Sources: spec/delivery.md 7; qnotify(1) of indimail-mta; RFC 8098 (`delivery.disposition`).
"""

import argparse
import os
import sys
import time
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Final

from indimail.cli.answering import header_of, or_silent, received, refusal
from indimail.cli.program_line import attempt, forward, header_fields, message
from indimail.cli.root import add_root

if TYPE_CHECKING:
    from indimail.delivery.autoreply import Mail

PROGRAM: Final = "qnotify"
FIELD: Final = "Disposition-Notification-To"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_root(parser)
    group = parser.add_argument_group("qnotify's options", conflict_handler="resolve")
    group.add_argument("-h", dest="header", action="store_true", help="enclose the header alone")
    group.add_argument("-n", dest="show", action="store_true", help="print it, send none")


def run(args: argparse.Namespace) -> int:
    """Send the notification, where one is asked for."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    from indimail.delivery.disposition import asker  # noqa: PLC0415 - not for --help
    from indimail.delivery.headers import delivered_to  # noqa: PLC0415

    if not {"SENDER", "RECIPIENT"} <= os.environ.keys():
        return 0
    mail = received(delivered_to(os.environ["RECIPIENT"]))
    if asker(header_fields(), os.environ.get("DISPOSITION_HEADER", FIELD), mail.sender):
        why = refusal(args.root, mail, lax=True)
        told = f"silent: {why}" if why else or_silent(lambda: _notify(args, mail))
        print(f"{PROGRAM}: {told}", file=sys.stderr if args.show else sys.stdout)
    return 0


def _notify(args: argparse.Namespace, mail: "Mail") -> str:
    pieces = _notification(mail, time.time(), header_only=args.header)
    if args.show:
        sys.stdout.buffer.writelines(pieces)
        return "shown, not sent"
    return f"qp {forward(args.root, '', [mail.sender], pieces)}"


def _notification(mail: "Mail", now: float, *, header_only: bool) -> Iterable[bytes]:
    from indimail.delivery.autoreply import reply_header  # noqa: PLC0415 - not for --help
    from indimail.delivery.disposition import notification  # noqa: PLC0415

    header = header_of(mail, None, f"Delivered: {mail.first('subject')}", now)
    original: Iterable[bytes] = header_fields() if header_only else message()
    part = "text/rfc822-headers" if header_only else "message/rfc822"
    boundary = f"=_{os.urandom(16).hex()}"
    address = mail.named or mail.addresses[0]
    return chain(
        [reply_header(header)],
        notification(address, mail.message_id, original, part, boundary),
    )
