"""A user that is made by a command: `vadduser`, and `vgroup -a`.

    add_user_options(options)
    make_user(command, args, args.email, NewUser(...))

Not here: the plan (`manage.users`), what the options of a password mean (`cli.credentials`).
"""

import argparse
from dataclasses import replace

from indimail.cli.change import is_completed, make_change, tell_completed
from indimail.cli.credentials import (
    add_password_options,
    add_scram_options,
    new_credentials,
)
from indimail.cli.site import Command, check, now
from indimail.manage.users import NewUser, check_domain_is_ours, check_new_user, plan_user


def add_user_options(options: argparse._ArgumentGroup) -> None:
    """Declare quota, name and password."""
    options.add_argument("-q", dest="quota", metavar="QUOTA", help="50M, 50M,1000, NOQUOTA (500M)")
    options.add_argument("-c", dest="gecos", default="", metavar="NAME", help="the full name")
    add_password_options(options)
    add_scram_options(options)


def make_user(command: Command, args: argparse.Namespace, subject: str, new: NewUser) -> None:
    """Ask for the password, and make the user."""
    site, accounts, disk = command.site, command.accounts, command.disk
    if is_completed(command, subject):
        tell_completed(command)
        return
    check(check_domain_is_ours(site, disk, new.domain))
    check(check_new_user(site, accounts, disk, new))  # before asking for a password
    made = new_credentials(command, args, new.domain, f"{new.name}@{new.domain}")
    new = replace(new, password=made.password, scram=made.scram)
    make_change(command, subject, lambda: plan_user(site, accounts, disk, new, now()))
