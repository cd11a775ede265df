"""Batches of files and names, made durable together.

    syncs = FileSyncs(SystemDisk(), time.monotonic)
    syncs.run([Unsynced(files=(".../tmp/NAME",), folders=(".../tmp",))])   # returned: all durable

Few files cost a sync each and one of every folder; from `ENOUGH` on, one syncfs(2) of their file
system costs less.  After a syncfs slower than `SLOW` seconds, and than a sync of each would have
been (somebody else writes a lot), the next second goes file by file; if the one after that is slow
too, the next two, and so on up to a minute.  `mode` forces either, for odd disks and for benchmarks.

A file or folder that is gone (its user was removed meanwhile), or that we may not open, fails those
items alone that ask for it.  Everything else that goes wrong is the disk's, and fails the batch.

That a folder exists does not prove that its name survives: who made it may have been killed before
the sync.  So the first time this process syncs a folder, it syncs those above it too.

Marks of deliveries wait for these rounds; no ``250`` ever does.  Source: DESIGN 4, syncfs(2).
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from indimail.durable.disk import Disk

ENOUGH: Final = 8
SLOW: Final = 0.1
EACH: Final = 0.0005  # seconds, of one sync on a good disk
PENANCE: Final = 60.0  # seconds, at most; the first is a sixtieth


class SyncMode(StrEnum):
    """How a batch is made durable."""

    AUTO = "auto"
    EACH = "each"
    FILESYSTEM = "filesystem"


@dataclass(frozen=True, slots=True)
class Unsynced:
    """Files whose contents, and folders whose names, have to survive a power cut."""

    files: tuple[str, ...]
    folders: tuple[str, ...]


class FileSyncs:
    """Makes one batch after another durable; used by one thread."""

    def __init__(
        self, disk: Disk, steady: Callable[[], float], mode: SyncMode = SyncMode.AUTO
    ) -> None:
        self._disk = disk
        self._steady = steady
        self._mode = mode
        self._each_until = -PENANCE
        self._penance = 0.0  # the last one, 0 since a syncfs was quick
        self._doubt_until = -PENANCE  # as above, whatever the mode
        self._devices: dict[str, int] = {}
        self._sure: set[str] = set()  # folders whose own name is on disk

    def run(self, batch: Sequence[Unsynced]) -> Mapping[int, OSError]:
        """Return when everything in the batch is on disk, except for the items returned.

        Those are told by their place in the batch, each with its own failure.  Raises OSError for
        the disk's: then nothing is sure.
        """
        files = dict.fromkeys(file for item in batch for file in item.files)
        folders = dict.fromkeys(folder for item in batch for folder in item.folders)
        above = self._above(folders)
        if self._worth_one_sync(len(files) + len(folders)):
            missing = self._sync_filesystems(folders, len(files) + len(folders))
        else:
            missing = self._sync_each(files, folders, above)
        self._sure.update(folders, above)
        if not missing:
            return {}
        self._sure.difference_update(missing)
        return dict(_failed(batch, missing))

    def _above(self, folders: Collection[str]) -> dict[str, None]:
        """Return the folders that hold a name of which nothing is known yet."""
        if len(self._sure) > 100_000:
            self._sure.clear()
        found: dict[str, None] = {}
        for path in folders:
            name = path
            while name not in self._sure and name not in found and name != "/":
                found[name] = None
                name = os.path.dirname(name)
        return dict.fromkeys(os.path.dirname(name) for name in found)

    def _sync_filesystems(self, folders: Collection[str], things: int) -> dict[str, OSError]:
        """Sync each file system once, by the first of its folders that is there.

        A file that is gone is not noticed here; who goes on with it is (`mailbox.maildir.publish`).
        """
        missing: dict[str, OSError] = {}
        synced: set[int] = set()
        started = self._steady()
        try:
            for folder in folders:
                if self._devices.get(folder) in synced:
                    continue
                with _noting(missing, folder):
                    device = self._device(folder)
                    if device not in synced:
                        self._disk.sync_filesystem(folder)
                        synced.add(device)
        except OSError:
            # It may have lost octets of files that the next batch holds, and the next syncfs(2)
            # would not tell: each file's own fsync(2) does.
            self._doubt_until = self._steady() + PENANCE
            raise
        self._learn(self._steady() - started, max(SLOW * max(1, len(synced)), EACH * things))
        return missing

    def _learn(self, took: float, patience: float) -> None:
        """Go file by file for a while after a slow one, the longer the more there were."""
        if took <= patience:
            self._penance = 0.0
            return
        self._penance = min(PENANCE, max(PENANCE / 60, 2 * self._penance))
        self._each_until = self._steady() + self._penance

    @property
    def may_sync_at_once(self) -> bool:
        """Whether one sync of all may be tried: no penance is left."""
        return self._steady() >= self._each_until

    def _worth_one_sync(self, things: int) -> bool:
        if self._steady() < self._doubt_until:
            return False
        if self._mode is SyncMode.AUTO:
            return things >= ENOUGH and self.may_sync_at_once
        return self._mode is SyncMode.FILESYSTEM

    def _sync_each(
        self, files: Collection[str], folders: Collection[str], above: Collection[str]
    ) -> dict[str, OSError]:
        missing: dict[str, OSError] = {}
        for file in files:
            with _noting(missing, file):
                self._disk.sync_file(file)
        for folder in folders:
            with _noting(missing, folder):
                self._disk.sync_directory(folder)
        for folder in above:
            if folder in folders:
                continue
            # What we may not read is not of our making; what is gone took the folders below along.
            with _noting(missing, folder):
                self._disk.sync_directory(folder)
        return missing

    def _device(self, folder: str) -> int:
        """Return the folder's file system; remembered, since a mount is not moved under mail."""
        device = self._devices.get(folder)
        if device is None:
            if len(self._devices) > 10_000:
                self._devices.clear()
            device = self._devices[folder] = self._disk.device(folder)
        return device


# That a name leads nowhere, or not for us: no sign of a disk that fails.
_NOT_THERE: Final = (FileNotFoundError, NotADirectoryError, PermissionError)


@contextmanager
def _noting(missing: dict[str, OSError], path: str) -> Iterator[None]:
    """Note that a path cannot be opened, and go on with the others."""
    try:
        yield
    except _NOT_THERE as error:
        missing[path] = error


def _failed(
    batch: Sequence[Unsynced], missing: Mapping[str, OSError]
) -> Iterator[tuple[int, OSError]]:
    """Walk the items that ask for something missing, by their places."""
    for place, item in enumerate(batch):
        for path in (*item.files, *item.folders):
            if path in missing:
                yield place, missing[path]
                break
