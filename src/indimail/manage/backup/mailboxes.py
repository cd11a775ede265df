"""Homes with their mail, copied while mail comes, is read, moved and removed.

    boxes = Mailboxes(source, archive)
    boxes.copy("/mail/A2E/example.com/alice", "mail/A2E/example.com/alice", owner)

A mail keeps its contents and gets other names: a reader moves it from `new/` to `cur/`, marks it, or
files it in another folder.  So a home is walked until a walk meets no contents that are new; contents
are known again by inode, time and size, and have the names that the last walk saw.  What it did not
see any more was removed, or moved just then: it is kept under its last name.  `new/` is read before
`cur/`, where mail goes from there.

Two names of one file, in one home or in several (a mail that was posted to many), are two names of
one file in the backup.

Left out: `tmp/`, where no mail is whole; maildirsize, which is a count; data bases of readers, which
can be made again.
"""

import os
import stat
from collections.abc import Iterator
from typing import Final

from indimail.manage.backup.archive import Archive
from indimail.manage.backup.manifest import Entry
from indimail.manage.backup.source import Owner, Source

WALKS: Final = 5  # of a home that does not come to rest
MAIL: Final = ("new", "cur")
_NOT_COPIED: Final = frozenset({"maildirsize"})
_BASES: Final = (".db", ".db-wal", ".db-shm", ".db-journal", ".lock")

Key = tuple[int, int, int, int]


class Mailboxes:
    """All homes of a backup; `mails` counts what was in `new` and `cur`."""

    def __init__(self, source: Source, archive: Archive) -> None:
        self._source = source
        self._archive = archive
        self._shared: dict[Key, str] = {}  # files with several names, and where they are
        self.mails = 0

    def copy(self, home: str, path: str, owner: Owner) -> bool:
        """Copy a home; False where it is not there."""
        home = self._source.real(home, owner)
        state = self._source.directory(home, owner)
        if state is None:
            return False
        self._archive.directory(path, state)
        contents: dict[Key, tuple[Entry, str]] = {}
        for number in range(WALKS):
            seen = len(contents)
            names = self._walk(home, path, owner, contents)
            if number and len(contents) == seen:
                break
        self._list(contents, names)
        return True

    def _walk(
        self, home: str, path: str, owner: Owner, contents: dict[Key, tuple[Entry, str]]
    ) -> dict[str, Key]:
        """Copy the contents that are new; return what each name stands for."""
        names: dict[str, Key] = {}
        for there, here, state in self._files(home, path, owner):
            key = (state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size)
            if key not in contents and key not in self._shared:
                with self._source.opened(there, owner) as found:
                    if found is None or found[1].st_ino != state.st_ino:
                        continue  # gone or written over: the next walk sees what is there
                    contents[key] = (self._archive.stage(*found), here)
                    if state.st_nlink > 1:
                        self._shared[key] = ""
            names[here] = key
        return names

    def _files(
        self, folder: str, path: str, owner: Owner
    ) -> Iterator[tuple[str, str, os.stat_result]]:
        """Walk the regular files of a home; directories and links are listed on the way."""
        names = self._source.names(folder, owner)
        for name, state in sorted(names, key=lambda found: found[0] == "cur"):
            there, here = os.path.join(folder, name), os.path.join(path, name)
            if stat.S_ISDIR(state.st_mode):
                self._archive.directory(here, state)
                if name != "tmp":
                    yield from self._files(there, here, owner)
            elif stat.S_ISLNK(state.st_mode):
                self._archive.link(here, self._source.target(there, owner))
            elif stat.S_ISREG(state.st_mode) and not _is_left_out(name):
                yield there, here, state

    def _list(self, contents: dict[Key, tuple[Entry, str]], names: dict[str, Key]) -> None:
        """Give the contents their names: those of the last walk, else the last that they had."""
        by_key: dict[Key, list[str]] = {}
        for path, key in names.items():
            by_key.setdefault(key, []).append(path)
        for key, (entry, first) in contents.items():
            paths = by_key.pop(key, [])
            if not paths and first in names:  # another file has its name by now
                self._archive.discard(entry)
                continue
            paths = paths or [first]
            self._archive.settle(entry, paths[0])
            if key in self._shared:
                self._shared[key] = paths[0]
            for path in paths[1:]:
                self._archive.same(path, paths[0])
            self._count(paths)
        for key, paths in by_key.items():  # files of which another home had a name
            for path in paths:
                self._archive.same(path, self._shared[key])
            self._count(paths)

    def _count(self, paths: list[str]) -> None:
        self.mails += sum(os.path.basename(os.path.dirname(path)) in MAIL for path in paths)


def _is_left_out(name: str) -> bool:
    return name in _NOT_COPIED or name.endswith(_BASES)
