"""The files of a backup, put below a new root, as its owner would write them.

    putback = Putback("/backup/monday", "/srv/new", owner, old_owner, moved)
    putback.directory(entry), putback.file(entry), ...
    putback.give_away()        -> what could not be given to whom it belonged

Root writes as the owner of the instance, so a link that somebody puts there meanwhile leads root nowhere.
What belongs to another user of the system is given to it in the end, by root alone.

In text files every path of the old instance becomes the new one's.  Files keep their time: of a text
and the data base made of it the newer one counts.

Raises OSError.  Not here: in which order (`restore`).
"""

import os
import shutil
from typing import Final

from indimail.control.cdb import build_cdb, read_cdb
from indimail.manage.backup.manifest import FILES, Entry
from indimail.manage.backup.moved import Moved
from indimail.manage.backup.setup import owned
from indimail.manage.doctor.finding import Give
from indimail.manage.doctor.owners import give_away
from indimail.manage.layout import PASSED, PRIVATE
from indimail.manage.site import acting_as

Owner = tuple[int, int]
_LONGEST: Final = 64 << 20  # octets of a text that is looked at for paths
_TEXTS: Final = ("control/", "tcp/")


class Putback:
    """`owner` is the new instance's, `old` the one that users/assign of the backup names."""

    def __init__(self, folder: str, root: str, owner: Owner, old: Owner, moved: Moved) -> None:
        self._files = os.path.join(folder, FILES)
        self._root = root
        self._owner = owner
        self._old = old
        self._moved = moved
        self._given: list[Give] = []

    def path(self, name: str) -> str:
        """Return where a path of the backup is now."""
        return os.path.join(self._root, name)

    def put(self, entry: Entry) -> None:
        """Make what an entry says; what its directory needs is there."""
        target = self.path(entry.path)
        self.make_directories(os.path.dirname(target))
        if entry.target:
            self._link(entry, target)
        elif entry.same:
            with acting_as(*self._owner):
                os.link(self.path(entry.same), target)
        elif entry.sha256:
            self._file(entry, target)
        else:
            self.make_directories(target)
            with acting_as(*self._owner):
                os.chmod(target, entry.mode & 0o1777)
        if entry.uid >= 0:
            self._given.append(Give(target, entry.uid, entry.gid))

    def make_directories(self, path: str) -> None:
        """Make what is missing of a path; others may pass the groups of homes, and nothing else."""
        missing = []
        with acting_as(*self._owner):
            while not os.path.isdir(path):
                missing.append(path)
                path = os.path.dirname(path)
            for folder in reversed(missing):
                is_group = os.path.dirname(folder) == self.path("mail")
                os.mkdir(folder, PASSED if is_group else PRIVATE)

    def give(self, path: str, owner: Owner) -> None:
        """Note that a directory is another's, with all that is in it."""
        for folder, folders, names in os.walk(path):
            self._given += [Give(os.path.join(folder, name), *owner) for name in (*folders, *names)]
        self._given.append(Give(path, *owner))

    def _link(self, entry: Entry, target: str) -> None:
        with acting_as(*self._owner):
            os.symlink(self._moved.path(entry.target), target)

    def _file(self, entry: Entry, target: str) -> None:
        with open(os.path.join(self._files, entry.path), "rb") as source:
            changed = self._changed(entry, source.read()) if self._is_text(entry) else None
            source.seek(0)
            with acting_as(*self._owner):
                fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(fd, "wb") as file:
                if changed is None:
                    shutil.copyfileobj(source, file, 1 << 20)
                else:
                    file.write(changed)
                file.flush()
                os.fchmod(fd, entry.mode & 0o777)
                os.utime(fd, ns=(entry.changed, entry.changed))

    def _is_text(self, entry: Entry) -> bool:
        name = os.path.basename(entry.path)
        return entry.size <= _LONGEST and (
            entry.path in ("users/assign", "indimail.toml")
            or entry.path.startswith(_TEXTS)
            or name.startswith(".qmail")
            or name == ".base_path"
        )

    def _changed(self, entry: Entry, octets: bytes) -> bytes:
        if entry.path.endswith(".cdb"):
            return self._changed_base(entry, octets)
        octets = self._moved.octets(octets)
        return owned(octets, self._old, self._owner) if entry.path == "users/assign" else octets

    def _changed_base(self, entry: Entry, octets: bytes) -> bytes:
        """A data base names paths in its values, and positions of them."""
        items = list(read_cdb(os.path.join(self._files, entry.path), entry.path).items())
        moved = [(key, self._moved.octets(data)) for key, data in items]
        return octets if moved == items else build_cdb(moved)

    def give_away(self) -> list[str]:
        """Give to others what was theirs; return what could not be."""
        if os.geteuid() != 0:
            others = {give.uid for give in self._given}
            return [
                f"files of uid {uid} are yours: root alone can give them away" for uid in others
            ]
        return list(filter(None, (give_away(self._root, give) for give in self._given)))
