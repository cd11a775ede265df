"""Who was answered by an autoresponder, and when: an empty file ``PID.TIME.sender`` each.

    with answered("/home/alice/.vacation.dir", now, window=604_800) as senders:
        if senders.count(key_of(sender)) < 1:
            note = note_answer(directory, sender, now, pid)

Two mails at once are seen one after the other: the directory is locked meanwhile (flock).  Files that
are older than the window are removed; what is not named so is left alone.  Nothing is synced: after a
power cut somebody may be answered once more.

Raises `OSError`.  Source: spec/delivery.md 7 (autoresponder).
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from indimail.durable.lock import DirectoryLock

MOST: Final = 10_000  # files; strangers make them
LONGEST_KEY: Final = 200  # octets; a file's name has 255
_NAME: Final = re.compile(r"\d+\.(\d+)\.(.+)", re.DOTALL)


@contextmanager
def answered(directory: str, now: float, window: int) -> Iterator[list[str]]:
    """Yield the keys of those who were answered within the window, one for each answer."""
    lock = DirectoryLock.wait(directory)
    try:
        yield list(_recent(directory, now - window))
    finally:
        lock.release()


def _recent(directory: str, since: float) -> Iterator[str]:
    for name in os.listdir(directory):
        found = _NAME.fullmatch(name)
        if found is None:
            continue
        if int(found[1]) > since:
            yield found[2]
        else:
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(directory, name))


def note_answer(directory: str, sender: str, now: float, pid: int) -> str:
    """Note an answer; return its file, to be removed where none is given after all."""
    path = os.path.join(directory, f"{pid}.{int(now)}.{key_of(sender)}")
    with open(path, "x"):
        return path


def key_of(sender: str) -> str:
    """Return what a sender is called in a file's name; very long ones may share it."""
    octets = sender.lower().replace("/", ":").encode()
    return octets[:LONGEST_KEY].decode("utf-8", "ignore")
