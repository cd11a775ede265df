"""`vmoddomain`: change a virtual domain's instruction for absent users, its limits, its hash.

    vmoddomain -h lost@example.com example.com

The program of the line in `.qmail-default` stays (vdelivermail or vfilter) unless -f 0 is given.
Exit codes and texts: spec/delivery.md 2, 2.4.  The work: `manage.domain_change`.
"""

import argparse
import os
from typing import Final

from indimail.accounts.passwords import METHODS
from indimail.cli.change import begin_arguments, end_arguments, make_change
from indimail.cli.site import Failed, attempt, check, opened, usage
from indimail.manage.aliasdomains import real_domain
from indimail.manage.domain_change import DomainChange, plan_domain_change
from indimail.manage.instruction import EXPECTED, VDELIVERMAIL
from indimail.manage.names import check_case

PROGRAM = "vmoddomain"
FOR_FILTERS: Final = "1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    options = begin_arguments(parser, "Change a virtual domain.")
    parser.add_argument("domain", nargs="?")
    options.add_argument(
        "-h", dest="instruction", metavar="INSTRUCTION", help=f"for absent users: {EXPECTED}"
    )
    options.add_argument(
        "-f",
        dest="filters",
        choices=("0", FOR_FILTERS),
        help="with -h: deliver by vdelivermail (0) or vfilter (1, not yet); else it stays",
    )
    options.add_argument(
        "-l", dest="limits", choices=("0", "1"), help="domain limits off (0) or on (1)"
    )
    options.add_argument(
        "-H",
        dest="method",
        metavar="HASH",
        help=f"for new passwords: {' '.join(METHODS)}, or 0 to 4 for the first five",
    )
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Change the domain."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    is_change = args.instruction is not None or args.limits or args.method
    if args.domain is None or not is_change or (args.filters and args.instruction is None):
        raise usage(args)
    if args.filters == FOR_FILTERS:
        raise Failed("-f 1: not yet: vfilter", os.EX_UNAVAILABLE)
    check(check_case("domain", args.domain))
    with opened(PROGRAM, args) as command:
        domain = real_domain(command.site, command.accounts, args.domain)
        change = DomainChange(
            domain=domain,
            instruction=args.instruction,
            program=VDELIVERMAIL if args.filters else "",
            limits=args.limits == "1" if args.limits else None,
            method_name=args.method,
        )
        site, disk = command.site, command.disk
        make_change(
            command, f"{args.domain} {change}", lambda: plan_domain_change(site, disk, change)
        )
    if command.is_dry:
        return
    if args.verbose:
        print(f"changed domain {domain}")
