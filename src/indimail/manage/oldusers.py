"""Users who have not come for long, and their mail.

    wanted = Cleaning(age=60, then=Then.INACTIVE, unread_age=30)
    plan_cleaning(site, accounts, disk, "example.com", wanted, now)   -> [SetActive(...), ...]

A user's last use is the newest of the logins, of its making and of its activation; for a group the
last delivery counts too.  One of whom nothing is known is not old: when in doubt, keep the mail.
An inactive user keeps mail, aliases, filters and quota.  Ages are days.

Sources: spec/cluster-users.md 1.6, 5.5, 7 (15).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from indimail.accounts.port import RFC_IDS, Account, Accounts
from indimail.durable.disk import Disk
from indimail.mailbox.maildirsize import TRASH
from indimail.manage.file_writes import PurgeMails, Recount
from indimail.manage.routing import check_domain_exists
from indimail.manage.row_writes import SetActive
from indimail.manage.site import Refused, Site
from indimail.manage.writes import TellAccount, Write

DAY: Final = 86_400
_USES: Final = frozenset({"pop3", "imap", "webm", "add", "ACTI"})


class Then(Enum):
    """What becomes of an old user."""

    NOTHING = "nothing"
    INACTIVE = "inactive"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What is asked for; a negative age asks for nothing.

    `looks_at_cur`: a mailbox whose `cur` changed within the age is in use, whatever the rows say;
    `looks_in_folders`: unread mail goes in all folders but Trash, not in the INBOX alone;
    `kept` are beginnings of names (gecos) that are never old.
    """

    age: int
    then: Then = Then.NOTHING
    unread_age: int = -1
    trash_age: int = -1
    looks_at_cur: bool = True
    looks_in_folders: bool = False
    kept: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return what becomes of whom and what."""
        ages = f"{self.age} {self.unread_age} {self.trash_age}"
        return f"{self.then.value}, users, unread mail and trash of {ages} days"


def old_users(
    accounts: Accounts, domain: str, wanted: Cleaning, now: float
) -> list[tuple[Account, int]]:
    """Return the old users of a domain with the time of their last use, seconds."""
    found = []
    for account in accounts.users(domain):
        last = _last_use(accounts, account)
        if account.name in RFC_IDS or account.gecos.startswith(wanted.kept) or not last:
            continue
        if wanted.looks_at_cur:
            last = max(last, _changed(os.path.join(account.directory, "Maildir", "cur")))
        if last < now - wanted.age * DAY:
            found.append((account, last))
    return found


def plan_cleaning(
    site: Site, accounts: Accounts, disk: Disk, domain: str, wanted: Cleaning, now: float
) -> list[Write] | Refused:
    """Return what cleans a domain up, but for the removal of users: each is a change of its own."""
    refused = check_domain_exists(site, disk, domain)
    if refused is not None:
        return refused
    writes: list[Write] = []
    if wanted.then is Then.INACTIVE:
        for account, _ in old_users(accounts, domain, wanted, now):
            if account.active:
                writes.append(SetActive(account.name, domain, active=False, time=int(now)))
                writes.append(TellAccount(account.name, domain))
    for account in accounts.users(domain):
        if account.directory:
            writes += _purges(disk, account, wanted, now)
    return writes


def folder_names(disk: Disk, maildir: str) -> list[str]:
    """Return the names of the folders of a Maildir++, Trash among them, sorted."""
    if not os.path.isdir(maildir):
        return []
    return sorted(
        name
        for name in disk.names(maildir)
        if name[0] == "." and os.path.isdir(os.path.join(maildir, name, "cur"))
    )


def _purges(disk: Disk, account: Account, wanted: Cleaning, now: float) -> Iterator[Write]:
    maildir = os.path.join(account.directory, "Maildir")
    if wanted.unread_age >= 0:
        others = [name for name in folder_names(disk, maildir) if name != TRASH]
        for name in ["", *others] if wanted.looks_in_folders else [""]:
            before = int(now) - wanted.unread_age * DAY
            yield PurgeMails(os.path.join(maildir, name).rstrip("/"), before, "unread")
    trash = os.path.join(maildir, TRASH)
    if wanted.trash_age >= 0 and os.path.isdir(trash):
        yield PurgeMails(trash, int(now) - wanted.trash_age * DAY)
    if max(wanted.unread_age, wanted.trash_age) >= 0:
        yield Recount(maildir, account.quota)


def _last_use(accounts: Accounts, account: Account) -> int:
    uses = _USES | {"deli"} if account.is_group else _USES
    events = accounts.events(account.name, account.domain)
    return max((event.time for event in events if event.service in uses), default=0)


def _changed(folder: str) -> int:
    try:
        return int(os.stat(folder).st_mtime)
    except FileNotFoundError:
        return 0
