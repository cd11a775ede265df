"""Alias domains: a link beside a domain's directory, and the same lines as any domain.

    plan_alias(site, accounts, disk, "example.net", "example.com")    -> [MakeLink(...), ...]
    alias_names(site, accounts, disk, "example.com")                  -> ['example.net']

Source: spec/delivery.md 1.1, 2 (vaddaliasdomain).  Not here: renaming one (`manage.rename`).
"""

import os

from indimail.accounts.port import ALIAS_DOMAIN_LENGTH, Accounts
from indimail.control.files import read_control
from indimail.durable.disk import Disk
from indimail.manage.assign import Entry, has_domain
from indimail.manage.file_writes import AddLine, MakeLink, RemoveFile, RemoveLine
from indimail.manage.names import check_domain
from indimail.manage.routing import begin_writes, end_writes, is_named, own_entry
from indimail.manage.row_writes import AddAliasDomain, RemoveAliasDomain
from indimail.manage.site import Refused, Site
from indimail.manage.writes import TellAccount, TellControls, Write

LIST = ".aliasdomains"


def real_domain(site: Site, accounts: Accounts, domain: str) -> str:
    """Return the domain that tables know: an alias domain is a link beside it, or a row."""
    try:
        target = os.readlink(site.domain_dir(domain))
    except OSError:
        return accounts.real_domain(domain)
    return os.path.basename(target.rstrip("/"))


def alias_names(site: Site, accounts: Accounts, disk: Disk, domain: str) -> list[str]:
    """Return the alias domains of a domain, wherever they are noted, sorted."""
    listed, _ = read_control(os.path.join(site.domain_dir(domain), LIST), LIST)
    candidates = {line.text.lower() for line in listed.lines} | set(accounts.alias_domains(domain))
    links = [name for name in disk.names(site.places.domains_dir) if _is_link(site, name)]
    candidates.update(links)
    return sorted(
        name for name in candidates if real_domain(site, accounts, name) == domain != name
    )


def plan_alias(
    site: Site, accounts: Accounts, disk: Disk, alias: str, domain: str
) -> list[Write] | Refused:
    """Return what makes an alias domain."""
    real = real_domain(site, accounts, domain)
    missing = Refused(f"{domain}: domain does not exist", 255, os.EX_NOHOST)
    entry = own_entry(site, disk, real, missing)
    if isinstance(entry, Refused):
        return entry
    if not has_domain(disk, site.places.users_dir, domain):
        return missing
    refused = check_domain(alias, site.variables.get("CHECK_DOMAIN_REGEXP", ""))
    if refused is None and len(alias) > ALIAS_DOMAIN_LENGTH:
        refused = Refused("addaliasdomain: Name too long", 100)
    if refused is not None:
        return refused
    if is_named(site, disk, alias) or accounts.real_domain(alias) != alias:
        exists = f"addaliasdomain: domain {alias} exists"
        text = f"{exists}\nfailed to create alias domain {alias} for {domain}"
        return Refused(text, 1, os.EX_CANTCREAT)
    return begin_alias(site, alias, real, entry)


def begin_alias(site: Site, alias: str, real: str, owner: Entry) -> list[Write]:
    """Return the writes of a new alias domain, in the order of use."""
    return [
        MakeLink(site.domain_dir(alias), real),
        AddAliasDomain(alias, real),
        AddLine(os.path.join(site.domain_dir(real), LIST), alias),
        *begin_writes(site, alias, owner),
        TellControls(),
        TellAccount("", alias),
    ]


def plan_alias_removal(site: Site, disk: Disk, alias: str, real: str) -> list[Write]:
    """Return the writes that end an alias domain."""
    listed = os.path.join(site.domain_dir(real), LIST)
    return [
        *end_writes(site, alias),
        TellControls(),
        RemoveAliasDomain(alias),
        TellAccount("", alias),
        *([RemoveFile(site.domain_dir(alias))] if _is_link(site, alias) else []),
        *([RemoveLine(listed, alias)] if disk.exists(listed) else []),
    ]


def _is_link(site: Site, name: str) -> bool:
    return os.path.islink(site.domain_dir(name))
