r"""A Maildir as a delivery sees it: stage in `tmp/`, publish into `new/`, and tell after a crash.

    name = file_name(sec, queue_id, 0, 0, "mx.example.com", size)
    unsynced = stage(disk, folder, name, (block, body))     # once synced: mark the step staged
    unsynced = publish(disk, folder, name)                  # once synced: mark it delivered

`folder` is the Maildir (the one with cur, new and tmp), an absolute path.  A copy is exactly one:
its name is made from the queue-id, the recipient and the step, and it moves by rename alone, so
after a crash `recovery` tells whether it has to be moved, was seen, or has to be written again.
`stage` and `publish` sync no message: what has to be synced is returned, and whoever gathers many
syncs them together (`durable.batch`, which also answers for the names of the folders above).  Who
tries a staged step again, after a crash or an error, asks `recovery` first.

Every call may block on the disk.  Units: octets, seconds.  Raises `MailboxUnwritable`; then no
copy was published.

Sources: spec/delivery.md 8.1, 8.2, 5.5 (sticky bit, folder.dateformat); DESIGN 4 (local delivery is
exactly once).
Not here: what is prepended (`delivery.headers`), quota, reading.
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from functools import lru_cache
from typing import Final

from indimail.durable.batch import Unsynced
from indimail.durable.disk import Disk
from indimail.mail.errors import CopyGone, MailboxFull, MailboxUnwritable, MailError

TEMPORARY: Final = "Temporary error on maildir delivery. (#4.3.0)"
FULL: Final = "Recipient's mailbox is full, message returned to sender. (#5.2.2)"
FOLDER_MODE: Final = 0o750
LONGEST_NAME: Final = 200  # octets of a folder's name
DAY: Final = 86_400.0  # other programs clean tmp/ of files older than 36 hours

_TMP: Final = "tmp"
# A file system, or its mount, that has no second names for this file
_NO_LINK: Final = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP})


class Settlement(StrEnum):
    """What a crash left to do for a staged step."""

    PUBLISH = "publish"
    DONE = "done"
    AGAIN = "again"


def file_name(sec: int, queue_id: int, recipient: int, step: int, me: str, size: int) -> str:
    """Return the name of a copy: unique, and telling its size.

    `size` counts the stored file, prepended lines included.
    """
    return f"{sec}.Q{queue_id}R{recipient}.{step}.{_escaped(me)},S={size}"


def date_folder(folder: str, dateformat: str, at: float) -> str:
    """Return the sub-folder of a date (folder.dateformat, as strftime has it, local time).

    A format that gives no folder's name gives the Maildir itself.
    """
    try:
        name = time.strftime(dateformat.strip(), time.localtime(at)).removeprefix(".")
    except (ValueError, UnicodeError, OSError):
        return folder
    is_name = name.isprintable() and name[:1] not in ("", ".") and name[-1] != "."
    if not is_name or "/" in name or ".." in name or len(os.fsencode(name)) > LONGEST_NAME:
        return folder
    return f"{folder}/.{name}"


def settle(*, same_boot: bool, tmp_there: bool, seen: bool, staged_age: float) -> Settlement:
    """Decide for a step that was marked staged and never delivered.

    A copy that is seen is done, also when tmp/ still has the name: after a power cut a rename may
    be there by half, and moving it again would double what a reader already filed.  Within the
    boot that staged it, gone from tmp/ means published, wherever its reader put it.  A day later
    somebody may have cleaned tmp/, and after a power cut the rename may be lost: then it is
    written again.
    """
    if seen:
        return Settlement.DONE
    if tmp_there:
        return Settlement.PUBLISH
    return Settlement.DONE if same_boot and staged_age <= DAY else Settlement.AGAIN


def stage(disk: Disk, folder: str, name: str, parts: Sequence[bytes]) -> Unsynced:
    """Write a copy into tmp/, creating the Maildir where it is missing."""
    path = _in_tmp(folder, name)
    try:
        _create(disk, folder, path, lambda: disk.write_new(path, parts))
    except OSError as error:
        raise _unwritable(folder, error) from error
    return Unsynced((path,), (f"{folder}/{_TMP}",))


def stage_pieces(disk: Disk, folder: str, name: str, pieces: Iterable[bytes]) -> Unsynced:
    """Write a copy that is too large for memory."""
    path = _in_tmp(folder, name)

    def append_all() -> None:
        for piece in pieces:
            disk.append(path, (piece,))
        if disk.size(path) != _size(name):  # the source ended early, or tmp/ was cleaned
            raise MailboxUnwritable(f"{TEMPORARY} {path}: not whole")

    with _translated(folder):
        _create(disk, folder, path, lambda: disk.write_new(path, ()))
        _undone_on_error(disk, path, append_all)
    return Unsynced((path,), (f"{folder}/{_TMP}",))


def stage_by_link(disk: Disk, source: str, folder: str, name: str) -> Unsynced | None:
    """Give a synced file that is the whole copy already a name in tmp/.

    None where the file system cannot (another one, or no links): then copy.
    """
    path = _in_tmp(folder, name)
    with _translated(folder):
        try:
            _create(disk, folder, path, lambda: disk.link(source, path))
        except OSError as error:
            if error.errno in _NO_LINK:
                return None
            raise
    return Unsynced((), (f"{folder}/{_TMP}",))


def is_maildir(disk: Disk, folder: str) -> bool:
    """Tell whether the folder has cur, new and tmp."""
    with _translated(folder):
        return all(disk.exists(f"{folder}/{part}") for part in ("cur", "new", _TMP))


def is_sticky(disk: Disk, folder: str) -> bool:
    """Tell whether the owner asked that nothing be delivered now; a missing folder is not."""
    with _translated(folder):
        try:
            return bool(disk.mode(folder) & stat.S_ISVTX)
        except FileNotFoundError:
            return False


def publish(disk: Disk, folder: str, name: str) -> Unsynced:
    """Move a staged copy to where readers find it.

    The rename comes after the commit of *staged*: before it, a crash could not tell a copy
    that a reader moved away from one that was never there.  Raises `CopyGone` where somebody else
    took it out of tmp/ (its user was removed): by its mark it would be taken for published.
    """
    source, target = _in_tmp(folder, name), f"{folder}/new/{name}"
    try:
        _rename(disk, folder, source, target)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return Unsynced((), (f"{folder}/new",))


def sync_new(disk: Disk, folder: str) -> None:
    """Make what was published durable: for a copy whose own sync did not come, or is not known.

    A reader may have moved it to cur/, or removed the folder.
    """
    with _translated(folder):
        for place in (f"{folder}/new", f"{folder}/cur"):
            if disk.exists(place):
                disk.sync_directory(place)


def withdraw(disk: Disk, folder: str, name: str) -> None:
    """Remove a copy from tmp/ that is not to be published; missing is fine."""
    with _translated(folder):
        _remove(disk, _in_tmp(folder, name))


def is_staged(disk: Disk, folder: str, name: str) -> bool:
    """Tell whether the copy is in tmp/."""
    with _translated(folder):
        return disk.exists(_in_tmp(folder, name))


def was_published(disk: Disk, folder: str, name: str) -> bool:
    """Tell whether new/ or cur/ has the copy, whole and under its own name, whatever its flags."""
    flagged = f"{name}:"
    with _translated(folder):
        in_cur = [found for found in _names(disk, f"{folder}/cur") if found.startswith(flagged)]
        candidates = [f"new/{name}", f"cur/{name}", *(f"cur/{found}" for found in in_cur)]
        return any(_has_size(disk, f"{folder}/{found}", _size(name)) for found in candidates)


def recovery(
    disk: Disk, folder: str, name: str, *, same_boot: bool, staged_age: float
) -> Settlement:
    """Look at the disk and decide.

    PUBLISH: mark it again with this boot, then `publish`.  DONE: `sync_new` all the same, since the
    crash may have come before that sync.  AGAIN: stage again.
    """
    return settle(
        same_boot=same_boot,
        tmp_there=is_staged(disk, folder, name),
        seen=was_published(disk, folder, name),
        staged_age=staged_age,
    )


def _create(disk: Disk, folder: str, path: str, create: Callable[[], None]) -> None:
    """Make the name `path` in tmp/, whatever was in its way; on failure nothing stays.

    A name of ours that is already there was never marked staged (or the caller would ask
    `resume`): it is what an attempt before left.
    """
    try:
        _undone_on_error(disk, path, create)
    except FileNotFoundError:
        for part in ("cur", "new", _TMP):
            disk.make_directories(f"{folder}/{part}", FOLDER_MODE)
        if folder.rpartition("/")[2].startswith("."):
            with suppress(FileExistsError):
                disk.write_new(f"{folder}/maildirfolder", ())
        _undone_on_error(disk, path, create)
    except FileExistsError:
        disk.unlink(path)
        _undone_on_error(disk, path, create)


def _rename(disk: Disk, folder: str, source: str, target: str) -> None:
    try:
        disk.rename(source, target)
    except FileNotFoundError:
        if not disk.exists(source):
            raise CopyGone(f"{TEMPORARY} {source}: gone before it was published") from None
        disk.make_directories(f"{folder}/new", FOLDER_MODE)
        disk.rename(source, target)


def _undone_on_error(disk: Disk, path: str, write: Callable[[], None]) -> None:
    try:
        write()
    except (FileNotFoundError, FileExistsError):
        raise
    except (OSError, MailError):  # MailError: the source of the pieces failed
        _remove(disk, path)
        raise


def _remove(disk: Disk, path: str) -> None:
    try:
        disk.unlink(path)
    except FileNotFoundError:
        return


def _in_tmp(folder: str, name: str) -> str:
    return f"{folder}/{_TMP}/{name}"


def _names(disk: Disk, path: str) -> list[str]:
    try:
        return disk.names(path)
    except FileNotFoundError:
        return []


def _has_size(disk: Disk, path: str, size: int) -> bool:
    try:
        return disk.size(path) == size
    except FileNotFoundError:
        return False


def _size(name: str) -> int:
    return int(name.rpartition(",S=")[2])


@lru_cache(maxsize=16)
def _escaped(me: str) -> str:
    """Return the host name as a file name may carry it: ``/`` and ``:`` have a meaning there."""
    return me.replace("/", r"\057").replace(":", r"\072")


def _unwritable(folder: str, error: OSError) -> MailboxUnwritable | MailboxFull:
    if error.errno == errno.EDQUOT:
        return MailboxFull(FULL)
    reason = error.strerror or str(error)
    return MailboxUnwritable(f"{TEMPORARY} {folder}: {reason}")


@contextmanager
def _translated(folder: str) -> Iterator[None]:
    """The same for what is not done for every mail: a context costs a microsecond."""
    try:
        yield
    except OSError as error:
        raise _unwritable(folder, error) from error
