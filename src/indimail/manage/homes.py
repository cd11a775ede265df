"""Where homes are: the next one of a domain, the counters, the directories of a domain.

    homes = NewHomes(site, accounts, disk, "example.com")
    homes.next("alice")      -> '/mail/A2E/example.com/alice'
    homes.writes()           -> [SetCount(...)]
    freed_writes(site, accounts, disk, account)   -> the counter, and the bucket to be used again
    domain_folders(site, accounts, disk, "example.com")
        -> ['/mail/A2E/example.com', ..., '/mail/T2Zsym/example.com']
    check_trees(site, accounts, disk, ["/mail/A2E/example.com/alice"], "example.com", "alice")
        -> None, or Refused(...)

A freed bucket stands in the domain's directory, in ``.<file system>_<group>``, a line each (an
empty one: no bucket), and the next home of the group takes the first.

Source: spec/delivery.md 1.1, 1.2.  Not here: how a bucket follows another (`accounts.layout`).
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from indimail.accounts.layout import (
    GROUPS,
    USERS_PER_LEVEL,
    bucket_after,
    counter_table,
    group,
    home,
)
from indimail.accounts.port import Account, Accounts, above
from indimail.durable.disk import Disk
from indimail.manage.file_writes import RemoveFile, WriteFile
from indimail.manage.layout import mount_point
from indimail.manage.row_writes import SetCount
from indimail.manage.site import Refused, Site
from indimail.manage.writes import Write

_IN_GROUP = re.compile(
    rf"(?P<base>/.*?)/(?P<group>{'|'.join(GROUPS)})/(?P<domain>[^/]+)/(?P<rest>.+)"
)


def domain_setting(site: Site, disk: Disk, domain: str, name: str) -> str:
    """Return the first line of a file in the domain's directory, empty where there is none."""
    return first_line(disk, os.path.join(site.domain_dir(domain), name))


def first_line(disk: Disk, path: str) -> str:
    """Return the first line of a file, empty where there is none."""
    try:
        text = disk.read(path)
    except FileNotFoundError:
        return ""
    return text.split(b"\n", 1)[0].decode("utf-8", "replace").strip()


def domain_base(site: Site, disk: Disk, domain: str) -> str:
    """Return where the homes of a domain's users lie."""
    base = domain_setting(site, disk, domain, ".base_path") or site.places.mail
    return os.path.join(site.places.root, base).rstrip("/")  # a relative one is below the root


class NewHomes:
    """The homes of users to be in one domain, each in the bucket after the last one's.

    next("alice") -> '/mail/A2E/example.com/alice'; `writes` counts them.  Empty text and 0 mean the
    domain's own.  `anew`: as if the domain had no home yet.
    """

    def __init__(
        self,
        site: Site,
        accounts: Accounts,
        disk: Disk,
        domain: str,
        base: str = "",
        users_per_level: int = 0,
        *,
        anew: bool = False,
    ) -> None:
        self._site, self._accounts, self._disk, self._domain = site, accounts, disk, domain
        base = base or domain_base(site, disk, domain)
        self._base = os.path.join(site.places.root, base).rstrip("/")
        level = domain_setting(site, disk, domain, ".users_per_level")
        self._per_level = (
            users_per_level or (int(level) if level.isdecimal() else 0) or USERS_PER_LEVEL
        )
        self._anew = anew
        self._filesystems: dict[str, str] = {}
        self._groups: dict[tuple[str, str], _Group] = {}

    def next(self, name: str, base: str = "") -> str:
        """Return the home of a user, below another base than the domain's where one is given."""
        base = base or self._base
        counted = self._counted(base, group(name))
        counted.count += 1
        if counted.taken < len(counted.free):
            counted.taken += 1
            return home(base, name, self._domain, counted.free[counted.taken - 1])
        counted.bucket = bucket_after(counted.count, counted.bucket, self._per_level)
        return home(base, name, self._domain, counted.bucket)

    def writes(self) -> list[Write]:
        """Return what counts the homes that were given."""
        made: list[Write] = []
        for (filesystem, name), counted in sorted(self._groups.items()):
            made.append(SetCount(filesystem, name, self._domain, counted.count, counted.bucket))
            if self._anew and self._disk.exists(counted.path):
                made.append(RemoveFile(counted.path))
            elif counted.taken:
                rest = counted.free[counted.taken :]
                made.append(WriteFile(counted.path, "".join(f"{line}\n" for line in rest), 0o640))
        return made

    def forget(self, filesystem: str, group_name: str) -> None:
        """Count no home in a group that gets none."""
        self._groups.setdefault((filesystem, group_name), self._load(filesystem, group_name))

    def _counted(self, base: str, group_name: str) -> "_Group":
        if base not in self._filesystems:
            self._filesystems[base] = mount_point(base)
        key = self._filesystems[base], group_name
        if key not in self._groups:
            self._groups[key] = self._load(*key)
        return self._groups[key]

    def _load(self, filesystem: str, group_name: str) -> "_Group":
        path, free = _free(self._site, self._disk, filesystem, group_name, self._domain)
        if self._anew:
            return _Group(0, "", path, [])
        count, bucket = self._accounts.homes(filesystem, group_name, self._domain)
        return _Group(count, bucket, path, free)


@dataclass(slots=True)
class _Group:
    """A counter as it goes, and the freed buckets with how many of them are used again."""

    count: int
    bucket: str
    path: str
    free: list[str]
    taken: int = 0


