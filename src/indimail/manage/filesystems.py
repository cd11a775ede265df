"""File systems where homes may lie: kept, counted, and the one for the next home.

    plan_filesystem(accounts, Wanted("/mail/a", most_users=1000))      -> [PutFileSystem(...)]
    plan_recount(accounts)                                             -> one for each
    balanced(site, accounts, disk)            -> "/mail/b", or Refused("no file system is online", 1)
    load_writes(accounts, account, 1)         -> what counts a user more, or less (-1)

The next home goes to the file system with the fewest users for its size, among those that are
online and not the last one chosen (`lastfstab` beside control/).  Its size is what `vfstab -q`
says, else that of the disk.  The most users and octets are information, no limits.

Source: spec/cluster-users.md 1.4 (fstab), 6.3; spec/delivery.md 2 (vadduser -b).
Not here: file systems of other hosts (the cluster), the directories in one (`manage.homes`).
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from indimail.accounts.port import (
    FILESYSTEM_LENGTH,
    Account,
    Accounts,
    FileSystem,
    above,
)
from indimail.delivery.quota import UNLIMITED, parse_quota
from indimail.durable.disk import Disk
from indimail.manage.file_writes import WriteFile
from indimail.manage.homes import check_writable, first_line
from indimail.manage.row_writes import PutFileSystem, RemoveFileSystem
from indimail.manage.site import Refused, Site
from indimail.manage.writes import Write

LAST: Final = "lastfstab"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be said of a file system; None: as it was, or nothing."""

    path: str
    is_online: bool | None = None
    most_users: int | None = None
    most_octets: int | None = None


def plan_filesystem(accounts: Accounts, wanted: Wanted) -> list[Write] | Refused:
    """Return what keeps a file system, new or not, counted anew."""
    path = wanted.path
    if not os.path.isabs(path) or os.path.normpath(path) != path or path == "/":
        return Refused(f"{path}: expected the full path of a directory", 1)
    if len(path) > FILESYSTEM_LENGTH:
        return Refused(f"{path}: Name too long: at most {FILESYSTEM_LENGTH} characters", 1)
    if not os.path.isdir(path):
        return Refused(f"{path}: no such directory", 1)
    refused = check_writable(path)
    if refused is not None:
        return refused
    before = _found(accounts, path) or FileSystem(path)
    users, octets = _held(accounts, path)
    return [
        PutFileSystem(
            path,
            before.is_online if wanted.is_online is None else wanted.is_online,
            before.most_users if wanted.most_users is None else wanted.most_users,
            before.most_octets if wanted.most_octets is None else wanted.most_octets,
            users,
            octets,
        )
    ]


def plan_filesystem_removal(accounts: Accounts, path: str) -> list[Write] | Refused:
    """Return what takes a file system away; homes that lie there stay."""
    if _found(accounts, path) is None:
        return Refused(f"{path}: no such file system", 1)
    return [RemoveFileSystem(path)]


def plan_recount(accounts: Accounts) -> list[Write]:
    """Return what counts all file systems anew."""
    return [_counted(known, *_held(accounts, known.path)) for known in accounts.filesystems()]


def balanced(
    site: Site,
    accounts: Accounts,
    disk: Disk,
    size: Callable[[str], int] | None = None,
) -> str | Refused:
    """Return where the next home goes; `size` tells the octets of a disk."""
    online = [known for known in accounts.filesystems() if known.is_online]
    last = first_line(disk, _last(site))
    candidates = [known for known in online if known.path != last] or online
    if not candidates:
        return Refused("no file system is online; vfstab -i makes one known", 1)
    return min(candidates, key=lambda known: (_load(known, size or _size), known.path)).path


def chosen_writes(site: Site, path: str) -> list[Write]:
    """Return what notes the file system that was chosen."""
    return [WriteFile(_last(site), f"{path}\n", 0o644)]


def load_writes(accounts: Accounts, account: Account, more: int) -> list[Write]:
    """Return what counts a user more (1), or less (-1), where its home lies in a file system."""
    octets = more * _octets(account)
    return [
        _counted(known, max(known.users + more, 0), max(known.octets + octets, 0))
        for known in accounts.filesystems()
        if known.path in above(account.directory)
    ]


def _counted(known: FileSystem, users: int, octets: int) -> Write:
    return PutFileSystem(
        known.path, known.is_online, known.most_users, known.most_octets, users, octets
    )


def _held(accounts: Accounts, path: str) -> tuple[int, int]:
    inside: Iterable[Account] = [a for a in accounts.housed(path) if path in above(a.directory)]
    octets = [_octets(account) for account in inside]
    return len(octets), sum(octets)


def _octets(account: Account) -> int:
    return (parse_quota(account.quota) or UNLIMITED).octets


def _found(accounts: Accounts, path: str) -> FileSystem | None:
    return next((known for known in accounts.filesystems() if known.path == path), None)


def _load(known: FileSystem, size: Callable[[str], int]) -> float:
    return known.users / max(known.most_octets or size(known.path), 1)


def _size(path: str) -> int:
    try:
        found = os.statvfs(path)
    except FileNotFoundError:
        return 0
    return found.f_blocks * found.f_frsize


def _last(site: Site) -> str:
    return os.path.join(os.path.dirname(site.places.tcp_dir), LAST)
