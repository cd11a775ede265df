"""An mbox: messages one after the other in a file.

    append_mbox("/home/bob/mbox", pieces, "From eve@example.net Thu Jan  1 00:00:00 1970\\n")

The file is locked (flock(2)) for as long as it is written, and cut back to what it was where that
fails; it is synced, a new one with its name, before the call returns.  Lines that begin with
``From `` behind any number of ``>`` get one more.  Blocks; raises `MailboxUnwritable`, `MailboxFull`.

Source: spec/delivery.md 4 (mbox).
"""

import errno
import os
import re
import stat
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from typing import Final

from indimail.durable.disk import sync_descriptor
from indimail.durable.lock import lock_file
from indimail.mail.errors import MailboxFull, MailboxUnwritable
from indimail.mailbox.maildir import FULL

PATIENCE: Final = 30.0  # seconds for somebody else's lock
LOCKED: Final = "File has been locked for 30 seconds straight. (#4.3.0)"
_FROM: Final = re.compile(rb"^(>*From )", re.M)
_LONGEST_LINE: Final = 1 << 20
# A pipe without a reader is an error at once, and no wait.
_APPEND: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK


def append_mbox(path: str, pieces: Iterable[bytes], from_line: str) -> None:
    """Append a message; its `pieces` have LF line ends."""
    try:
        fd = os.open(path, _APPEND, 0o600)
    except OSError as error:
        raise MailboxUnwritable(f"Unable to open {path}: {error.strerror}. (#4.2.1)") from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise MailboxUnwritable(f"Unable to open {path}: Not a regular file. (#4.2.1)")
        if not lock_file(fd, PATIENCE):
            raise MailboxUnwritable(LOCKED)
        _append(fd, path, from_line.encode("utf-8", "surrogateescape"), pieces)
    finally:
        os.close(fd)


def _append(fd: int, path: str, head: bytes, pieces: Iterable[bytes]) -> None:
    """Write and sync all of it, or leave the file as it was."""
    before = os.fstat(fd).st_size
    with ExitStack() as undo:
        undo.callback(_cut, fd, before)
        try:
            _write(fd, head, pieces)
            sync_descriptor(fd)
            if not before:  # it may be new: its name has to stay too
                _sync_folder(path)
        except OSError as error:
            if error.errno == errno.EDQUOT:
                raise MailboxFull(FULL) from error
            reason = f"Unable to write {path}: {error.strerror}. (#4.3.0)"
            raise MailboxUnwritable(reason) from error
        undo.pop_all()


def _cut(fd: int, size: int) -> None:
    with suppress(OSError):
        os.ftruncate(fd, size)


def _sync_folder(path: str) -> None:
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_descriptor(folder)
    finally:
        os.close(folder)


def _write(fd: int, head: bytes, pieces: Iterable[bytes]) -> None:
    _write_all(fd, head)
    rest, begins = b"", True  # what is not written yet, and whether it begins a line
    for piece in pieces:
        rest += piece
        end = rest.rfind(b"\n") + 1
        if not end and len(rest) > _LONGEST_LINE:
            end = len(rest)
        if end:
            _write_all(fd, _quoted(rest[:end], begins=begins))
            begins = rest[end - 1 : end] == b"\n"
            rest = rest[end:]
    if rest or not begins:
        _write_all(fd, _quoted(rest, begins=begins) + b"\n")
    _write_all(fd, b"\n")


def _quoted(text: bytes, *, begins: bool) -> bytes:
    """Put a ``>`` in front of From_ lines; the text may go on with a line that began before it."""
    if begins:
        return _FROM.sub(rb">\1", text)
    line, newline, rest = text.partition(b"\n")
    return line + newline + _FROM.sub(rb">\1", rest)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
