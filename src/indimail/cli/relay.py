"""`indimail relay list|add|expire`: logins by POP3 and IMAP that let a client relay (CHECKRELAY).

    indimail relay add alice@example.com 192.0.2.7
    indimail relay list
    indimail relay expire

A row counts for RELAY_CLEAR_MINUTES.  Those that are over permit nothing; `expire`, or
`clearopensmtp`, removes them.  tcp.smtp is never written.

The work: `manage.relays`.
"""

import argparse
import os
from datetime import UTC, datetime
from typing import Final

from indimail.accounts.port import RelayLogin
from indimail.cli.actions import Action, add_actions, run_action
from indimail.cli.address import our_address
from indimail.cli.change import check_name
from indimail.cli.shown import print_json, print_table
from indimail.cli.site import Command, Failed, check, now, opened
from indimail.mail.ip import ip_of
from indimail.manage.notify import AccountChanged
from indimail.manage.relays import expire_logins, is_over, login_of

MINUTES: Final = "RELAY_CLEAR_MINUTES"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    add_actions(parser, "relay", ACTIONS)


def run(args: argparse.Namespace) -> int:
    """Do one of them."""
    return run_action(args)


def minutes_of(command: Command) -> int:
    """Return for how long a login counts, where no client has a time of its own."""
    text = command.site.variables.get(MINUTES) or "60"
    if not text.isascii() or not text.isdecimal():
        raise Failed(f"{MINUTES}: found {text!r}, expected a whole number", os.EX_CONFIG)
    return int(text)


def _declare_nothing(parser: argparse.ArgumentParser) -> None:
    """It takes no arguments."""


def _declare_add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("email", help="who logged in")
    parser.add_argument("ip", type=_ip, help="from where: an address of IPv4 or IPv6")
    parser.add_argument(
        "--at", type=_time, metavar="TIME",
        help="when: seconds since the epoch, or as in 2026-11-26T10:00 (UTC); default: now",
    )  # fmt: skip


def _add(args: argparse.Namespace) -> None:
    check_name("email", args.email)
    with opened(args.program, args) as command:
        name, domain = our_address(command, args.email)
        time = int(now()) if args.at is None else args.at
        login = check(login_of(command.accounts, name, domain, args.ip, time))
        if not command.is_dry:
            command.accounts.put_relay_login(login)
            command.tell_server(AccountChanged(name, domain))
    _tell(command, args, [login], f"{login.email} may relay from {login.ip}")


def _expire(args: argparse.Namespace) -> None:
    with opened(args.program, args) as command:
        minutes = minutes_of(command)
        logins = command.accounts.all_relay_logins()
        over = [login for login in logins if is_over(login, now(), minutes)]
        if not command.is_dry:
            expire_logins(command.accounts, now(), minutes)
    count = f"{len(over)} login{'' if len(over) == 1 else 's'}"
    _tell(command, args, over, f"removed {count} older than {minutes} minutes")


def _tell(command: Command, args: argparse.Namespace, logins: list[RelayLogin], said: str) -> None:
    changed = [f"rows {login.email}: relay from {login.ip}" for login in logins]
    if args.json:
        name = args.program.removeprefix("indimail ")
        print_json({"command": name, "dry_run": command.is_dry, "changed": changed})
    elif command.is_dry:
        print(*changed, sep="\n", end="\n" if changed else "")
    else:
        print(said)


def _list(args: argparse.Namespace) -> None:
    with opened(args.program, args) as command:
        minutes, at = minutes_of(command), now()
        logins = command.accounts.all_relay_logins()
    rows = [(login, "over" if is_over(login, at, minutes) else "counts") for login in logins]
    if args.json:
        told = [{"email": r.email, "ip": r.ip, "time": r.time, "state": s} for r, s in rows]
        print_json({"logins": told})
        return
    print_table(
        ["email", "ip", "time", "state"], [[r.email, r.ip, _shown(r.time), s] for r, s in rows]
    )


def _shown(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _ip(text: str) -> str:
    ip = ip_of(text)
    if ip is None:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected an IP address")
    return ip


def _time(text: str) -> int:
    """Return seconds since the epoch; a time without a zone is of UTC."""
    if text.isascii() and text.isdecimal() and len(text) < 12:
        return int(text)
    try:
        time = datetime.fromisoformat(text)
        return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError) as error:
        expected = "seconds since the epoch, or a time as in 2026-11-26T10:00"
        raise argparse.ArgumentTypeError(f"found {text!r}, expected {expected}") from error


ACTIONS: Final = {
    "list": Action(
        "list the logins that let a client relay", "indimail relay list --json",
        _declare_nothing, _list, is_change=False,
    ),
    "add": Action(
        "let a user relay from an address, as a login from there does",
        "indimail relay add alice@example.com 192.0.2.7", _declare_add, _add,
    ),
    "expire": Action(
        "remove logins older than RELAY_CLEAR_MINUTES", "indimail relay expire --dry-run",
        _declare_nothing, _expire,
    ),
}  # fmt: skip
