"""Tells whether a configuration file may have changed since the last question.

    seen = watch(["/var/indimail/control", "/var/indimail/tcp", "/var/indimail/users"])
    if seen.changed(): ...                 # before each connection and each MAIL

`changed` never blocks and costs one system call while nothing happened (inotify(7)).  It may say
True once too often, never too seldom.  A directory that is missing is looked for each time.
Where inotify is not to be had (its limits are the machine's), the directories' entries are
compared instead: some tens of microseconds.

The queue of events is shared over a fork: a worker makes its own watch after it was forked.
Names that begin with a dot do not count: they are what our own writing and editors make.
A directory that is a symbolic link is watched where it points at the start; who turns the link
to another place sends SIGHUP.
"""

import os
from collections.abc import Iterable
from typing import Final, Protocol, Self

from inotify_simple import INotify, flags, parse_events  # type: ignore[import-untyped]

_LOST: Final = flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT | flags.IGNORED
# What may change what stands under a name in a folder.
WANTED: Final = (
    flags.CLOSE_WRITE | flags.MOVED_FROM | flags.MOVED_TO | flags.CREATE | flags.DELETE
    | flags.ATTRIB | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR
)  # fmt: skip
_BUFFER: Final = 65_536
MOST_FOLDERS: Final = 8000

_Entry = tuple[str, int, int, int, int]  # name, inode, size, mtime and ctime in ns


class Watch(Protocol):
    """What is asked before a decision that depends on files."""

    def changed(self) -> bool:
        """Tell whether something may have changed since the last call."""

    def close(self) -> None:
        """Give back the descriptor."""


def watch(paths: Iterable[str]) -> Watch:
    """Return the cheapest watch that this machine allows."""
    folders = list(paths)
    try:
        return InotifyWatch(folders)
    except OSError:
        return StatWatch(folders)


class InotifyWatch:
    """Asks the kernel's queue of events."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._missing = list(paths)
        self._watched: dict[int, str] = {}
        self._inotify = INotify(nonblocking=True)
        self._fd = self._inotify.fileno()
        try:
            self._find_missing()
        except OSError:
            self.close()
            raise

    def changed(self) -> bool:
        """Tell whether something may have changed since the last call."""
        found = bool(self._missing) and self._find_missing()
        try:
            octets = os.read(self._fd, _BUFFER)
        except BlockingIOError:
            return found
        return self._drain(octets) or found

    def _drain(self, octets: bytes) -> bool:
        found = False
        while octets:
            for event in parse_events(octets):
                found |= not event.name.startswith(".")
                if event.mask & _LOST and event.wd in self._watched:
                    self._lose(event.wd)
            try:
                octets = os.read(self._fd, _BUFFER)
            except BlockingIOError:
                break
        return found

    def _lose(self, number: int) -> None:
        """Look for a directory by its name again: another one may have taken its place."""
        self._missing.append(self._watched.pop(number))
        try:
            self._inotify.rm_watch(number)
        except OSError:
            return  # it went with the directory

    def _find_missing(self) -> bool:
        missing = []
        for path in self._missing:
            try:
                self._watched[self._inotify.add_watch(path, WANTED)] = path
            except (FileNotFoundError, NotADirectoryError):
                missing.append(path)
        found, self._missing = len(missing) < len(self._missing), missing
        return found

    def close(self) -> None:
        """Give back the descriptor."""
        self._inotify.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FolderWatch:
    """Folders that are added as they are met; names that begin with a dot count here.

    `add` may run on any thread, `changed` on one.  The kernel keeps about a kilobyte for each, so
    there is a most.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        try:
            self._inotify: INotify | None = INotify(nonblocking=True)
        except OSError:
            self._inotify = None

    def add(self, folder: str) -> bool:
        """Watch a folder from now on; False where that cannot be: then look for yourself."""
        if folder in self._numbers:
            return True
        if self._inotify is None or len(self._numbers) >= MOST_FOLDERS:
            return False
        try:
            self._numbers[folder] = self._inotify.add_watch(folder, WANTED)
        except OSError:
            return False
        return True

    def changed(self) -> bool:
        """Tell whether something may have changed in any of them since the last call."""
        if self._inotify is None:
            return False
        found = False
        while True:
            try:
                octets = os.read(self._inotify.fileno(), _BUFFER)
            except BlockingIOError:
                return found
            found = True
            lost = {event.wd for event in parse_events(octets) if event.mask & _LOST}
            if lost:
                self._numbers = {f: n for f, n in self._numbers.items() if n not in lost}

    def close(self) -> None:
        """Give back the descriptor."""
        if self._inotify is not None:
            self._inotify.close()


class StatWatch:
    """Compares what the directories hold."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = list(paths)
        self._seen = self._look()

    def changed(self) -> bool:
        """Tell whether something may have changed since the last call."""
        before, self._seen = self._seen, self._look()
        return self._seen != before

    def _look(self) -> list[list[_Entry]]:
        return [_entries(path) for path in self._paths]

    def close(self) -> None:
        """Nothing is held."""


def _entries(path: str) -> list[_Entry]:
    try:
        with os.scandir(path) as entries:
            return sorted(_entry(entry) for entry in entries if not entry.name.startswith("."))
    except OSError:
        return []


def _entry(entry: os.DirEntry[str]) -> _Entry:
    try:
        state = entry.stat()
    except OSError:
        return (entry.name, 0, 0, 0, 0)
    return (entry.name, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
