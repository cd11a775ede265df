"""`iftocc`: whether To or Cc names an address, for a dot-qmail file.

    |bouncesaying 'I take no blind copies.' except iftocc

It is `ifaddr` for these two fields: addresses, exit codes and what they are to other programs are as
there.

Sources: spec/delivery.md 7; iftocc(1) of mess822.
"""

import argparse
from typing import Final

from indimail.cli.ifaddr import TO_CC, look_for
from indimail.cli.program_line import attempt

PROGRAM: Final = "iftocc"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("addresses", nargs="*", metavar="ADDRESS", help="else the recipient")


def run(args: argparse.Namespace) -> int:
    """Look for them."""
    return attempt(PROGRAM, lambda: look_for(args.addresses, TO_CC))
