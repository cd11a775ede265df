"""`vadduser`: add a mailbox to a virtual domain.

    vadduser alice@example.com        # asks for the password

The Maildir is made at once, so -d changes nothing.
Exit codes and texts: spec/delivery.md 2, 2.2.  The work: `manage.users`.
"""

import argparse
import sys
from dataclasses import replace

from indimail.cli.address import default_domain
from indimail.cli.change import end_arguments, finish, is_completed, make_change
from indimail.cli.credentials import (
    add_password_options,
    add_scram_options,
    make_credentials,
    parse_base,
    parse_level,
    parse_quota_option,
)
from indimail.cli.site import (
    Command,
    Failed,
    add_options,
    attempt,
    check,
    now,
    opened,
    refuse_later,
)
from indimail.mail.secret import Secret
from indimail.manage.aliasdomains import real_domain
from indimail.manage.names import check_case, split_address
from indimail.manage.users import NewUser, check_domain_is_ours, check_new_user, plan_user

PROGRAM = "vadduser"
LATER = {
    "b": "balancing over file systems",
    "H": "the cluster",
    "M": "the cluster",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    options = add_options(parser, LATER, taking_value="HM")
    parser.description = "Add a mailbox to a virtual domain."
    parser.add_argument("email", nargs="?")
    parser.add_argument("password", nargs="?", help="left out: asked, or the first line of stdin")
    options.add_argument("-q", dest="quota", metavar="QUOTA", help="50M, 50M,1000, NOQUOTA (500M)")
    options.add_argument("-c", dest="gecos", metavar="NAME", help="the user's full name")
    options.add_argument("-d", dest="directory", action="store_true", help="make the home (always)")
    options.add_argument("-i", dest="inactive", action="store_true", help="add it inactive")
    options.add_argument("-B", dest="base", metavar="DIR", help="where the home lies (BASE_PATH)")
    options.add_argument(
        "-l", dest="level", type=int, metavar="N", help="users in a directory (100)"
    )
    add_password_options(options)
    add_scram_options(options)
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Add the user."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    refuse_later(args)
    if args.email is None:
        raise Failed("Please input email", 1)
    check(check_case("email", args.email))
    quota = parse_quota_option(args.quota)
    level = parse_level(args.level)
    base = parse_base(args.base)
    with opened(PROGRAM, args) as command:
        site, accounts = command.site, command.accounts
        name, domain = split_address(args.email)
        domain = real_domain(site, accounts, domain or default_domain(site))
        if is_completed(command, args.email):
            print(f"{PROGRAM}: its password is the one given then", file=sys.stderr)
        else:
            _make(
                command,
                args,
                NewUser(
                    name=name,
                    domain=domain,
                    password=Secret(""),
                    gecos=args.gecos or "",
                    quota=quota,
                    active=not args.inactive,
                    base=base,
                    users_per_level=level,
                ),
            )
        added = accounts.find(name, domain)
    said = [f"added user {added.address}, home {added.directory}"] if added is not None else []
    return finish(command, [args.email], said if args.verbose else [])


def _make(command: Command, args: argparse.Namespace, new: NewUser) -> None:
    site, accounts, disk = command.site, command.accounts, command.disk
    check(check_domain_is_ours(site, disk, new.domain))
    check(check_new_user(site, accounts, new))  # before asking for a password
    if not command.is_dry:
        prompt = f"New IndiMail password for {new.name}@{new.domain}: "
        made = make_credentials(command, args, new.domain, prompt)
        if not made.password:
            raise Failed("Please input password", 1)
        new = replace(new, password=made.password, scram=made.scram)
    make_change(command, args.email, lambda: plan_user(site, accounts, disk, new, now()))
