"""`bouncesaying`: bounce the message with a text, if a program says so, from a dot-qmail file.

    |bouncesaying 'This address is closed.'
    |bouncesaying 'No attachments, please.' grep -q '^Content-Type: multipart/mixed'

Exit codes: 100 the program exits 0, or there is none; 111 it exits 111; 0 for any other: go on.

Source: spec/delivery.md 7.
"""

import argparse
from typing import Final

from indimail.cli.program_line import (
    PERMANENT,
    TEMPORARY,
    add_program,
    attempt,
    program_of,
    run_program,
)

PROGRAM: Final = "bouncesaying"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("text", metavar="TEXT", help="what the sender is told")
    add_program(parser, may_be_missing=True)


def run(args: argparse.Namespace) -> int:
    """Ask the program, and bounce."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    argv = program_of(args)
    code = run_program(argv) if argv else 0
    if code == 0:
        print(args.text)
        return PERMANENT
    return TEMPORARY if code == TEMPORARY else 0
