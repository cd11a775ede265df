"""Add a user, change a password.

    plan_user(site, accounts, disk, NewUser("alice", "example.com", Secret(hashed)), now)
        -> [MakeHome(...), AddUser(...), ...], or Refused("iadduser: username ... exists", 100)

    plan_password(accounts, "alice", "example.com", Secret(hashed), Secret(""), now)
        -> [SetPassword(...), TellAccount(...)]

A user is there when the row is committed; before it the home is made, so that a row always has
its Maildir.

Sources: spec/delivery.md 2.1, 2.2; spec/cluster-users.md 1.6.
Not here: asking for a password (`cli.terminal`), hashing it (`accounts.passwords`).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from indimail.accounts.passwords import Method, method_named
from indimail.accounts.port import (
    DIRECTORY_LENGTH,
    PASSWORD_LENGTH,
    RFC_IDS,
    Account,
    Accounts,
    Flag,
)
from indimail.accounts.scram import MECHANISMS, Mechanism
from indimail.delivery.quota import NO_QUOTA, parse_quota
from indimail.durable.disk import Disk
from indimail.mail.secret import Secret
from indimail.manage.bulletins import welcome_writes
from indimail.manage.file_writes import MakeHome
from indimail.manage.filesystems import balanced, chosen_writes, load_writes
from indimail.manage.homes import NewHomes, check_base, check_writable, domain_setting, first_line
from indimail.manage.names import check_user
from indimail.manage.room import (
    check_room_for_quota,
    check_room_for_user,
    limited_quota,
    limits_in_force,
)
from indimail.manage.routing import check_owner
from indimail.manage.row_writes import AddUser, SetPassword
from indimail.manage.site import Refused, Site
from indimail.manage.writes import TellAccount, Write

DEFAULT_MECHANISM: Final = Mechanism.SHA256
NO_SCRAM: Final = "none"


@dataclass(frozen=True, slots=True)
class NewUser:
    """What is to be added; `password` and `scram` are stored.  Empty text and 0 mean the default.

    `is_balanced`: the home goes to the file system whose turn it is (`manage.filesystems`).
    """

    name: str
    domain: str
    password: Secret
    scram: Secret = Secret("")
    gecos: str = ""
    quota: str = ""
    active: bool = True
    base: str = ""
    users_per_level: int = 0
    is_balanced: bool = False


def check_domain_is_ours(site: Site, disk: Disk, domain: str) -> Refused | None:
    """Refuse a domain that is no virtual one of ours, or root's."""
    return check_owner(site, disk, domain, Refused(f"{domain}: No such domain", 1, os.EX_NOHOST))


def default_quota(variables: Mapping[str, str]) -> str:
    """Return HARD_QUOTA as it is stored; unset, or not understood, is no quota."""
    return str(parse_quota(variables.get("HARD_QUOTA", "")) or NO_QUOTA)


def method_setting(site: Site, disk: Disk, domain: str, given: str) -> tuple[str, Method | None]:
    """Return the name of the hash method and the method; None where the name is wrong.

    In this order: `-h`, PASSWORD_HASH, the domain's `hash_method`, `control/hash_method`, ours.
    """
    named = given or _password_setting(site, disk, domain, "PASSWORD_HASH", "hash_method")
    return (named, method_named(named)) if named else ("", site.default_method)


def scram_setting(site: Site, disk: Disk, domain: str, given: str) -> Mechanism | Refused | None:
    """Return whose keys are stored beside a new hash; None: nobody's.

    In this order: `-m`, PASSWORD_SCRAM, the domain's `scram_method`, `control/scram_method`, ours.
    """
    named = given or _password_setting(site, disk, domain, "PASSWORD_SCRAM", "scram_method")
    if named.lower() == NO_SCRAM:
        return None
    mechanism = MECHANISMS.get(named.upper()) if named else DEFAULT_MECHANISM
    if mechanism is None:
        expected = " ".join([*MECHANISMS, NO_SCRAM])
        return Refused(f"wrong SCRAM method {named}: {expected}", 100)
    return mechanism


def _password_setting(site: Site, disk: Disk, domain: str, variable: str, file: str) -> str:
    return (
        site.variables.get(variable, "")
        or domain_setting(site, disk, domain, file)
        or first_line(disk, site.control(file))
    )


