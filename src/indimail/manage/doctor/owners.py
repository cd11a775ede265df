"""Giving away what belongs to somebody else: root's part of mending.

    give_away(site, Give("/var/indimail/control/me", 555, 555))     -> '' or why it was not done

The owner of an instance writes into its directories, and could put a link in the way of root.  So
no link is followed below the directory that holds the instance, and a file with two names is left
alone: its other name may be anything.

Source: open(2), O_PATH and O_NOFOLLOW.  Not here: what belongs to whom (`places`, `users`).
"""

import os
import stat

from indimail.manage.doctor.finding import Give


def give_away(root: str, give: Give) -> str:
    """Set the owner of a file or directory; return why it was left, empty where it was done."""
    above = os.path.dirname(os.path.realpath(root))
    if not give.path.startswith(f"{above.rstrip('/')}/"):
        above = "/"
    try:
        fd = _reach(above, os.path.relpath(give.path, above).split("/"))
    except OSError as error:
        return f"{give.path}: {error.strerror} (no link is followed)"
    try:
        found = os.fstat(fd)
        if not (
            stat.S_ISDIR(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1)
        ):
            return f"{give.path}: neither a directory nor a file with one name"
        os.chown(f"/proc/self/fd/{fd}", give.uid, give.gid)
    except OSError as error:
        return f"{give.path}: {error.strerror}"
    finally:
        os.close(fd)
    return ""


def _reach(above: str, names: list[str]) -> int:
    """Open what the names lead to from a directory, through no link."""
    fd = os.open(above, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names:
            below = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            os.close(fd)
            fd = below
    except BaseException:
        os.close(fd)
        raise
    return fd
