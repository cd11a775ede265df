"""A user's automatic reply: two lines of ``.qmail``, the text, who was answered.

    write_autoreply(disk, "/var/indimail/mail/A2E/example.com/alice", b"I am away.\\n")
    remove_autoreply(disk, "/var/indimail/mail/A2E/example.com/alice")

The program stands there by its name alone: a delivery's PATH begins with IndiMail's programs.
Commit point: `.qmail`, written last and removed first.

Source: spec/delivery.md 1.1, 2.3 (vmoduser -l).  Not here: the reply (`delivery.autoreply`).
"""

import os
import shlex
import shutil
from typing import Final

from indimail.control.files import write_atomic
from indimail.durable.disk import Disk

TEXT: Final = ".vacation.msg"
ANSWERED: Final = ".vacation.dir"
INSTRUCTIONS: Final = ".qmail"


def write_autoreply(disk: Disk, home: str, text: bytes) -> None:
    """Answer with this text from now on; whatever `.qmail` said before is gone."""
    text_file, answered = os.path.join(home, TEXT), os.path.join(home, ANSWERED)
    disk.make_directories(answered, 0o700)
    write_atomic(disk, text_file, [text], 0o600)
    command = shlex.join(["autoresponder", "-q", text_file, answered])
    lines = f"| {command}\n{home}/Maildir/\n"
    write_atomic(disk, os.path.join(home, INSTRUCTIONS), [lines.encode()], 0o600)


def remove_autoreply(disk: Disk, home: str) -> None:
    """Answer nobody any more; a `.qmail` that says something else stays."""
    instructions = os.path.join(home, INSTRUCTIONS)
    if disk.exists(instructions) and TEXT.encode() in disk.read(instructions):
        disk.unlink(instructions)
        disk.sync_directory(home)
    if disk.exists(os.path.join(home, TEXT)):
        disk.unlink(os.path.join(home, TEXT))
    shutil.rmtree(os.path.join(home, ANSWERED), ignore_errors=True)
