"""`indimail restore DIR --root NEW`: an instance of a backup, below a root that is empty or not there.

    indimail restore /srv/backup/monday --root /srv/restored
    indimail restore /srv/backup/monday --root /srv/restored --database -     # the URL on stdin

Every file of the backup is compared with its SHA-256 before anything is made.  Users go into a new file
in db/, or into the empty database that --database names.  Paths of the old instance become the new one's,
so that it is left alone, whatever is done with the new one.

Exit 0: it is whole and on disk; 65: the backup is damaged, or is none; 73: the root cannot be used; else
sysexits.  What a restore that was killed leaves is no instance, and refuses another one: remove it.
The work: `manage.backup.restore`.
"""

import argparse
import os
import pwd
from typing import TYPE_CHECKING, Final

from indimail.app.instance import Instance, find_root
from indimail.cli.init import given_database
from indimail.cli.site import Failed, add_root, attempt, check

if TYPE_CHECKING:
    from indimail.manage.backup.manifest import Manifest
    from indimail.manage.instance import Owner

PROGRAM: Final = "indimail restore"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("directory", metavar="DIR", help="what `indimail backup` made")
    parser.add_argument(
        "--database",
        metavar="URL",
        help="an empty database for the users: mysql://user:password@host/name, postgresql://...; "
        "-: read it from standard input (default: SQLite in db/)",
    )
    parser.add_argument(
        "--user", metavar="NAME|UID", help="whose files they are (as root; default: as they were)"
    )
    parser.add_argument("--json", action="store_true", help="print an object")
    add_root(parser)


def run(args: argparse.Namespace) -> int:
    """Make it."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    # The slowest imports, and nothing that --help needs.
    from indimail.accounts.database import prepare  # noqa: PLC0415
    from indimail.accounts.url import accounts_url  # noqa: PLC0415
    from indimail.cli.progress import Progress  # noqa: PLC0415
    from indimail.durable.disk import SystemDisk  # noqa: PLC0415
    from indimail.manage.backup.manifest import BackupRefused  # noqa: PLC0415
    from indimail.manage.backup.restore import Order, check_places, restore  # noqa: PLC0415
    from indimail.manage.backup.verify import verified  # noqa: PLC0415
    from indimail.manage.instance import make_root  # noqa: PLC0415
    from indimail.manage.site import Site  # noqa: PLC0415

    database = given_database(args.database or "")
    folder, root = os.path.abspath(args.directory), find_root(args.root, os.environ)
    places = Instance(root)
    url = accounts_url(database, root, places.db)
    prepare(url)
    with Progress(PROGRAM) as progress:
        try:
            manifest, entries = verified(folder, progress.tell)
        except BackupRefused as error:
            raise Failed(str(error), os.EX_DATAERR) from None
        try:
            check_places(folder, root)
            owner = _owner(args.user or "", root, manifest)
            check(make_root(root, owner))
            order = Order(folder, Site(places, {}, owner.uid, owner.gid), url, bool(database))
            notes = restore(order, manifest, entries, SystemDisk(), progress.tell)
        except BackupRefused as error:
            raise Failed(str(error), os.EX_CANTCREAT) from None
    _print(args, root, manifest, notes)


def _owner(wanted: str, root: str, manifest: "Manifest") -> "Owner":
    """Return whose it is to be: the account of the backup's name or number, where there is one."""
    from indimail.manage.instance import Owner, choose_owner  # noqa: PLC0415

    if os.geteuid() != 0:
        owner = Owner(os.geteuid(), os.getegid())
        if wanted and choose_owner(wanted, root) != owner:
            raise Failed(f"--user {wanted}: only root can give files away", os.EX_NOPERM)
        return owner
    if not wanted and _has_account(manifest.owner):
        wanted = manifest.owner
    if not wanted and not manifest.owner and manifest.uid and not _has_account(manifest.uid):
        wanted = str(manifest.uid)  # a number that nobody had, and nobody has
    return check(choose_owner(wanted, root))


def _has_account(who: str | int) -> bool:
    try:
        return bool(pwd.getpwuid(who) if isinstance(who, int) else pwd.getpwnam(who))
    except KeyError:
        return False


def _print(args: argparse.Namespace, root: str, manifest: "Manifest", notes: list[str]) -> None:
    from indimail.cli.shown import print_json  # noqa: PLC0415

    users = manifest.rows.get("indimail", 0) + manifest.rows.get("indibak", 0)
    queued = sum(queue["messages"] for queue in manifest.queues.values())
    if args.json:
        print_json({
            "root": root,
            "backup": manifest.time,
            "users": users,
            "queued": queued,
            "mails": manifest.mails,
            "with_mail": manifest.with_mail,
            "notes": notes,
        })  # fmt: skip
        return
    for note in notes:
        print(note)
    mails = f", {manifest.mails} mails" if manifest.with_mail else "; mailboxes are empty"
    print(f"{root}: {manifest.me} as of {manifest.time}: {users} users, {queued} mails in the "
          f"queues{mails}")  # fmt: skip
