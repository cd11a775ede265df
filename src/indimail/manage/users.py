"""Add a user, change a password, report on one.

    outcome = add_user(site, accounts, disk, NewUser("alice", "example.com", Secret(hashed)), now)
    outcome     -> Account(...), or Refused("iadduser: username ... exists", 100)

A user is there when the row is committed; before it the home is made, so that a row always has
its Maildir, and a home without a row (a crash between the two) is taken by the next attempt.

Sources: spec/delivery.md 2.1, 2.2; spec/cluster-users.md 1.6.
Not here: asking for a password (`cli.terminal`), hashing it (`accounts.passwords`).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from indimail.accounts.layout import USERS_PER_LEVEL, group, home
from indimail.accounts.passwords import Method, method_named
from indimail.accounts.port import (
    DIRECTORY_LENGTH,
    PASSWORD_LENGTH,
    RFC_IDS,
    Account,
    Accounts,
    Flag,
    LastEvent,
)
from indimail.accounts.scram import MECHANISMS, Mechanism
from indimail.delivery.quota import NO_QUOTA, parse_quota
from indimail.durable.disk import Disk
from indimail.mail.secret import Secret
from indimail.manage.assign import owner_of_domain
from indimail.manage.layout import make_home, mount_point
from indimail.manage.names import check_user
from indimail.manage.site import Refused, Site

DEFAULT_MECHANISM: Final = Mechanism.SHA256
NO_SCRAM: Final = "none"


@dataclass(frozen=True, slots=True)
class NewUser:
    """What is to be added; `password` and `scram` are stored.  Empty text and 0 mean the default."""

    name: str
    domain: str
    password: Secret
    scram: Secret = Secret("")
    gecos: str = ""
    quota: str = ""
    active: bool = True
    base: str = ""
    users_per_level: int = 0


def real_domain(site: Site, accounts: Accounts, domain: str) -> str:
    """Return the domain that tables know: an alias domain is a link beside it, or a row."""
    try:
        target = os.readlink(site.domain_dir(domain))
    except OSError:
        return accounts.real_domain(domain)
    return os.path.basename(target.rstrip("/"))


def check_domain_is_ours(site: Site, disk: Disk, domain: str) -> Refused | None:
    """Refuse a domain that is no virtual one of ours, or root's."""
    uid = owner_of_domain(disk, site.places.users_dir, domain)
    if uid is None:
        return Refused(f"{domain}: No such domain", 1)
    return Refused(f"domain {domain} with uid 0", 100) if uid == 0 else None


def default_quota(variables: Mapping[str, str]) -> str:
    """Return HARD_QUOTA as it is stored; unset, or not understood, is no quota."""
    return str(parse_quota(variables.get("HARD_QUOTA", "")) or NO_QUOTA)


def domain_setting(site: Site, disk: Disk, domain: str, name: str) -> str:
    """Return the first line of a file in the domain's directory, empty where there is none."""
    return _first_line(disk, os.path.join(site.domain_dir(domain), name))


def _first_line(disk: Disk, path: str) -> str:
    try:
        text = disk.read(path)
    except FileNotFoundError:
        return ""
    return text.split(b"\n", 1)[0].decode("utf-8", "replace").strip()


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
        or _first_line(disk, site.control(file))
    )


def add_user(
    site: Site, accounts: Accounts, disk: Disk, new: NewUser, now: float
) -> Account | Refused:
    """Add a user with home and Maildir; the domain must be ours."""
    refused = _check(site, new)
    if refused is not None:
        return replace(refused, text=f"iadduser: {refused.text}")
    address = f"{new.name}@{new.domain}"
    if accounts.find(new.name, new.domain) is not None:
        return Refused(f"iadduser: username {address} exists", 100)
    directory = _new_home(site, accounts, disk, new)
    if len(directory) > DIRECTORY_LENGTH:
        return Refused(f"iadduser: {directory}: Name too long", 100)
    make_home(disk, directory)
    account = Account(
        name=new.name,
        domain=new.domain,
        password=new.password,
        scram=new.scram,
        gecos=new.gecos or new.name,
        directory=directory,
        quota=new.quota or default_quota(site.variables),
        active=new.active or new.name in RFC_IDS,
    )
    # Commit point: the user is there when `add` returns.
    if not accounts.add(account):
        return Refused(f"iadduser: username {address} exists", 100)
    accounts.record_event(account, LastEvent("add", int(now), ""))
    return account


def set_password(
    accounts: Accounts, name: str, domain: str, password: Secret, scram: Secret, now: float
) -> Account | Refused:
    """Replace a password, and what CRAM and SCRAM clients are verified by."""
    account = accounts.find(name, domain)
    if account is None:
        return Refused(f"{name}@{domain}: No such user", 1)
    if account.flags & Flag.NO_PASSWD_CHNG:
        return Refused("ipasswd: User not allowed to change password", 255)
    if len(password.reveal()) > PASSWORD_LENGTH:
        return Refused("ipasswd: Password too long", 100)
    if not accounts.set_password(name, domain, password, scram):
        return Refused(f"{name}@{domain}: No such user", 1)
    accounts.record_event(account, LastEvent("pass", int(now), ""))
    return replace(account, password=password, scram=scram)


def _check(site: Site, new: NewUser) -> Refused | None:
    if len(new.password.reveal()) > PASSWORD_LENGTH:
        return Refused("Name too long", 100)
    return check_user(new.name, new.domain, new.gecos, site.variables.get("ALLOWCHARS", ""))


def _new_home(site: Site, accounts: Accounts, disk: Disk, new: NewUser) -> str:
    base = new.base or domain_setting(site, disk, new.domain, ".base_path") or site.places.mail
    base = os.path.join(site.places.root, base)  # as BASE_PATH: a relative one is below the root
    level = domain_setting(site, disk, new.domain, ".users_per_level")
    per_level = new.users_per_level or (int(level) if level.isdecimal() else 0) or USERS_PER_LEVEL
    bucket = accounts.next_directory(mount_point(base), group(new.name), new.domain, per_level)
    return home(base.rstrip("/"), new.name, new.domain, bucket)
