"""Set and remove the limits of a domain, or of one of its users.

    plan_limits(site, accounts, disk, "", "example.com", {"maxpopaccounts": 10})
        -> [SetLimits(...), TellAccount(...)]

Source: spec/delivery.md 9.2.
Not here: what they leave room for (`manage.room`), what they do at a login (`accounts.limits`).
"""

from collections.abc import Mapping

from indimail.accounts.port import DOMAIN_LENGTH, Accounts, limited
from indimail.durable.disk import Disk
from indimail.manage.row_writes import RemoveLimits, SetLimits
from indimail.manage.site import Refused, Site
from indimail.manage.users import check_domain_is_ours
from indimail.manage.writes import TellAccount, Write


def plan_limits(
    site: Site, accounts: Accounts, disk: Disk, name: str, domain: str, values: Mapping[str, int]
) -> list[Write] | Refused:
    """Return what sets limits by their columns, for a domain of ours, given by its real name."""
    refused = check_domain_is_ours(site, disk, domain)
    if refused is not None:
        return refused
    subject = limited(name, domain)
    if name and accounts.find(name, domain) is None:
        return Refused(f"{subject}: No such user", 1)
    if len(subject) > DOMAIN_LENGTH:
        return Refused(f"{subject}: Name too long: at most {DOMAIN_LENGTH} characters", 1)
    return [SetLimits(name, domain, tuple(values.items())), TellAccount(name, domain)]


def plan_limits_removal(accounts: Accounts, name: str, domain: str) -> list[Write] | Refused:
    """Return what removes limits."""
    if accounts.limits(name, domain) is None:
        return no_records(name, domain)
    return [RemoveLimits(name, domain), TellAccount(name, domain)]


def no_records(name: str, domain: str) -> Refused:
    """Return what is said where there are no limits."""
    return Refused(f"No records found for {limited(name, domain)}", 1)
