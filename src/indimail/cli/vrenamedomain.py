"""`vrenamedomain`: give a virtual domain, or an alias domain, another name.

    vrenamedomain example.com example.net

Homes, mail, aliases and alias domains go with it.
Exit codes and texts: spec/delivery.md 2, 2.5.  The work: `manage.rename`.
"""

import argparse

from indimail.cli.change import begin_arguments, check_name, end_arguments, finish, make_change
from indimail.cli.site import attempt, opened, usage
from indimail.manage.rename import plan_domain_rename

PROGRAM = "vrenamedomain"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    begin_arguments(parser, "Give a virtual domain, or an alias domain, another name.")
    parser.add_argument("old", nargs="?")
    parser.add_argument("new", nargs="?")
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Rename the domain."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    if args.new is None:
        raise usage(args, 1)
    check_name("domain", args.old)
    check_name("domain", args.new)
    with opened(PROGRAM, args) as command:
        site, accounts, disk = command.site, command.accounts, command.disk
        make_change(
            command,
            f"{args.old} {args.new}",
            lambda: plan_domain_rename(site, accounts, disk, args.old, args.new),
        )
    said = [f"renamed domain {args.old} to {args.new}"] if args.verbose else []
    return finish(command, [args.old, args.new], said)
