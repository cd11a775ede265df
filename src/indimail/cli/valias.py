"""`valias`: show, add, remove and replace the alias lines of an address.

    valias -i '&alice@example.com' sales@example.com      # add
    valias sales@example.com                              # show; @example.com: all of the domain

A shown line reads ``sales@example.com -> &alice@example.com``.  -S shows what leads to the address.
Exit codes and texts: spec/delivery.md 2.  The work: `manage.aliases`.
"""

import argparse
import sys
from collections.abc import Iterable

from indimail.accounts.port import AliasLine
from indimail.cli.address import our_address, real_address
from indimail.cli.change import begin_arguments, end_arguments, make_change
from indimail.cli.site import Command, Failed, attempt, check, opened
from indimail.manage.aliases import LineChange, plan_alias_change
from indimail.manage.names import check_case

PROGRAM = "valias"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    options = begin_arguments(parser, "Show and change what becomes of mail for an alias.")
    parser.add_argument("address", nargs="?", metavar="email|@domain")
    options.add_argument("-s", dest="show", action="store_true", help="show (the default)")
    options.add_argument("-S", dest="track", action="store_true", help="show what leads to it")
    options.add_argument(
        "-i", dest="new", metavar="LINE", help="add: &user@domain, /path/of/a/Maildir/, | program"
    )
    options.add_argument("-d", dest="gone", metavar="LINE", help="remove")
    options.add_argument("-u", dest="old", metavar="LINE", help="replace it by the one of -i")
    options.add_argument("-m", dest="any_host", action="store_true", help="not yet: the cluster")
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Show or change the lines."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    if not args.address:
        raise Failed("must supply alias email address or a domain name", 1)
    check(check_case("email", args.address))
    if args.any_host:
        print(f"{PROGRAM}: warning: -m: not yet: the cluster", file=sys.stderr)
    if args.old is not None and args.new is None:
        raise Failed("-u: expected -i with the new line", 1)
    if args.gone is not None and args.new is not None:
        raise Failed("-d and -i: expected one of them; -u replaces a line", 1)
    with opened(PROGRAM, args) as command:
        find = real_address if args.track else our_address  # what leads to others, too
        name, domain = find(command, args.address)
        if args.new is None and args.gone is None:
            _show(_found(command, args, name, domain))
            return
        if not name:
            raise Failed(f"{args.address}: a line belongs to an address, expected name@domain", 1)
        site, accounts, disk = command.site, command.accounts, command.disk
        change = LineChange(args.new, args.gone if args.old is None else args.old)
        make_change(
            command,
            f"{args.address} {change}",
            lambda: plan_alias_change(site, accounts, disk, name, domain, change),
        )
    if args.verbose and not command.is_dry:
        print(_done(f"{name}@{domain}", change))


def _found(
    command: Command, args: argparse.Namespace, name: str, domain: str
) -> Iterable[AliasLine]:
    if args.track:
        if not name:
            raise Failed(f"{args.address}: -S: expected name@domain", 1)
        return command.accounts.aliases_to(f"{name}@{domain}")
    if not name:
        return command.accounts.domain_aliases(domain)
    return [AliasLine(name, domain, line) for line in command.accounts.aliases(name, domain)]


def _show(lines: Iterable[AliasLine]) -> None:
    for alias in lines:
        print(f"{alias.name}@{alias.domain} -> {alias.line}")


def _done(address: str, change: LineChange) -> str:
    if change.gone is None:
        return f"added alias {address} -> {change.new}"
    if change.new is None:
        return f"removed alias {address} -> {change.gone}"
    return f"replaced alias {address} -> {change.gone} by {change.new}"
