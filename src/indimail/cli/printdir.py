"""`printdir`: how the homes of a domain are spread over directories.

    printdir example.com

A line for each file system and group: homes counted, the bucket of the last one, homes there are.

Source: spec/delivery.md 1.2, 2.  The counters: `manage.homes`.
"""

import argparse

from indimail.cli.change import check_name
from indimail.cli.site import add_options, add_root, attempt, check, opened, usage
from indimail.manage.aliasdomains import real_domain
from indimail.manage.homes import counted_homes
from indimail.manage.routing import check_domain_exists

PROGRAM = "printdir"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_options(parser, {})
    parser.description = "Show how the homes of a domain are spread over directories."
    parser.add_argument("domain", nargs="?")
    add_root(parser)
    parser.set_defaults(usage=parser.format_usage())


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    if args.domain is None:
        raise usage(args)
    check_name("domain", args.domain)
    with opened(PROGRAM, args) as command:
        site, accounts, disk = command.site, command.accounts, command.disk
        domain = real_domain(site, accounts, args.domain)
        check(check_domain_exists(site, disk, domain))
        print(f"{'Filesystem':16} {'Group':6} {'Counted':>7} {'Homes':>7} Bucket")
        for row in counted_homes(site, accounts, disk, domain):
            print(
                f"{row.filesystem:16} {row.group:6} {row.counted:>7} {row.homes:>7} "
                f"{row.bucket or '-'}"
            )
