"""The disk as a port: every file operation a promise depends on, so that tests can break it.

    disk.write_new(path, (header, body))     # exclusive create, write
    disk.sync_file(path); disk.sync_directory(path.parent)

A file survives a power cut when its *contents* were synced (`sync_file`) and its *name* was
(`sync_directory` of the folder that holds it, up to the first folder that existed before).
`sync_filesystem` does both for everything on the file system that holds the path.

Raises `OSError`; adapters translate it at their own border.  Paths are absolute, as `str`.
Source: fsync(2), syncfs(2), rename(2).
"""

import ctypes
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple, Protocol


class Stamp(NamedTuple):
    """What tells one content of a file, or one set of a folder's names, from another."""

    inode: int
    modified: int  # nanoseconds since the epoch
    size: int  # octets


class Disk(Protocol):
    """Operations on names and contents."""

    def write_new(self, path: str, parts: Sequence[bytes], mode: int = 0o600) -> None:
        """Create a file that must not exist, and write the parts into it."""

    def append(self, path: str, parts: Sequence[bytes], mode: int = 0o600) -> None:
        """Write the parts at the end of a file, which is created where it is missing."""

    def read(self, path: str, offset: int = 0, size: int = -1) -> bytes:
        """Return `size` octets (all, where negative) from `offset` on."""

    def size(self, path: str) -> int:
        """Return a file's size in octets; raises FileNotFoundError."""

    def mode(self, path: str) -> int:
        """Return the permission bits, sticky bit included; raises FileNotFoundError."""

    def stamp(self, path: str) -> Stamp:
        """Return what changes when a file or folder does; raises FileNotFoundError."""

    def exists(self, path: str) -> bool:
        """Tell whether a name is there."""

    def link(self, source: str, target: str) -> None:
        """Give a file a second name that must not exist."""

    def rename(self, source: str, target: str) -> None:
        """Move a name, atomically, over whatever has the target's."""

    def unlink(self, path: str) -> None:
        """Remove a name."""

    def make_directories(self, path: str, mode: int = 0o700) -> None:
        """Create a folder and the missing ones above it, and sync their names."""

    def make_directory(self, path: str, mode: int = 0o700) -> None:
        """Create a folder that must not exist, in one that does; its name waits for a sync."""

    def names(self, path: str) -> list[str]:
        """Return the names in a folder."""

    def sync_file(self, path: str) -> None:
        """Make a file's contents survive a power cut."""

    def sync_directory(self, path: str) -> None:
        """Make the names in a folder survive a power cut."""

    def sync_filesystem(self, path: str) -> None:
        """Make everything on the file system that holds `path` survive a power cut."""

    def free(self, path: str) -> int:
        """Return the octets that an unprivileged writer can still use."""

    def device(self, path: str) -> int:
        """Return the number of the file system that holds `path`."""


class SystemDisk:
    """The machine's disk."""

    def write_new(self, path: str, parts: Sequence[bytes], mode: int = 0o600) -> None:
        """Create a file that must not exist, and write the parts into it."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            _write_all(fd, parts)
        finally:
            os.close(fd)

    def append(self, path: str, parts: Sequence[bytes], mode: int = 0o600) -> None:
        """Write the parts at the end of a file, which is created where it is missing."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, mode)
        try:
            _write_all(fd, parts)
        finally:
            os.close(fd)

    def read(self, path: str, offset: int = 0, size: int = -1) -> bytes:
        """Return `size` octets (all, where negative) from `offset` on."""
        with open(path, "rb", buffering=0) as file:
            file.seek(offset)
            return file.read(size) or b""

    def size(self, path: str) -> int:
        """Return a file's size in octets; raises FileNotFoundError."""
        return os.stat(path).st_size

    def mode(self, path: str) -> int:
        """Return the permission bits, sticky bit included; raises FileNotFoundError."""
        return stat.S_IMODE(os.stat(path).st_mode)

    def stamp(self, path: str) -> Stamp:
        """Return what changes when a file or folder does; raises FileNotFoundError."""
        found = os.stat(path)
        return Stamp(found.st_ino, found.st_mtime_ns, found.st_size)

    def exists(self, path: str) -> bool:
        """Tell whether a name is there."""
        return os.path.lexists(path)

    def link(self, source: str, target: str) -> None:
        """Give a file a second name that must not exist."""
        os.link(source, target)

    def rename(self, source: str, target: str) -> None:
        """Move a name, atomically, over whatever has the target's."""
        os.rename(source, target)

    def unlink(self, path: str) -> None:
        """Remove a name."""
        os.unlink(path)

    def make_directories(self, path: str, mode: int = 0o700) -> None:
        """Create a folder and the missing ones above it, and sync their names."""
        missing = []
        while not os.path.isdir(path):
            missing.append(path)
            path = os.path.dirname(path)
        for folder in reversed(missing):
            try:
                os.mkdir(folder, mode)
            except FileExistsError:
                if not os.path.isdir(folder):  # else another delivery made it just now
                    raise
            self.sync_directory(os.path.dirname(folder))

    def make_directory(self, path: str, mode: int = 0o700) -> None:
        """Create a folder that must not exist, in one that does; its name waits for a sync."""
        os.mkdir(path, mode)

    def names(self, path: str) -> list[str]:
        """Return the names in a folder."""
        return os.listdir(path)

    def sync_file(self, path: str) -> None:
        """Make a file's contents survive a power cut."""
        with _opened(path, os.O_RDONLY) as fd:
            os.fsync(fd)

    def sync_directory(self, path: str) -> None:
        """Make the names in a folder survive a power cut."""
        with _opened(path, os.O_RDONLY | os.O_DIRECTORY) as fd:
            os.fsync(fd)

    def sync_filesystem(self, path: str) -> None:
        """Make everything on the file system that holds `path` survive a power cut.

        Linux 5.8 and newer report a failed write-back here (syncfs(2)).
        """
        with _opened(path, os.O_RDONLY) as fd:
            if _libc.syncfs(fd) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), path)

    def free(self, path: str) -> int:
        """Return the octets that an unprivileged writer can still use."""
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize

    def device(self, path: str) -> int:
        """Return the number of the file system that holds `path`."""
        return os.stat(path).st_dev


def sync_descriptor(fd: int) -> None:
    """Make the contents of an open file survive a power cut."""
    os.fsync(fd)


def sync_above(disk: Disk, path: str) -> None:
    """Make a folder's own name survive a power cut, and those of all above it.

    Also where the folder was there already: who made it may have died before its sync.
    """
    while path != (above := os.path.dirname(path)):
        with suppress(PermissionError):  # what we may not read is not of our making
            disk.sync_directory(above)
        path = above


_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def _opened(path: str, flags: int) -> Iterator[int]:
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _write_all(fd: int, parts: Sequence[bytes]) -> None:
    """Write every octet; a short write (a signal, a nearly full disk) goes on or raises."""
    written = os.writev(fd, parts)
    if written == sum(map(len, parts)):
        return
    rest = memoryview(b"".join(parts))[written:]
    while rest:
        rest = rest[os.write(fd, rest) :]
