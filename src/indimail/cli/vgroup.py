"""`vgroup`: make a distribution list, and change who is on it.

    vgroup -a -c 'The sales' sales@example.com              # asks for a password
    vgroup -i '&alice@example.com' sales@example.com        # add; -d remove, -u NEW -o OLD replace

A group is a user whose name begins with MailGroup: vuserinfo, vdeluser and vpasswd know it too.
Exit codes and texts: spec/delivery.md 2.  The work: `manage.groups`.
"""

import argparse

from indimail.cli.address import our_address
from indimail.cli.change import check_name, end_arguments, finish, make_change
from indimail.cli.credentials import parse_quota_option
from indimail.cli.new_user import add_user_options, make_user
from indimail.cli.site import Command, add_options, attempt, opened, refuse_later, usage
from indimail.mail.secret import Secret
from indimail.manage.aliases import LineChange
from indimail.manage.groups import as_group, plan_member
from indimail.manage.users import NewUser

PROGRAM = "vgroup"
LATER = {
    "n": "the cluster",
    "H": "the cluster",
    "M": "the cluster",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    options = add_options(parser, LATER, taking_value="HM")
    parser.description = "Make a distribution list, or change who is on it."
    parser.add_argument("group", nargs="?", help="its address")
    parser.add_argument("password", nargs="?", help="of a new one; left out: asked, or from stdin")
    options.add_argument("-a", dest="add", action="store_true", help="make the group")
    options.add_argument("-i", dest="new", metavar="LINE", help="add a line: &user@domain")
    options.add_argument("-d", dest="gone", metavar="LINE", help="remove a line")
    options.add_argument("-u", dest="put", metavar="LINE", help="put it in the place of -o's")
    options.add_argument("-o", dest="old", metavar="LINE", help="the line that -u replaces")
    add_user_options(options)
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Make or change the group."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    refuse_later(args)
    changes = [args.new, args.gone, args.put]
    asked = [args.add, *(line is not None for line in changes)]
    if args.group is None or sum(asked) != 1 or (args.put is None) != (args.old is None):
        raise usage(args)
    check_name("email", args.group)
    quota = parse_quota_option(args.quota)
    with opened(PROGRAM, args) as command:
        name, domain = our_address(command, args.group)
        if args.add:
            new = NewUser(name, domain, Secret(""), gecos=args.gecos, quota=quota)
            make_user(command, args, args.group, as_group(new))
        else:
            _change_lines(command, args, name, domain)
    said = f"{'added' if args.add else 'changed'} group {name}@{domain}"
    return finish(command, [args.group], [said] if args.verbose else [])


def _change_lines(command: Command, args: argparse.Namespace, name: str, domain: str) -> None:
    change = LineChange(
        new=args.new if args.put is None else args.put,
        gone=args.gone if args.old is None else args.old,
    )
    subject = f"{args.group} {change}"
    make_change(command, subject, lambda: plan_member(command.accounts, name, domain, change))
