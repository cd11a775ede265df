"""Make room on a disk that fills up: what users have thrown away goes from the mailboxes of a domain.

    plan_purge(site, accounts, disk, "example.com", Purge(days=30, min_free=10), now)
        -> [PurgeMails(".../alice/Maildir/.Trash", ...), ..., Recount(...)]

Only homes on a file system with less than `min_free` percent free are looked at.  Of these go the
mails older than `days` in Trash, Spam, Junk and Quarantine (and folders in them), and in all other
folders those that are marked deleted and not expunged.  No other mail goes, read or unread, and no
user: IndiMail's documents do not say which mails its vpurge takes, and what is gone is gone.

Sources: spec/delivery.md 2 (vpurge).
Not here: old unread mail, users who do not come (`manage.oldusers`).
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from indimail.accounts.port import Account, Accounts
from indimail.durable.disk import Disk
from indimail.manage.file_writes import PurgeMails, Recount
from indimail.manage.layout import mount_point
from indimail.manage.oldusers import DAY, folder_names
from indimail.manage.routing import check_domain_exists
from indimail.manage.site import Refused, Site
from indimail.manage.writes import Write

THROWN_AWAY: Final = frozenset({"trash", "spam", "junk", "quarantine"})


@dataclass(frozen=True, slots=True)
class Purge:
    """What is asked for: an age of mails in days, and how many percent of a disk shall be free."""

    days: int
    min_free: int


def free_percent(path: str) -> int:
    """Return how much of a file system is free, for others than root, rounded down."""
    found = os.statvfs(path)
    return found.f_bavail * 100 // max(found.f_blocks - found.f_bfree + found.f_bavail, 1)


def plan_purge(
    site: Site,
    accounts: Accounts,
    disk: Disk,
    domain: str,
    wanted: Purge,
    now: float,
    free: Callable[[str], int] = free_percent,
) -> list[Write] | Refused:
    """Return what purges the mailboxes of a domain that are on a disk that is too full."""
    refused = check_domain_exists(site, disk, domain)
    if refused is not None:
        return refused
    is_full: dict[str, bool] = {}
    writes: list[Write] = []
    for account in accounts.users(domain):
        maildir = os.path.join(account.directory, "Maildir")
        if not os.path.isabs(maildir) or not os.path.isdir(maildir):
            continue
        mounted = mount_point(maildir)
        if mounted not in is_full:
            is_full[mounted] = free(mounted) < wanted.min_free
        if is_full[mounted]:
            writes += _purges(disk, account, maildir, int(now) - wanted.days * DAY)
    return writes


def _purges(disk: Disk, account: Account, maildir: str, before: int) -> Iterator[Write]:
    yield PurgeMails(maildir, before, "deleted")
    for name in folder_names(disk, maildir):
        which = "all" if name.split(".")[1].lower() in THROWN_AWAY else "deleted"
        yield PurgeMails(os.path.join(maildir, name), before, which)
    yield Recount(maildir, account.quota)
