"""What is looked up in a recipient's home: its .qmail file, as the user who owns it.

    look("/srv/mail/domains/example.com", find_dotqmail_names("-", "alice"), owners("-", "alice"))
        -> Home(mode=0o750, name=Name(".qmail-default", "alice"), text="| ...", file_mode=0o600)

Only a regular file counts.  May block on the disk.  Raises `HomeUnreadable` with qmail-local's text.

Source: spec/delivery.md 4 (home, search, -owner).  Not here: what the lines mean (`delivery.dotqmail`).
"""

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from indimail.delivery import localdomains
from indimail.delivery.dotqmail import Name
from indimail.mail.errors import Temporary

LONGEST: Final = 100_000  # characters of a .qmail file
MOST: Final = 1000  # names of a home that are read at once, and homes that are kept
_OURS: Final = (".qmail", localdomains.FILE)
# A name that is not there, nor can be; what else goes wrong is not a reason for another name.
_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


class HomeUnreadable(Temporary):
    """The home, or the file that is meant, could not be opened."""


class HomeMissing(HomeUnreadable):
    """There is no home; of a virtual user it is made with the first mail."""


@dataclass(frozen=True, slots=True)
class Home:
    """The file that is meant: `name` is None where there is none.

    `owned`, `verp`: the files ``-owner`` and ``-owner-default`` of the address are there.
    `local_only`: it takes mail of local domains alone (`delivery.localdomains`).
    `watched`: who looked tells when anything in the home changes.
    """

    mode: int
    name: Name | None = None
    text: str = ""
    file_mode: int = 0
    owned: bool = False
    verp: bool = False
    local_only: bool = False
    watched: bool = False


Look = Callable[[str, tuple[Name, ...], str], Home]


def look(home: str, names: tuple[Name, ...], owner_file: str) -> Home:
    """Return the first of the names that is a regular file; `owner_file` as `owner_file_of` gives it."""
    mode = _mode(home)
    local_only = _is_file(home, localdomains.FILE)
    name = next((name for name in names if _is_file(home, name.file)), None)
    if name is None:
        return Home(mode, local_only=local_only)
    text, file_mode = _read(os.path.join(home, name.file))
    owned = bool(owner_file) and _is_file(home, owner_file)
    verp = owned and _is_file(home, f"{owner_file}-default")
    return Home(mode, name, text, file_mode, owned, verp, local_only)


def read_file(home: str, name: str) -> tuple[str, int] | None:
    """Return a regular file's text and permission bits; None where there is none, or no home."""
    return _read(os.path.join(home, name)) if _is_file(home, name) else None


class Listings:
    """Homes as they were a moment ago, for those who look at one for many addresses.

    Only for homes of which one hears when anything changed in them: `changes` counts that.
    """

    def __init__(self, kept: float) -> None:
        self._kept = kept  # seconds; what a link in a home leads to is not heard of
        self._read: dict[str, tuple[float, int, Listing | None]] = {}

    def find(self, home: str, now: float, changes: int) -> "Look | None":
        """Return how to look at a home; None: by yourself.  Raises HomeUnreadable."""
        read = self._read.get(home)
        if read is None or read[0] < now or read[1] != changes:
            read = now + self._kept, changes, Listing.of(home)
            if len(self._read) >= MOST:
                self._read.clear()
            self._read[home] = read
        return read[2].look if read[2] is not None else None


class Listing:
    """A home as it was at one moment, to be looked at by many: `look`, without a system call.

    Who keeps it has to know that nothing changed in the home.
    """

    def __init__(self, home: str, mode: int, names: frozenset[str]) -> None:
        self._home = home
        self._mode = mode
        self._names = names
        self._files: dict[str, tuple[str, int]] = {}

    @classmethod
    def of(cls, home: str) -> Self | None:
        """Return what is there; None where there is too much to be read for one mail.

        Raises HomeUnreadable.
        """
        mode, names = _mode(home), set()
        try:
            with os.scandir(home) as entries:
                for number, entry in enumerate(entries):
                    if number == MOST:
                        return None
                    if entry.name.startswith(_OURS) and _is_file(home, entry.name):
                        names.add(entry.name)
        except PermissionError:  # it may be passed through, and not read
            return None
        except OSError as error:
            raise _unopened(home, error) from error
        return cls(home, mode, frozenset(names))

    def look(self, _home: str, names: tuple[Name, ...], owner_file: str) -> Home:
        """Return what `look` does.  Raises HomeUnreadable."""
        local_only = localdomains.FILE in self._names
        name = next((name for name in names if name.file in self._names), None)
        if name is None:
            return Home(self._mode, local_only=local_only)
        if name.file not in self._files:
            self._files[name.file] = _read(os.path.join(self._home, name.file))
        text, file_mode = self._files[name.file]
        owned = owner_file in self._names
        verp = owned and f"{owner_file}-default" in self._names
        return Home(self._mode, name, text, file_mode, owned, verp, local_only)


def owner_file_of(dash: str, ext: str) -> str:
    """Return the name of an address's ``-owner`` file."""
    name = f".qmail{dash}{ext.lower().replace('.', ':')}-owner"
    return name if "\0" not in name and len(os.fsencode(name)) < 240 else ""


def _mode(home: str) -> int:
    try:
        return stat.S_IMODE(os.stat(home).st_mode)
    except FileNotFoundError as error:
        raise HomeMissing(f"Unable to switch to {home}: {error.strerror}. (#4.3.0)") from error
    except OSError as error:
        raise HomeUnreadable(f"Unable to switch to {home}: {error.strerror}. (#4.3.0)") from error


def _read(path: str) -> tuple[str, int]:
    """Return a file's text and its permission bits."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            file_mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(LONGEST + 1)
    except OSError as error:
        raise _unopened(path, error) from error
    if len(text) > LONGEST:
        raise HomeUnreadable(f"{path}: more than {LONGEST} characters. (#4.3.0)")
    return text, file_mode


def _is_file(home: str, name: str) -> bool:
    path = os.path.join(home, name)
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError as error:
        if error.errno in _ABSENT:
            return False
        raise _unopened(path, error) from error


def _unopened(path: str, error: OSError) -> HomeUnreadable:
    return HomeUnreadable(f"Unable to open {path}: {error.strerror}. (#4.3.0)")
