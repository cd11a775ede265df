"""`indimail domain add|del|list|show|set|rename`: virtual domains.

    indimail domain add example.com               # asks for postmaster's password
    indimail domain list --json

What vadddomain, vdeldomain, vdominfo, vmoddomain and vrenamedomain do; the work is theirs too:
`manage.domains`, `manage.removal`, `manage.reports`, `manage.domain_change`, `manage.rename`.
"""

import argparse
import os
from dataclasses import replace
from typing import Final

from indimail.accounts.passwords import METHODS
from indimail.cli import vdeldomain, vrenamedomain
from indimail.cli.actions import (
    Action,
    absolute,
    add_actions,
    end_change,
    named_action,
    positive,
    run_action,
)
from indimail.cli.change import carry, check_name, is_completed, tell_completed
from indimail.cli.credentials import parse_quota_option
from indimail.cli.given_password import (
    add_password,
    new_credentials,
    random_given,
    take_password,
)
from indimail.cli.shown import limit_lines, limit_values, print_json, print_table, print_values
from indimail.cli.site import Command, Failed, check, now, opened
from indimail.mail.secret import Secret
from indimail.manage.aliasdomains import real_domain
from indimail.manage.assign import domains
from indimail.manage.domain_change import DomainChange, plan_domain_change
from indimail.manage.domains import (
    BOUNCE,
    POSTMASTER,
    NewDomain,
    check_absent,
    check_catch_all,
    plan_domain,
)
from indimail.manage.instruction import EXPECTED
from indimail.manage.names import check_domain
from indimail.manage.reports import DomainReport, report_domain


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    add_actions(parser, "domain", ACTIONS)


def run(args: argparse.Namespace) -> int:
    """Do one of them."""
    return run_action(args)


def _declare_domain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("domain")


# -- add -----------------------------------------------------------------------------------------


def _declare_add(parser: argparse.ArgumentParser) -> None:
    _declare_domain(parser)
    add_password(parser, whose=f"{POSTMASTER}-")
    parser.add_argument("--quota", metavar="QUOTA", help="postmaster's: 50M, 50M,1000 or NOQUOTA")
    parser.add_argument(
        "--default", dest="instruction", metavar="INSTRUCTION", default=BOUNCE,
        help=f"mail for absent users: {EXPECTED} ({BOUNCE})",
    )  # fmt: skip
    parser.add_argument("--base", type=absolute, metavar="DIR", help="where homes lie (BASE_PATH)")
    parser.add_argument(
        "--users-per-level", type=positive, metavar="N", default=0, help="homes in a directory"
    )
    parser.add_argument(
        "--check-recipients", action="store_true", help="enter it in control/chkrcptdomains"
    )


def _add(args: argparse.Namespace) -> int:
    check_name("domain", args.domain)
    new = NewDomain(
        domain=args.domain,
        password=Secret(""),
        quota=parse_quota_option(args.quota),
        base=args.base or "",
        users_per_level=args.users_per_level,
        recipient_check=args.check_recipients,
        instruction=args.instruction,
    )
    take_password(args)
    with opened(args.program, args) as command:
        site, accounts, disk = command.site, command.accounts, command.disk
        check(check_domain(args.domain, site.variables.get("CHECK_DOMAIN_REGEXP", "")))
        check(check_catch_all(args.instruction))
        if is_completed(command, args.domain):
            tell_completed(command)
        else:
            check(check_absent(site, disk, args.domain))  # before a password is asked for
            made = new_credentials(command, args, new.domain, f"{POSTMASTER}@{new.domain}")
            method_name = made.method_name if args.method else ""
            new = replace(new, password=made.password, scram=made.scram, method_name=method_name)
        writes = carry(command, args.domain, lambda: plan_domain(site, accounts, disk, new, now()))
    random = random_given(args)
    said = "\n".join([f"added domain {args.domain}", *map("password: {}".format, random.values())])
    return end_change(command, args, "vadddomain", [args.domain], writes, said, random)


# -- set -----------------------------------------------------------------------------------------


