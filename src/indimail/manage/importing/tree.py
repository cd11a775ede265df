"""Files of another system, read where they lie now, and never written.

    tree = Tree("/mnt/old/var/indimail", [("/home/mail", "/mnt/old/home/mail")])
    tree.locate("/home/mail/A2E/example.com/alice")   -> '/mnt/old/home/mail/A2E/example.com/alice'
    tree.shown("/mnt/old/var/indimail/control/me")    -> 'control/me'

A path that the source uses (in its tables, in users/assign) is translated by `moved`, the longest
old path first.  Root may read here what users of the old system could write: of a folder of theirs
only plain files are read that lie in it, also behind a link.

Not here: what the files say; mailboxes (`manage.importing.maildirs`).
"""

import os
import stat
from collections.abc import Sequence

from indimail.manage.importing.report import Report, State
from indimail.manage.importing.source import FoundFile


class Tree:
    """A source's directory, and what of it lies elsewhere by now."""

    def __init__(self, root: str, moved: Sequence[tuple[str, str]] = ()) -> None:
        self.root = root
        self._moved = sorted(moved, key=lambda pair: len(pair[0]), reverse=True)

    def locate(self, path: str) -> str:
        """Return where a path of the source lies now."""
        for old, new in self._moved:
            if path == old or path.startswith(f"{old.rstrip('/')}/"):
                return f"{new.rstrip('/')}/{path[len(old) :].lstrip('/')}".rstrip("/")
        return path

    def shown(self, path: str) -> str:
        """Return how a path is told: below the root without it."""
        return path.removeprefix(self.root.rstrip("/") + "/")

    def read(self, path: str) -> bytes:
        """Return a file's octets; nothing where there is none."""
        try:
            with open(path, "rb") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return b""

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder, sorted; none where there is none."""
        try:
            return sorted(os.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def files(self, folder: str, names: Sequence[str], report: Report) -> list[FoundFile]:
        """Return those of the names that are files; tell of what is no plain file of the folder."""
        found = []
        for name in names:
            path = os.path.join(folder, name)
            where = self.shown(path)
            try:
                file = _read_inside(path, os.path.realpath(folder))
            except (FileNotFoundError, NotADirectoryError):
                if os.path.islink(path):
                    report.note(State.LEFT, where, "", "a link that leads nowhere")
                continue
            except OSError as error:
                report.note(State.LEFT, where, "", error.strerror or str(error))
                continue
            if file is None:
                report.note(State.LEFT, where, "", "no plain file of its folder")
            else:
                found.append(FoundFile(name, where, *file))
        return found


def _read_inside(path: str, folder: str) -> tuple[bytes, int] | None:
    """Return octets and permission bits; None for what is no plain file, or lies elsewhere."""
    real = os.path.realpath(path, strict=True)
    if not real.startswith(f"{folder.rstrip('/')}/"):
        return None
    fd = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode):
            return None
        with open(fd, "rb", closefd=False) as file:
            return file.read(), stat.S_IMODE(mode)
    finally:
        os.close(fd)
