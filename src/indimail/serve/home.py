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
from typing import Final

from indimail.delivery import localdomains
from indimail.delivery.dotqmail import Name
from indimail.mail.errors import Temporary

LONGEST: Final = 100_000  # characters of a .qmail file
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
    try:
        mode = stat.S_IMODE(os.stat(home).st_mode)
    except FileNotFoundError as error:
        raise HomeMissing(f"Unable to switch to {home}: {error.strerror}. (#4.3.0)") from error
    except OSError as error:
        raise HomeUnreadable(f"Unable to switch to {home}: {error.strerror}. (#4.3.0)") from error
    local_only = _is_file(home, localdomains.FILE)
    name = next((name for name in names if _is_file(home, name.file)), None)
    if name is None:
        return Home(mode, local_only=local_only)
    path = os.path.join(home, name.file)
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            file_mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(LONGEST + 1)
    except OSError as error:
        raise _unopened(path, error) from error
    if len(text) > LONGEST:
        raise HomeUnreadable(f"{path}: more than {LONGEST} characters. (#4.3.0)")
    owned = bool(owner_file) and _is_file(home, owner_file)
    verp = owned and _is_file(home, f"{owner_file}-default")
    return Home(mode, name, text, file_mode, owned, verp, local_only)


def owner_file_of(dash: str, ext: str) -> str:
    """Return the name of an address's ``-owner`` file."""
    name = f".qmail{dash}{ext.lower().replace('.', ':')}-owner"
    return name if "\0" not in name and len(os.fsencode(name)) < 240 else ""


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
