"""A user's automatic reply: two lines of ``.qmail``, the text, who was answered.

    reply_writes("/var/indimail/mail/A2E/example.com/alice", b"I am away.\\n")
        -> [MakeDirectory(...), WriteFile(...), WriteFile(...)]
    no_reply_writes(disk, "/var/indimail/mail/A2E/example.com/alice")

The program stands there by its name alone: a delivery's PATH begins with IndiMail's programs.
Replies begin and end with `.qmail`: it is written last and removed first.

Source: spec/delivery.md 1.1, 2.3 (vmoduser -l).  Not here: the reply (`delivery.autoreply`).
"""

import os
import shlex
from typing import Final

from indimail.durable.disk import Disk
from indimail.manage.file_writes import MakeDirectory, RemoveFile, RemoveTree, WriteFile
from indimail.manage.writes import Write

TEXT: Final = ".vacation.msg"
ANSWERED: Final = ".vacation.dir"
INSTRUCTIONS: Final = ".qmail"


def reply_writes(home: str, text: bytes) -> list[Write]:
    """Return what answers with this text; whatever `.qmail` said before is gone."""
    text_file, answered = os.path.join(home, TEXT), os.path.join(home, ANSWERED)
    command = shlex.join(["autoresponder", "-q", text_file, answered])
    return [
        MakeDirectory(answered, 0o700),
        WriteFile(text_file, text.decode("utf-8", "surrogateescape")),
        WriteFile(os.path.join(home, INSTRUCTIONS), f"| {command}\n{home}/Maildir/\n"),
    ]


def no_reply_writes(disk: Disk, home: str) -> list[Write]:
    """Return what answers nobody any more; a `.qmail` that says something else stays."""
    instructions = os.path.join(home, INSTRUCTIONS)
    is_reply = disk.exists(instructions) and TEXT.encode() in disk.read(instructions)
    return [
        *([RemoveFile(instructions)] if is_reply else []),
        RemoveFile(os.path.join(home, TEXT)),
        RemoveTree(os.path.join(home, ANSWERED)),
    ]
