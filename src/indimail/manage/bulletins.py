"""Post a mail to all users of domains, or to one; or put it where a login finds it.

    plan_bulletin(site, accounts, Bulletin(text), ["example.com"], now)
    plan_stored(site, bulletin, "news", "example.com")         # for all users of a domain
    plan_subscribed(site, accounts, bulletin, "news", ["alice@example.com"])
    welcome_writes(site, account, now)                          # of who adds a user

The mail has one name in all mailboxes, so that a command that runs again posts it nowhere twice.
A quota keeps no bulletin away, and it counts.  What waits for a login is a file of the domain's
`bulk_mail`: ``news,all``, or ``news`` with a row of `bulkmail` for each who subscribed.

Source: spec/delivery.md 2 (vbulletin), spec/cluster-users.md 5.8.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from indimail.accounts.port import BULLETIN_LENGTH, Account, Accounts
from indimail.control.files import read_control
from indimail.manage.file_writes import MakeDirectory, PostMail, Recount, RemoveFile, WriteFile
from indimail.manage.row_writes import AddBulletins
from indimail.manage.site import Refused, Site
from indimail.manage.writes import Write

FOR_ALL: Final = ",all"
WELCOME: Final = f"1welcome.txt{FOR_ALL}"  # in bulk_mail: for each new user, at once


@dataclass(frozen=True, slots=True)
class Bulletin:
    """The mail; `excluded` are addresses.

    `how` it comes into a mailbox: as a "copy", as a "link", all mailboxes with one file, or as a
    "symlink" to `path`, which then has to stay.
    """

    octets: bytes
    path: str = ""
    how: str = "copy"
    excluded: frozenset[str] = field(default=frozenset())

    @property
    def text(self) -> str:
        """The octets as a write keeps them."""
        return self.octets.decode("utf-8", "surrogateescape")


def plan_bulletin(
    site: Site, accounts: Accounts, bulletin: Bulletin, names: Sequence[str], now: float
) -> list[Write] | Refused:
    """Return what posts a bulletin to domains, and to users by address."""
    users: list[Account] = []
    for name in names:
        user, _, domain = name.rpartition("@")
        found = accounts.find(user, domain) if user else None
        if user and found is None:
            return Refused(f"{name}: No such user", 1)
        users += accounts.users(domain) if found is None else [found]
    receivers = [
        account
        for account in dict.fromkeys(users)
        if account.active
        and account.directory
        and not account.is_group
        and account.address not in bulletin.excluded
    ]
    return _post(site, bulletin, receivers, now)


def welcome_writes(site: Site, account: Account, now: float) -> list[Write]:
    """Return what greets a new user with the mail that its domain has for that."""
    path = os.path.join(_folder(site, account.domain), WELCOME)
    if account.is_group or not account.active or not os.path.exists(path):
        return []
    return _post(site, Bulletin(_read(path)), [account], now)


def _post(site: Site, bulletin: Bulletin, receivers: Sequence[Account], now: float) -> list[Write]:
    first, _ = read_control(site.control("me"), "control/me")
    host = first.first.text if first.first is not None else "localhost"
    digest = sha256(bulletin.octets).hexdigest()[:16]
    posted = f"{int(now)}.B{digest}.{host},S={len(bulletin.octets)}"
    is_kept = bulletin.how == "symlink"
    source = bulletin.path if is_kept else os.path.join(site.places.db, f"bulletin.{digest}")
    writes: list[Write] = [] if is_kept else [WriteFile(source, bulletin.text)]
    for account in receivers:
        maildir = os.path.join(account.directory, "Maildir")
        writes.append(PostMail(source, maildir, posted, bulletin.how))
        writes.append(Recount(maildir, account.quota))
    if not receivers or is_kept:
        return writes if receivers else []
    return [*writes, RemoveFile(source)]


def plan_stored(site: Site, bulletin: Bulletin, name: str, domain: str) -> list[Write]:
    """Return what puts a bulletin into `bulk_mail`, for each user's next login."""
    return _stored(site, bulletin, f"{name}{FOR_ALL}", domain)


def plan_subscribed(
    site: Site, accounts: Accounts, bulletin: Bulletin, name: str, addresses: Sequence[str]
) -> list[Write] | Refused:
    """Return what puts a bulletin into `bulk_mail`, for the next login of those users of ours."""
    if name.endswith(FOR_ALL) or len(name) > BULLETIN_LENGTH:
        what = f"a name of at most {BULLETIN_LENGTH} characters that does not end in {FOR_ALL}"
        return Refused(f"{name}: expected {what}", 1)
    subscribed: dict[str, list[str]] = {}
    for address in dict.fromkeys(addresses):
        user, _, domain = address.rpartition("@")
        account = accounts.find(user, domain)
        if account is not None and not account.is_group:
            subscribed.setdefault(domain, []).append(address)
    writes: list[Write] = []
    for domain, users in subscribed.items():
        path = os.path.join(_folder(site, domain), name)
        if os.path.exists(path) and _read(path) != bulletin.octets:
            return Refused(f"{path}: is there and says something else", 1)
        writes += [*_stored(site, bulletin, name, domain), AddBulletins(tuple(users), name)]
    return writes


def _stored(site: Site, bulletin: Bulletin, name: str, domain: str) -> list[Write]:
    folder = _folder(site, domain)
    return [
        MakeDirectory(folder, 0o750),
        WriteFile(os.path.join(folder, name), bulletin.text, 0o640),
    ]


def _folder(site: Site, domain: str) -> str:
    return os.path.join(site.domain_dir(domain), site.variables.get("BULK_MAILDIR") or "bulk_mail")


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
