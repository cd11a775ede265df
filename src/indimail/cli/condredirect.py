"""`condredirect`: send the message on if a program says so, from a dot-qmail file.

    |condredirect bob@example.net grep -q '^X-Spam: yes'

The program gets the message.  Exit code 0: the message is sent on and the file is done (99).  100 and
111: so ends this too.  Any other, or no such program: the file goes on.  -r: 0 goes on, any other
sends it on.  In front stand DTLINE and QQEH; the envelope sender is SENDER.

Exit codes: 0 go on; 99 it is durable in the queue (``condredirect: qp ID``); 100 for good; 111 try
again later.

Source: spec/delivery.md 7.
"""

import argparse
from typing import Final

from indimail.cli.program_line import (
    DONE,
    add_program,
    address,
    attempt,
    forward,
    make_seekable,
    message,
    optional,
    program_of,
    says_yes,
    variable,
)
from indimail.cli.root import add_root

PROGRAM: Final = "condredirect"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_root(parser)
    parser.add_argument("-r", dest="reverse", action="store_true", help="if it says no")
    parser.add_argument("address", metavar="ADDRESS", help="who gets it")
    add_program(parser)


def run(args: argparse.Namespace) -> int:
    """Ask the program, and send it on."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    sender, line = address("SENDER"), variable("DTLINE")
    make_seekable()
    if not says_yes(program_of(args), reverse=args.reverse):
        return 0
    body = message(line + optional("QQEH"))
    print(f"condredirect: qp {forward(args.root, sender, [args.address], body)}")
    return DONE
