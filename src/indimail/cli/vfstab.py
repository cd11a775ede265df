"""`vfstab`: the file systems where homes may lie, for `vadduser -b`.

    vfstab -i /mail/a -n 100000 -q 1000G      # make it known; -l is the same
    vfstab -o 0 -i /mail/a                    # no more homes there; -o 1: again
    vfstab -s                                 # show all
    vfstab -b                                 # count their users and quotas anew, from cron
    vfstab -d /mail/a                         # no longer known; homes that lie there stay

A file system is a directory in it, by its full path, where the owner of the instance may write.
-n and -q are information: vadduser -b goes by the users that there are and the size.

Exit codes and texts: spec/cluster-users.md 6.3.  The work: `manage.filesystems`.
"""

import argparse

from indimail.accounts.port import FileSystem
from indimail.cli.change import begin_arguments, end_arguments, make_change
from indimail.cli.site import Failed, attempt, opened, refuse_later, usage
from indimail.delivery.quota import parse_quota
from indimail.manage.filesystems import (
    Wanted,
    plan_filesystem,
    plan_filesystem_removal,
    plan_recount,
)

PROGRAM = "vfstab"
_STATES = {"1": True, "on": True, "online": True, "0": False, "off": False, "offline": False}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    options = begin_arguments(
        parser,
        "Show and set the file systems where homes may lie.",
        {"m": "the cluster"},
        taking_value="m",
    )
    options.add_argument("-i", dest="path", metavar="DIR", help="make it known, or change it")
    options.add_argument("-l", dest="path", metavar="DIR", help="as -i: of this host")
    options.add_argument("-d", dest="gone", metavar="DIR", help="forget it")
    options.add_argument("-n", dest="users", type=int, metavar="N", help="most users")
    options.add_argument("-q", dest="size", metavar="SIZE", help="its size: 1000G")
    options.add_argument("-o", dest="state", choices=_STATES, help="on or off: for new homes")
    options.add_argument("-b", dest="count", action="store_true", help="count all anew")
    options.add_argument("-s", dest="show", action="store_true", help="show all")
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Show or change them."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    refuse_later(args)
    asked = [args.path is not None, args.gone is not None, args.count]
    given = any(value is not None for value in (args.users, args.size, args.state))
    if sum(asked) > 1 or not (any(asked) or args.show) or (given and args.path is None):
        raise usage(args)
    wanted = None if args.path is None else _wanted(args)
    with opened(PROGRAM, args) as command:
        accounts = command.accounts
        if wanted is not None:
            make_change(command, f"{wanted}", lambda: plan_filesystem(accounts, wanted))
        elif args.gone is not None:
            gone: str = args.gone
            make_change(command, f"-d {gone}", lambda: plan_filesystem_removal(accounts, gone))
        elif args.count:
            make_change(command, "-b", lambda: plan_recount(accounts))
        if args.show:
            _show(accounts.filesystems())


def _wanted(args: argparse.Namespace) -> Wanted:
    if args.users is not None and args.users < 0:
        raise Failed(f"-n {args.users}: expected 0 or more", 1)
    quota = None if args.size is None else parse_quota(args.size)
    if args.size is not None and (quota is None or quota.messages):
        raise Failed(f"-q {args.size}: expected a size like 1000G", 1)
    return Wanted(
        args.path.rstrip("/") or "/",
        None if args.state is None else _STATES[args.state],
        args.users,
        None if quota is None else quota.octets,
    )


def _show(known: list[FileSystem]) -> None:
    row = "{:24} {:7} {:>9} {:>9} {:>15} {:>15}"
    print(row.format("Filesystem", "Status", "Users", "Most", "Quotas", "Size"))
    for found in known:
        state = "online" if found.is_online else "offline"
        counts = (found.users, found.most_users, found.octets, found.most_octets)
        print(row.format(found.path, state, *counts))
