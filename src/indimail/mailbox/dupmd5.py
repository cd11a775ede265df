r"""The file dupmd5 of a Maildir: which mails it got of late.

    add_mark(disk, maildir, Mark(digest, 1790000000, "7"), 900)  # "1790000000 5e1f0a... 7\n"
    find_mark(disk, maildir, digest, 1790000060, 900)            -> Mark(digest, ...), or None

A line is ``<unixtime> <md5> <id>``; IndiMail's own lines have no id, and its programs read over it.
A mark is written once the copy is in new/ for good, so that it never speaks of a mail that is not
there.  It is not synced, and two processes that clear the file out at once may lose one: then a
duplicate is delivered, as it is behind more than `LONGEST` octets of newer marks.

Units: octets, seconds since the epoch.  Raises `MailboxUnwritable`.
Source: spec/delivery.md 1.1, 5.5 (6).  Not here: what the digest is of (`delivery.duplicate`).
"""

import os
import re
from contextlib import suppress
from itertools import count
from typing import Final, NamedTuple

from indimail.durable.disk import Disk
from indimail.mail.errors import MailboxUnwritable

LONGEST: Final = 65_536  # of the file's end that is looked at; at twice that it is cleared out

_LINE: Final = re.compile(rb"(\d{1,12}) ([0-9a-f]{32})(?: (\d{1,20}))?")
_TMP: Final = "tmp"
_NUMBERS: Final = count()


class Mark(NamedTuple):
    """A mail that is in the Maildir, or was: its digest, when it came, its id where that is known."""

    digest: str
    at: int
    id: str = ""


def find_mark(disk: Disk, maildir: str, digest: str, now: int, interval: int) -> Mark | None:
    """Return the newest mark of this digest that is of the last `interval` seconds."""
    marks = _marks(disk, maildir, now - interval)
    return next(
        (mark for mark in reversed(marks) if mark.digest == digest and mark.at <= now), None
    )


def add_mark(disk: Disk, maildir: str, mark: Mark, interval: int) -> None:
    """Write a mark; where there are many, those that are older than `interval` go."""
    path = _path(maildir)
    try:
        if not disk.exists(path) or disk.size(path) < 2 * LONGEST:
            disk.append(path, (_line(mark),))
            return
        marks = [*_marks(disk, maildir, mark.at - interval), mark]
        written = f"{maildir}/{_TMP}/{mark.at}.P{os.getpid()}Q{next(_NUMBERS)}.dupmd5"
        try:
            disk.write_new(written, [_line(mark) for mark in marks])
            disk.rename(written, path)
        except OSError:
            with suppress(OSError):
                disk.unlink(written)
            raise
    except OSError as error:
        raise _failed(maildir, error) from error


def _marks(disk: Disk, maildir: str, since: int) -> list[Mark]:
    """Return the marks of the file's end that are understood and not too old."""
    path = _path(maildir)
    try:
        text = disk.read(path, max(0, disk.size(path) - LONGEST), LONGEST)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _failed(maildir, error) from error
    found = [_LINE.fullmatch(line) for line in text.split(b"\n")]
    marks = [
        Mark(line[2].decode(), int(line[1]), (line[3] or b"").decode()) for line in found if line
    ]
    return [mark for mark in marks if mark.at >= since]


def _line(mark: Mark) -> bytes:
    return " ".join(filter(None, (str(mark.at), mark.digest, mark.id))).encode() + b"\n"


def _path(maildir: str) -> str:
    return f"{maildir}/dupmd5"


def _failed(maildir: str, error: OSError) -> MailboxUnwritable:
    reason = error.strerror or str(error)
    return MailboxUnwritable(f"Unable to tell duplicates. (#4.3.0) {maildir}: {reason}")
