"""`vcalias`: make alias lines of a domain's .qmail files.

    vcalias --dry-run example.com

Source: spec/delivery.md 2.  The work: `manage.aliasfiles`.
"""

import argparse

from indimail.cli.change import begin_arguments, check_name, end_arguments, finish, make_change
from indimail.cli.site import attempt, opened, usage
from indimail.manage.aliasdomains import real_domain
from indimail.manage.aliasfiles import plan_rows

PROGRAM = "vcalias"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    begin_arguments(parser, "Make alias lines of a domain's .qmail files.")
    parser.add_argument("domain", nargs="?")
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Turn them."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    if args.domain is None:
        raise usage(args, 1)
    check_name("domain", args.domain)
    with opened(PROGRAM, args) as command:
        site, accounts, disk = command.site, command.accounts, command.disk
        domain = real_domain(site, accounts, args.domain)
        make_change(command, args.domain, lambda: plan_rows(site, disk, domain))
    said = [f"turned the aliases of {domain}"] if args.verbose else []
    return finish(command, [args.domain], said)
