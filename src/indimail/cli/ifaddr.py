"""`ifaddr`: whether the message names an address, for a dot-qmail file.

    |bouncesaying 'This is for members.' except ifaddr from : @example.com

Fields are those before a ``:``, else To and Cc.  Without an address it is the recipient: RECIPIENT, and
for a virtual domain also without the domain's prefix, as people write it.  ``@example.com`` is any
address of that domain.

Exit codes: 0 a field has one of them; 100 none has; 111 RECIPIENT is missing, or try again later.  To
`condredirect` and `condtomaildir` 100 is a bounce: give them ``sh -c 'ifaddr ... || exit 1'``.

Sources: spec/delivery.md 7; ifaddr(1) of the qtools.
"""

import argparse
from collections.abc import Collection, Sequence
from typing import Final

from indimail.cli.program_line import (
    PERMANENT,
    TEMPORARY,
    address,
    attempt,
    header_fields,
    known_as,
    make_seekable,
)

PROGRAM: Final = "ifaddr"
TO_CC: Final = ("to", "cc")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("words", nargs="*", metavar="[FIELD ... :] ADDRESS", help="who is sought")


def run(args: argparse.Namespace) -> int:
    """Look for them."""
    names: list[str] = []
    addresses = args.words
    if ":" in addresses:
        at = addresses.index(":")
        names, addresses = addresses[:at], addresses[at + 1 :]
    return attempt(PROGRAM, lambda: look_for(addresses, names or TO_CC))


def look_for(addresses: Sequence[str], names: Collection[str]) -> int:
    """Return 0 if a field of these names has one of the addresses, or the recipient's."""
    from indimail.delivery.addressed import addressed  # noqa: PLC0415 - not for --help

    wanted = addresses or known_as(address("RECIPIENT", TEMPORARY))
    make_seekable()
    found = addressed(header_fields(), {name.lower() for name in names}, wanted)
    return 0 if found else PERMANENT
