"""Frames: how a message travels between our own processes.

    write_frame(b"{...}") + write_frame(b"body ...") + END
    reader = FrameReader(most=1 << 20); reader.feed(data); reader.next() -> bytes | None

A frame is its length in four octets (network order) and its octets; an empty frame ends a list.
A submission is one frame of JSON (the envelope), the body in any number of frames, and the end.
Not here: what the JSON says (`queue.submission`).
"""

import struct
from typing import Final

from indimail.mail.errors import MailError

LENGTH: Final = struct.Struct("!I")
END: Final = LENGTH.pack(0)


class BrokenFrame(MailError):
    """The peer sent a longer frame than it may."""


def write_frame(data: bytes) -> bytes:
    """Return the octets of a frame; `data` is not empty."""
    return LENGTH.pack(len(data)) + data


class FrameReader:
    """Takes octets, gives frames; `most` octets may be in the next one."""

    __slots__ = ("_unread", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self._unread = bytearray()

    def feed(self, data: bytes) -> None:
        """Take octets as they come."""
        self._unread += data

    def next(self) -> bytes | None:
        """Return the next frame (empty: the end), None for more octets.  Raises BrokenFrame."""
        if len(self._unread) < LENGTH.size:
            return None
        (size,) = LENGTH.unpack_from(self._unread)
        if size > self.most:
            raise BrokenFrame(f"a frame of {size} octets, more than {self.most}")
        end = LENGTH.size + size
        if len(self._unread) < end:
            return None
        frame = bytes(self._unread[LENGTH.size : end])
        del self._unread[:end]
        return frame

    @property
    def unread(self) -> int:
        """Octets that wait."""
        return len(self._unread)
