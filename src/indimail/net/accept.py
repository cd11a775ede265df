"""Accepting connections so that the workers share them evenly.

    Acceptor(loop, listener, lambda: SmtpConnection(...), connections).start()

All workers wait on the same socket, and who wakes first could take all.  So one that has more
connections than another steps back for `COURTESY` seconds; if nobody took the connection by then
(the other is busy), it takes it after all.  One connection is taken at a time.

Not here: limits, which are policy.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Final

from indimail.net.connections import WorkerConnections

COURTESY: Final = 0.002
EXHAUSTED: Final = 1.0  # seconds without accepting after the machine ran out of descriptors
LOG: Final = logging.getLogger("indimail.net")


class Acceptor:
    """One worker's accepting on one listener."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listener: socket.socket,
        connect: Callable[[], asyncio.BaseProtocol],
        connections: WorkerConnections | None,
    ) -> None:
        """`connections` None: there is nobody to share with."""
        self._loop = loop
        self._listener = listener
        self._connect = connect
        self._connections = connections
        self._connecting: set[asyncio.Task[object]] = set()
        self._closed = False

    def start(self) -> None:
        """Begin to accept."""
        self._loop.add_reader(self._listener.fileno(), self._ready)

    def close(self) -> None:
        """Accept no more; the socket itself is the supervisor's."""
        self._closed = True
        self._loop.remove_reader(self._listener.fileno())

    def _ready(self) -> None:
        if self._connections is not None and self._connections.surplus() > 0:
            self._pause(COURTESY)
        else:
            self._accept()

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener.fileno())
        self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        if not self._closed:
            self.start()
            self._accept()  # which may have to pause again

    def _accept(self) -> None:
        """Take one connection, if it is still there."""
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno == errno.EINVAL:  # the supervisor ended it, for all workers at once
                self.close()
                return
            if error.errno not in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                raise
            LOG.warning("cannot accept: %s", error.strerror)
            self._pause(EXHAUSTED)
            return
        connection.setblocking(False)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._connect, connection))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
