"""`qreceipt`: tell a sender who asks for it that the mail was delivered, from a dot-qmail file.

    |qreceipt alice@example.com

Whoever sends a mail whose Notice-Requested-Upon-Delivery-To has the address gets a notice, at SENDER
and with an empty envelope sender; the file goes on.  No notice goes to what `delivery.autoreply` objects
to: bounces, lists, programs, loops.

Exit codes: 0; 100 wrong use; 111 a variable is missing, or try again later.

Sources: spec/delivery.md 7; qreceipt(1) of qmail; RFC 3834.  The notice's words are ours.
"""

import argparse
import time
from typing import TYPE_CHECKING, Final

from indimail.cli.answering import PLAIN, header_of, or_silent, received, refusal
from indimail.cli.program_line import TEMPORARY, address, attempt, forward, header_fields
from indimail.cli.root import add_root

if TYPE_CHECKING:
    from indimail.delivery.autoreply import Mail

PROGRAM: Final = "qreceipt"
REQUEST: Final = ("notice-requested-upon-delivery-to",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_root(parser)
    parser.add_argument("address", metavar="ADDRESS", help="whose mail is delivered here")


def run(args: argparse.Namespace) -> int:
    """Send the notice, where one is asked for."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    from indimail.delivery.addressed import addressed  # noqa: PLC0415 - not for --help
    from indimail.delivery.headers import delivered_to  # noqa: PLC0415

    mail = received(delivered_to(address("RECIPIENT", TEMPORARY)))
    if addressed(header_fields(), REQUEST, [args.address]):
        why = refusal(args.root, mail, lax=True)
        told = f"silent: {why}" if why else or_silent(lambda: _notify(args, mail))
        print(f"{PROGRAM}: {told}")
    return 0


def _notify(args: argparse.Namespace, mail: "Mail") -> str:
    from indimail.delivery.autoreply import plain_body, reply_header  # noqa: PLC0415
    from indimail.delivery.headers import quoted  # noqa: PLC0415

    whose = quoted(args.address)
    text = f"Your mail was delivered to <{whose}>, as you asked to be told.\n"
    reply = header_of(mail, whose, "Delivery notice", time.time())
    pieces = (reply_header(reply), *plain_body(PLAIN, text.encode("utf-8", "surrogateescape")))
    return f"qp {forward(args.root, '', [mail.sender], pieces)}"
