"""`vsetuserquota`: set the quota of a mailbox.

    vsetuserquota alice@example.com 50M,1000

Prints what the mailbox holds.
Exit codes and texts: spec/delivery.md 2.  The work: `manage.user_change`.
"""

import argparse
import os

from indimail.cli.address import our_address
from indimail.cli.change import begin_arguments, end_arguments, make_change
from indimail.cli.credentials import parse_quota_option
from indimail.cli.site import Failed, attempt, check, now, opened, usage
from indimail.mailbox.maildirsize import count_maildir
from indimail.manage.names import check_case
from indimail.manage.user_change import UserChange, plan_user_change

PROGRAM = "vsetuserquota"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    begin_arguments(parser, "Set the quota of a mailbox, and print what it holds.")
    parser.add_argument("email", nargs="?")
    parser.add_argument("quota", nargs="?", help="50M; 50M,1000 (and messages); NOQUOTA")
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Set the quota."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    if args.email is None or args.quota is None:
        raise usage(args)
    check(check_case("email", args.email))
    parse_quota_option(args.quota)
    with opened(PROGRAM, args) as command:
        name, domain = our_address(command, args.email)
        site, accounts, disk = command.site, command.accounts, command.disk
        if accounts.find(name, domain) is None:
            raise Failed(f"{name}@{domain}: No such user", 1)
        change = UserChange(quota=args.quota)
        make_change(
            command,
            f"{args.email} {args.quota}",
            lambda: plan_user_change(site, accounts, disk, name, domain, change, now()),
        )
        changed = accounts.find(name, domain)
        if command.is_dry or changed is None:
            return
        used = count_maildir(disk, os.path.join(changed.directory, "Maildir"))
        print(f"usage {used.octets} bytes")
        if args.verbose:
            print(f"quota of {changed.address} is {changed.quota}")
