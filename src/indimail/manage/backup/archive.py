"""The directory of a backup while it is made: files come in, and are listed.

    with Archive.make(disk, "/backup/monday", uid) as archive:
        archive.file("control/me", fd, os.fstat(fd))
        archive.end()                                  -> the digest of the list

It belongs to whoever makes it, and nobody else may look: mail and password hashes are in it.

Raises OSError; `BackupRefused` where a directory is not empty.
Not here: which files (`configuration`, `queues`, `mailboxes`), reading them (`source`).
"""

import hashlib
import os
from contextlib import suppress
from dataclasses import replace
from stat import S_IMODE
from types import TracebackType
from typing import Final, Self

from indimail.durable.disk import Disk
from indimail.manage.backup.manifest import (
    FILES,
    LIST,
    READ,
    BackupRefused,
    Entry,
    digest_of,
)

PRIVATE: Final = 0o700


class Archive:
    """`uid` is the instance's owner: whose files need no word about it; root's become theirs."""

    def __init__(self, folder: str, uid: int) -> None:
        self.folder = folder
        self._uid = uid
        self._files = os.path.join(folder, FILES)
        self._made = {""}
        self._listed: set[str] = set()
        self._summed = hashlib.sha256()
        self._list = open(os.path.join(folder, LIST), "xb")  # noqa: SIM115 - closed by `end`
        self._staged = 0
        self.count = 0
        self.octets = 0

    @classmethod
    def make(cls, disk: Disk, folder: str, uid: int) -> Self:
        """Make the directory, or take an empty one."""
        above = os.path.dirname(folder)
        if not os.path.isdir(above):
            raise BackupRefused(f"{above}: no such directory")
        try:
            os.mkdir(folder, PRIVATE)
            disk.sync_directory(above)
        except FileExistsError:
            if not os.path.isdir(folder) or os.path.islink(folder):
                raise BackupRefused(f"{folder}: not a directory") from None
            if os.listdir(folder):
                raise BackupRefused(f"{folder}: not empty") from None
            os.chmod(folder, PRIVATE)
        os.mkdir(os.path.join(folder, FILES), PRIVATE)
        return cls(folder, uid)

    def place(self, path: str) -> str:
        """Return where a file lies, with its directory made."""
        above = os.path.dirname(path)
        if above not in self._made:
            os.makedirs(os.path.join(self._files, above), PRIVATE, exist_ok=True)
            self._made.add(above)
        return os.path.join(self._files, path)

    def file(self, path: str, fd: int, state: os.stat_result) -> None:
        """Copy an open file, and list it."""
        self.add(self._copied(self.place(path), fd, state, path))

    def stage(self, fd: int, state: os.stat_result) -> Entry:
        """Copy an open file whose path is not known yet: the entry's is where it lies until then."""
        self._staged += 1
        path = f".staged/{self._staged}"
        return self._copied(self.place(path), fd, state, path)

    def settle(self, entry: Entry, path: str) -> None:
        """Give what was staged its path, and list it."""
        os.rename(self.place(entry.path), self.place(path))
        self.add(replace(entry, path=path))

    def discard(self, entry: Entry) -> None:
        """Remove what was staged."""
        os.unlink(self.place(entry.path))

    def _copied(self, target: str, fd: int, state: os.stat_result, path: str) -> Entry:
        size, summed = 0, hashlib.sha256()
        out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            while piece := os.read(fd, READ):
                summed.update(piece)
                size += len(piece)
                view = memoryview(piece)
                while view:
                    view = view[os.write(out, view) :]
        finally:
            os.close(out)
        return self._entry(path, state, size, state.st_mtime_ns, summed.hexdigest())

    def produced(self, path: str) -> None:
        """List a file that was written at its place by others, for the owner alone."""
        changed = os.stat(self.place(path)).st_mtime_ns
        size, summed = digest_of(self.place(path))
        self.add(Entry(path, 0o600, size, changed, summed))

    def directory(self, path: str, state: os.stat_result) -> None:
        """List a directory, once."""
        if path not in self._listed:
            self._listed.add(path)
            self.add(self._entry(path, state))

    def link(self, path: str, target: str) -> None:
        """List a symbolic link, once; an empty target: it is gone."""
        if target and path not in self._listed:
            self._listed.add(path)
            self.add(Entry(path, target=target))

    def same(self, path: str, of: str) -> None:
        """List a second name of a file."""
        self.add(Entry(path, same=of))

    def add(self, entry: Entry) -> None:
        """List it."""
        line = entry.line()
        self._summed.update(line)
        self._list.write(line)
        self.count += 1
        self.octets += entry.size

    def _entry(
        self, path: str, state: os.stat_result, size: int = 0, changed: int = 0, sha256: str = ""
    ) -> Entry:
        mode, is_theirs = S_IMODE(state.st_mode), state.st_uid in (self._uid, 0)
        owner = (-1, -1) if is_theirs else (state.st_uid, state.st_gid)
        return Entry(path, mode, size, changed, sha256, uid=owner[0], gid=owner[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._list.close()

    def end(self) -> str:
        """Close the list; return its digest."""
        with suppress(FileNotFoundError):
            os.rmdir(os.path.join(self._files, ".staged"))
        self._list.close()
        return self._summed.hexdigest()
