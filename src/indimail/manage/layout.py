"""Make a user's home and Maildir; the modes of what lies above it.

    make_home(disk, "/var/indimail/mail/A2E/example.com/alice")
    make_homes(disk, [...])     # many at once

A home is made with its user, not at the first delivery or login: a delivery then finds the
Maildir there, and an empty mailbox can be read.  Every name is on disk when a function returns.

Source: spec/delivery.md 1.1, 1.2, 8.2.  Not here: where homes lie (`accounts.layout`).
"""

import os
from collections.abc import Iterable
from typing import Final

from indimail.durable.disk import Disk

PASSED: Final = 0o711  # may be passed by other uids, not read
PRIVATE: Final = 0o700
DOMAIN: Final = 0o750


def make_home(disk: Disk, home: str) -> None:
    """Make a home and its empty Maildir, or complete it."""
    for name in ("cur", "new", "tmp"):
        disk.make_directories(os.path.join(home, "Maildir", name), PRIVATE)


def make_homes(disk: Disk, homes: Iterable[str]) -> None:
    """Make homes as `make_home` does, with one sync of each file system instead of five of each."""
    devices: dict[int, str] = {}
    for home in homes:
        for name in ("cur", "new", "tmp"):
            _make_unsynced(disk, os.path.join(home, "Maildir", name))
        devices.setdefault(disk.device(home), home)
    # Also what was there already: who made it may have died before its sync.
    for home in devices.values():
        disk.sync_filesystem(home)


def _make_unsynced(disk: Disk, path: str) -> None:
    if disk.exists(path):
        return
    _make_unsynced(disk, os.path.dirname(path))
    disk.make_directory(path, PRIVATE)


def mount_point(path: str) -> str:
    """Return the mount point of the file system that holds a path, also of one not made yet."""
    path = os.path.realpath(path)
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path
