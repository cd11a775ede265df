"""`vreorg`: bring the homes of a domain to the places that the layout of directories has for them.

    vreorg -r -d example.com              # count all homes anew, and move those that lie elsewhere then
    vreorg -d example.com /root/names     # bring back homes of the file's users that lie elsewhere

The file has an address or a name a line.  -r goes by `.users_per_level` of the domain, or 100; with a
file its users come first.  `printdir` shows what came of it, --dry-run what would.

Exit codes and texts: spec/delivery.md 2.  The work: `manage.reorganize`.
"""

import argparse

from indimail.cli.change import begin_arguments, check_name, end_arguments, finish, make_change
from indimail.cli.site import Failed, attempt, check, opened, usage
from indimail.manage.aliasdomains import real_domain
from indimail.manage.names import check_case, split_address
from indimail.manage.reorganize import plan_reorganization

PROGRAM = "vreorg"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    options = begin_arguments(parser, "Bring the homes of a domain to the places of its layout.")
    parser.add_argument("list", nargs="?", help="a file: addresses or names, a line each")
    options.add_argument("-d", dest="domain", metavar="DOMAIN", help="the domain")
    options.add_argument("-r", dest="anew", action="store_true", help="count all homes anew")
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Move the homes."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    if args.domain is None or not (args.anew or args.list):
        raise usage(args)
    check_name("domain", args.domain)
    listed = _listed(args.list) if args.list else []
    with opened(PROGRAM, args) as command:
        site, accounts, disk = command.site, command.accounts, command.disk
        domain = real_domain(site, accounts, args.domain)
        names = []
        for address in listed:
            name, of = split_address(address)
            if of and real_domain(site, accounts, of) != domain:
                raise Failed(f"{address}: expected a user of {domain}", 1)
            names.append(name)
        make_change(
            command,
            f"{'-r ' if args.anew else ''}{args.domain} {' '.join(listed)}",
            lambda: plan_reorganization(site, accounts, disk, domain, names, anew=args.anew),
        )
    return finish(command, [], [f"reorganized {domain}"] if args.verbose else [])


def _listed(path: str) -> list[str]:
    """Return the lines, read as who runs the command."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        lines = [line for line in map(str.strip, file) if line and line[0] != "#"]
    for line in lines:
        check(check_case("email", line))
    return lines
