"""`vpasswd`: set a user's password.

    vpasswd alice@example.com         # asks for the password

Exit codes and texts: spec/delivery.md 2.  The work: `manage.users`.
"""

import argparse

from indimail.cli.change import end_arguments, finish, make_change
from indimail.cli.credentials import (
    add_password_options,
    add_scram_options,
    new_credentials,
)
from indimail.cli.site import (
    Failed,
    add_options,
    attempt,
    check,
    now,
    opened,
    usage,
)
from indimail.manage.aliasdomains import real_domain
from indimail.manage.names import check_case, split_address
from indimail.manage.users import check_domain_is_ours, check_new_password, plan_password

PROGRAM = "vpasswd"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    options = add_options(parser, {})
    parser.description = "Set a user's password."
    parser.add_argument("email", nargs="?")
    parser.add_argument("password", nargs="?", help="left out: asked, or the first line of stdin")
    add_password_options(options)
    add_scram_options(options)
    options.add_argument("-H", dest="asks", action="store_true", help="print how it is used")
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Set the password."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    if args.email is None or args.asks:
        raise usage(args)
    check(check_case("email", args.email))
    name, domain = split_address(args.email)
    if not domain:
        raise Failed(f"{name}: No domain specified", 1)
    with opened(PROGRAM, args) as command:
        domain = real_domain(command.site, command.accounts, domain)
        check(check_domain_is_ours(command.site, command.disk, domain))
        accounts = command.accounts
        check(check_new_password(accounts, name, domain))  # before asking for one
        made = new_credentials(command, args, domain, f"{name}@{domain}")
        make_change(
            command,
            args.email,
            lambda: plan_password(accounts, name, domain, made.password, made.scram, now()),
            again=True,
        )
    said = [f"password of {name}@{domain} set"] if args.verbose else []
    return finish(command, [args.email], said)