def plan_user(
    site: Site, accounts: Accounts, disk: Disk, new: NewUser, now: float
) -> list[Write] | Refused:
    """Return what adds a user with home and Maildir to a domain of ours."""
    refused = check_domain_is_ours(site, disk, new.domain)
    return user_writes(site, accounts, disk, new, now) if refused is None else refused


def user_writes(
    site: Site, accounts: Accounts, disk: Disk, new: NewUser, now: float
) -> list[Write] | Refused:
    """Return what adds a user to a domain, which may be still to come."""
    refused = check_new_user(site, accounts, disk, new) or (
        check_base(new.base) if new.base else None
    )
    if refused is not None:
        return refused
    base = balanced(site, accounts, disk) if new.is_balanced else new.base
    if isinstance(base, Refused):
        return base
    homes = NewHomes(site, accounts, disk, new.domain, base, new.users_per_level)
    quota = new_user_quota(site, accounts, disk, new)
    account = new_account(new, homes.next(new.name), quota)
    if isinstance(account, Refused):
        return account
    refused = check_writable(os.path.dirname(account.directory))
    if refused is not None:
        return refused
    return [
        MakeHome(account.directory),
        AddUser(account, int(now)),
        *homes.writes(),
        *load_writes(accounts, account, 1),
        *(chosen_writes(site, base) if new.is_balanced else []),
        *welcome_writes(site, account, now),
        TellAccount(new.name, new.domain),
    ]


def new_account(new: NewUser, directory: str, quota: str) -> Account | Refused:
    """Return the row of a user to be, with a home and a quota."""
    if len(directory) > DIRECTORY_LENGTH:
        return Refused(f"iadduser: {directory}: Name too long", 100)
    return Account(
        name=new.name,
        domain=new.domain,
        password=new.password,
        scram=new.scram,
        gecos=new.gecos or new.name,
        directory=directory,
        quota=quota,
        active=new.active or new.name in RFC_IDS,
    )


def plan_password(
    accounts: Accounts, name: str, domain: str, password: Secret, scram: Secret, now: float
) -> list[Write] | Refused:
    """Return what replaces a password, and what CRAM and SCRAM clients are verified by."""
    refused = check_new_password(accounts, name, domain)
    if refused is not None:
        return refused
    if len(password.reveal()) > PASSWORD_LENGTH:
        return Refused("ipasswd: Password too long", 100)
    return [SetPassword(name, domain, password, scram, int(now)), TellAccount(name, domain)]


def check_new_password(accounts: Accounts, name: str, domain: str) -> Refused | None:
    """Refuse another password to an absent user, and to one that may have none."""
    account = accounts.find(name, domain)
    if account is None:
        return Refused(f"{name}@{domain}: No such user", 1, os.EX_NOUSER)
    if account.flags & Flag.NO_PASSWD_CHNG:
        return Refused("ipasswd: User not allowed to change password", 255, os.EX_NOPERM)
    return None


def new_user_quota(site: Site, accounts: Accounts, disk: Disk, new: NewUser) -> str:
    """Return what was given, else what the domain's new users have."""
    return new.quota or domain_quota(site, accounts, disk, new.domain)


def domain_quota(site: Site, accounts: Accounts, disk: Disk, domain: str) -> str:
    """Return the quota of a domain's new users: what its limits say, else HARD_QUOTA."""
    limits = limits_in_force(site, accounts, disk, domain)
    return limited_quota(limits, default_quota(site.variables))


def check_new_user(site: Site, accounts: Accounts, disk: Disk, new: NewUser) -> Refused | None:
    """Refuse a name that no user may have, or that one has, and one more than there may be."""
    refused = (
        Refused("Name too long", 100)
        if len(new.password.reveal()) > PASSWORD_LENGTH
        else check_user(new.name, new.domain, new.gecos, site.variables.get("ALLOWCHARS", ""))
    )
    if refused is None and accounts.find(new.name, new.domain) is not None:
        refused = Refused(f"username {new.name}@{new.domain} exists", 100, os.EX_CANTCREAT)
    if refused is not None:
        return replace(refused, text=f"iadduser: {refused.text}")
    quota = new_user_quota(site, accounts, disk, new)
    account = Account(new.name, new.domain, Secret(""), quota="")
    return check_room_for_user(site, accounts, disk, new.domain, new.name) or check_room_for_quota(
        site, accounts, disk, account, quota
    )
