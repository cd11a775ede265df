"""Bytes that were received and not yet read, taken out by line or by count.

    inbox = Inbox()
    inbox.add(b"NOOP\\r\\nQU")
    inbox.line(limit=2048)   -> b"NOOP"
    inbox.line(limit=2048)   -> None      (no whole line yet; `unread` says how much waits)

A line ends with LF, an optional CR before it belongs to the end (``spec/smtp.md`` 2.4); the limit
counts the line with its end, in octets.  The result never depends on how the bytes were cut.
"""


class Inbox:
    """A read position in the bytes of a peer."""

    __slots__ = ("_at", "_before", "_data")

    def __init__(self) -> None:
        self._data = b""
        self._at = 0
        self._before = 0  # where the last line began

    def add(self, data: bytes) -> None:
        """Append what was received."""
        if self._at == len(self._data):
            self._data = data
        else:
            self._data = self._data[self._at :] + data
        self._at = 0

    @property
    def unread(self) -> int:
        """How many octets wait."""
        return len(self._data) - self._at

    def line(self, limit: int) -> bytes | None:
        """Take one line without its end; None if no line of at most `limit` octets is complete.

        With None, `unread` >= `limit` means that the line is too long.
        """
        at = self._at
        end = self._data.find(b"\n", at, at + limit)
        if end < 0:
            if at:  # an idle conversation keeps nothing that was read
                self._data = self._data[at:]
                self._at = 0
            return None
        self._before = at
        self._at = end + 1
        if end > at and self._data[end - 1] == 13:  # CR
            return self._data[at : end - 1]
        return self._data[at:end]

    def reread_line(self) -> None:
        """Give back the line that was taken last, before anything else is done."""
        self._at = self._before

    def take(self, most: int) -> bytes:
        """Take up to `most` octets."""
        at = self._at
        taken = self._data[at : at + most]
        self._at = at + len(taken)
        return taken

    def take_all(self) -> bytes:
        """Take everything."""
        taken = self._data[self._at :] if self._at else self._data
        self._at = len(self._data)
        return taken

    def put_back(self, count: int) -> None:
        """Give back the last `count` octets that were taken, before anything else is done."""
        self._at -= count

    def clear(self) -> None:
        """Forget everything unread."""
        self._data = b""
        self._at = 0
