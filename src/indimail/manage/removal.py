"""Remove a user or a domain, with all that is of it and nothing that is of another.

    plan_user_removal(site, accounts, disk, "alice", "example.com")     -> [RemoveUser(...), ...]
    plan_domain_removal(site, accounts, disk, "example.com")            -> [RemoveLine(...), ...]

First mail is refused, then the rows go, then the mail on the disk.  A home that holds that of
another user, or a part of the instance, is refused before anything is done.

Sources: spec/delivery.md 2 (vdeldomain, vdeluser), 1.2 (freed buckets).
Not here: doing it (`manage.change`).
"""

import os

from indimail.accounts.port import Accounts
from indimail.durable.disk import Disk
from indimail.manage.aliasdomains import alias_names, plan_alias_removal, real_domain
from indimail.manage.file_writes import RemoveFile, RemoveTree
from indimail.manage.filesystems import load_writes
from indimail.manage.homes import check_trees, check_writable, domain_folders, freed_writes, outside
from indimail.manage.routing import check_domain_exists, end_writes, own_entry
from indimail.manage.row_writes import RemoveDomain, RemoveUser
from indimail.manage.site import Refused, Site
from indimail.manage.writes import TellAccount, TellControls, Write


def plan_user_removal(
    site: Site, accounts: Accounts, disk: Disk, name: str, domain: str
) -> list[Write] | Refused:
    """Return what removes a user."""
    refused = check_domain_exists(site, disk, domain)
    if refused is not None:
        return refused
    account = accounts.find(name, domain)
    if account is None:
        return Refused(f"deluser: {name}@{domain}: no such user", 255, os.EX_NOUSER)
    if account.directory:
        refused = check_trees(
            site, accounts, disk, [account.directory], domain, name
        ) or check_writable(os.path.dirname(account.directory))
        if refused is not None:
            return refused
    own_file = os.path.join(site.domain_dir(domain), f".qmail-{name.replace('.', ':')}")
    return [
        RemoveUser(name, domain),
        TellAccount(name, domain),
        *freed_writes(site, accounts, disk, account),
        *load_writes(accounts, account, -1),
        *([RemoveTree(account.directory)] if account.directory else []),
        *([RemoveFile(own_file)] if disk.exists(own_file) else []),
    ]


def plan_domain_removal(
    site: Site, accounts: Accounts, disk: Disk, domain: str
) -> list[Write] | Refused:
    """Return what removes a domain and its alias domains, or an alias domain alone."""
    real = real_domain(site, accounts, domain)
    if real != domain:
        return plan_alias_removal(site, disk, domain, real)
    missing = Refused(f"domain {domain} does not exist", 1, os.EX_NOHOST)
    entry = own_entry(site, disk, domain, missing)
    if isinstance(entry, Refused):
        return entry
    folders = domain_folders(site, accounts, disk, domain)
    strays = [account.directory for account in outside(accounts.users(domain), folders)]
    trees = [*folders, *strays, site.domain_dir(domain)]
    refused = check_trees(site, accounts, disk, trees, domain)
    if refused is not None:
        return refused
    aliases: list[Write] = []
    for alias in alias_names(site, accounts, disk, domain):
        aliases += plan_alias_removal(site, disk, alias, domain)
    return [
        *aliases,
        *end_writes(site, domain),
        TellControls(),
        RemoveDomain(domain),
        TellAccount("", domain),
        *(RemoveTree(tree) for tree in trees),
    ]
