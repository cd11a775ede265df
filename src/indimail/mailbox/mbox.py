"""An mbox: messages one after the other in a file.

    append_mbox("/home/bob/mbox", pieces, "From eve@example.net Thu Jan  1 00:00:00 1970\\n")

The file is locked (flock(2)) for as long as it is written, and cut back to what it was where that
fails; it is synced before the call returns.  Lines that begin with ``From `` behind any number of
``>`` get one more.  Blocks; raises `MailboxUnwritable`, `MailboxFull`.

Source: spec/delivery.md 4 (mbox).
"""

import errno
import os
import re
from collections.abc import Iterable
from typing import Final

from indimail.durable.disk import sync_descriptor
from indimail.durable.lock import lock_file
from indimail.mail.errors import MailboxFull, MailboxUnwritable
from indimail.mailbox.maildir import FULL

PATIENCE: Final = 30.0  # seconds for somebody else's lock
LOCKED: Final = "File has been locked for 30 seconds straight. (#4.3.0)"
_FROM: Final = re.compile(rb"^(>*From )", re.M)
_LONGEST_LINE: Final = 1 << 20


def append_mbox(path: str, pieces: Iterable[bytes], from_line: str) -> None:
    """Append a message; its `pieces` have LF line ends."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise MailboxUnwritable(f"Unable to open {path}: {error.strerror}. (#4.2.1)") from error
    try:
        if not lock_file(fd, PATIENCE):
            raise MailboxUnwritable(LOCKED)
        before = os.fstat(fd).st_size
        try:
            _write(fd, from_line.encode("utf-8", "surrogateescape"), pieces)
            sync_descriptor(fd)
        except OSError as error:
            os.ftruncate(fd, before)
            if error.errno == errno.EDQUOT:
                raise MailboxFull(FULL) from error
            reason = f"Unable to write {path}: {error.strerror}. (#4.3.0)"
            raise MailboxUnwritable(reason) from error
    finally:
        os.close(fd)


def _write(fd: int, head: bytes, pieces: Iterable[bytes]) -> None:
    rest = b""
    _write_all(fd, head)
    for piece in pieces:
        whole = rest + piece
        end = whole.rfind(b"\n") + 1
        if not end and len(whole) > _LONGEST_LINE:
            end = len(whole)
        _write_all(fd, _FROM.sub(rb">\1", whole[:end]))
        rest = whole[end:]
    if rest:
        _write_all(fd, _FROM.sub(rb">\1", rest) + b"\n")
    _write_all(fd, b"\n")


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
