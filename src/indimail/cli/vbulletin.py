"""`vbulletin`: post a mail to all users of domains, or to one.

    vbulletin -f /root/news.eml example.com
    vbulletin -f /root/news.eml -e /root/who-not example.com example.net
    vbulletin -f /root/news.eml -a example.com        # at the next login of each
    vbulletin -f /root/news.eml -S /root/who          # at the next login of those in the file

Without a domain or an address: to all domains.  A file of -S may be the same on each host of many:
who is no user of this one is left out.
Exit codes and texts: spec/delivery.md 2.  The work: `manage.bulletins`.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace

from indimail.cli.change import check_name, end_arguments, finish, make_change, what_is_named
from indimail.cli.site import (
    Command,
    Failed,
    add_options,
    attempt,
    check,
    now,
    opened,
    usage,
)
from indimail.manage.aliasdomains import real_domain
from indimail.manage.assign import domains
from indimail.manage.bulletins import Bulletin, plan_bulletin, plan_stored, plan_subscribed
from indimail.manage.names import split_address
from indimail.manage.routing import check_owner
from indimail.manage.site import Refused
from indimail.manage.writes import Write

PROGRAM = "vbulletin"
LONGEST = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    options = add_options(parser, {})
    parser.description = "Post a mail to all users of domains, or to one."
    parser.add_argument("name", nargs="*", metavar="domain|email")
    options.add_argument("-f", dest="file", metavar="FILE", help="the mail (a full path)")
    options.add_argument("-e", dest="excluded", metavar="FILE", help="addresses that do not get it")
    options.add_argument(
        "-c", dest="how", action="store_const", const="copy", help="a copy each (the default)"
    )
    options.add_argument(
        "-h", dest="how", action="store_const", const="link", help="one file with many names"
    )
    options.add_argument(
        "-s", dest="how", action="store_const", const="symlink",
        help="links to FILE, which has to stay and to be readable by the owner of the instance",
    )  # fmt: skip
    options.add_argument(
        "-a", dest="stored", action="store_true", help="for the next login, by bulk_mail"
    )
    options.add_argument(
        "-S", dest="subscribers", metavar="LIST", help="for the next login of the file's addresses"
    )
    options.add_argument("-n", dest="dry_run", action="store_true", help="as --dry-run")
    options.add_argument("-V", dest="verbose", action="store_true", help="say what was done")
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Post it."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    if args.file is None:
        raise usage(args)
    for path in (args.file, args.excluded):
        if path is not None and not os.path.isabs(path):
            raise Failed(f"path [{path}] is not absolute", 1)
    has_list = args.subscribers is not None
    for option, is_given in (("-a", args.stored), ("-S", has_list)):
        if is_given and args.excluded is not None:
            raise Failed(f"{option} and -e: expected one of them", 1)
        if is_given and args.how in ("link", "symlink"):
            raise Failed(f"{option}: a login gets a copy, expected neither -h nor -s", 1)
    if args.stored and has_list:
        raise Failed("-a and -S: expected one of them", 1)
    # As who runs the command, not as the owner of the instance.
    octets = _read(args.file)
    excluded, subscribers = _addresses(args.excluded), _addresses(args.subscribers)
    if not octets:
        raise Failed(f"{args.file}: is empty", 1)
    bulletin = Bulletin(octets, args.file, args.how or "copy")
    for name in args.name:
        check_name(what_is_named(name), name)
    if (args.stored or has_list) and any(split_address(name)[1] for name in args.name):
        raise Failed(f"{'-a' if args.stored else '-S'}: expected domains", 1)
    how = "stored" if args.stored else f"-S {args.subscribers}" if has_list else bulletin.how
    with opened(PROGRAM, args) as command:
        make_change(
            command,
            " ".join([how, args.file, *args.name]),
            lambda: _plan(command, args, _spare(command, bulletin, excluded), subscribers),
        )
    return finish(command, args.name, [f"posted {args.file}"] if args.verbose else [])


def _spare(command: Command, bulletin: Bulletin, excluded: Sequence[str]) -> Bulletin:
    return replace(bulletin, excluded=frozenset(_known(command, each) for each in excluded))


def _plan(
    command: Command, args: argparse.Namespace, bulletin: Bulletin, subscribers: Sequence[str]
) -> list[Write] | Refused:
    """Return the writes; the file's name is that of a bulletin that waits."""
    site, accounts = command.site, command.accounts
    names = [_real(command, name) for name in args.name] or _all_domains(command)
    name = os.path.basename(args.file)
    if args.stored:
        return [w for of in names for w in plan_stored(site, bulletin, name, of)]
    if args.subscribers is not None:
        known = [_known(command, address) for address in subscribers]
        wanted = [address for address in known if address.rpartition("@")[2] in names]
        return plan_subscribed(site, accounts, bulletin, name, wanted)
    if bulletin.how == "symlink" and not os.access(args.file, os.R_OK, effective_ids=True):
        raise Failed(f"{args.file}: not readable by the owner of the instance", os.EX_NOPERM)
    return plan_bulletin(site, accounts, bulletin, names, now())


def _all_domains(command: Command) -> list[str]:
    site, accounts = command.site, command.accounts
    listed = domains(command.disk, site.places.users_dir)
    return list(dict.fromkeys(real_domain(site, accounts, domain) for domain in listed))


def _known(command: Command, address: str) -> str:
    """Return an address by its real domain."""
    name, domain = split_address(address.lower())
    return f"{name}@{real_domain(command.site, command.accounts, domain)}"


def _real(command: Command, name: str) -> str:
    """Return a domain, or an address, by its real domain; refuse one that is not ours."""
    user, domain = split_address(name) if split_address(name)[1] else ("", name)
    domain = real_domain(command.site, command.accounts, domain)
    missing = Refused(f"{domain}: No such Domain", 1)
    check(check_owner(command.site, command.disk, domain, missing))
    return f"{user}@{domain}" if user else domain


def _addresses(path: str | None) -> list[str]:
    """Return the lines of a file; an address may have blanks."""
    lines = "" if path is None else _read(path).decode("utf-8", "replace")
    return [line.strip() for line in lines.splitlines() if line.strip()]


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        octets = file.read(LONGEST + 1)
    if len(octets) > LONGEST:
        raise Failed(f"{path}: expected at most {LONGEST} octets", 1)
    return octets
