"""Ownership of a directory, held for life.

    lock = DirectoryLock.take("/var/indimail/queue/queue1")   # None while another process has it

The lock is the kernel's (flock(2) on the directory itself): it goes with the process, so a
killed owner's queue can be taken over at once, and nothing stale is left to clean up.
"""

import fcntl
import os
import time
from typing import Self


def lock_file(fd: int, patience: float) -> bool:
    """Take the exclusive lock on an open file; False where others have it for `patience` seconds."""
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        else:
            return True


class DirectoryLock:
    """The exclusive lock on one directory."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def take(cls, path: str) -> Self | None:
        """Take the lock, or return None where another process holds it."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        return cls(fd)

    @classmethod
    def wait(cls, path: str) -> Self:
        """Take the lock; sleep while another process holds it (a command, for milliseconds)."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(fd, fcntl.LOCK_EX)
        return cls(fd)

    def release(self) -> None:
        """Give the directory up."""
        os.close(self._fd)
