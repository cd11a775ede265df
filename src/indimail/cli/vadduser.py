"""`vadduser`: add a mailbox to a virtual domain.

    vadduser alice@example.com        # asks for the password

The Maildir is made at once, so -d changes nothing.
Exit codes and texts: spec/delivery.md 2, 2.2.  The work: `manage.users`.
"""

import argparse

from indimail.cli.address import our_address
from indimail.cli.credentials import (
    add_password_options,
    add_scram_options,
    make_credentials,
    parse_base,
    parse_level,
    parse_quota_option,
)
from indimail.cli.site import (
    Failed,
    add_options,
    add_root,
    attempt,
    check,
    now,
    opened,
    refuse_later,
)
from indimail.manage.names import check_case, check_user
from indimail.manage.notify import AccountChanged
from indimail.manage.users import NewUser, add_user

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
    add_root(parser)
    parser.set_defaults(usage=parser.format_usage())


def run(args: argparse.Namespace) -> int:
    """Add the user."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    refuse_later(args)
    if args.email is None:
        raise Failed("Please input email", 1)
    check(check_case("email", args.email))
    quota = parse_quota_option(args.quota)
    level = parse_level(args.level)
    base = parse_base(args.base)
    with opened(PROGRAM, args) as command:
        site, accounts, disk = command.site, command.accounts, command.disk
        name, domain = our_address(command, args.email)
        refused = check_user(name, domain, args.gecos or "", site.variables.get("ALLOWCHARS", ""))
        if refused is not None:
            raise Failed(f"iadduser: {refused.text}", refused.code)
        if accounts.find(name, domain) is not None:  # before asking for a password
            raise Failed(f"iadduser: username {name}@{domain} exists", 100)
        prompt = f"New IndiMail password for {name}@{domain}: "
        made = make_credentials(command, args, domain, prompt)
        if not made.password:
            raise Failed("Please input password", 1)
        new = NewUser(
            name=name,
            domain=domain,
            password=made.password,
            scram=made.scram,
            gecos=args.gecos or "",
            quota=quota,
            active=not args.inactive,
            base=base,
            users_per_level=level,
        )
        outcome = check(add_user(site, accounts, disk, new, now()))
        command.tell_server(AccountChanged(name, domain))
        if args.verbose:
            print(f"added user {outcome.address}, home {outcome.directory}")
