"""`except`: a program's word the other way round, from a dot-qmail file.

    |except grep -q '^X-Spam: yes'         # bounces the message, if the program exits 0

Exit codes: 100 the program exits 0; 111 it exits 111; 0 for any other, or no such program: go on.

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

PROGRAM: Final = "except"
CODES: Final[dict[int | None, int]] = {0: PERMANENT, TEMPORARY: TEMPORARY}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_program(parser)


def run(args: argparse.Namespace) -> int:
    """Run the program."""
    return attempt(PROGRAM, lambda: CODES.get(run_program(program_of(args)), 0))
