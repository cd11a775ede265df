"""`vlimit`: the limits of a domain, or of one user.

    vlimit -P 50 -A 20 -q 100M example.com      # at most 50 accounts, 20 aliases; 100M each
    vlimit -n 365 -g pi example.com             # no login after a year; no POP3, no IMAP
    vlimit -s example.com                       # show; -D removes
    vlimit -p cd postmaster@example.com         # what a web administrator may not

They count where `vmoddomain -l 1` has turned them on.  -g lists all services that are closed, -T -g
those that open again.  The lines of -s are ours.

Exit codes and texts: spec/delivery.md 2, 9.2.  The work: `manage.limits`.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Iterator
from typing import Final

from indimail.accounts.port import NO_DEFAULT, Limits
from indimail.cli.change import (
    begin_arguments,
    check_name,
    end_arguments,
    make_change,
    what_is_named,
)
from indimail.cli.site import Command, Failed, attempt, check, now, opened, usage
from indimail.delivery.quota import NO_QUOTA, parse_quota
from indimail.manage.aliasdomains import real_domain
from indimail.manage.limits import no_records, plan_limits, plan_limits_removal
from indimail.manage.names import split_address
from indimail.manage.room import SWITCH
from indimail.manage.users import check_domain_is_ours

PROGRAM = "vlimit"
DAY: Final = 86_400
LARGEST: Final = (1 << 31) - 1  # of a column of counts

COUNTS: Final = {
    "P": ("maxpopaccounts", "accounts"),
    "A": ("maxaliases", "aliases"),
    "F": ("maxforwards", "forwards to other domains"),
    "R": ("maxautoresponders", "automatic replies"),
    "L": ("maxmailinglists", "mailing lists"),
}
CLOSED: Final = {
    "u": ("disable_dialup", "dial-up"),
    "d": ("disable_passwordchanging", "change of passwords"),
    "s": ("disable_smtp", "SMTP"),
    "i": ("disable_imap", "IMAP"),
    "p": ("disable_pop", "POP3"),
    "w": ("disable_webmail", "webmail"),
    "r": ("disable_relay", "relaying"),
}
# Option, column, the place of its three bits, what a web administrator does with it.
PERMISSIONS: Final = (
    ("p", "perm_account", 0, "accounts"),
    ("a", "perm_alias", 0, "aliases"),
    ("f", "perm_forward", 0, "forwards"),
    ("r", "perm_autoresponder", 0, "automatic replies"),
    ("l", "perm_maillist", 0, "mailing lists"),
    ("u", "perm_maillist", 3, "users of mailing lists"),
    ("o", "perm_maillist", 6, "moderators of mailing lists"),
    ("x", "perm_quota", 0, "the domain's quota"),
    ("z", "perm_defaultquota", 0, "the default quota"),
)
DENIED: Final = {"0": 0, "a": 7, "c": 1, "m": 2, "d": 4}
_VERBS: Final = {"create": 1, "modify": 2, "delete": 4}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    options = begin_arguments(parser, "Show and set the limits of a domain, or of a user.")
    parser.add_argument("name", nargs="?", metavar="domain|email")
    options.add_argument("-s", dest="show", action="store_true", help="show them")
    options.add_argument("-D", dest="gone", action="store_true", help="remove them")
    for which, what in (("en", "the domain"), ("tN", "passwords")):
        options.add_argument(
            f"-{which[0]}", dest=f"{which[0]}_date", metavar="ddmmyyyyHHMMSS",
            help=f"when {what} will expire; -1: never",
        )  # fmt: skip
        options.add_argument(
            f"-{which[1]}", dest=f"{which[0]}_days", type=int, metavar="DAYS",
            help="in so many days, or so many ago",
        )  # fmt: skip
    options.add_argument("-Q", dest="diskquota", metavar="SIZE", help="the users' quotas together")
    options.add_argument("-M", dest="maxmsgcount", type=int, metavar="N", help="and their mails")
    options.add_argument(
        "-q", dest="defaultquota", metavar="SIZE", help="quota of a new user; NOQUOTA: none"
    )
    options.add_argument("-m", dest="defaultmaxmsgcount", type=int, metavar="N", help="and mails")
    for letter, (column, what) in COUNTS.items():
        options.add_argument(
            f"-{letter}", dest=column, type=int, metavar="N", help=f"most {what}; -1: any"
        )
    services = ", ".join(f"{letter} {what}" for letter, (_, what) in CLOSED.items())
    options.add_argument(
        "-g", dest="closed", metavar="LETTERS", help=f"close services: {services}, x none"
    )
    options.add_argument("-T", dest="opens", action="store_true", help="those of -g open again")
    for letter, _, _, what in PERMISSIONS:
        options.add_argument(
            f"-{letter}", dest=f"perm_{letter}", metavar="0acmd",
            help=f"of a user: may not create (c), modify (m), delete (d), any (a) {what}",
        )  # fmt: skip
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Show or change the limits."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    if args.name is None or (args.show and args.gone):
        raise usage(args)
    check_name(what_is_named(args.name), args.name)
    name, domain = split_address(args.name)
    name, domain = (name, domain) if domain else ("", name)
    for option, other in (("e", "n"), ("t", "N")):
        if None not in (getattr(args, f"{option}_date"), getattr(args, f"{option}_days")):
            raise Failed(f"-{option} and -{other}: expected one of them", 1)
    with opened(PROGRAM, args) as command:
        site, accounts, disk = command.site, command.accounts, command.disk
        domain = real_domain(site, accounts, domain)
        refused = check_domain_is_ours(site, disk, domain)
        if refused is not None:
            raise Failed(refused.text, 100)
        before = accounts.limits(name, domain)
        values = _values(args, before or Limits(name, domain))
        if not (args.show or args.gone or values) or (args.gone and values):
            raise usage(args)
        if args.gone:
            make_change(
                command, f"-D {args.name}",
                lambda: plan_limits_removal(accounts, name, domain),
            )  # fmt: skip
            if not command.is_dry:
                print("Limits deleted")
        if values:
            _warn_where_off(command, domain)
            make_change(
                command, f"{args.name} {values}",
                lambda: plan_limits(site, accounts, disk, name, domain, values),
            )  # fmt: skip
            if args.verbose and not command.is_dry:
                print(f"set limits of {Limits(name, domain).subject}")
        if args.show:
            found = accounts.limits(name, domain)
            for line in report(check(found or no_records(name, domain))):
                print(line)


def _warn_where_off(command: Command, domain: str) -> None:
    if not command.disk.exists(os.path.join(command.site.domain_dir(domain), SWITCH)):
        told = f"limits of {domain} are off; `vmoddomain -l 1 {domain}` turns them on"
        print(f"{PROGRAM}: warning: {told}", file=sys.stderr)


def _values(args: argparse.Namespace, before: Limits) -> dict[str, int]:
    """Return the columns that the options set."""
    values: dict[str, int] = {}
    for option, what in (("e", "domain"), ("t", "password")):
        column = "domain_expiry" if option == "e" else "passwd_expiry"
        date, days = getattr(args, f"{option}_date"), getattr(args, f"{option}_days")
        if date is not None:
            values[column] = _date(date, what)
        elif days is not None:
            if abs(days) > LARGEST:
                letter = "n" if option == "e" else "N"
                raise Failed(f"-{letter} {days}: expected {-LARGEST} to {LARGEST}", 1)
            values[column] = max(int(now()) + days * DAY, 0)
    for letter, column, least in (
        ("M", "maxmsgcount", 0),
        ("m", "defaultmaxmsgcount", 0),
        *((letter, column, -1) for letter, (column, _) in COUNTS.items()),
    ):
        number = getattr(args, column)
        if number is not None:
            if not least <= number <= LARGEST:
                raise Failed(f"-{letter} {number}: expected {least} to {LARGEST}", 1)
            values[column] = number
    for column, unlimited in (("diskquota", 0), ("defaultquota", NO_DEFAULT)):
        if (text := getattr(args, column)) is not None:
            values[column] = _octets(text) or unlimited
    values.update(_closed(args))
    values.update(_permissions(args, before))
    return values


def _date(text: str, what: str) -> int:
    """Return the time of a ddmmyyyyHHMMSS, local; -1 is never."""
    if text == "-1":
        return -1
    wrong = Failed(f"Invalid {what} expiry date [{text}]", 1)
    if not re.fullmatch("[0-9]{14}", text):  # strptime takes fewer digits
        raise wrong
    try:
        return max(int(time.mktime(time.strptime(text, "%d%m%Y%H%M%S"))), 0)
    except (ValueError, OverflowError):
        raise wrong from None


def _octets(text: str) -> int:
    quota = parse_quota(text) if text else None
    if quota is None or quota.messages or quota.octets >= NO_DEFAULT:
        raise Failed(f"invalid quota [{text}]: expected 50M or {NO_QUOTA}", 1)
    return quota.octets


def _closed(args: argparse.Namespace) -> dict[str, int]:
    if args.closed is None:
        if args.opens:
            raise Failed("-T: expected -g with what opens again", 1)
        return {}
    wrong = set(args.closed) - {*CLOSED, "x"}
    if wrong or not args.closed:
        raise Failed(f"-g {args.closed}: expected letters of {''.join(CLOSED)}x", 1)
    if args.opens:
        return {CLOSED[letter][0]: 0 for letter in args.closed if letter != "x"}
    return {
        column: int(letter in args.closed and "x" not in args.closed)
        for letter, (column, _) in CLOSED.items()
    }


def _permissions(args: argparse.Namespace, before: Limits) -> dict[str, int]:
    values: dict[str, int] = {}
    for option, column, place, _ in PERMISSIONS:
        letters = getattr(args, f"perm_{option}")
        if letters is None:
            continue
        if not before.name:
            raise Failed(f"-{option}: is of a user, expected {PROGRAM} ... user@domain", 1)
        if not letters or set(letters) - set(DENIED):
            raise Failed(f"-{option} {letters}: expected letters of {''.join(DENIED)}", 1)
        denied = 0
        for letter in letters:
            denied |= DENIED[letter]
        known = values.get(column, getattr(before, column))
        values[column] = known & ~(7 << place) | denied << place
    return values


def report(limits: Limits) -> Iterator[str]:
    """Yield the lines of -s."""
    yield _line("limits of", limits.subject)
    yield _line("domain expires", _when(limits.domain_expiry))
    yield _line("passwords expire", _when(limits.passwd_expiry))
    yield _line("domain quota", _size(limits.diskquota))
    yield _line("domain messages", str(limits.maxmsgcount or "unlimited"))
    yield _line("default quota", _size(limits.defaultquota, "HARD_QUOTA"))
    yield _line("default messages", str(limits.defaultmaxmsgcount or "unlimited"))
    for column, what in COUNTS.values():
        most = getattr(limits, column)
        yield _line(f"most {what.partition(' to ')[0]}", "unlimited" if most < 0 else str(most))
    closed = [what for column, what in CLOSED.values() if getattr(limits, column)]
    yield _line("closed", ", ".join(closed) or "none")
    if limits.name:
        for _, column, place, what in PERMISSIONS:
            bits = getattr(limits, column) >> place
            denied = ", ".join(verb for verb, bit in _VERBS.items() if bits & bit)
            if denied:
                yield _line("web admin may not", f"{denied} {what}")


def _line(label: str, value: str) -> str:
    return f"{label:22}: {value}"


def _when(at: int) -> str:
    return "never" if at < 0 else time.ctime(at)


def _size(octets: int, none: str = "unlimited") -> str:
    if octets >= NO_DEFAULT:
        return NO_QUOTA
    return f"{octets} [{octets / (1 << 20):.2f}] MiB" if octets else none
