"""`condtomaildir`: store the message in a Maildir if a program says so, from a dot-qmail file.

    |condtomaildir ./Maildir/.Spam/ grep -q '^X-Spam: yes'

As `condredirect`, but the message goes where `maildirdeliver` would put it.

Exit codes: 0 go on; 99 it is stored, durably; 100 for good; 111 try again later.

Source: spec/delivery.md 7, 8.1.
"""

import argparse
from typing import Final

from indimail.cli.program_line import (
    DONE,
    add_program,
    attempt,
    make_seekable,
    program_of,
    says_yes,
)

PROGRAM: Final = "condtomaildir"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("-r", dest="reverse", action="store_true", help="if it says no")
    parser.add_argument("directory", metavar="MAILDIR", help="where it is stored")
    add_program(parser)


def run(args: argparse.Namespace) -> int:
    """Ask the program, and store it."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    from indimail.cli.maildirdeliver import store  # noqa: PLC0415 - not for --help

    make_seekable()
    if not says_yes(program_of(args), reverse=args.reverse):
        return 0
    store(args.directory)
    return DONE
