"""Users: rows and homes, one for the other; whose the homes are; the counters of homes.

    list(check_homes(patient))      -> [Finding("no-home", "alice@example.com", ...)]

A home that is missing is made where its domain's directory is there: where that is missing too, a
file system may not be mounted, and homes made below its mount point would hide.

Source: spec/delivery.md 1.2, 8.2.  Not here: what a home's `.qmail` says (`dotqmail`), what its
maildirsize says (`quotas`).
"""

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from indimail.accounts.layout import ALPHABET, GROUPS
from indimail.accounts.port import Account, above
from indimail.manage.doctor.finding import Finding
from indimail.manage.doctor.patient import Patient
from indimail.manage.file_writes import MakeHome
from indimail.manage.homes import counted_homes, domain_folders
from indimail.manage.row_writes import SetCount

PARTS: Final = ("cur", "new", "tmp")
_LEVELS: Final = 3


def check_tables(patient: Patient) -> Iterator[Finding]:
    """A user is in one of the tables."""
    for domain, users in patient.users.items():
        for name, count in Counter(user.name for user in users).items():
            if count > 1:
                found = "rows in indimail and in indibak"
                yield Finding("two-rows", f"{name}@{domain}", found, "one of them")


def check_homes(patient: Patient) -> Iterator[Finding]:
    """Homes and Maildirs that are missing, incomplete, another's or open to others."""
    for user in patient.each_user("homes"):
        if user.directory:
            try:
                yield from _home(patient, user)
            except OSError as error:
                yield Finding(
                    "unreadable", patient.shown(str(error.filename)), str(error.strerror),
                    f"the home of {user.address}, readable by its owner",
                )  # fmt: skip


def _home(patient: Patient, user: Account) -> Iterator[Finding]:
    home, owner = user.directory, _owner(patient, user)
    maildir = os.path.join(home, "Maildir")
    mends = (MakeHome(home),) if owner == patient.site.uid else ()
    if not _is_directory(home):
        safe = mends if os.path.isdir(os.path.dirname(home)) else ()
        yield Finding("no-home", user.address, f"no directory {home}", "a home", safe)
        return
    missing = [part for part in PARTS if not _is_directory(os.path.join(maildir, part))]
    if missing:
        found = f"no {' '.join(missing)}"
        yield Finding("no-maildir", patient.shown(maildir), found, "cur, new and tmp", mends)
    if stat.S_IMODE(os.stat(home).st_mode) & stat.S_ISVTX:
        found = "the sticky bit: its mail waits"
        yield Finding("sticky", patient.shown(home), found, "no such bit, once it is edited")
    for path in (home, maildir, *(os.path.join(maildir, part) for part in PARTS)):
        if _is_directory(path):
            yield from patient.judge(path, 0o770, 0o700, owner)


def _owner(patient: Patient, user: Account) -> int:
    """Return whom a user's mail is delivered as."""
    entry = patient.domains.get(user.domain)
    return entry.uid if entry is not None and entry.uid else patient.site.uid


def _is_directory(path: str) -> bool:
    """Tell whether a directory is there.  Raises OSError where it may not be looked at."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def check_shared(patient: Patient) -> Iterator[Finding]:
    """Each home is one user's, and holds no other's."""
    housed: dict[str, set[str]] = {}
    for users in patient.users.values():
        for user in users:
            if user.directory:
                housed.setdefault(user.directory.rstrip("/"), set()).add(user.address)
    for home, addresses in housed.items():
        if len(addresses) > 1:
            found = f"the home of {' and '.join(sorted(addresses))}"
            yield Finding("shared-home", patient.shown(home), found, "the home of one user")
        for outer in above(os.path.dirname(home)):
            if outer in housed:
                inner = " ".join(sorted(addresses))
                expected = f"a home outside of {' '.join(sorted(housed[outer]))}'s"
                yield Finding("nested-home", patient.shown(home), f"the home of {inner}", expected)


def check_strays(patient: Patient) -> Iterator[Finding]:
    """Directories where homes lie that are nobody's."""
    site = patient.site
    for domain in sorted(patient.domains):
        if domain not in patient.users:
            continue
        patient.tell(f"directories of homes: {domain}")
        homes = {user.directory.rstrip("/") for user in patient.users[domain]}
        for folder in domain_folders(site, patient.accounts, patient.disk, domain):
            for path in _strays(folder, homes, _LEVELS):
                expected = f"the home of a user of {domain}, or nothing"
                yield Finding("no-user", patient.shown(path), "a directory", expected)
    yield from _strange_domains(patient)


def _strays(folder: str, homes: set[str], levels: int) -> Iterator[str]:
    for name in _names(folder):
        path = os.path.join(folder, name)
        if path in homes or not os.path.isdir(path):
            continue
        is_bucket = len(name) == 1 and name in ALPHABET and levels
        if is_bucket and not os.path.isdir(os.path.join(path, "Maildir")):
            yield from _strays(path, homes, levels - 1)
        elif not any(home.startswith(f"{path}/") for home in homes):
            yield path


def _strange_domains(patient: Patient) -> Iterator[Finding]:
    """Directories of domains that are none, where all homes usually lie."""
    for group in GROUPS:
        folder = os.path.join(patient.site.places.mail, group)
        for name in _names(folder):
            path = os.path.join(folder, name)
            is_empty = not _names(path)
            if os.path.isdir(path) and name not in patient.domains and not is_empty:
                expected = f"a line of users/assign for {name}, or nothing"
                yield Finding("no-user", patient.shown(path), "a directory", expected)


def _names(folder: str) -> Iterable[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:  # no such group, or one that is told of by its owner
        return ()


def check_counters(patient: Patient) -> Iterator[Finding]:
    """The counters by which homes are spread."""
    site = patient.site
    for domain in sorted(patient.domains):
        if domain not in patient.users:
            continue
        for row in counted_homes(site, patient.accounts, patient.disk, domain):
            if row.counted != row.homes:
                mends = (SetCount(row.filesystem, row.group, domain, row.homes, row.bucket),)
                yield Finding(
                    "counter", f"dir_control {row.filesystem} {row.group} {domain}",
                    f"{row.counted} homes", f"{row.homes}", mends,
                )  # fmt: skip
