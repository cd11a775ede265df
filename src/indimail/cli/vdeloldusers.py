"""`vdeloldusers`: make users inactive, or remove them, who have not come for long; clean up mail.

    vdeloldusers -d example.com -r                  # who has not come for 60 days
    vdeloldusers -d example.com -a 90 -i            # make those of 90 days inactive
    vdeloldusers -d example.com -u 30 -t 2          # remove unread mail of 30 days, trash of 2
    vdeloldusers -d example.com -c -m -u 30         # mails only: unread ones of all folders

Without -i, -p, -u and -t nothing is changed.  An inactive user keeps everything.
Source: spec/cluster-users.md 1.6, 5.5.  The work: `manage.oldusers`.
"""

import argparse
import os
import time

from indimail.cli.change import begin_arguments, check_name, end_arguments, make_change
from indimail.cli.site import Command, Failed, attempt, check, now, opened
from indimail.manage.aliasdomains import real_domain
from indimail.manage.assign import domains
from indimail.manage.oldusers import Cleaning, Then, old_users, plan_cleaning
from indimail.manage.removal import plan_user_removal
from indimail.manage.routing import check_domain_exists

PROGRAM = "vdeloldusers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    options = begin_arguments(parser, "Clean up after users who have not come for long.")
    options.add_argument("-d", dest="domain", metavar="DOMAIN", help="left out: all domains")
    options.add_argument("-a", dest="age", type=int, default=60, metavar="DAYS", help="(60)")
    options.add_argument("-r", dest="report", action="store_true", help="print who is old")
    options.add_argument("-i", dest="inactive", action="store_true", help="make them inactive")
    options.add_argument("-p", dest="purge", action="store_true", help="remove them")
    options.add_argument(
        "-u", dest="unread", type=_days, default=-1, metavar="DAYS", help="remove older unread mail"
    )
    options.add_argument(
        "-t", dest="trash", type=_days, default=-1, metavar="DAYS", help="remove older trash"
    )
    options.add_argument(
        "-m",
        dest="folders",
        action="store_true",
        help="with -u: in all folders, not the INBOX alone",
    )
    options.add_argument("-c", dest="mails", action="store_true", help="mails only, no users")
    options.add_argument(
        "-f", dest="fast", action="store_true", help="go by the logins alone, not by Maildir/cur"
    )
    options.add_argument(
        "-s", dest="kept", action="append", metavar="NAME", help="keep whose name begins so"
    )
    end_arguments(parser)


def _days(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number of days")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Clean up."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    if args.mails and (args.inactive or args.purge or max(args.unread, args.trash) < 0):
        raise Failed("-c: mails only, expected -u or -t, and neither -i nor -p", 1)
    if args.folders and args.unread < 0:
        raise Failed("-m: expected -u with the age of unread mails", 1)
    if args.inactive and args.purge:
        raise Failed("-i and -p: expected one of them", 1)
    if args.age < 1:
        raise Failed(f"-a {args.age}: expected a number of days", os.EX_USAGE)
    wanted = Cleaning(
        age=args.age,
        then=Then.INACTIVE if args.inactive else Then.REMOVED if args.purge else Then.NOTHING,
        unread_age=args.unread,
        trash_age=args.trash,
        looks_at_cur=not args.fast,
        looks_in_folders=args.folders,
        kept=tuple(args.kept or ()),
    )
    if args.domain is not None:
        check_name("domain", args.domain)
    with opened(PROGRAM, args) as command:
        site, accounts, disk = command.site, command.accounts, command.disk
        names = [args.domain] if args.domain is not None else domains(disk, site.places.users_dir)
        for domain in dict.fromkeys(real_domain(site, accounts, name) for name in names):
            check(check_domain_exists(site, disk, domain))
            _clean(command, args, domain, wanted)


def _clean(command: Command, args: argparse.Namespace, domain: str, wanted: Cleaning) -> None:
    site, accounts, disk = command.site, command.accounts, command.disk
    at = now()
    found = old_users(accounts, domain, wanted, at)
    is_report = wanted.then is Then.NOTHING and max(wanted.unread_age, wanted.trash_age) < 0
    if (args.report or args.verbose or is_report) and not args.mails:
        for account, last in found:
            print(f"{account.address} {time.strftime('%Y-%m-%d', time.localtime(last))}")
    if wanted.then is Then.REMOVED:
        for account, _ in found:
            make_change(
                command,
                account.address,
                lambda name=account.name: plan_user_removal(site, accounts, disk, name, domain),  # type: ignore[misc]
            )
    if not is_report:
        make_change(
            command,
            f"{domain} {wanted}",
            lambda: plan_cleaning(site, accounts, disk, domain, wanted, at),
        )
