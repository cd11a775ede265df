"""Rename a user, a domain, an alias domain; move a home.

    plan_user_rename(site, accounts, disk, "alice", "zoe", "example.com")   -> [MoveTree(...), ...]
    plan_domain_rename(site, accounts, disk, "example.com", "example.net")
    plan_home_move(site, accounts, disk, "alice", "example.com", "/srv/mail/alice")

The server goes on meanwhile: a home moves, then its rows say so, then the server is told, and what
came to the old home until then follows.  A file of the home that names the home (an automatic
reply's `.qmail`) names the new one.

Sources: spec/delivery.md 2 (vrenamedomain, vrenameuser, vmoveuserdir), 2.5.
Not here: doing it (`manage.change`).
"""

import os
import re
from collections.abc import Sequence

from indimail.accounts.layout import group
from indimail.accounts.port import (
    ALIAS_DOMAIN_LENGTH,
    DIRECTORY_LENGTH,
    Account,
    Accounts,
    moved_path,
)
from indimail.durable.disk import Disk
from indimail.manage.aliasdomains import (
    alias_names,
    begin_alias,
    plan_alias_removal,
    real_domain,
)
from indimail.manage.assign import Entry
from indimail.manage.file_writes import (
    AddLine,
    MakeDirectory,
    MakeLink,
    MoveTree,
    SettleTree,
    WriteFile,
)
from indimail.manage.homes import (
    NewHomes,
    check_trees,
    check_writable,
    domain_folders,
    freed_writes,
    group_of,
)
from indimail.manage.layout import PASSED, PRIVATE
from indimail.manage.names import check_domain, check_user
from indimail.manage.routing import (
    begin_writes,
    check_domain_exists,
    end_writes,
    is_named,
    lists_of,
    own_entry,
)
from indimail.manage.row_writes import AddAliasDomain, MoveUser, RenameDomain
from indimail.manage.site import Refused, Site
from indimail.manage.writes import TellAccount, TellControls, Write

Folders = Sequence[tuple[str, str]]


def plan_user_rename(
    site: Site, accounts: Accounts, disk: Disk, name: str, new: str, domain: str
) -> list[Write] | Refused:
    """Return what gives a user another name in its domain."""
    refused = check_domain_exists(site, disk, domain)
    if refused is not None:
        return refused
    account = accounts.find(name, domain)
    if account is None:
        return Refused(f"{name}@{domain}: No such user", 1, os.EX_NOUSER)
    refused = check_user(new, domain, "", site.variables.get("ALLOWCHARS", ""))
    if refused is not None:
        return refused
    if accounts.find(new, domain) is not None:
        return Refused(f"User {new}@{domain} exists", 1, os.EX_CANTCREAT)
    counted: list[Write] = []
    freed: list[Write] = []
    directory = os.path.join(os.path.dirname(account.directory), new)
    if group_of(account) not in ("", group(new)):
        homes = NewHomes(site, accounts, disk, domain)
        directory, counted = homes.next(new), homes.writes()
        freed = freed_writes(site, accounts, disk, account)
    moved = _moved(site, accounts, disk, account, directory)
    if isinstance(moved, Refused):
        return moved
    before, after = moved
    return [
        *counted,
        *before,
        MoveUser(name, domain, new, directory),
        TellAccount(name, domain),
        TellAccount(new, domain),
        *after,
        *freed,
    ]


def plan_home_move(
    site: Site, accounts: Accounts, disk: Disk, name: str, domain: str, directory: str
) -> list[Write] | Refused:
    """Return what moves a user's home to a directory that is not there yet."""
    refused = check_domain_exists(site, disk, domain)
    if refused is not None:
        return refused
    account = accounts.find(name, domain)
    if account is None:
        return Refused(f"{name}@{domain}: No such user", 1, os.EX_NOUSER)
    if not os.path.isabs(directory) or os.path.normpath(directory) != directory:
        return Refused(f"{directory}: expected the full path of a directory to be made", 1)
    if not directory.isprintable() or "'" in directory or '"' in directory:
        return Refused(f"{directory!r}: expected a path without quotes and control characters", 1)
    if os.path.lexists(directory):
        return Refused(f"{directory}: exists", 1, os.EX_CANTCREAT)
    refused = check_trees(site, accounts, disk, [directory], domain, name)
    if refused is not None:
        return refused
    if f"{directory}/".startswith(f"{account.directory}/"):
        return Refused(f"{directory}: lies in the old home", 1)
    moved = _moved(site, accounts, disk, account, directory)
    if isinstance(moved, Refused):
        return moved
    before, after = moved
    freed = freed_writes(site, accounts, disk, account)
    rows = MoveUser(name, domain, name, directory)
    return [*before, rows, TellAccount(name, domain), *after, *freed]


def _moved(
    site: Site, accounts: Accounts, disk: Disk, account: Account, directory: str
) -> tuple[list[Write], list[Write]] | Refused:
    """Return what moves a home, or refuse one that holds what is not of its user."""
    refused = check_trees(
        site, accounts, disk, [account.directory], account.domain, account.name
    ) or check_new_place(account, directory)
    return refused or home_moved(site, disk, account, directory)


def check_new_place(account: Account, directory: str) -> Refused | None:
    """Refuse a place where a home cannot go, or one that it cannot leave."""
    if len(directory) > DIRECTORY_LENGTH:
        return Refused(f"{directory}: Name too long", 100)
    if os.path.lexists(directory):
        return Refused(f"{directory}: exists", 1, os.EX_CANTCREAT)
    above = os.path.dirname(directory)
    return check_writable(above) or check_writable(os.path.dirname(account.directory))


