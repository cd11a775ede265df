"""`indimail import`: take over domains, users and mail of another system.

    indimail import vpopmail --from /home/vpopmail --dry-run
    indimail import indimail --from /var/indimail --database mysql://reader:...@db.example.com/indimail

The source is read and never written.  Each domain is a change of its own, then mailboxes are copied;
killed, the same command goes on where it was, and a second time it takes what came meanwhile.  A
report tells what was taken, what in another form, and what was not.

Exit codes: 0, all is taken and works as it did; 1, the report names something to look at; those of
sysexits(3) where nothing could be done, or not all: 66 no such source, 74 a full disk, 75 a database.

The steps: `cli.takeover`; the work: `manage.importing`.
"""

import argparse

from indimail.cli.change import add_dry_run
from indimail.cli.process_list import hide_argument
from indimail.cli.site import add_root, attempt

PROGRAM = "indimail import"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Take over domains, users and mail of another system, which stays as it is."
    )
    parser.add_argument("kind", choices=["indimail", "vpopmail"])
    parser.add_argument(
        "--from", dest="source", metavar="DIR", required=True, help="its directory, with domains/"
    )
    parser.add_argument(
        "--config", metavar="DIR", default="",
        help="where control/ and users/ are, if not there: /var/qmail, /etc/indimail",
    )  # fmt: skip
    parser.add_argument(
        "--map", action="append", default=[], metavar="OLD=NEW",
        help="what it calls OLD lies in NEW now (a copy, another mount)",
    )  # fmt: skip
    parser.add_argument(
        "--database", metavar="URL",
        help="its database: mysql://user:password@host/name, postgresql://..., sqlite:///path; "
        "-: read it from standard input",
    )  # fmt: skip
    parser.add_argument(
        "--domain",
        action="append",
        default=[],
        metavar="DOMAIN",
        help="only this one; may be repeated",
    )
    parser.add_argument(
        "--mail", choices=["copy", "in-place", "none"], default="copy",
        help="copy mailboxes (the default), use them where they are, or make empty ones",
    )  # fmt: skip
    parser.add_argument(
        "--link",
        action="store_true",
        help="give mails a second name instead of a copy, where it can be",
    )
    parser.add_argument(
        "-C", dest="clear", action="store_true",
        help="keep passwords that are stored as they are, for CRAM-MD5",
    )  # fmt: skip
    parser.add_argument(
        "--force", action="store_true", help="replace files that are here and say something else"
    )
    add_dry_run(parser)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    add_root(parser)


def run(args: argparse.Namespace) -> int:
    """Read the source, make the changes, copy the mail, print the report."""
    if args.database not in (None, "-"):
        hide_argument(args.database)
    # All that is slow to import, and nothing that --help needs.
    from indimail.cli.takeover import take_over  # noqa: PLC0415

    return attempt(PROGRAM, lambda: take_over(PROGRAM, args))
