"""`vadduser`: add a mailbox to a virtual domain.

    vadduser alice@example.com        # asks for the password

The Maildir is made at once, so -d changes nothing.
Exit codes and texts: spec/delivery.md 2, 2.2.  The work: `manage.users`.
"""

import argparse
from dataclasses import replace

from indimail.cli.address import real_address
from indimail.cli.change import end_arguments, finish
from indimail.cli.credentials import parse_base, parse_level, parse_quota_option
from indimail.cli.new_user import add_user_options, make_user
from indimail.cli.site import Failed, add_options, attempt, check, opened, refuse_later
from indimail.mail.secret import Secret
from indimail.manage.names import check_case
from indimail.manage.users import NewUser

PROGRAM = "vadduser"
LATER = {
    "H": "the cluster",
    "M": "the cluster",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    options = add_options(parser, LATER, taking_value="HM")
    parser.description = "Add a mailbox to a virtual domain."
    parser.add_argument("email", nargs="?")
    parser.add_argument("password", nargs="?", help="left out: asked, or the first line of stdin")
    options.add_argument("-d", dest="directory", action="store_true", help="make the home (always)")
    options.add_argument("-i", dest="inactive", action="store_true", help="add it inactive")
    options.add_argument(
        "-b", dest="is_balanced", action="store_true", help="on the file system whose turn it is"
    )
    options.add_argument("-B", dest="base", metavar="DIR", help="where the home lies (BASE_PATH)")
    options.add_argument(
        "-l", dest="level", type=int, metavar="N", help="users in a directory (100)"
    )
    add_user_options(options)
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Add the user."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    refuse_later(args)
    if args.email is None:
        raise Failed("Please input email", 1)
    check(check_case("email", args.email))
    if args.is_balanced and args.base:
        raise Failed("-b and -B: expected one of them", 1)
    new = NewUser(
        name="",
        domain="",
        password=Secret(""),
        gecos=args.gecos,
        quota=parse_quota_option(args.quota),
        active=not args.inactive,
        base=parse_base(args.base),
        users_per_level=parse_level(args.level),
        is_balanced=args.is_balanced,
    )
    with opened(PROGRAM, args) as command:
        name, domain = real_address(command, args.email)
        make_user(command, args, args.email, replace(new, name=name, domain=domain))
        added = command.accounts.find(name, domain)
    said = [f"added user {added.address}, home {added.directory}"] if added is not None else []
    return finish(command, [args.email], said if args.verbose else [])
