"""Frames between two processes of this machine, many at a time, some with an open file.

    link = Link(loop, sock, most=1 << 20, received=on_frame, lost=on_end, files=True)
    link.send(frame, fd)         # from now on the link's to close
    link.file()                  # within on_frame: the open file that came with it, -1 for none

What is sent in one turn of the event loop leaves together.  A peer that sends what is no frame, or
one longer than `most`, is cut off, which `lost` tells as it does of one that ended.  A file is taken
only where `files` says so: else the kernel drops it.

Source: unix(7), SCM_RIGHTS.  Not here: what the frames say (`serve.errand`).
"""

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from itertools import takewhile
from typing import Final

from indimail.wire.frames import BrokenFrame, FrameReader

_PIECE: Final = 262_144
_FILES: Final = 16  # of one recvmsg; the kernel never joins what files came with


class Link:
    """One end of a connected unix socket."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        most: int,
        received: Callable[[bytes], None],
        lost: Callable[[], None],
        *,
        files: bool = False,
    ) -> None:
        sock.setblocking(False)
        self._loop = loop
        self._sock = sock
        self._received = received
        self._lost = lost
        self._takes_files = files
        self._reader = FrameReader(most)
        self._files: deque[int] = deque()
        self._unsent: deque[tuple[bytes, int]] = deque()
        self._flushing = False  # a flush is on its way, or waits for room
        self._open = True
        loop.add_reader(sock.fileno(), self._readable)

    def send(self, frame: bytes, fd: int = -1) -> None:
        """Send a frame whole, when there is room; `fd` is closed then."""
        if not self._open:
            _close(fd)
            return
        self._unsent.append((frame, fd))
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def file(self) -> int:
        """Return the open file that came with the frame, which the caller closes; -1: none came."""
        return self._files.popleft() if self._files else -1

    def take_no_files(self) -> None:
        """Take no more of them, and close what came and was not asked for."""
        self._takes_files = False
        while (fd := self.file()) >= 0:
            os.close(fd)

    def close(self) -> None:
        """End; nothing is told of it."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        for fd in (*self._files, *(fd for _, fd in self._unsent)):
            _close(fd)
        self._unsent.clear()

    def _break(self) -> None:
        if self._open:
            self.close()
            self._lost()

    # -- in --------------------------------------------------------------------------------------

    def _readable(self) -> None:
        try:
            data = self._receive()
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._break()
            return
        self._reader.feed(data)
        try:
            while self._open and (frame := self._reader.next()) is not None:
                self._received(frame)
        except BrokenFrame:
            self._break()

    def _receive(self) -> bytes:
        if not self._takes_files:
            return self._sock.recv(_PIECE)
        data, files, _, _ = socket.recv_fds(self._sock, _PIECE, _FILES, socket.MSG_CMSG_CLOEXEC)
        self._files.extend(files)
        return data

    # -- out -------------------------------------------------------------------------------------

    def _flush(self) -> None:
        try:
            while self._open and self._unsent:
                self._send_some()
        except BlockingIOError:
            self._loop.add_writer(self._sock.fileno(), self._roomy)
        except OSError:
            self._break()
        else:
            self._flushing = False

    def _roomy(self) -> None:
        self._loop.remove_writer(self._sock.fileno())
        self._flush()

    def _send_some(self) -> None:
        """Send a frame with its file, or frames without one together."""
        frame, fd = self._unsent[0]
        if fd >= 0:
            sent = socket.send_fds(self._sock, [frame], [fd])
            os.close(fd)
            self._unsent.popleft()
        else:
            frames = [frame for frame, _ in takewhile(lambda item: item[1] < 0, self._unsent)]
            frame = b"".join(frames)
            sent = self._sock.send(frame)
            for _ in frames:
                self._unsent.popleft()
        if sent < len(frame):
            self._unsent.appendleft((frame[sent:], -1))


def _close(fd: int) -> None:
    if fd >= 0:
        os.close(fd)
