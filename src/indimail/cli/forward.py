"""`forward`: send the message on, from a dot-qmail file.

    |forward bob@example.net "$EXT@example.org"

In front stand Delivered-To (DTLINE), an X-Forwarded-To for each address and X-Forwarded-For with the
envelope sender, which is NEWSENDER, then QQEH.

Exit codes: 0 it is durable in the queue (``forward: qp ID``); 100 a variable is missing, or it never
will be; 111 try again later.

Source: spec/delivery.md 4, 7.
"""

import argparse
from typing import Final

from indimail.cli.program_line import address, attempt, forward, message, optional, variable
from indimail.cli.root import add_root

PROGRAM: Final = "forward"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_root(parser)
    parser.add_argument("addresses", nargs="+", metavar="ADDRESS", help="who gets it")


def run(args: argparse.Namespace) -> int:
    """Send it on."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    from indimail.delivery.headers import forwarded  # noqa: PLC0415 - not for --help

    sender = address("NEWSENDER")
    front = forwarded(variable("DTLINE"), args.addresses, sender, optional("QQEH"))
    print(f"forward: qp {forward(args.root, sender, args.addresses, message(front))}")
    return 0
