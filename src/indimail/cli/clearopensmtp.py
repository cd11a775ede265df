"""`clearopensmtp`: remove the logins by POP3 and IMAP that are older than RELAY_CLEAR_MINUTES.

    */30 * * * *  clearopensmtp             # in the crontab of who owns the instance

The same as `indimail relay expire`.  IndiMail's also makes tcp.smtp.cdb of what is left; here that
file is the operator's, and with -t, which asks for that alone, nothing is done.  What is over permits
nothing, whether it is removed or not.

Exit code 0: done.
"""

import argparse
import os

from indimail.cli.change import add_dry_run
from indimail.cli.relay import minutes_of
from indimail.cli.site import add_root, attempt, now, opened
from indimail.manage.relays import expire_logins, is_over

PROGRAM = "clearopensmtp"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("-s", dest="table", action="store_true", help="the table alone: as always")
    parser.add_argument("-t", dest="rules", action="store_true", help="tcp.smtp.cdb alone: nothing")
    parser.add_argument("-C", dest="all", action="store_true", help="all databases: there is one")
    parser.add_argument("-v", dest="verbose", action="store_true", help="say how many are gone")
    add_dry_run(parser)
    add_root(parser)


def run(args: argparse.Namespace) -> int:
    """Remove them."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    if args.rules and not args.table:
        print(f"{PROGRAM}: logins stand in no rules of tcp.smtp: nothing to do")
        return os.EX_OK
    with opened(PROGRAM, args) as command:
        minutes = minutes_of(command)
        if args.dry_run:
            for login in command.accounts.all_relay_logins():
                if is_over(login, now(), minutes):
                    print(f"rows {login.email}: relay from {login.ip}")
            return os.EX_OK
        count = expire_logins(command.accounts, now(), minutes)
    if args.verbose:
        print(f"removed {count} of logins older than {minutes} minutes")
    return os.EX_OK