def home_moved(
    site: Site, disk: Disk, account: Account, directory: str
) -> tuple[list[Write], list[Write]]:
    """Return what moves a home before its rows change, and after the server knows."""
    above = os.path.dirname(directory)
    is_ours = above.startswith(f"{site.places.root}/")
    before: list[Write] = [
        *([] if os.path.isdir(above) else [MakeDirectory(above, PRIVATE if is_ours else PASSED)]),
        MoveTree(account.directory, directory),
        *_renamed_files(disk, account, directory, [(account.directory, directory)]),
    ]
    return before, [SettleTree(account.directory, directory)]


def _renamed_files(disk: Disk, account: Account, directory: str, folders: Folders) -> list[Write]:
    """Return what lets the `.qmail` of a home name its new place; the file is read at the old."""
    path = os.path.join(account.directory, ".qmail")
    if not disk.exists(path):
        return []
    text = disk.read(path).decode("utf-8", "surrogateescape")
    renamed = _renamed(text, folders)
    return [WriteFile(os.path.join(directory, ".qmail"), renamed)] if renamed != text else []


def _renamed(text: str, folders: Folders) -> str:
    for old, new in folders:
        text = new.join(re.split(rf"{re.escape(old)}(?=[/\s'\"]|$)", text))
    return text


def plan_domain_rename(
    site: Site, accounts: Accounts, disk: Disk, domain: str, new: str
) -> list[Write] | Refused:
    """Return what gives a domain, or an alias domain, another name."""
    real = real_domain(site, accounts, domain)
    missing = Refused(f"{domain}: domain does not exist", 1, os.EX_NOHOST)
    entry = own_entry(site, disk, domain, missing)
    if isinstance(entry, Refused):
        return entry
    refused = check_domain(new, site.variables.get("CHECK_DOMAIN_REGEXP", ""))
    if refused is not None:
        return refused
    has_rows = accounts.users(new) or accounts.real_domain(new) != new
    if is_named(site, disk, new) or has_rows:
        return Refused(f"{new}: domain exists", 1, os.EX_CANTCREAT)
    if real != domain and len(new) > ALIAS_DOMAIN_LENGTH:
        return Refused("addaliasdomain: Name too long", 100)
    if real != domain:
        return [*begin_alias(site, new, real, entry), *plan_alias_removal(site, disk, domain, real)]
    return _domain_renamed(site, accounts, disk, domain, new, entry)


def _domain_renamed(
    site: Site, accounts: Accounts, disk: Disk, domain: str, new: str, owner: Entry
) -> list[Write] | Refused:
    old_dir, new_dir = site.domain_dir(domain), site.domain_dir(new)
    folders = [
        (folder, os.path.join(os.path.dirname(folder), new))
        for folder in domain_folders(site, accounts, disk, domain)
    ]
    for _, folder in folders:
        if os.path.lexists(folder):
            return Refused(f"{folder}: exists", 1, os.EX_CANTCREAT)
    users = accounts.users(domain)
    longest = max((moved_path(user.directory, folders) for user in users), key=len, default="")
    if len(longest) > DIRECTORY_LENGTH:
        return Refused(f"{longest}: Name too long", 100)
    everywhere = [*folders, (old_dir, new_dir)]
    aliases = alias_names(site, accounts, disk, domain)
    return [
        MoveTree(old_dir, new_dir),
        *(MoveTree(old, new_folder) for old, new_folder in folders),
        *(MakeLink(site.domain_dir(alias), new) for alias in aliases),
        *_renamed_instruction(disk, old_dir, new_dir, domain, new, everywhere),
        *_renamed_homes(disk, users, everywhere, new),
        RenameDomain(domain, new, tuple(everywhere)),
        *(AddAliasDomain(alias, new) for alias in aliases),
        *begin_writes(site, new, owner),
        *(AddLine(site.control(name), new) for name in lists_of(site, domain)),
        *end_writes(site, domain),
        TellControls(),
        TellAccount("", domain),
        TellAccount("", new),
        *(TellAccount("", alias) for alias in aliases),
        *(SettleTree(old, new_folder) for old, new_folder in folders),
    ]


def _renamed_instruction(
    disk: Disk, old_dir: str, new_dir: str, domain: str, new: str, folders: Folders
) -> list[Write]:
    """Return what lets `.qmail` files of the domain name addresses and paths of the new one."""
    writes: list[Write] = []
    for name in sorted(disk.names(old_dir)):
        path = os.path.join(old_dir, name)
        if not name.startswith(".qmail") or not os.path.isfile(path):
            continue
        text = disk.read(path).decode("utf-8", "surrogateescape")
        renamed = re.sub(rf"@{re.escape(domain)}(?![\w.-])", f"@{new}", _renamed(text, folders))
        if renamed != text:
            writes.append(WriteFile(os.path.join(new_dir, name), renamed))
    return writes


def _renamed_homes(disk: Disk, users: Sequence[Account], folders: Folders, new: str) -> list[Write]:
    """Return what lets each home name its domain and its place."""
    writes: list[Write] = []
    for account in users:
        directory = moved_path(account.directory, folders)
        writes += _renamed_files(disk, account, directory, folders)
        if disk.exists(os.path.join(account.directory, "Maildir", "domain")):
            path = os.path.join(directory, "Maildir", "domain")
            writes.append(WriteFile(path, f"{new}\n"))
    return writes