def freed_writes(site: Site, accounts: Accounts, disk: Disk, account: Account) -> list[Write]:
    """Return what counts a home less, and keeps its bucket for the next one."""
    found = _IN_GROUP.fullmatch(account.directory)
    if found is None or found["domain"] != account.domain:
        return []
    filesystem, group_name = mount_point(found["base"]), found["group"]
    count, bucket = accounts.homes(filesystem, group_name, account.domain)
    if not count:
        return []
    path, free = _free(site, disk, filesystem, group_name, account.domain)
    freed = os.path.dirname(found["rest"])
    return [
        SetCount(filesystem, group_name, account.domain, count - 1, bucket),
        WriteFile(path, "".join(f"{line}\n" for line in [*free, freed]), 0o640),
    ]


@dataclass(frozen=True, slots=True)
class CountedHomes:
    """One counter: homes as it counts them, the bucket of the last one, homes there are."""

    filesystem: str
    group: str
    counted: int
    homes: int
    bucket: str


def counted_homes(site: Site, accounts: Accounts, disk: Disk, domain: str) -> list[CountedHomes]:
    """Return the counters of a domain that count, or should."""
    mounted = cache(mount_point)  # of a few bases, for many homes
    bases = [site.places.mail, domain_base(site, disk, domain)]
    homes = Counter(
        (mounted(found["base"]), found["group"])
        for account in accounts.users(domain)
        if (found := _IN_GROUP.fullmatch(account.directory)) and found["domain"] == domain
    )
    keys = {(mounted(base), name) for base in bases for name in GROUPS} | set(homes)
    rows = []
    for filesystem, name in sorted(keys):
        count, bucket = accounts.homes(filesystem, name, domain)
        if count or homes[filesystem, name]:
            rows.append(CountedHomes(filesystem, name, count, homes[filesystem, name], bucket))
    return rows


def group_of(account: Account) -> str:
    """Return the group that a home is counted in; empty where it lies elsewhere."""
    return place_of(account)[1]


def place_of(account: Account) -> tuple[str, str]:
    """Return base and group of a home that is counted; both empty where it lies elsewhere."""
    found = _IN_GROUP.fullmatch(account.directory)
    is_here = found is not None and found["domain"] == account.domain
    return (found["base"], found["group"]) if found is not None and is_here else ("", "")


def _free(
    site: Site, disk: Disk, filesystem: str, group_name: str, domain: str
) -> tuple[str, list[str]]:
    """Return the file of a group's freed buckets, and what it says."""
    name = counter_table(filesystem, group_name).removeprefix("dir_control")
    path = os.path.join(site.domain_dir(domain), f".{name}")
    try:
        text = disk.read(path).decode("ascii", "replace")
    except FileNotFoundError:
        text = ""
    return path, text.split("\n")[:-1]


def domain_folders(site: Site, accounts: Accounts, disk: Disk, domain: str) -> list[str]:
    """Return the directories BASE_PATH/GROUP/domain that hold homes of a domain, or may."""
    bases = {site.places.mail, domain_base(site, disk, domain)}
    for account in accounts.users(domain):
        found = _IN_GROUP.fullmatch(account.directory)
        if found is not None and found["domain"] == domain:
            bases.add(found["base"])
    paths = (os.path.join(base, name, domain) for base in sorted(bases) for name in GROUPS)
    return [path for path in paths if os.path.isdir(path)]


def check_trees(
    site: Site,
    accounts: Accounts,
    disk: Disk,
    trees: Iterable[str],
    domain: str,
    name: str = "",
) -> Refused | None:
    """Refuse trees that hold more than what is of a user, or with an empty name of a domain."""
    places = site.places
    parts = {
        places.control_dir, places.users_dir, places.tcp_dir, places.certs, places.queue_base,
        places.alias, places.db, places.trace, places.log, places.run,
    }  # fmt: skip
    kept = {
        *parts, places.root, places.domains_dir, places.mail,
        *(os.path.join(places.mail, group_name) for group_name in GROUPS),
    }  # fmt: skip
    if name:
        kept |= {site.domain_dir(domain), *domain_folders(site, accounts, disk, domain)}
    for tree in trees:
        if not os.path.isabs(tree) or os.path.normpath(tree) != tree:
            return Refused(f"found [{tree}], expected the full path of a home", 1)
        for path in kept:
            if tree in ("/", *above(path)) or (path in parts and path in above(tree)):
                what = f"is also of the instance ({path})"
                return Refused(f"{tree}: {what}; nothing was changed", 1, os.EX_NOPERM)
        for other in accounts.housed(tree):
            if other.domain != domain or (name and other.name != name):
                what = f"{other.address} ({other.directory})"
                return Refused(f"{tree}: is also of {what}; nothing was changed", 1, os.EX_NOPERM)
    return None


def check_base(base: str) -> Refused | None:
    """Refuse what is no full path of a directory for homes, or one that rows and files cannot name."""
    is_path = os.path.isabs(base) and os.path.normpath(base) == base.rstrip("/")
    if is_path and base.isprintable() and "'" not in base and '"' not in base:
        return None
    what = "the full path of a directory, without quotes and control characters"
    return Refused(f"{base!r}: expected {what}", 1)


def check_writable(folder: str) -> Refused | None:
    """Refuse a directory, there or to be made, where nothing can be made or removed."""
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        return None
    return Refused(
        f"{folder}: not writable by the owner of the instance", os.EX_NOPERM, os.EX_NOPERM
    )


def outside(accounts: Sequence[Account], folders: Sequence[str]) -> list[Account]:
    """Return the accounts whose homes lie in none of the folders."""
    return [
        account
        for account in accounts
        if account.directory
        and not any(account.directory.startswith(f"{folder}/") for folder in folders)
    ]
