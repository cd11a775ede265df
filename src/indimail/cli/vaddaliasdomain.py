"""`vaddaliasdomain`: let a domain stand for another one.

    vaddaliasdomain example.net example.com     # bob@example.net is bob@example.com

Exit codes and texts: spec/delivery.md 2.  The work: `manage.aliasdomains`.
"""

import argparse

from indimail.cli.change import begin_arguments, check_name, end_arguments, finish, make_change
from indimail.cli.site import attempt, opened, usage
from indimail.manage.aliasdomains import plan_alias

PROGRAM = "vaddaliasdomain"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    begin_arguments(parser, "Let a new domain stand for one that is there.")
    parser.add_argument("alias", nargs="?", metavar="new")
    parser.add_argument("domain", nargs="?", metavar="old")
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Make the alias domain."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    if args.domain is None:
        raise usage(args, 1)
    check_name("domain", args.alias)
    check_name("domain", args.domain)
    with opened(PROGRAM, args) as command:
        site, accounts, disk = command.site, command.accounts, command.disk
        make_change(
            command,
            f"{args.alias} {args.domain}",
            lambda: plan_alias(site, accounts, disk, args.alias, args.domain),
        )
    said = [f"added alias domain {args.alias} for {args.domain}"] if args.verbose else []
    return finish(command, [args.alias, args.domain], said)
