"""`rrforward`: send the message on to one address after the other, from a dot-qmail file.

    |rrforward .qmailrr-sales bob@example.net carol@example.net

The file keeps how many were sent, and is made where it is missing; its name's end is the extension for
which it is (EXT; none: ``.qmailrr``), and mail for another one goes on with the .qmail file.  A turn is
taken before the message is queued: a retry goes to the next address.  The sender and the lines in front
are those of `forward`.

Exit codes: 0 another extension; 99 it is durable in the queue (``rrforward: qp ID``); 100 a variable is
missing, wrong use, or it never will be; 111 the file holds no number, or try again later.

Sources: spec/delivery.md 7; rrforward(1) of indimail-mta.
"""

import argparse
import os
from typing import Final

from indimail.cli.program_line import (
    DONE,
    PERMANENT,
    TEMPORARY,
    Ended,
    address,
    attempt,
    forward,
    message,
    optional,
    variable,
)
from indimail.cli.root import add_root

PROGRAM: Final = "rrforward"
NAME: Final = ".qmailrr"
PATIENCE: Final = 30  # seconds; a turn takes none
LONGEST: Final = 20  # digits


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_root(parser)
    parser.add_argument("file", metavar="FILE", help=f"keeps the turn: {NAME}-EXTENSION")
    parser.add_argument("addresses", nargs="+", metavar="ADDRESS", help="who gets it in turn")


def run(args: argparse.Namespace) -> int:
    """Send it on."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    from indimail.delivery.headers import forwarded  # noqa: PLC0415 - not for --help

    sender, line, extension = address("NEWSENDER"), variable("DTLINE"), address("EXT")
    if _extension_of(args.file) != extension.lower().replace(".", ":"):
        return 0
    recipients = [args.addresses[_take_turn(args.file) % len(args.addresses)]]
    body = message(forwarded(line, recipients, sender, optional("QQEH")))
    print(f"{PROGRAM}: qp {forward(args.root, sender, recipients, body)}")
    return DONE


def _extension_of(path: str) -> str:
    """Return the extension that a file is for, as names of .qmail files have it."""
    start, dash, extension = os.path.basename(path).partition("-")
    if start != NAME or (dash and not extension):
        raise Ended(f"{path}: not a name as {NAME}-EXTENSION", PERMANENT)
    return extension.lower().replace(".", ":")


def _take_turn(path: str) -> int:
    """Return a file's number, and make it one more."""
    from indimail.durable.lock import lock_file  # noqa: PLC0415 - not for --help

    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not lock_file(fd, PATIENCE):
            raise Ended(f"{path}: somebody else has it", TEMPORARY)
        digits = os.pread(fd, LONGEST, 0).strip() or b"0"
        if not digits.isdigit():
            raise Ended(f"{path}: not a number", TEMPORARY)
        os.pwrite(fd, b"%d\n" % ((int(digits) + 1) % 10 ** (LONGEST - 1)), 0)
        return int(digits)
    finally:
        os.close(fd)
