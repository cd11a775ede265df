"""`vbulletin`: post a mail to all users of domains, or to one.

    vbulletin -f /root/news.eml example.com
    vbulletin -f /root/news.eml -e /root/who-not example.com example.net
    vbulletin -f /root/news.eml -a example.com        # at the next login of each

Exit codes and texts: spec/delivery.md 2.  The work: `manage.bulletins`.
"""

import argparse
import os
from collections.abc import Sequence

from indimail.cli.change import check_name, end_arguments, finish, make_change
from indimail.cli.site import (
    Command,
    Failed,
    add_options,
    attempt,
    now,
    opened,
    refuse_later,
    usage,
)
from indimail.manage.aliasdomains import real_domain
from indimail.manage.bulletins import Bulletin, plan_bulletin, plan_stored
from indimail.manage.names import split_address
from indimail.manage.removal import check_domain_exists
from indimail.manage.site import Refused
from indimail.manage.writes import Write

PROGRAM = "vbulletin"
LATER = {"S": "POP3 and IMAP", "s": "links out of a Maildir"}
LONGEST = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    options = add_options(parser, LATER, taking_value="S")
    parser.description = "Post a mail to all users of domains, or to one."
    parser.add_argument("name", nargs="*", metavar="domain|email")
    options.add_argument("-f", dest="file", metavar="FILE", help="the mail (a full path)")
    options.add_argument("-e", dest="excluded", metavar="FILE", help="addresses that do not get it")
    options.add_argument("-c", dest="copy", action="store_true", help="a copy each (the default)")
    options.add_argument("-h", dest="link", action="store_true", help="one file with many names")
    options.add_argument(
        "-a", dest="stored", action="store_true", help="for the next login, by bulk_mail"
    )
    options.add_argument("-n", dest="dry_run", action="store_true", help="as --dry-run")
    options.add_argument("-V", dest="verbose", action="store_true", help="say what was done")
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Post it."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    refuse_later(args)
    if args.file is None or not args.name:
        raise usage(args, 1)
    for path in filter(None, (args.file, args.excluded)):
        if not os.path.isabs(path):
            raise Failed(f"path [{path}] is not absolute", 1)
    if args.stored and args.excluded:
        raise Failed("-a and -e: expected one of them", 1)
    octets = _read(args.file)  # as who runs the command, not as the owner of the instance
    excluded = frozenset(
        _read(args.excluded).decode("utf-8", "replace").split() if args.excluded else ()
    )
    if not octets:
        raise Failed(f"{args.file}: is empty", 1)
    bulletin = Bulletin(octets, args.link, excluded)
    for name in args.name:
        check_name("email" if "@" in name else "domain", name)
    if args.stored and any("@" in name for name in args.name):
        raise Failed("-a: expected domains", 1)
    how = "".join(letter for letter, is_set in (("-a ", args.stored), ("-h ", args.link)) if is_set)
    with opened(PROGRAM, args) as command:
        make_change(
            command,
            f"{how}{args.file} {' '.join(args.name)}",
            lambda: _plan(command, args, bulletin),
        )
    return finish(command, args.name, [f"posted {args.file}"] if args.verbose else [])


def _plan(
    command: Command, args: argparse.Namespace, bulletin: Bulletin
) -> Sequence[Write] | Refused:
    names = [_real(command, name) for name in args.name]
    if not args.stored:
        return plan_bulletin(command.site, command.accounts, bulletin, names, now())
    file = os.path.basename(args.file)
    return [w for domain in names for w in plan_stored(command.site, bulletin, file, domain)]


def _real(command: Command, name: str) -> str:
    """Return a domain, or an address, by its real domain; refuse one that is not ours."""
    user, domain = split_address(name) if "@" in name else ("", name)
    domain = real_domain(command.site, command.accounts, domain)
    if check_domain_exists(command.site, command.disk, domain) is not None:
        raise Failed(f"{domain}: No such Domain", 1)
    return f"{user}@{domain}" if user else domain


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        octets = file.read(LONGEST + 1)
    if len(octets) > LONGEST:
        raise Failed(f"{path}: expected at most {LONGEST} octets", 1)
    return octets
