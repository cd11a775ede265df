"""`vsetuserquota`: set the quota of a mailbox.

    vsetuserquota alice@example.com 50M,1000

Prints what the mailbox holds.
Exit codes and texts: spec/delivery.md 2.  The work: `manage.user_change`.
"""

import argparse
import os

from indimail.cli.address import our_address
from indimail.cli.credentials import parse_quota_option
from indimail.cli.site import (
    Failed,
    add_options,
    add_root,
    attempt,
    check,
    now,
    opened,
    usage,
)
from indimail.mailbox.maildirsize import count_maildir
from indimail.manage.names import check_case
from indimail.manage.notify import AccountChanged
from indimail.manage.user_change import UserChange, change_user

PROGRAM = "vsetuserquota"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    options = add_options(parser, {})
    parser.description = "Set the quota of a mailbox, and print what it holds."
    parser.add_argument("email", nargs="?")
    parser.add_argument("quota", nargs="?", help="50M; 50M,1000 (and messages); NOQUOTA")
    options.add_argument("-v", dest="verbose", action="store_true", help="say what was done")
    add_root(parser)
    parser.set_defaults(usage=parser.format_usage())


def run(args: argparse.Namespace) -> int:
    """Set the quota."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    if args.email is None or args.quota is None:
        raise usage(args, 1)
    check(check_case("email", args.email))
    parse_quota_option(args.quota)
    with opened(PROGRAM, args) as command:
        name, domain = our_address(command, args.email)
        if command.accounts.find(name, domain) is None:
            raise Failed(f"{name}@{domain}: No such user", 1)
        site, accounts, disk = command.site, command.accounts, command.disk
        change = UserChange(quota=args.quota)
        outcome = check(change_user(site, accounts, disk, name, domain, change, now()))
        command.tell_server(AccountChanged(name, domain))
        used = count_maildir(command.disk, os.path.join(outcome.directory, "Maildir"))
        print(f"usage {used.octets} bytes")
        if args.verbose:
            print(f"quota of {outcome.address} is {outcome.quota}")
