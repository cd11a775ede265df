"""`indimail alias add|del|list`: alias lines, which say what becomes of mail for an address.

    indimail alias add sales@example.com '&alice@example.com'
    indimail alias list --to alice@example.com

What valias does; the work: `manage.aliases`.
"""

import argparse
import os
from collections.abc import Iterable
from typing import Final

from indimail.accounts.port import AliasLine
from indimail.cli.actions import Action, add_actions, end_change, run_action
from indimail.cli.address import our_address, real_address
from indimail.cli.change import carry, check_name
from indimail.cli.shown import print_json, print_table
from indimail.cli.site import Command, Failed, check, opened
from indimail.manage.aliases import LineChange, plan_alias_change
from indimail.manage.assign import domains
from indimail.manage.names import check_case


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    add_actions(parser, "alias", ACTIONS)


def run(args: argparse.Namespace) -> int:
    """Do one of them."""
    return run_action(args)


def _declare_line(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("alias", help="the address; it needs no mailbox")
    parser.add_argument("line", help="&user@domain, /path/of/a/Maildir/ or '| program'")


def _add(args: argparse.Namespace) -> int:
    return _change(args, LineChange(new=args.line), f"added alias {args.alias} -> {args.line}")


def _delete(args: argparse.Namespace) -> int:
    return _change(args, LineChange(gone=args.line), f"removed alias {args.alias} -> {args.line}")


def _change(args: argparse.Namespace, change: LineChange, said: str) -> int:
    check(check_case("email", args.alias))
    with opened(args.program, args) as command:
        name, domain = our_address(command, args.alias)
        if not name:
            raise Failed(f"{args.alias}: expected name@domain", os.EX_DATAERR)
        site, accounts, disk = command.site, command.accounts, command.disk
        writes = carry(
            command,
            f"{args.alias} {change}",
            lambda: plan_alias_change(site, accounts, disk, name, domain, change),
        )
    return end_change(command, args, None, [], writes, said)


def _declare_list(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("alias", nargs="?", help="lines of this address")
    which.add_argument("--domain", help="lines of addresses in this domain")
    which.add_argument("--to", metavar="ADDRESS", help="lines that forward to this address")


def _list(args: argparse.Namespace) -> None:
    with opened(args.program, args) as command:
        found = list(_found(command, args))
    if args.json:
        lines = [{"alias": f"{a.name}@{a.domain}", "line": a.line} for a in found]
        print_json({"aliases": lines})
        return
    print_table(["alias", "line"], [[f"{a.name}@{a.domain}", a.line] for a in found])


def _found(command: Command, args: argparse.Namespace) -> Iterable[AliasLine]:
    accounts = command.accounts
    for given in (args.alias, args.to):
        if given is not None:
            check(check_case("email", given))
    if args.domain is not None:
        check_name("domain", args.domain)
    if args.to is not None:
        return accounts.aliases_to("@".join(real_address(command, args.to)))
    if args.alias is not None:
        name, domain = our_address(command, args.alias)
        return [AliasLine(name, domain, line) for line in accounts.aliases(name, domain)]
    if args.domain is not None:
        return accounts.domain_aliases(our_address(command, f"@{args.domain}")[1])
    names = domains(command.disk, command.site.places.users_dir)
    return [line for name in names for line in accounts.domain_aliases(name)]


ACTIONS: Final = {
    "add": Action(
        "add a line to those of an address",
        "indimail alias add sales@example.com '&alice@example.com'",
        _declare_line, _add,
    ),
    "del": Action(
        "remove a line", "indimail alias del sales@example.com '&alice@example.com'",
        _declare_line, _delete,
    ),
    "list": Action(
        "list alias lines", "indimail alias list --domain example.com",
        _declare_list, _list, is_change=False,
    ),
}  # fmt: skip
