"""Post a mail to all users of domains, or to one.

    plan_bulletin(site, accounts, Bulletin(text, "news", is_link=False), ["example.com"], now)

The mail has one name in all mailboxes, so that a command that runs again posts it nowhere twice.
A quota keeps no bulletin away, and it counts.  `plan_stored` puts it where a login finds it.

Source: spec/delivery.md 2 (vbulletin), spec/cluster-users.md 5.8.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from indimail.accounts.port import Account, Accounts
from indimail.control.files import read_control
from indimail.manage.file_writes import MakeDirectory, PostMail, Recount, RemoveFile, WriteFile
from indimail.manage.site import Refused, Site
from indimail.manage.writes import Write


@dataclass(frozen=True, slots=True)
class Bulletin:
    """The mail; `is_link`: all mailboxes share one file; `excluded` are addresses."""

    octets: bytes
    is_link: bool = False
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
    first, _ = read_control(site.control("me"), "control/me")
    host = first.first.text if first.first is not None else "localhost"
    digest = sha256(bulletin.octets).hexdigest()[:16]
    posted = f"{int(now)}.B{digest}.{host},S={len(bulletin.octets)}"
    source = os.path.join(site.places.db, f"bulletin.{digest}")
    writes: list[Write] = [WriteFile(source, bulletin.text)]
    for account in receivers:
        maildir = os.path.join(account.directory, "Maildir")
        writes.append(PostMail(source, maildir, posted, bulletin.is_link))
        writes.append(Recount(maildir, account.quota))
    return [*writes, RemoveFile(source)] if receivers else []


def plan_stored(site: Site, bulletin: Bulletin, name: str, domain: str) -> list[Write]:
    """Return what puts a bulletin into `bulk_mail`, for each user's next login."""
    folder = site.variables.get("BULK_MAILDIR") or "bulk_mail"
    path = os.path.join(site.domain_dir(domain), folder)
    return [
        MakeDirectory(path, 0o750),
        WriteFile(os.path.join(path, f"{name},all"), bulletin.text, 0o640),
    ]
