"""`maildirdeliver`: store the message in a Maildir, from a dot-qmail file.

    |maildirdeliver ./Maildir/

RPLINE, DTLINE and QQEH, where they are set, stand in front.  The Maildir has to be there.  The file's
name is that of a delivery (`mailbox.maildir`), with a number that no queue gives: the time and this
process.  A program is run again after a crash, so a copy may be stored twice.

Commit point: the file and its name in ``new/`` are synced; then 0.

Exit codes: 0 it is stored; 100 the disk quota is full; 111 try again later.

Source: spec/delivery.md 4 (texts), 7, 8.1.
"""

import argparse
import errno
import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from indimail.cli.program_line import (
    PERMANENT,
    TEMPORARY,
    Ended,
    attempt,
    make_seekable,
    message,
    optional,
)

if TYPE_CHECKING:
    from indimail.durable.disk import Disk

PROGRAM: Final = "maildirdeliver"
MISSING: Final = "Unable to chdir to maildir. (#4.2.1)"
FULL: Final = "Recipient's mailbox is full, message returned to sender. (#5.2.2)"
UNWRITABLE: Final = "Temporary error on maildir delivery. (#4.3.0)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("directory", metavar="MAILDIR", help="where it is stored")


def run(args: argparse.Namespace) -> int:
    """Store it."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    store(args.directory)
    return 0


def store(directory: str) -> None:
    """Store descriptor 0 in a Maildir, durably.  Raises `Ended`."""
    from indimail.durable.disk import SystemDisk  # noqa: PLC0415 - not for --help
    from indimail.mail.errors import MailboxUnwritable  # noqa: PLC0415

    folder = os.path.abspath(directory)
    if not all(os.path.isdir(os.path.join(folder, part)) for part in ("tmp", "new", "cur")):
        raise Ended(MISSING, TEMPORARY)
    front = optional("RPLINE", "DTLINE", "QQEH")
    name = _name(make_seekable() + len(front))
    try:
        store_copy(SystemDisk(), folder, name, message(front))
    except MailboxUnwritable as error:
        raise ended(error.__cause__) from error
    except OSError as error:  # of a sync
        raise ended(error) from error


def store_copy(disk: "Disk", folder: str, name: str, pieces: Iterable[bytes]) -> None:
    """Write a copy.  Commit point: it returns; after a failure nothing is left."""
    from indimail.durable.batch import FileSyncs  # noqa: PLC0415 - not for --help
    from indimail.mail.errors import MailError  # noqa: PLC0415
    from indimail.mailbox.maildir import publish, stage_pieces, withdraw  # noqa: PLC0415

    syncs = FileSyncs(disk, time.monotonic)
    staged = stage_pieces(disk, folder, name, pieces)
    try:
        syncs.run([staged])
        syncs.run([publish(disk, folder, name)])
    except (OSError, MailError):
        withdraw(disk, folder, name)
        raise


def _name(size: int) -> str:
    from indimail.mail.ids import GIVERS, QueueIds  # noqa: PLC0415 - not for --help
    from indimail.mailbox.maildir import file_name  # noqa: PLC0415

    now, pid = time.time(), os.getpid()
    number = QueueIds(pid % GIVERS).next(int(now * 1e6))
    return file_name(int(now), number, pid, 0, os.uname().nodename, size)


def ended(cause: BaseException | None) -> Ended:
    """Return the end that a failed write or sync is."""
    if isinstance(cause, OSError) and cause.errno == errno.EDQUOT:
        return Ended(FULL, PERMANENT)
    reason = f" {cause.strerror}" if isinstance(cause, OSError) and cause.strerror else ""
    return Ended(UNWRITABLE + reason, TEMPORARY)
