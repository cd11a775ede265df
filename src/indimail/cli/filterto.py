"""`filterto`: send on what a program makes of the message, from a dot-qmail file.

    |filterto bob@example.net sed 's/^Subject: /Subject: [list] /'

What the program prints is sent on, with DTLINE in front, if it exits 0; then the file is done (99).
111: so ends this too.  Any other, or no such program: the file goes on.  The sender is SENDER.

Exit codes: 0 go on; 99 it is durable in the queue (``filterto: qp ID``); 100 for good; 111 try again
later.

Source: spec/delivery.md 7.
"""

import argparse
import os
from typing import Final

from indimail.cli.program_line import (
    DONE,
    TEMPORARY,
    add_program,
    address,
    attempt,
    forward,
    message,
    program_of,
    run_program,
    temporary,
    variable,
)
from indimail.cli.root import add_root

PROGRAM: Final = "filterto"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_root(parser)
    parser.add_argument("address", metavar="ADDRESS", help="who gets it")
    add_program(parser)


def run(args: argparse.Namespace) -> int:
    """Run the program, and send on what it prints."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    sender, line = address("SENDER"), variable("DTLINE")
    with temporary() as output:
        written = output.fileno()
        code = run_program(program_of(args), (os.POSIX_SPAWN_DUP2, written, 1))
        if code != 0:
            return TEMPORARY if code == TEMPORARY else 0
        number = forward(args.root, sender, [args.address], message(line, written))
    print(f"filterto: qp {number}")
    return DONE
