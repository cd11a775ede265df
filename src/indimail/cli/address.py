"""The address a command is given: its real domain, which has to be one of ours.

Without a domain: INDIMAIL_DOMAIN, else DEFAULT_DOMAIN, else control/defaultdomain, else control/me.

Source: spec/delivery.md 0 (DEFAULT_DOMAIN), 2 (common rules).
"""

from indimail.cli.site import Command, check
from indimail.control.files import read_control
from indimail.manage.aliasdomains import real_domain
from indimail.manage.names import split_address
from indimail.manage.site import Site
from indimail.manage.users import check_domain_is_ours


def our_address(command: Command, address: str) -> tuple[str, str]:
    """Return name and domain; raise `Failed` where it is not a domain of ours."""
    name, domain = real_address(command, address)
    check(check_domain_is_ours(command.site, command.disk, domain))
    return name, domain


def real_address(command: Command, address: str) -> tuple[str, str]:
    """Return name and domain, which need not be there."""
    name, domain = split_address(address)
    return name, real_domain(command.site, command.accounts, domain or default_domain(command.site))


def default_domain(site: Site) -> str:
    """Return the domain of an address without one."""
    for variable in ("INDIMAIL_DOMAIN", "DEFAULT_DOMAIN"):
        if site.variables.get(variable):
            return site.variables[variable].lower()
    for name in ("defaultdomain", "me"):
        first = read_control(site.control(name), f"control/{name}")[0].first
        if first is not None:
            return first.text.lower()
    return "localhost"
