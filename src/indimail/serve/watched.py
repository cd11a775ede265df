"""Homes of other users, watched for us by who may look at them.

    watched.take(1001, fd)       # what that user's process has the kernel tell, its queue of events
    watched.changed()            # uids whose homes may have changed since the last call

The process adds a home to its inotify(7) instance before it looks there, and the worker reads the
events: so an edited file is seen at the next mail, and asking costs one system call whatever the
number of users.  A process that is gone watches nothing: that counts as a change.

Runs on the event loop.  Source: inotify(7), epoll(7).
"""

import os
import select
from typing import Final

_INOTIFY: Final = "anon_inode:inotify"
_BUFFER: Final = 65_536
_MOST: Final = 64  # events of the poll at once; the rest comes with the next


class WatchedHomes:
    """The queues of events, by uid."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._files: dict[int, int] = {}  # uid -> descriptor
        self._uids: dict[int, int] = {}
        self._news: set[int] = set()

    def take(self, uid: int, fd: int) -> bool:
        """Read these events from now on; False, and it is closed, for what is no inotify queue.

        Nothing else is read: a file of the user's choice could make us wait.
        """
        try:
            known = os.readlink(f"/proc/self/fd/{fd}") == _INOTIFY
        except OSError:
            known = False
        if not known:
            os.close(fd)
            return False
        self.drop(uid)
        os.set_blocking(fd, False)
        self._poll.register(fd, select.EPOLLIN)
        self._files[uid], self._uids[fd] = fd, uid
        return True

    def drop(self, uid: int) -> None:
        """Nobody watches for us any longer."""
        self._news.add(uid)
        fd = self._files.pop(uid, None)
        if fd is not None:
            self._poll.unregister(fd)
            del self._uids[fd]
            os.close(fd)

    def changed(self) -> frozenset[int]:
        """Return whose homes may have changed since the last call."""
        if self._files:
            for fd, _ in self._poll.poll(0, _MOST):
                self._news.add(self._uids[fd])
                _read(fd)
        news, self._news = frozenset(self._news), set()
        return news


def _read(fd: int) -> None:
    try:
        while os.read(fd, _BUFFER):
            pass
    except BlockingIOError:
        return
