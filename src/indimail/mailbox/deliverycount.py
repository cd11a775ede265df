r"""The file deliveryCount of a Maildir: what it got on each day, the last line being today.

    today = read_day(disk, maildir, now)            -> (3, 6144)
    write_day(disk, maildir, now, 4, 8192)          # "24-11-2026:10:15:00 4 8192\n" is the last line

A line is ``DD-MM-YYYY:HH:MM:SS <count> <octets>`` in the machine's time zone; the last one is
written anew while the day is the same.  The file is put in place at once, and keeps a year.  It is
not synced: after a power cut it may be older or empty, and a day begins again.

Who reads, decides and writes holds a lock of his own meanwhile; two processes that do so at once
may lose one of the two mails: it is a limit, no account.

Units: octets, seconds since the epoch.  Raises `MailboxUnwritable`.
Source: spec/delivery.md 5.6.  Not here: the limits (`delivery.daily`).
"""

import os
import re
import time
from contextlib import suppress
from itertools import count
from typing import Final

from indimail.durable.disk import Disk
from indimail.mail.errors import MailboxUnwritable

DAYS: Final = 366  # lines that are kept
LONGEST: Final = 64 * DAYS

_LINE: Final = re.compile(r"(\d\d-\d\d-\d{4}):\d\d:\d\d:\d\d (\d{1,18}) (\d{1,18})", re.ASCII)
_TMP: Final = "tmp"
_NUMBERS: Final = count()


def read_day(disk: Disk, maildir: str, now: float) -> tuple[int, int]:
    """Return the messages and octets of today; none where the last line is of another day."""
    lines = _lines(disk, maildir)
    found = _LINE.fullmatch(lines[-1]) if lines else None
    if found is None or found[1] != _day(now):
        return 0, 0
    return int(found[2]), int(found[3])


def write_day(disk: Disk, maildir: str, now: float, messages: int, octets: int) -> None:
    """Make the last line today's."""
    lines = _lines(disk, maildir)
    if lines and lines[-1].startswith(_day(now)):
        lines.pop()
    clock = time.strftime("%H:%M:%S", time.localtime(now))
    lines.append(f"{_day(now)}:{clock} {messages} {octets}")
    text = "".join(f"{line}\n" for line in lines[-DAYS:]).encode()
    written = f"{maildir}/{_TMP}/{int(now)}.P{os.getpid()}Q{next(_NUMBERS)}.deliveryCount"
    try:
        disk.write_new(written, (text,))
        disk.rename(written, _path(maildir))
    except FileNotFoundError:  # no Maildir yet: its first mail makes it, and is not counted
        return
    except OSError as error:
        with suppress(OSError):
            disk.unlink(written)
        raise _failed(maildir, error) from error


def _lines(disk: Disk, maildir: str) -> list[str]:
    """Return the whole lines of the file's end that are understood."""
    path = _path(maildir)
    try:
        text = disk.read(path, max(0, disk.size(path) - LONGEST), LONGEST)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _failed(maildir, error) from error
    return [line for line in text.decode("latin-1").split("\n") if _LINE.fullmatch(line)]


def _day(now: float) -> str:
    return time.strftime("%d-%m-%Y", time.localtime(now))


def _path(maildir: str) -> str:
    return f"{maildir}/deliveryCount"


def _failed(maildir: str, error: OSError) -> MailboxUnwritable:
    reason = error.strerror or str(error)
    return MailboxUnwritable(f"Unable to count deliveries. (#4.3.0) {maildir}: {reason}")
