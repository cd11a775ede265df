"""Directories with all that is in them: moved, removed, and again after a crash.

    move_tree(disk, "/mail/A2E/example.com/alice", "/mail/T2Zsym/example.com/zoe")
    settle_tree(disk, "/mail/A2E/example.com/alice", "/mail/T2Zsym/example.com/zoe")

A server goes on delivering while a home moves.  So a move is two steps, between which the rows
change: `move_tree`, after which all that was there is at the new place, and `settle_tree`, which
brings what was delivered to the old place until then.

Not here: which trees (`manage.removal`, `manage.rename`).
"""

import os
import shutil
from typing import Final

from indimail.durable.disk import Disk

_MAIL: Final = frozenset({"new", "cur"})
_UNFINISHED: Final = ".moving"


def remove_tree(disk: Disk, path: str) -> None:
    """Remove a directory with all that is in it; nothing there is no error.

    No link is followed, also where somebody puts one into the tree meanwhile.
    """
    if os.path.islink(path) or not os.path.isdir(path):
        return
    shutil.rmtree(path)
    disk.sync_directory(os.path.dirname(path))


def move_tree(disk: Disk, source: str, target: str) -> None:
    """Rename a directory; to another file system it is copied, and the old one stays."""
    if os.path.lexists(target) or not os.path.isdir(source):
        return
    above, old_above = os.path.dirname(target), os.path.dirname(source)
    if disk.device(source) == disk.device(above):
        disk.rename(source, target)
    else:
        unfinished = f"{target}{_UNFINISHED}"
        remove_tree(disk, unfinished)
        shutil.copytree(source, unfinished, symlinks=True)
        disk.sync_filesystem(unfinished)
        disk.rename(unfinished, target)
    # Commit point: the next boot finds it at the new place.
    disk.sync_directory(above)
    if os.path.isdir(old_above):
        disk.sync_directory(old_above)


def settle_tree(disk: Disk, source: str, target: str) -> None:
    """Bring the mails of an old home that its new one does not have, and remove the old one."""
    if os.path.islink(source) or not os.path.isdir(source):
        return
    for folder, _, names in os.walk(source):
        if os.path.basename(folder) in _MAIL:
            there = os.path.join(target, os.path.relpath(folder, source))
            _bring(disk, folder, there, names)
    if os.path.isdir(target):
        disk.sync_filesystem(target)
    remove_tree(disk, source)


def _bring(disk: Disk, folder: str, there: str, names: list[str]) -> None:
    """Move the mails of `new` or `cur`; a reader may have moved or marked those at the new place."""
    known = {
        name.partition(":")[0]
        for part in _MAIL
        if os.path.isdir(beside := os.path.join(os.path.dirname(there), part))
        for name in disk.names(beside)
    }
    for name in names:
        if name.partition(":")[0] not in known:
            disk.make_directories(there)
            shutil.move(os.path.join(folder, name), os.path.join(there, name))
