"""`preline`: give a program the message with the lines of a mailbox file in front.

    |preline procmail -d alice

In front stand the From_ line (UFLINE; not with -f), Return-Path (RPLINE; -r), Delivered-To (DTLINE;
-d) and QQEH, where it is set (-e).

Exit code: the program's; 111 where a variable is missing, there is no such program, or it crashed.

Source: spec/delivery.md 7.
"""

import argparse
from typing import Final

from indimail.cli.program_line import (
    TEMPORARY,
    Ended,
    add_program,
    attempt,
    optional,
    program_of,
    run_fed,
    variable,
)

PROGRAM: Final = "preline"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("-f", dest="UFLINE", action="store_false", help="no From_ line")
    parser.add_argument("-r", dest="RPLINE", action="store_false", help="no Return-Path")
    parser.add_argument("-d", dest="DTLINE", action="store_false", help="no Delivered-To")
    parser.add_argument("-e", dest="QQEH", action="store_false", help="no QQEH")
    add_program(parser)


def run(args: argparse.Namespace) -> int:
    """Run the program."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    wanted = [name for name in ("UFLINE", "RPLINE", "DTLINE") if getattr(args, name)]
    front = b"".join(variable(name, TEMPORARY) for name in wanted)
    front += optional("QQEH") if args.QQEH else b""
    argv = program_of(args)
    code = run_fed(argv, front)
    if code is None:
        raise Ended(f"unable to run {argv[0]}", TEMPORARY)
    return code
