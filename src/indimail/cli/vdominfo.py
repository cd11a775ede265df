"""`vdominfo`: what is known of a domain, or without one of all.

    vdominfo example.com

-n -u -g -d -b -t -l print single lines: name, uid, gid, directory, base of homes, users, alias
domains; -a all, with the hash of new passwords and the switch of the limits (the default).

Source: spec/delivery.md 2, 2.6.
"""

import argparse
import sys
from collections.abc import Iterator
from typing import Final

from indimail.cli.change import check_name
from indimail.cli.site import (
    Command,
    add_options,
    add_root,
    attempt,
    check,
    opened,
    refuse_later,
)
from indimail.manage.assign import domains
from indimail.manage.reports import report_domain
from indimail.manage.routing import check_owner

PROGRAM = "vdominfo"
FIELDS: Final = {
    "n": "name",
    "u": "uid",
    "g": "gid",
    "d": "directory",
    "b": "base of the homes",
    "t": "number of users",
    "l": "alias domains",
}
_ALL: Final = (*FIELDS, "hash", "limits")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    options = add_options(parser, {"p": "the cluster"})
    parser.description = "Print what is known of a domain; without one, of all."
    parser.add_argument("domain", nargs="?")
    for letter, what in FIELDS.items():
        options.add_argument(
            f"-{letter}", dest="fields", action="append_const", const=letter, help=f"print {what}"
        )
    options.add_argument(
        "-a", dest="fields", action="store_const", const=_ALL, help="print all (the default)"
    )
    add_root(parser)


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    refuse_later(args)
    if args.domain is not None:
        check_name("domain", args.domain)
    with opened(PROGRAM, args) as command:
        if args.domain is not None:
            check(check_owner(command.site, command.disk, args.domain, None))
        users_dir = command.site.places.users_dir
        names = [args.domain] if args.domain is not None else domains(command.disk, users_dir)
        for number, domain in enumerate(names):
            if number:
                print()
            for line in report(command, domain, args.fields or _ALL):
                print(line)


def report(command: Command, domain: str, fields: tuple[str, ...] | list[str]) -> Iterator[str]:
    """Yield the lines of a domain."""
    known = check(report_domain(command.site, command.accounts, command.disk, domain))
    if not known.is_live:
        print(f"{PROGRAM}: warning: {domain} is not a virtual domain", file=sys.stderr)
    name = domain if known.real == domain else f"{domain} aliased to {known.real}"
    values = {
        "n": ("domain", name),
        "u": ("uid", str(known.entry.uid)),
        "g": ("gid", str(known.entry.gid)),
        "d": ("Domain Dir", known.directory),
        "b": ("Base Dir", known.base),
        "hash": ("crypt Hash", known.method_name),
        "t": ("Users", str(known.users)),
        "limits": ("vlimits", "enabled" if known.has_limits else "disabled"),
    }
    for field, (label, value) in values.items():
        if field in fields:
            yield f"{label:>10}: {value}"
    if "l" in fields:
        yield "AliasDomains:"
        yield from known.alias_domains
