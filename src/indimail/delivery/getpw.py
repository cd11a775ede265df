"""qmail-getpw: which user of the system a local address is for, where users/assign has none.

    candidates("bob-list-owner")     -> ("bob-list-owner", "bob-list", "bob")
    entry_of("bob-list", user, 4)    -> AssignEntry("bob", ..., dash="-", ext="list", ...)

The longest candidate that is a user, not root, whose home is there and its own, gets the mail;
else it is for `alias`.  The caller asks the password file and looks at the homes.

Source: spec/delivery.md 3 (fallback).
"""

from dataclasses import dataclass
from typing import Final

from indimail.delivery.assign import AssignEntry
from indimail.mail.verdict import Rule

LONGEST: Final = 31  # octets of a user's name


@dataclass(frozen=True, slots=True)
class SystemUser:
    """A line of the password file, and who owns the home (None where there is none)."""

    name: str
    uid: int
    gid: int
    home: str
    home_owner: int | None


def candidates(local: str) -> tuple[str, ...]:
    """Return the names to look for, the longest first: all of it, and up to each ``-``."""
    name = local.lower()
    ends = [len(name), *(at for at in range(len(name) - 1, 0, -1) if name[at] == "-")]
    found = (name[:end] for end in ends)
    return tuple(n for n in found if 0 < len(n.encode("utf-8", "surrogateescape")) <= LONGEST)


def takes_mail(user: SystemUser) -> bool:
    """Tell whether a user of the system gets mail: never root, only with a home of its own."""
    return user.uid != 0 and user.home_owner == user.uid


def entry_of(local: str, user: SystemUser) -> AssignEntry:
    """Return the entry of a user whose name begins the address."""
    rest = local[len(user.name) :]
    dash, ext = ("-", rest[1:]) if rest else ("", "")
    rule = Rule("/etc/passwd", key=user.name)
    return AssignEntry(user.name, user.uid, user.gid, user.home, dash, ext, rule)


def alias_entry(local: str, uid: int, gid: int, home: str) -> AssignEntry:
    """Return the entry of an address that is nobody's: alias/.qmail-LOCAL."""
    return AssignEntry("alias", uid, gid, home, "-", local, Rule("alias"))
