"""`indimail backup DIR`: a consistent copy of an instance, while it runs or not.

    indimail backup /srv/backup/monday            # configuration, users, queues, trace
    indimail backup --mail /srv/backup/monday     # and the mailboxes

The directory must not be there yet, or be empty; it is readable by whoever ran the command alone, for
password hashes and mail are in it.  Before `manifest.json` is in it, it is no backup, and `restore`
refuses it.

Exit 0: it is whole and on disk; 73: the directory cannot be used; else sysexits.
The work: `manage.backup.make`.
"""

import argparse
import os
from typing import TYPE_CHECKING, Final

from indimail.cli.site import Failed, add_root, attempt, find_site, opened

if TYPE_CHECKING:
    from indimail.manage.backup.manifest import Manifest

PROGRAM: Final = "indimail backup"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("directory", metavar="DIR", help="a new directory, or an empty one")
    parser.add_argument("--mail", action="store_true", help="copy the mailboxes too")
    parser.add_argument("--json", action="store_true", help="print an object")
    add_root(parser)


def run(args: argparse.Namespace) -> int:
    """Make it."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    # The slowest imports, and nothing that --help needs.
    from indimail.accounts.database import prepare  # noqa: PLC0415
    from indimail.cli.progress import Progress  # noqa: PLC0415
    from indimail.durable.disk import SystemDisk  # noqa: PLC0415
    from indimail.manage.backup.make import make_backup  # noqa: PLC0415
    from indimail.manage.backup.manifest import BackupRefused  # noqa: PLC0415

    site, url = find_site(args.root)
    prepare(url)
    with opened(PROGRAM, args):
        pass  # a change that was interrupted is complete now
    folder = os.path.abspath(args.directory)
    with Progress(PROGRAM) as progress:
        try:
            made = make_backup(site, url, SystemDisk(), folder, progress.tell, with_mail=args.mail)
        except BackupRefused as error:
            raise Failed(str(error), os.EX_CANTCREAT) from None
    if args.json:
        _print_json(folder, made)
    else:
        _print(folder, made)


def _print(folder: str, made: "Manifest") -> None:
    from indimail.cli.shown import size  # noqa: PLC0415

    for note in made.notes:
        print(note)
    users = made.rows.get("indimail", 0) + made.rows.get("indibak", 0)
    queued = sum(queue["messages"] for queue in made.queues.values())
    mails = f", {made.mails} mails in {made.homes} homes" if made.with_mail else ""
    print(f"{folder}: {users} users, {queued} mails in {len(made.queues)} queues{mails}; "
          f"{made.files} files, {size(made.octets)}")  # fmt: skip


def _print_json(folder: str, made: "Manifest") -> None:
    from indimail.cli.shown import print_json  # noqa: PLC0415

    print_json({
        "directory": folder,
        "time": made.time,
        "with_mail": made.with_mail,
        "rows": made.rows,
        "queues": made.queues,
        "homes": made.homes,
        "mails": made.mails,
        "files": made.files,
        "octets": made.octets,
        "notes": list(made.notes),
    })  # fmt: skip
