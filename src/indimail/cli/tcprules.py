"""`tcprules`: compile rules of tcp.smtp, as they come in, into a data base.

    tcprules tcp.smtp.cdb tcp.smtp.tmp < tcp.smtp

The new data base takes the place of the old one whole, also while a server reads it; what a crash leaves
beside it begins with a dot, so the second name is not used.  A line that is no rule leaves the old one.

Exit codes: 0 done; 100 wrong use, or a line that is no rule; 111 a file that cannot be written.

Sources: spec/smtp.md 1.2, 1.4; tcprules(1) of ucspi-tcp.  Not here: `qmailctl cdb`, which knows the
files of an instance.
"""

import argparse
import os
import sys
from typing import Final

from indimail.cli.program_line import PERMANENT, TEMPORARY, Ended, attempt

PROGRAM: Final = "tcprules"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("cdb", help="the data base")
    parser.add_argument("tmp", help="a name beside it; as of old, and not used")


def run(args: argparse.Namespace) -> int:
    """Compile standard input."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    from indimail.control.cdb import write_cdb  # noqa: PLC0415 - not for --help
    from indimail.control.files import parse_lines  # noqa: PLC0415
    from indimail.durable.disk import SystemDisk  # noqa: PLC0415
    from indimail.policy.tcprules import compile_rules, parse_tcp_rules  # noqa: PLC0415

    lines, mistakes = parse_lines(sys.stdin.buffer.read(), "standard input")
    rules, more = parse_tcp_rules(lines)
    if wrong := [*mistakes, *more]:
        texts = {line.number: line.text for line in lines}
        first = texts.get(wrong[0].line or 0, "")
        raise Ended(
            "\n".join([f"fatal: unable to parse this line: {first}", *map(str, wrong)]), PERMANENT
        )
    try:
        write_cdb(SystemDisk(), os.path.abspath(args.cdb), compile_rules(rules))
    except OSError as error:
        raise Ended(f"fatal: unable to write {args.cdb}: {error.strerror}", TEMPORARY) from None
    return os.EX_OK
