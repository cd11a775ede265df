"""`indimail user list` and `indimail user show`.

    indimail user list --domain example.com
    indimail user show --json alice@example.com

The work: `manage.reports`.
"""

import argparse
import os
from typing import Final

from indimail.accounts.passwords import method_label
from indimail.accounts.port import Account, Flag
from indimail.accounts.scram import parse_scram
from indimail.cli.address import our_address
from indimail.cli.change import check_name
from indimail.cli.shown import (
    event_values,
    limit_lines,
    limit_values,
    print_json,
    print_table,
    print_values,
    size,
    utc,
)
from indimail.cli.site import Command, Failed, check, opened
from indimail.delivery.quota import UNLIMITED, Quota, Usage, parse_quota
from indimail.manage.assign import domains
from indimail.manage.names import check_case
from indimail.manage.reports import UserReport, report_user

FLAGS: Final = {(flag.name or "").lower().replace("_", "-"): flag for flag in Flag}


def declare_list(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `list`."""
    parser.add_argument("--domain", help="of this domain alone")


def list_users(args: argparse.Namespace) -> None:
    """List the users of a domain, or of all."""
    with opened(args.program, args) as command:
        users = users_of(command, args)
    if args.json:
        print_json({"users": [_brief(user) for user in users]})
        return
    headings = ["address", "name", "quota", "active"]
    rows = [
        [user.address, user.gecos, _limits(_quota(user)), "yes" if user.active else "no"]
        for user in users
    ]
    print_table(headings, rows)


def users_of(command: Command, args: argparse.Namespace) -> list[Account]:
    """Return the users of a domain, or of all."""
    if args.domain is None:
        names = domains(command.disk, command.site.places.users_dir)
    else:
        check_name("domain", args.domain)
        names = [our_address(command, f"@{args.domain}")[1]]
    return [user for name in names for user in command.accounts.users(name)]


def show_user(args: argparse.Namespace) -> None:
    """Show a user."""
    check(check_case("email", args.email))
    with opened(args.program, args) as command:
        name, domain = our_address(command, args.email)
        accounts = command.accounts
        account = accounts.find(name, domain)
        if account is None:
            lines = accounts.aliases(name, domain)
            more = f"; `indimail alias list {name}@{domain}` shows its lines" if lines else ""
            raise Failed(f"{name}@{domain}: No such user{more}", os.EX_NOUSER)
        known = report_user(command.site, accounts, command.disk, account)
    if args.json:
        print_json(_values(known))
    else:
        print_values(_lines(known))


def _brief(account: Account) -> dict[str, object]:
    quota = _quota(account)
    return {
        "address": account.address,
        "name": account.gecos,
        "active": account.active,
        "quota": {"octets": quota.octets or None, "messages": quota.messages or None},
        "flags": _flags(account),
        "home": account.directory,
    }


def _values(known: UserReport) -> dict[str, object]:
    account = known.account
    return {
        **_brief(account),
        "home_exists": known.has_home,
        "usage": {"octets": known.usage.octets, "messages": known.usage.messages},
        "uid": account.uid,
        "hash_method": method_label(account.password),
        "scram": _scram(account),
        "forwards": known.forwards,
        "aliases": [{"alias": f"{a.name}@{a.domain}", "line": a.line} for a in known.aliases],
        "events": [event_values(event) for event in known.events],
        "last_login": event_values(known.last_login),
        "limits_on": known.has_limits,
        "limits": limit_values(known.limits),
    }


def _lines(known: UserReport) -> dict[str, str | list[str]]:
    account, login = known.account, known.last_login
    return {
        "address": account.address,
        "name": account.gecos,
        "active": "yes" if account.active else "no",
        "flags": " ".join(_flags(account)) or "-",
        "quota": _limits(known.quota),
        "usage": _holds(known.usage, known.quota),
        "home": account.directory + ("" if known.has_home else " (missing)"),
        "password": " and ".join(
            [method_label(account.password), *filter(None, [_scram(account)])]
        ),
        "uid": str(account.uid),
        "forwards": known.forwards,
        "aliases": [f"{alias.name}@{alias.domain}" for alias in known.aliases],
        "last login": f"{utc(login.time)} {login.service} {login.remote_ip}" if login else "never",
        "events": [f"{utc(e.time)} {e.service} {e.remote_ip}".rstrip() for e in known.events],
        "limits are": "on" if known.has_limits else "off",
        "limits": limit_lines(known.limits),
    }


def _quota(account: Account) -> Quota:
    return parse_quota(account.quota) or UNLIMITED


def _flags(account: Account) -> list[str]:
    return [name for name, flag in FLAGS.items() if flag in account.flags]


def _scram(account: Account) -> str | None:
    keys = parse_scram(account.scram).keys
    return f"SCRAM-SHA-{'256' if keys.mechanism.value == 'sha256' else '1'}" if keys else None


def _limits(quota: Quota) -> str:
    if quota.is_unlimited:
        return "none"
    parts = [size(quota.octets)] if quota.octets else []
    return ", ".join([*parts, *([f"{quota.messages} mails"] if quota.messages else [])])


def _holds(usage: Usage, quota: Quota) -> str:
    share = f" ({usage.octets * 100 // quota.octets} %)" if quota.octets else ""
    return f"{size(usage.octets)}{share}, {usage.messages} mails"
