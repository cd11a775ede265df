"""`indimail check-config`: every mistake of the configuration at once.

    control/rcpthosts:3: found 'exam ple.com', expected a domain, or .domain for its sub-domains

Mistakes go to stderr and the exit code is 78 (EX_CONFIG); 0 when there is none.  What is not wrong
and should be known goes to stdout.  The same reading runs before each start and reload.
"""

import argparse
import os
import sys

from indimail.app.instance import DEFAULT_ROOT, find_root, missing, open_instance


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--root", metavar="DIR", help=f"the instance (INDIMAIL_ROOT, {DEFAULT_ROOT})"
    )
    parser.add_argument(
        "--listen", action="append", default=[], metavar="NAME=ADDR:PORT", help="as `serve` has it"
    )


def run(args: argparse.Namespace) -> int:
    """Read everything and print what is wrong."""
    # Slow to import, and nothing that --help needs.
    from indimail.app.configuration import load  # noqa: PLC0415
    from indimail.app.reading import Overrides  # noqa: PLC0415
    from indimail.mail.errors import ConfigErrors  # noqa: PLC0415

    root = find_root(args.root, os.environ)
    if nothing := missing(root):
        print(f"indimail check-config: {nothing}", file=sys.stderr)
        return os.EX_NOINPUT
    try:
        instance = open_instance(root, os.environ)
        snapshot = load(instance, os.environ, Overrides(listen=args.listen))
    except ConfigErrors as errors:
        print(errors, file=sys.stderr)
        return os.EX_CONFIG
    for notice in snapshot.notices:
        print(notice)
    return os.EX_OK
