"""`vmoveuserdir`: move a mailbox to another directory, also on another file system.

    vmoveuserdir alice@example.com /srv/mail/alice

The server may go on meanwhile: what it delivers to the old home follows.
Exit codes and texts: spec/delivery.md 2.  The work: `manage.rename`.
"""

import argparse

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
from indimail.manage.rename import plan_home_move

PROGRAM = "vmoveuserdir"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    begin_arguments(parser, "Move a mailbox to another directory.")
    parser.add_argument("email", nargs="?")
    parser.add_argument("directory", nargs="?", help="the home to be: a full path, not there yet")
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Move the home."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    if args.directory is None:
        raise usage(args, 1)
    check_name("email", args.email)
    name, domain = split_address(args.email)
    if not domain:
        raise Failed(f"{name}: Not a fully qualified email", 1)
    subject = f"{args.email} {args.directory}"
    with opened(PROGRAM, args) as command:
        site, accounts, disk = command.site, command.accounts, command.disk
        domain = real_domain(site, accounts, domain)
        found = accounts.find(name, domain)
        make_change(
            command,
            subject,
            lambda: plan_home_move(site, accounts, disk, name, domain, args.directory),
        )
    said = (
        [f"{name}@{domain} old {found.directory} new {args.directory} done"]
        if found is not None and not is_completed(command, subject)
        else []
    )
    return finish(command, [args.email, args.directory], said)
