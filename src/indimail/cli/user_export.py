"""`indimail user export [FILE]`: users as CSV, with their hashes and without passwords.

    indimail user export --domain example.com users.csv
    indimail user export | ssh mx2.example.com indimail user import -

The work: `manage.user_csv`.
"""

import argparse
import os
import sys
from contextlib import suppress

from indimail.cli.given_password import STDIN
from indimail.cli.shown import print_json
from indimail.cli.shown_user import users_of
from indimail.cli.site import Failed, opened
from indimail.durable.disk import SystemDisk
from indimail.manage.user_csv import write_users


def run(args: argparse.Namespace) -> None:
    """Write the users of a domain, or of all."""
    if args.json and args.file == STDIN:
        raise Failed("--json: expected a file for the users", os.EX_USAGE)
    with opened(args.program, args) as command:
        users = users_of(command, args)
    text = write_users(users)
    if args.file == STDIN:
        sys.stdout.write(text)
        return
    _write(args.file, text.encode(), is_forced=args.force)
    if args.json:
        print_json({"file": args.file, "users": len(users)})


def _write(path: str, octets: bytes, *, is_forced: bool) -> None:
    """Write a file for its owner alone, as who runs the command.

    It can be made again, and is not synced.
    """
    exists = Failed(f"{path}: exists, expected --force to replace it", os.EX_CANTCREAT)
    if os.path.lexists(path) and not is_forced:
        raise exists
    disk, new = SystemDisk(), f"{path}.{os.getpid()}.tmp"
    with suppress(FileNotFoundError):
        os.unlink(new)
    try:
        disk.write_new(new, [octets], 0o600)
        if is_forced:
            disk.rename(new, path)
        else:
            disk.link(new, path)  # over no file that came meanwhile
    except FileExistsError:
        raise exists from None
    finally:
        with suppress(FileNotFoundError):
            os.unlink(new)
