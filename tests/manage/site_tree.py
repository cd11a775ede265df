"""A small instance in a directory of a test, and a disk that crashes on demand."""

import os
from collections.abc import Callable, Sequence

from indimail.accounts.port import Account, Accounts
from indimail.app.instance import Instance
from indimail.durable.disk import Disk, SystemDisk
from indimail.manage.change import carry_out
from indimail.manage.domains import NewDomain, plan_domain
from indimail.manage.instance import make_instance
from indimail.manage.site import Refused, Site, alone
from indimail.manage.users import NewUser, plan_user
from indimail.manage.writes import Stores, Write


class QuickDisk(SystemDisk):
    """Syncs nothing, but writes down which folders; calls `before` ahead of every change."""

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self.before = before
        self.synced: list[str] = []

    def write_new(self, path: str, parts: Sequence[bytes], mode: int = 0o600) -> None:
        self.before()
        super().write_new(path, parts, mode)

    def rename(self, source: str, target: str) -> None:
        self.before()
        super().rename(source, target)

    def make_directories(self, path: str, mode: int = 0o700) -> None:
        if not os.path.isdir(path):
            self.before()
        super().make_directories(path, mode)

    def sync_file(self, path: str) -> None:
        self.before()

    def sync_directory(self, path: str) -> None:
        self.before()
        self.synced.append(path)


def make_site(root: str, **variables: str) -> Site:
    """Return a whole instance, of whoever runs the test."""
    site = Site(Instance(root), variables, os.geteuid() or 555, os.getegid() or 555)
    os.makedirs(root, exist_ok=True)
    make_instance(site, QuickDisk(), "mx.example.org")
    return site


def carried_out(
    site: Site, accounts: Accounts, disk: Disk, writes: list[Write] | Refused
) -> Refused | None:
    """Make a change as commands do."""
    if isinstance(writes, Refused):
        return writes
    with alone(site):
        carry_out(Stores(site, accounts, disk, lambda _: None), "a change", writes)
    return None


def add_domain(site: Site, accounts: Accounts, disk: Disk, new: NewDomain) -> Refused | None:
    """Make a domain."""
    return carried_out(site, accounts, disk, plan_domain(site, accounts, disk, new, 0.0))


def add_user(
    site: Site, accounts: Accounts, disk: Disk, new: NewUser, now: float = 0.0
) -> Account | Refused:
    """Add a user."""
    refused = carried_out(site, accounts, disk, plan_user(site, accounts, disk, new, now))
    added = accounts.find(new.name, new.domain)
    return refused or added or Refused("not added", 1)
