"""`vdeldomain`: remove a virtual domain with its users, its mail and its alias domains.

    vdeldomain --dry-run example.com      # what would go
    vdeldomain example.com

An alias domain goes alone.
Exit codes and texts: spec/delivery.md 2.  The work: `manage.removal`.
"""

import argparse

from indimail.cli.change import begin_arguments, check_name, end_arguments, finish, make_change
from indimail.cli.site import attempt, opened, refuse_later, usage
from indimail.manage.removal import plan_domain_removal

PROGRAM = "vdeldomain"
LATER = {"c": "the cluster", "T": "ETRN"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    begin_arguments(
        parser, "Remove a virtual domain with its users, mail and alias domains.", LATER, "T"
    )
    parser.add_argument("domain", nargs="?")
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Remove the domain."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    refuse_later(args)
    if args.domain is None:
        raise usage(args, 100)
    check_name("domain", args.domain)
    with opened(PROGRAM, args) as command:
        site, accounts, disk = command.site, command.accounts, command.disk
        make_change(
            command,
            args.domain,
            lambda: plan_domain_removal(site, accounts, disk, args.domain),
        )
    said = [f"removed domain {args.domain}"] if args.verbose else []
    return finish(command, [args.domain], said)
