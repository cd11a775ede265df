"""`indimail user add|del|list|show|set|passwd|rename|import|export`: mailboxes.

    indimail user add --quota 50M alice@example.com       # asks for the password
    indimail user import users.csv

What vadduser, vdeluser, vuserinfo, vmoduser, vpasswd and vrenameuser do; the work is theirs too:
`manage.users`, `manage.removal`, `manage.reports`, `manage.user_change`, `manage.rename`.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import or_
from typing import Final

from indimail.accounts.port import RFC_IDS, Flag
from indimail.cli import vrenameuser
from indimail.cli.actions import (
    Action,
    absolute,
    add_actions,
    end_change,
    named_action,
    positive,
    run_action,
)
from indimail.cli.address import our_address
from indimail.cli.change import carry, is_completed, tell_completed
from indimail.cli.credentials import parse_quota_option
from indimail.cli.given_password import (
    STDIN,
    add_password,
    add_storing,
    new_credentials,
    random_given,
    take_password,
)
from indimail.cli.shown_user import FLAGS, declare_list, list_users, show_user
from indimail.cli.site import Command, Failed, check, now, opened
from indimail.cli.vmoduser import read_reply
from indimail.mail.secret import Secret
from indimail.manage.names import check_case
from indimail.manage.removal import plan_user_removal
from indimail.manage.user_change import UserChange, plan_user_change
from indimail.manage.users import (
    NewUser,
    check_new_password,
    check_new_user,
    plan_password,
    plan_user,
)
from indimail.manage.writes import Write


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    add_actions(parser, "user", ACTIONS)


def run(args: argparse.Namespace) -> int:
    """Do one of them."""
    return run_action(args)


def _declare_email(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("email")


# -- add, passwd ---------------------------------------------------------------------------------


def _declare_add(parser: argparse.ArgumentParser) -> None:
    _declare_email(parser)
    add_password(parser)
    parser.add_argument("--name", help="the user's full name")
    parser.add_argument("--quota", metavar="QUOTA", help="50M, 50M,1000 or NOQUOTA (HARD_QUOTA)")
    parser.add_argument("--inactive", action="store_true", help="add it inactive")
    parser.add_argument(
        "--base", type=absolute, metavar="DIR", help="where the home lies (BASE_PATH)"
    )
    parser.add_argument(
        "--users-per-level", type=positive, metavar="N", default=0, help="homes in a directory"
    )


def _add(args: argparse.Namespace) -> int:
    check(check_case("email", args.email))
    quota = parse_quota_option(args.quota)
    take_password(args)
    with opened(args.program, args) as command:
        site, accounts, disk = command.site, command.accounts, command.disk
        name, domain = our_address(command, args.email)
        new = NewUser(
            name=name,
            domain=domain,
            password=Secret(""),
            gecos=args.name or "",
            quota=quota,
            active=not args.inactive,
            base=args.base or "",
            users_per_level=args.users_per_level,
        )
        if is_completed(command, args.email):
            tell_completed(command)
        else:
            check(check_new_user(site, accounts, disk, new))  # before a password is asked for
            made = new_credentials(command, args, domain, f"{name}@{domain}")
            new = replace(new, password=made.password, scram=made.scram)
        writes = carry(command, args.email, lambda: plan_user(site, accounts, disk, new, now()))
    return _end(command, args, "vadduser", writes, f"added user {name}@{domain}")


def _declare_passwd(parser: argparse.ArgumentParser) -> None:
    _declare_email(parser)
    add_password(parser)


def _passwd(args: argparse.Namespace) -> int:
    check(check_case("email", args.email))
    take_password(args)
    with opened(args.program, args) as command:
        accounts = command.accounts
        name, domain = our_address(command, args.email)
        check(check_new_password(accounts, name, domain))  # before asking for one
        made = new_credentials(command, args, domain, f"{name}@{domain}")
        writes = carry(
            command,
            args.email,
            lambda: plan_password(accounts, name, domain, made.password, made.scram, now()),
            again=True,
        )
    return _end(command, args, "vpasswd", writes, f"password of {name}@{domain} set")


def _end(
    command: Command,
    args: argparse.Namespace,
    program: str,
    writes: Sequence[Write],
    said: str,
) -> int:
    random = random_given(args)
    told = "\n".join([said, *map("password: {}".format, random.values())])
    return end_change(command, args, program, [args.email], writes, told, random)


# -- del -----------------------------------------------------------------------------------------


def _declare_delete(parser: argparse.ArgumentParser) -> None:
    _declare_email(parser)
    parser.add_argument(
        "--reserved", action="store_true", help="also a reserved name (postmaster, abuse, ...)"
    )


def _delete(args: argparse.Namespace) -> int:
    check(check_case("email", args.email))
    with opened(args.program, args) as command:
        site, accounts, disk = command.site, command.accounts, command.disk
        name, domain = our_address(command, args.email)
        if name in RFC_IDS and not args.reserved and not command.is_dry:
            what = "a reserved name, expected --reserved to remove it"
            raise Failed(f"{name}@{domain}: {what}", os.EX_NOPERM)
        writes = carry(
            command,
            args.email,
            lambda: plan_user_removal(site, accounts, disk, name, domain),
        )
    return end_change(
        command, args, "vdeluser", [args.email], writes, f"removed user {name}@{domain}"
    )


# -- set -----------------------------------------------------------------------------------------


def _declare_set(parser: argparse.ArgumentParser) -> None:
    _declare_email(parser)
    parser.add_argument(
        "--quota", metavar="QUOTA", help="50M; 50M,1000; NOQUOTA; +5M, -5M: more, less"
    )
    parser.add_argument("--name", help="the user's full name")
    parser.add_argument("--active", action="store_true", default=None, help="active again")
    parser.add_argument(
        "--inactive", dest="active", action="store_false", default=None,
        help="no login, no new mail; what is there is kept",
    )  # fmt: skip
    parser.add_argument(
        "--flag",
        dest="given",
        metavar="FLAG",
        action="append",
        choices=FLAGS,
        default=[],
        help=f"set one of {' '.join(FLAGS)}",
    )
    parser.add_argument(
        "--no-flag",
        dest="gone",
        metavar="FLAG",
        action="append",
        choices=FLAGS,
        default=[],
        help="clear one of them",
    )
    parser.add_argument(
        "--date-folders", dest="date", metavar="FORMAT", help="%%Y-%%m; empty: none any more"
    )
    reply = parser.add_mutually_exclusive_group()
    reply.add_argument("--reply", metavar="FILE", help="answer mail with its text; -: stdin")
    reply.add_argument("--no-reply", action="store_true", help="no more")


def _set(args: argparse.Namespace) -> int:
    check(check_case("email", args.email))
    given, gone = (
        reduce(or_, map(FLAGS.__getitem__, names), Flag(0)) for names in (args.given, args.gone)
    )
    if given & gone:
        raise Failed("--flag and --no-flag: expected different flags", os.EX_USAGE)
    change = UserChange(
        quota=args.quota,
        gecos=args.name,
        given=given,
        gone=gone,
        active=args.active,
        date_format=args.date,
        autoreply=_reply(args),
    )
    if change == UserChange():
        raise Failed(
            "found nothing to set, expected --quota, --name, ... (see --help)", os.EX_USAGE
        )
    with opened(args.program, args) as command:
        site, accounts, disk = command.site, command.accounts, command.disk
        name, domain = our_address(command, args.email)
        writes = carry(
            command,
            f"{args.email}: {change}",
            lambda: plan_user_change(site, accounts, disk, name, domain, change, now()),
            again=not change.is_relative,
        )
    program = "vmoduser" if change.autoreply is None else None
    said = f"changed user {name}@{domain}: {change}"
    return end_change(command, args, program, [args.email], writes, said)


def _reply(args: argparse.Namespace) -> bytes | None:
    """Return the text of the automatic reply, read as who runs the command; None: it stays."""
    if args.no_reply:
        return b""
    if args.reply is None:
        return None
    try:
        return read_reply(None if args.reply == STDIN else args.reply, f"--reply {args.reply}")
    except FileNotFoundError as error:
        raise Failed(f"{args.reply}: {error.strerror}", os.EX_NOINPUT) from None


# -- import, export ------------------------------------------------------------------------------


def _declare_import(parser: argparse.ArgumentParser) -> None:
    columns = "email, password or hash, name, quota, active"
    parser.add_argument("file", help=f"CSV, -: standard input; columns: {columns}")
    parser.add_argument(
        "--update", action="store_true", help="change users who are there with other values"
    )
    add_storing(parser.add_argument_group("of the column password"))


def _import(args: argparse.Namespace) -> int:
    from indimail.cli import user_import  # noqa: PLC0415 - more than --help needs

    return user_import.run(args)


def _declare_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", default=STDIN, help="left out, or -: standard output")
    declare_list(parser)
    parser.add_argument("--force", action="store_true", help="replace a file that is there")


def _export(args: argparse.Namespace) -> None:
    from indimail.cli import user_export  # noqa: PLC0415 - as above

    user_export.run(args)


ACTIONS: Final = {
    "add": Action(
        "make a mailbox in a virtual domain",
        "indimail user add --quota 50M --name Alice alice@example.com",
        _declare_add, _add,
    ),
    "del": Action(
        "remove a mailbox with its mail", "indimail user del --dry-run alice@example.com",
        _declare_delete, _delete,
    ),
    "list": Action(
        "list users", "indimail user list --domain example.com --json",
        declare_list, list_users, is_change=False,
    ),
    "show": Action(
        "show a user: quota and what the mailbox holds, what leads to it, the last login",
        "indimail user show alice@example.com",
        _declare_email, show_user, is_change=False,
    ),
    "set": Action(
        "change a user's quota, name, flags, automatic reply; make it inactive, or active",
        "indimail user set --quota +50M --flag no-pop alice@example.com",
        _declare_set, _set,
    ),
    "passwd": Action(
        "change a password", "indimail user passwd alice@example.com",
        _declare_passwd, _passwd,
    ),
    "import": Action(
        "add users from CSV, all or none", "indimail user import --dry-run users.csv",
        _declare_import, _import,
    ),
    "export": Action(
        "write users as CSV, with their hashes",
        "indimail user export --domain example.com users.csv",
        _declare_export, _export, is_change=False,
    ),
    "rename": named_action(
        vrenameuser.CHANGE,
        "give a mailbox another name in its domain",
        "indimail user rename alice@example.com zoe@example.com",
    ),
}  # fmt: skip
