"""Replies that a server sends us: a code, and the octets it was said with.

    replies = ReplyReader()
    replies.add(b"250-mx.example.com\\r\\n250 SIZE 1000\\r\\n")
    replies.next()       -> 250
    replies.said         -> b"250-mx.example.com\\n250 SIZE 1000"
    replies.text         -> what a log or a bounce may repeat of it

What is no reply counts as 400, so that its mail is tried again, and is `malformed`: a line without
three digits, a code below 200 or above 599, lines with different codes, a line or a reply that is
too long.  After it nobody knows which reply belongs to which command.  The result never depends on
how the octets were cut.

Units: octets.  Sources: RFC 5321 4.2, 4.5.3.1.5 (512 octets; real servers say more);
``spec/queue.md`` 3.4 (400).  Not here: what a code means for a command (`smtp.client`).
"""

from typing import Final

from indimail.mail.reply import printable
from indimail.wire.lines import Inbox

LONGEST_LINE: Final = 4096  # with its end
LONGEST_REPLY: Final = 65_536
SHOWN: Final = 5000  # of a reply in a log or a bounce
MALFORMED: Final = 400


class ReplyReader:
    """Takes octets, gives codes; `said` and `malformed` are of the last one."""

    __slots__ = ("_code", "_inbox", "_lines", "_octets", "malformed", "said")

    def __init__(self) -> None:
        self._inbox = Inbox()
        self._code = b""  # of the lines so far
        self._lines: list[bytes] = []
        self._octets = 0
        self.said = b""
        self.malformed = False

    def add(self, data: bytes) -> None:
        """Take octets of the server."""
        self._inbox.add(data)

    @property
    def has_unread(self) -> bool:
        """Something came that is no reply yet, or was not asked for."""
        return self._inbox.unread > 0 or bool(self._lines)

    @property
    def text(self) -> str:
        """The last reply, its lines without anything that does not print."""
        said = self.said[:SHOWN].decode("utf-8", "replace")
        return said if said.isprintable() else "\n".join(map(printable, said.split("\n")))

    @property
    def reply(self) -> str:
        """The text, where it is a reply; else nothing."""
        return "" if self.malformed else self.text

    def next(self) -> int | None:
        """Return the code of the next reply, None for more octets."""
        line = self._inbox.line(LONGEST_LINE)
        if line is None:
            return self._too_long() if self._inbox.unread >= LONGEST_LINE else None
        if not self._lines and line[3:4] != b"-":
            self.said = line  # nearly every reply
            return self._judge(line[:3])
        return self._gather(line)

    def clear(self) -> None:
        """Forget what came and was not read."""
        self._inbox.clear()
        self._lines = []
        self._octets = 0

    def _gather(self, line: bytes) -> int | None:
        """Take the lines of a reply that has several."""
        while True:
            if not self._lines:
                self._code = line[:3]
            self._lines.append(line)
            self._octets += len(line)
            is_one = line[:3] == self._code and self._code.isdigit()
            if not is_one or self._octets > LONGEST_REPLY:
                return self._end(b"")
            if line[3:4] != b"-":
                return self._end(self._code)
            following = self._inbox.line(LONGEST_LINE)
            if following is None:
                return self._too_long() if self._inbox.unread >= LONGEST_LINE else None
            line = following

    def _too_long(self) -> int:
        self._lines.append(self._inbox.take(LONGEST_LINE))
        return self._end(b"")

    def _end(self, code: bytes) -> int:
        self.said = b"\n".join(self._lines)
        self._lines = []
        self._octets = 0
        return self._judge(code)

    def _judge(self, digits: bytes) -> int:
        code = int(digits) if len(digits) == 3 and digits.isdigit() else 0
        self.malformed = not 200 <= code <= 599
        return MALFORMED if self.malformed else code
