"""`vuserinfo`: what is known of a user.

    vuserinfo alice@example.com

Each line is a label of 14 characters, a colon and the value.  -n -p -u -g -c -d -q -l -f print
single fields, -a all (the default).  With a quota, what the mailbox holds is counted anew into its
maildirsize.  Filters and the cluster's lines come with their features.

Source: spec/delivery.md 2, 2.6.
"""

import argparse
import os
import time
from collections.abc import Iterator
from typing import Final

from indimail.accounts.passwords import method_label
from indimail.accounts.port import Account, Flag, LastEvent
from indimail.cli.address import real_address
from indimail.cli.site import (
    Failed,
    add_options,
    add_root,
    attempt,
    check,
    now,
    opened,
    usage,
)
from indimail.delivery.quota import parse_quota
from indimail.durable.disk import Disk
from indimail.manage.names import check_case
from indimail.manage.reports import LOGINS, usage_of
from indimail.manage.routing import check_owner

PROGRAM = "vuserinfo"
FIELDS: Final = {
    "n": "name",
    "p": "password",
    "u": "uid",
    "g": "gid (flags)",
    "c": "gecos",
    "d": "directory",
    "q": "quota",
    "l": "last events",
    "f": "forwards",
}
FLAG_TEXTS: Final = {
    "NO_PASSWD_CHNG": "user cannot change password",
    "NO_POP": "pop access closed",
    "NO_WEBMAIL": "webmail access closed",
    "NO_IMAP": "imap access closed",
    "BOUNCE_MAIL": "mail will be bounced back to sender",
    "NO_RELAY": "user not allowed to relay mail",
    "NO_DIALUP": "no dialup flag has been set",
    "QA_ADMIN": "user has web admin privileges",
    "NO_SMTP": "smtp access closed",
    "V_USER0": "user flag 0 is set",
    "V_USER1": "user flag 1 is set",
    "V_USER2": "user flag 2 is set",
    "V_USER3": "user flag 3 is set",
    "V_OVERRIDE": "domain limits do not apply",
}
EVENT_LABELS: Final = {
    "add": "Added On",
    "imap": "last  IMAP",
    "pop3": "last  POP3",
    "webm": "last  WEBM",
    "pass": "PassChange",
    "INAC": "Inact Date",
    "ACTI": "Activ Date",
    "deli": "last  Deli",
}
_MIB: Final = 1 << 20
_GIB: Final = 1 << 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    options = add_options(parser, {}, misused=100)
    parser.description = "Print what is known of a user."
    parser.add_argument("email", nargs="?")
    for letter, what in FIELDS.items():
        options.add_argument(
            f"-{letter}", dest="fields", action="append_const", const=letter, help=f"print {what}"
        )
    options.add_argument(
        "-a", dest="fields", action="store_const", const=list(FIELDS), help="print all (default)"
    )
    add_root(parser)
    parser.set_defaults(usage=parser.format_usage())


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    if args.email is None:
        raise usage(args)
    check(check_case("email", args.email))
    with opened(PROGRAM, args) as command:
        name, domain = real_address(command, args.email)
        check(check_owner(command.site, command.disk, domain, None))
        account = command.accounts.find(name, domain)
        lines = command.accounts.aliases(name, domain)
        if account is None and not lines:
            raise Failed(f"{name}@{domain}: No such user", 1)
        if account is not None:
            events = command.accounts.events(name, domain)
            for text in report(command.disk, account, events, args.fields or list(FIELDS)):
                print(text)
        if account is None or "f" in (args.fields or FIELDS):
            for line in lines:
                print(f"{'Forwarding':14}: {line}")


def report(
    disk: Disk, account: Account, events: list[LastEvent], fields: list[str]
) -> Iterator[str]:
    """Yield the lines of the fields, without the forwards."""
    missing = "" if os.path.isdir(account.directory) else " (missing)"
    values = {
        "n": ("name", account.address),
        "p": ("passwd", f"{account.password.reveal()} ({method_label(account.password)})"),
        "u": ("uid", str(account.uid)),
        "g": ("gid", str(int(account.flags))),
        "c": ("gecos", account.gecos),
        "d": ("dir", account.directory + missing),
        "q": ("quota", _quota(account.quota)),
    }
    for field, (label, value) in values.items():
        if field not in fields:
            continue
        yield f"{label:14}: {value}"
        if field == "g":
            texts = [FLAG_TEXTS[flag.name or ""] for flag in Flag if flag in account.flags]
            yield from (f"{'':16}-{text}" for text in texts or ["all services available"])
        if field == "q":
            yield f"{'curr quota':14}: {usage_of(disk, account)}"
    if "l" in fields:
        yield f"{'Table Name':14}: {'indimail' if account.active else 'indibak'}"
        yield from _events(events)


def _quota(stored: str) -> str:
    quota = parse_quota(stored)
    octets = quota.octets if quota else 0
    if not octets:
        return "unlimited"
    shown = f"{octets / _GIB:.2f}] GiB" if octets >= _GIB else f"{octets / _MIB:.2f}] MiB"
    return f"{stored} [{shown}"


def _events(events: list[LastEvent]) -> Iterator[str]:
    last = {event.service: event for event in events}
    logins = [event.time for event in events if event.service in LOGINS]
    if logins:
        days, seconds = divmod(max(int(now()) - max(logins), 0), 86_400)
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        since = f"{days} days {hours:02} Hrs {minutes:02} Mins {seconds:02} Secs"
        yield f"{'Days inact':14}: {since}"
    for service, label in EVENT_LABELS.items():
        event = last.get(service)
        if event is not None:
            where = f"({event.remote_ip}) " if event.remote_ip else ""
            yield f"{label:14}: {where}{time.ctime(event.time)}"
        elif service in ("imap", "pop3"):
            yield f"{label:14}: Not yet logged in"
