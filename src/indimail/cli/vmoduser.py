"""`vmoduser`: change a user's quota, name, password, flags, automatic reply; make one inactive.

    vmoduser -q +50M -c "Alice B." alice@example.com
    vmoduser -P - alice@example.com       # asks for the password
    vmoduser -b alice@example.com         # lock; -t -b turns the flag over, -x clears all
    vmoduser -l away.txt alice@example.com    # answer with that text; -l + stdin, -l - no more

Exit codes and texts: spec/delivery.md 1.3, 2, 2.3.  The work: `manage.user_change`.
"""

import argparse
import sys
from dataclasses import replace
from functools import reduce
from operator import or_
from typing import Final

from indimail.accounts.port import Flag
from indimail.cli.address import our_address
from indimail.cli.answering import LONGEST_TEXT
from indimail.cli.change import (
    begin_arguments,
    end_arguments,
    finish,
    is_completed,
    make_change,
    tell_completed,
)
from indimail.cli.credentials import Credentials, add_storing_options, make_credentials
from indimail.cli.site import Command, Failed, attempt, check, now, opened, usage
from indimail.mail.secret import Secret
from indimail.manage.names import check_case
from indimail.manage.user_change import UserChange, plan_user_change

PROGRAM = "vmoduser"
FLAGS: Final = {
    "d": (Flag.NO_PASSWD_CHNG, "may not change the password"),
    "p": (Flag.NO_POP, "no POP3"),
    "w": (Flag.NO_WEBMAIL, "no webmail"),
    "i": (Flag.NO_IMAP, "no IMAP"),
    "b": (Flag.BOUNCE_MAIL, "locked: mail bounces"),
    "r": (Flag.NO_RELAY, "may not relay"),
    "u": (Flag.NO_DIALUP, "no dial-up"),
    "a": (Flag.QA_ADMIN, "web administrator"),
    "s": (Flag.NO_SMTP, "no SMTP"),
    "0": (Flag.V_USER0, "user flag 0"),
    "1": (Flag.V_USER1, "user flag 1"),
    "2": (Flag.V_USER2, "user flag 2"),
    "3": (Flag.V_USER3, "user flag 3"),
    "o": (Flag.V_OVERRIDE, "domain limits do not apply"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    options = begin_arguments(parser, "Change a user.", misused=100)
    parser.add_argument("email", nargs="?")
    options.add_argument(
        "-q", dest="quota", metavar="QUOTA", help="50M; 50M,1000; NOQUOTA; +5M, -5M: more, less"
    )
    options.add_argument("-c", dest="gecos", metavar="NAME", help="the user's full name")
    options.add_argument(
        "-P", dest="clear", metavar="PASSWORD", help="a new password; -: asked, or from stdin"
    )
    options.add_argument(
        "-e",
        dest="encrypted",
        metavar="HASH",
        help="an encrypted password; -: asked, or from stdin",
    )
    add_storing_options(options)
    options.add_argument(
        "-n", dest="switch", action="store_true", help="inactive, or active again; mail is kept"
    )
    options.add_argument(
        "-D", dest="date", metavar="FORMAT", help="folders by date (%%b-%%Y); empty: none"
    )
    options.add_argument(
        "-l", dest="autoreply", metavar="FILE", help="answer with its text; +: stdin; -: no more"
    )
    options.add_argument("-x", dest="none", action="store_true", help="take all flags away")
    options.add_argument("-t", dest="toggle", action="store_true", help="turn given flags over")
    for letter, (flag, what) in FLAGS.items():
        options.add_argument(
            f"-{letter}", dest="flags", action="append_const", const=flag, help=f"flag: {what}"
        )
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Change the user."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    if args.email is None:
        raise usage(args)
    check(check_case("email", args.email))
    change = _change(args)
    with opened(PROGRAM, args) as command:
        name, domain = our_address(command, args.email)
        if command.accounts.find(name, domain) is None:  # before asking for a password
            raise Failed(f"no such user {name}@{domain}", 1)
        if change == UserChange():
            raise usage(args)
        _make(command, args, name, domain, change)
        changed = command.accounts.find(name, domain)
    said = []
    if change.autoreply is not None:
        said.append(f"{name}@{domain}: automatic reply {'set' if change.autoreply else 'removed'}")
    if args.verbose and changed is not None:
        state = "active" if changed.active else "inactive"
        said.append(f"changed user {changed.address}: {state}, quota {changed.quota}")
    # As in the original, an automatic reply is no change that the hook is told of.
    return finish(command, [args.email], said, hooked=change.autoreply is None)


def _change(args: argparse.Namespace) -> UserChange:
    """Return what is asked for; where that is a password, it is still to come."""
    has_password = args.clear is not None or args.encrypted is not None
    if (args.cram or args.scram) and not has_password:
        raise Failed("Password not provided", 100)
    return UserChange(
        quota=args.quota,
        gecos=args.gecos,
        password=Secret("") if has_password else None,
        given=reduce(or_, args.flags or (), Flag(0)),
        clear=args.none,
        toggle=args.toggle,
        switch=args.switch,
        date_format=args.date,
        autoreply=None if args.autoreply is None else _autoreply(args.autoreply),
    )


def _make(
    command: Command, args: argparse.Namespace, name: str, domain: str, change: UserChange
) -> None:
    subject = f"{args.email}: {change}"
    if change.is_relative and is_completed(command, subject):
        if change.password is not None:
            tell_completed(command)
        return
    if change.password is not None and not command.is_dry:
        made = _credentials(command, args, name, domain)
        change = replace(change, password=made.password, scram=made.scram)
    site, accounts, disk = command.site, command.accounts, command.disk
    make_change(
        command,
        subject,
        lambda: plan_user_change(site, accounts, disk, name, domain, change, now()),
        again=True,
    )


def _autoreply(given: str) -> bytes:
    """Return the text, read as who runs the command; nothing: no more replies."""
    return b"" if given == "-" else read_reply(None if given == "+" else given, f"-l {given}")


def read_reply(path: str | None, option: str) -> bytes:
    """Return the text of an automatic reply; without a path from standard input."""
    if path is None:
        text = sys.stdin.buffer.read(LONGEST_TEXT + 1)
    else:
        with open(path, "rb") as file:
            text = file.read(LONGEST_TEXT + 1)
    if not 0 < len(text) <= LONGEST_TEXT:
        what = f"a text of at most {LONGEST_TEXT} octets"
        raise Failed(f"{option}: found {'more' if text else 'nothing'}, expected {what}", 100)
    return text


def _credentials(command: Command, args: argparse.Namespace, name: str, domain: str) -> Credentials:
    given = args.clear if args.encrypted is None else args.encrypted
    args.raw, args.random = args.encrypted is not None, None
    args.password = None if given == "-" else given
    made = make_credentials(command, args, domain, f"{name}@{domain}")
    if not made.password:
        raise Failed("Password not provided", 100)
    return made
