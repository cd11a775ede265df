"""`vdeluser`: remove a mailbox with its mail.

    vdeluser --dry-run alice@example.com      # what would go
    vdeluser alice@example.com

A reserved name (postmaster, abuse, ...) is asked about; the first line of standard input answers.
Exit codes and texts: spec/delivery.md 2.  The work: `manage.removal`.
"""

import argparse
import sys

from indimail.accounts.port import RFC_IDS
from indimail.cli.address import default_domain
from indimail.cli.change import (
    begin_arguments,
    check_name,
    end_arguments,
    finish,
    is_completed,
    make_change,
)
from indimail.cli.site import Failed, attempt, opened, usage
from indimail.manage.aliasdomains import real_domain
from indimail.manage.names import split_address
from indimail.manage.removal import plan_user_removal

PROGRAM = "vdeluser"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    begin_arguments(parser, "Remove a mailbox with its mail.")
    parser.add_argument("email", nargs="?")
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Remove the user."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    if args.email is None:
        raise usage(args, 1)
    check_name("email", args.email)
    with opened(PROGRAM, args) as command:
        site, accounts, disk = command.site, command.accounts, command.disk
        name, domain = split_address(args.email)
        domain = real_domain(site, accounts, domain or default_domain(site))
        is_asked = name in RFC_IDS and accounts.find(name, domain) and not command.is_dry
        if is_asked and not is_completed(command, args.email):
            _ask(f"{name}@{domain}")
        make_change(
            command,
            args.email,
            lambda: plan_user_removal(site, accounts, disk, name, domain),
        )
    said = [f"removed user {name}@{domain}"] if args.verbose else []
    return finish(command, [args.email], said)


def _ask(address: str) -> None:
    print(f"Are You sure removing RFC Id {address} (y/n) - ", end="", flush=True)
    if sys.stdin.readline()[:1] not in ("y", "Y"):
        raise Failed(f"{address}: not removed", 255)
