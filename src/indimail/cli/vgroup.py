"""`vgroup`: make a distribution list, and change who is on it.

    vgroup -a -c 'The sales' sales@example.com              # asks for a password
    vgroup -i '&alice@example.com' sales@example.com        # add; -d remove, -u NEW -o OLD replace

A group is a user whose name begins with MailGroup: vuserinfo, vdeluser and vpasswd know it too.
Exit codes and texts: spec/delivery.md 2.  The work: `manage.groups`.
"""

import argparse
from dataclasses import replace

from indimail.cli.address import default_domain
from indimail.cli.change import check_name, end_arguments, finish, is_completed, make_change
from indimail.cli.credentials import (
    add_password_options,
    add_scram_options,
    make_credentials,
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
    usage,
)
from indimail.mail.secret import Secret
from indimail.manage.aliasdomains import real_domain
from indimail.manage.aliases import LineChange
from indimail.manage.groups import MARK, plan_group, plan_member
from indimail.manage.names import split_address
from indimail.manage.users import NewUser, check_domain_is_ours, check_new_user

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
    options.add_argument("-c", dest="gecos", metavar="NAME", help="with -a: its name")
    options.add_argument("-q", dest="quota", metavar="QUOTA", help="with -a: 50M, NOQUOTA")
    options.add_argument("-i", dest="new", metavar="LINE", help="add a line: &user@domain")
    options.add_argument("-d", dest="gone", metavar="LINE", help="remove a line")
    options.add_argument("-u", dest="put", metavar="LINE", help="put it in the place of -o's")
    options.add_argument("-o", dest="old", metavar="LINE", help="the line that -u replaces")
    add_password_options(options)
    add_scram_options(options)
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Make or change the group."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    refuse_later(args)
    changes = [args.new, args.gone, args.put]
    asked = [args.add, *(line is not None for line in changes)]
    if args.group is None or sum(asked) != 1 or (args.put is None) != (args.old is None):
        raise usage(args, 1)
    check_name("email", args.group)
    quota = parse_quota_option(args.quota)
    with opened(PROGRAM, args) as command:
        site, accounts = command.site, command.accounts
        name, domain = split_address(args.group)
        domain = real_domain(site, accounts, domain or default_domain(site))
        check(check_domain_is_ours(site, command.disk, domain))
        if args.add:
            new = NewUser(name, domain, Secret(""), gecos=args.gecos or name, quota=quota)
            _make(command, args, new)
            said = f"added group {name}@{domain}"
        else:
            change = LineChange(
                new=args.new if args.put is None else args.put,
                gone=args.gone if args.old is None else args.old,
            )
            make_change(
                command,
                f"{args.group} {change}",
                lambda: plan_member(accounts, name, domain, change),
            )
            said = f"changed group {name}@{domain}"
    return finish(command, [args.group], [said] if args.verbose else [])


def _make(command: Command, args: argparse.Namespace, new: NewUser) -> None:
    site, accounts, disk = command.site, command.accounts, command.disk
    if is_completed(command, args.group):
        return
    # Before asking for a password.
    check(check_new_user(site, accounts, replace(new, gecos=f"{MARK}{new.gecos}")))
    if not command.is_dry:
        prompt = f"New IndiMail password for {new.name}@{new.domain}: "
        made = make_credentials(command, args, new.domain, prompt)
        if not made.password:
            raise Failed("Please input password", 1)
        new = replace(new, password=made.password, scram=made.scram)
    make_change(command, args.group, lambda: plan_group(site, accounts, disk, new, now()))
