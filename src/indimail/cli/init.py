"""`indimail init`: make an instance.

    indimail init --root /var/indimail --me mx.example.org

A second time it completes what is missing and changes nothing else; exit 0.

The accounts are in SQLite, or where `--database URL` says; the URL is kept in indimail.toml.  Its
password is taken out of the process list at once; `--database -` reads the URL from standard input,
so that no history of a shell has it either.

Mail for postmaster, abuse, mailer-daemon and root goes to `--postmaster`, else into the instance's
`alias/Maildir/`.

The work: `manage.instance`.
"""

import argparse
import os
import socket
import sys
from pathlib import Path

from indimail.accounts.url import accounts_url, check_url
from indimail.app.instance import find_root
from indimail.cli.process_list import hide_argument
from indimail.cli.site import Failed, add_root, attempt, check, find_site
from indimail.durable.disk import SystemDisk
from indimail.manage.instance import (
    ROLES,
    Owner,
    choose_owner,
    make_instance,
    make_root,
    role_files,
)
from indimail.manage.names import check_domain, check_user
from indimail.manage.site import Refused, acting_as

PROGRAM = "indimail init"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = "Make an instance: its directories and first files."
    parser.add_argument("--me", metavar="HOST", help="this server's name (default: the machine's)")
    parser.add_argument(
        "--user", metavar="NAME|UID", help="whose files they are (as root; default: indimail)"
    )
    parser.add_argument(
        "--postmaster",
        metavar="ADDRESS",
        help="who gets mail for postmaster, abuse, mailer-daemon and root "
        "(default: it is kept in alias/Maildir/)",
    )
    parser.add_argument(
        "--database",
        metavar="URL",
        help="where the accounts are: mysql://user:password@host/name, postgresql://..., "
        "sqlite:///path; -: read it from standard input (default: SQLite in db/)",
    )
    add_root(parser)


def run(args: argparse.Namespace) -> int:
    """Make the instance, or complete it."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    # The slowest import, and nothing that --help needs.
    from indimail.accounts.schema import load  # noqa: PLC0415
    from indimail.accounts.sql import SqlAccounts  # noqa: PLC0415

    database = given_database(args.database or "")
    me = (args.me or "").rstrip(".").lower()
    if args.me is not None and me != "localhost" and check_domain(me) is not None:
        raise Failed(f"--me {args.me}: expected a host name with its domain", os.EX_USAGE)
    given, me = me, me or _machine_name()
    postmaster = _postmaster(args.postmaster or "", (me, "localhost"))
    root = find_root(args.root, os.environ)
    if os.geteuid() == 0:
        owner = choose_owner(args.user or "", root)
        if isinstance(owner, Refused):
            raise Failed(owner.text, owner.code)
    else:
        owner = Owner(os.geteuid(), os.getegid())
        if args.user and choose_owner(args.user, root) != owner:
            raise Failed(f"--user {args.user}: only root can give files away", os.EX_NOPERM)
    check(make_root(root, owner))
    site, url = find_site(root)
    wanted = accounts_url(database, root, site.places.db) if database else url
    if not os.path.exists(site.places.toml):
        url = wanted
    accounts = SqlAccounts(url)
    load()  # as root: the owner may not be able to read the library
    with acting_as(site.uid, site.gid):
        is_named = os.path.exists(site.control("me"))
        changed = make_instance(site, SystemDisk(), me, postmaster, database)
        accounts.make_tables()
        accounts.close()
    if wanted != url:
        print(f"{PROGRAM}: {site.places.toml} stays as it was: edit it to change the database",
              file=sys.stderr)  # fmt: skip
    if not (given or is_named or "." in me):
        print(f"{PROGRAM}: this machine has no full name: control/me says {me}; "
              "put the name there that others know it by", file=sys.stderr)  # fmt: skip
    if changed and owner.advice:
        print(f"{PROGRAM}: {owner.advice}", file=sys.stderr)
    for path in role_files(site) if postmaster else ():
        if Path(path).read_text(errors="replace").strip() != f"&{postmaster}":
            print(f"{PROGRAM}: {path} stays as it was: edit it to change it", file=sys.stderr)
    print(f"{root}: {'made' if changed else 'nothing to do'}")


def given_database(given: str) -> str:
    """Check the URL; it is in no list of processes from here on."""
    if given == "-":
        given = sys.stdin.readline().strip()
    elif given:
        hide_argument(given)
    if given:
        try:
            check_url(given)
        except ValueError as error:
            raise Failed(f"--database: {error}", os.EX_USAGE) from None
    return given


def _postmaster(given: str, local: tuple[str, ...]) -> str:
    """Check the address; one of the roles of this host would lead back to itself."""
    if not given:
        return ""
    name, _, domain = given.rpartition("@")
    refused = check_user(name, domain) or check_domain(domain)
    if refused is not None:
        raise Failed(f"--postmaster {given}: expected user@domain", os.EX_USAGE)
    if name in ROLES and domain in local:
        raise Failed(
            f"--postmaster {given}: expected a mailbox elsewhere; its mail comes from there",
            os.EX_USAGE,
        )
    return given


def _machine_name() -> str:
    """Return the machine's full name; the short one where it has none."""
    short = socket.gethostname()
    full = next((name for name in (socket.getfqdn(), short) if "." in name), short)
    return full.rstrip(".").lower() or "localhost"