def _declare_set(parser: argparse.ArgumentParser) -> None:
    _declare_domain(parser)
    parser.add_argument(
        "--default", dest="instruction", metavar="INSTRUCTION",
        help=f"mail for absent users: {EXPECTED}",
    )  # fmt: skip
    parser.add_argument(
        "--hash-method", dest="method", type=str.upper, choices=METHODS, help="of new passwords"
    )
    parser.add_argument(
        "--limits", action=argparse.BooleanOptionalAction,
        help="turn the limits of the domain, which vlimit sets, on or off",
    )  # fmt: skip


def _set(args: argparse.Namespace) -> int:
    check_name("domain", args.domain)
    if (args.instruction, args.method, args.limits) == (None, None, None):
        raise Failed(
            "found nothing to set, expected --default, --hash-method or --limits", os.EX_USAGE
        )
    with opened(args.program, args) as command:
        site, disk = command.site, command.disk
        change = DomainChange(
            domain=real_domain(site, command.accounts, args.domain),
            instruction=args.instruction,
            limits=args.limits,
            method_name=args.method,
        )
        writes = carry(
            command, f"{args.domain} {change}", lambda: plan_domain_change(site, disk, change)
        )
    said = f"changed domain {change.domain}: {change}"
    return end_change(command, args, None, [], writes, said)


# -- list, show ----------------------------------------------------------------------------------


def _list(args: argparse.Namespace) -> None:
    with opened(args.program, args) as command:
        names = domains(command.disk, command.site.places.users_dir)
        found = [_report(command, name) for name in names]
    if args.json:
        print_json({"domains": [_brief(known) for known in found]})
        return
    rows = [[known.domain, _alias_of(known) or "-", str(known.users)] for known in found]
    print_table(["domain", "alias of", "users"], rows)


def _show(args: argparse.Namespace) -> None:
    check_name("domain", args.domain)
    with opened(args.program, args) as command:
        known = _report(command, args.domain)
    values: dict[str, object] = {
        **_brief(known),
        "alias_domains": known.alias_domains,
        "directory": known.directory,
        "base": known.base,
        "uid": known.entry.uid,
        "gid": known.entry.gid,
        "hash_method": known.method_name,
        "limits_on": known.has_limits,
        "limits": limit_values(known.limits),
    }
    if args.json:
        print_json(values)
        return
    print_values({
        "domain": known.domain,
        "alias of": _alias_of(known) or "-",
        "mail": "is taken" if known.is_live else "is not taken: control files do not name it",
        "users": str(known.users),
        "alias domains": known.alias_domains,
        "directory": known.directory,
        "homes below": known.base,
        "uid, gid": f"{known.entry.uid}, {known.entry.gid}",
        "new hashes": known.method_name,
        "limits are": "on" if known.has_limits else "off",
        "limits": limit_lines(known.limits),
    })  # fmt: skip


def _report(command: Command, domain: str) -> DomainReport:
    return check(report_domain(command.site, command.accounts, command.disk, domain))


def _brief(known: DomainReport) -> dict[str, object]:
    return {
        "domain": known.domain,
        "alias_of": _alias_of(known),
        "users": known.users,
        "live": known.is_live,
    }


def _alias_of(known: DomainReport) -> str | None:
    return None if known.real == known.domain else known.real


ACTIONS: Final = {
    "add": Action(
        "make a virtual domain with its postmaster",
        "indimail domain add --postmaster-password-file secret.txt example.com",
        _declare_add, _add,
    ),
    "del": named_action(
        vdeldomain.CHANGE,
        "remove a virtual domain with its users, mail and alias domains, or an alias domain alone",
        "indimail domain del --dry-run example.com",
    ),
    "list": Action(
        "list the domains", "indimail domain list --json",
        lambda _: None, _list, is_change=False,
    ),
    "show": Action(
        "show a domain", "indimail domain show example.com",
        _declare_domain, _show, is_change=False,
    ),
    "set": Action(
        "change what becomes of mail for absent users, the hash of new passwords, the limits' switch",
        "indimail domain set --default delete example.com",
        _declare_set, _set,
    ),
    "rename": named_action(
        vrenamedomain.CHANGE,
        "give a virtual domain, or an alias domain, another name",
        "indimail domain rename example.com example.net",
    ),
}  # fmt: skip
