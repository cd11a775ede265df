"""The files of an instance as its owner may read them.

    source = Source(site)
    for name, state in source.names(folder): ...
    with source.opened(path) as (fd, state): ...

Root reads as the owner does: a link that the owner put into its directories leads nowhere else than it
could go itself.  What is of another user of the system (a domain that is delivered as one) is read as
that user.  What is neither a file, nor a directory, nor a link is left out; what is gone is no error,
for the instance is in use.

Raises OSError where something may not be read.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from indimail.manage.site import Site, acting_as

Owner = tuple[int, int]


class Source:
    """Reads as the owner of a site, or as another user."""

    def __init__(self, site: Site) -> None:
        self.owner: Owner = (site.uid, site.gid)

    def names(self, folder: str, owner: Owner | None = None) -> list[tuple[str, os.stat_result]]:
        """Return what is in a directory, sorted; nothing where it is gone."""
        found = []
        with acting_as(*(owner or self.owner)):
            try:
                names = sorted(os.listdir(folder))
            except (FileNotFoundError, NotADirectoryError):
                return []
            for name in names:
                try:
                    found.append((name, os.lstat(os.path.join(folder, name))))
                except FileNotFoundError:
                    continue
        return found

    def directory(self, path: str, owner: Owner | None = None) -> os.stat_result | None:
        """Return the state of a directory; None where there is none."""
        with acting_as(*(owner or self.owner)):
            try:
                state = os.lstat(path)
            except (FileNotFoundError, NotADirectoryError):
                return None
        return state if stat.S_ISDIR(state.st_mode) else None

    @contextmanager
    def opened(
        self, path: str, owner: Owner | None = None
    ) -> Iterator[tuple[int, os.stat_result] | None]:
        """Open a regular file; None where it is gone, or is something else by now."""
        with acting_as(*(owner or self.owner)):
            try:
                fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            except FileNotFoundError:
                fd = -1
        if fd < 0:
            yield None
            return
        try:
            state = os.fstat(fd)
            yield (fd, state) if stat.S_ISREG(state.st_mode) else None
        finally:
            os.close(fd)

    def target(self, path: str, owner: Owner | None = None) -> str:
        """Return where a symbolic link leads; empty where it is gone."""
        with acting_as(*(owner or self.owner)):
            try:
                return os.readlink(path)
            except (FileNotFoundError, OSError):
                return ""

    def real(self, path: str, owner: Owner | None = None) -> str:
        """Return a path without links."""
        with acting_as(*(owner or self.owner)):
            return os.path.realpath(path)
