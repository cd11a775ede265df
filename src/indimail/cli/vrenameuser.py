"""`vrenameuser`: give a mailbox another name in its domain.

    vrenameuser alice@example.com zoe@example.com

Password, quota, mail and alias lines go with it.
Exit codes and texts: spec/delivery.md 2.  The work: `manage.rename`.
"""

import argparse

from indimail.cli.address import default_domain
from indimail.cli.change import begin_arguments, check_name, end_arguments, finish, make_change
from indimail.cli.site import Failed, attempt, opened, usage
from indimail.manage.aliasdomains import real_domain
from indimail.manage.names import split_address
from indimail.manage.rename import plan_user_rename

PROGRAM = "vrenameuser"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    begin_arguments(parser, "Give a mailbox another name in its domain.")
    parser.add_argument("old", nargs="?")
    parser.add_argument("new", nargs="?")
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Rename the user."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    if args.new is None:
        raise usage(args, 1)
    check_name("email", args.old)
    check_name("email", args.new)
    with opened(PROGRAM, args) as command:
        site, accounts, disk = command.site, command.accounts, command.disk
        name, domain = split_address(args.old)
        domain = real_domain(site, accounts, domain or default_domain(site))
        new, new_domain = split_address(args.new)
        if new_domain and real_domain(site, accounts, new_domain) != domain:
            raise Failed(f"{args.new}: expected an address in {domain}", 1)
        make_change(
            command,
            f"{args.old} {args.new}",
            lambda: plan_user_rename(site, accounts, disk, name, new, domain),
        )
    said = [f"renamed user {name}@{domain} to {new}@{domain}"] if args.verbose else []
    return finish(command, [args.old, args.new], said)
