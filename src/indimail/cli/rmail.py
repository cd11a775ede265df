"""`rmail`: put a mail that came by UUCP into the queue.

    rmail alice@example.com <message

The From_ lines in front name the envelope sender (`mail.uucp`) and go; all else is done to the message as
`sendmail` does.  Exit codes are those of `sendmail`.

Sources: spec/queue.md 6.2; rmail(8).
"""

import argparse
from typing import BinaryIO, Final

from indimail.cli.program_line import LONGEST_HEADER, MESSAGE, make_seekable
from indimail.cli.root import add_root

PROGRAM: Final = "rmail"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_root(parser)
    parser.add_argument("recipients", nargs="+", metavar="ADDRESS", help="who gets it")


def run(args: argparse.Namespace) -> int:
    """Send what stands on standard input."""
    from indimail.cli.injection import Order  # noqa: PLC0415 - not for --help
    from indimail.cli.sendmail import send  # noqa: PLC0415

    make_seekable()
    with open(MESSAGE, "rb", closefd=False) as stream:
        order = Order(tuple(args.recipients), sender=_sender(stream))
        return send(PROGRAM, args.root, order, stream)


def _sender(stream: BinaryIO) -> str | None:
    """Read the lines in front; what follows stays."""
    from indimail.mail.uucp import is_from_line, uucp_sender  # noqa: PLC0415 - not for --help

    lines: list[str] = []
    end = stream.seek(0)
    while is_from_line(line := stream.readline(LONGEST_HEADER)) and end < LONGEST_HEADER:
        lines.append(line.decode("utf-8", "surrogateescape").rstrip("\r\n"))
        end = stream.tell()
    stream.seek(end)
    return uucp_sender(lines)
