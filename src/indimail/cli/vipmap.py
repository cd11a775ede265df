"""`vipmap`: the default domain of a login at one of this host's addresses.

    vipmap -i 192.0.2.1 example.com       # add, or change
    vipmap -p                             # print all
    vipmap -d 192.0.2.1 example.com       # remove

Exit codes and texts: spec/cluster-users.md 1.4 (ip_alias_map).
"""

import argparse
import ipaddress

from indimail.cli.change import begin_arguments, check_name, end_arguments, finish, make_change
from indimail.cli.site import Command, Failed, attempt, check, opened, usage
from indimail.manage.aliasdomains import real_domain
from indimail.manage.row_writes import MapAddress
from indimail.manage.users import check_domain_is_ours
from indimail.manage.writes import Write

PROGRAM = "vipmap"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    options = begin_arguments(parser, "Show and set the default domain of local IP addresses.")
    options.add_argument("-i", dest="new", metavar="IP", help="give the address to the domain")
    options.add_argument("-d", dest="gone", metavar="IP", help="take it from the domain")
    options.add_argument("-p", dest="show", action="store_true", help="print all")
    parser.add_argument("domain", nargs="?")
    end_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Show or change the map."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    given = args.gone if args.new is None else args.new
    is_change = given is not None and args.domain is not None
    if bool(args.show) is is_change or (args.new is not None and args.gone is not None):
        raise usage(args)
    with opened(PROGRAM, args) as command:
        if args.show:
            for address, domain in command.accounts.address_domains():
                print(f"{address} {domain}")
            return 0
        check_name("domain", args.domain)
        address = _address(given)
        domain = real_domain(command.site, command.accounts, args.domain)
        plan = _added if args.new is not None else _removed
        subject = f"{'-d' if args.new is None else '-i'} {address} {domain}"
        make_change(command, subject, lambda: plan(command, address, domain))
    said = f"{address} {'is of' if args.new is not None else 'is no longer of'} {domain}"
    return finish(command, [address, domain], [said] if args.verbose else [])


def _added(command: Command, address: str, domain: str) -> list[Write]:
    check(check_domain_is_ours(command.site, command.disk, domain))
    return [MapAddress(address, domain)]


def _removed(command: Command, address: str, domain: str) -> list[Write]:
    if (address, domain) not in command.accounts.address_domains():
        raise Failed(f"{address}: not an address of {domain}", 1)
    return [MapAddress(address, "")]


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise Failed(f"{text}: expected an IP address", 1) from None
