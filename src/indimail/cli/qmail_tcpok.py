"""`qmail-tcpok`: let the running server forget which other hosts did not answer.

    qmail-tcpok        # their mail goes when it is due, and not later

Exit 111 where no server runs.  Not here: the list of them (`cli.qmail_tcpto`).
"""

import argparse
import os

from indimail.app.instance import DEFAULT_ROOT
from indimail.cli.qmail_tcpto import asked


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--root", metavar="DIR", help=f"the instance (INDIMAIL_ROOT, {DEFAULT_ROOT})"
    )


def run(args: argparse.Namespace) -> int:
    """Tell the server."""
    answer = asked("qmail-tcpok", args.root, "forget-hosts")
    return answer if isinstance(answer, int) else os.EX_OK
