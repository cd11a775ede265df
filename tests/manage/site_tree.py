"""A small instance in a directory of a test, and a disk that crashes on demand."""

import os
from collections.abc import Callable, Sequence
from typing import Any

from indimail.accounts.memory import MemoryAccounts
from indimail.app.instance import Instance
from indimail.durable.disk import SystemDisk
from indimail.manage.instance import make_instance
from indimail.manage.site import Site


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


class CrashingAccounts(MemoryAccounts):
    """Calls `before` ahead of every change."""

    def __init__(self, before: Callable[[], None]) -> None:
        super().__init__()
        self.before = before

    def add(self, *args: Any) -> bool:
        self.before()
        return super().add(*args)

    def add_alias(self, *args: Any) -> bool:
        self.before()
        return super().add_alias(*args)

    def next_directory(self, *args: Any) -> str:
        self.before()
        return super().next_directory(*args)


def make_site(root: str, **variables: str) -> Site:
    """Return a whole instance, of whoever runs the test."""
    site = Site(Instance(root), variables, os.geteuid() or 555, os.getegid() or 555)
    os.makedirs(root, exist_ok=True)
    make_instance(site, QuickDisk(), "mx.example.org")
    return site
