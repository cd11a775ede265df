"""`vpurge`: make room where a disk fills up, of what the users of a domain have thrown away.

    vpurge example.com 30 10            # where less than 10 % of the disk is free
    vpurge --dry-run example.com 30 100 # what would go from each mailbox, however much is free

Mails older than so many days go from Trash, Spam, Junk and Quarantine, and those that are marked
deleted and not expunged from all other folders.  No other mail goes, read or unread, and no user:
that is what vdeloldusers is for.

Exit codes: spec/delivery.md 2.  The work: `manage.purge`.
"""

import argparse

from indimail.cli.change import begin_arguments, check_name, end_arguments, make_change
from indimail.cli.site import Failed, attempt, check, now, opened, usage
from indimail.manage.aliasdomains import real_domain
from indimail.manage.homes import domain_base
from indimail.manage.layout import mount_point
from indimail.manage.purge import Purge, free_percent, plan_purge
from indimail.manage.routing import check_domain_exists

PROGRAM = "vpurge"
LONGEST = 36_500  # days
ALL = 100  # percent


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    begin_arguments(
        parser,
        "Remove mails older than DAYS from Trash, Spam, Junk and Quarantine, and mails marked"
        " deleted, of users whose disk has less than MINFREE percent free.",
    )
    parser.add_argument("domain", nargs="?")
    parser.add_argument("days", nargs="?", help="the age of mails that go")
    parser.add_argument("minfree", nargs="?", help="percent of the disk; 100: in any case")
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Purge the mailboxes."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    if args.minfree is None:
        raise usage(args)
    check_name("domain", args.domain)
    wanted = Purge(_number("days", args.days, LONGEST), _number("minfree", args.minfree, ALL))
    with opened(PROGRAM, args) as command:
        site, accounts, disk = command.site, command.accounts, command.disk
        domain = real_domain(site, accounts, args.domain)
        check(check_domain_exists(site, disk, domain))
        if args.verbose:
            base = mount_point(domain_base(site, disk, domain))
            print(f"{base}: {free_percent(base)} % free, purged below {wanted.min_free}")
        make_change(
            command,
            f"{domain} {wanted}",
            lambda: plan_purge(site, accounts, disk, domain, wanted, now()),
            again=True,
        )


def _number(what: str, text: str, most: int) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise Failed(f"{what} {text}: expected 1 to {most}", 1)
    return int(text)
