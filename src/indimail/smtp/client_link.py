"""Commands out, replies in: which reply belongs to which command, and what to wait for.

    link = Link(break_off)
    link.send(b"NOOP\\r\\n", on_reply, 300)      # the next reply goes to on_reply(code)
    link.ask(SendBody())                       # nothing is read until `answered(SendBody)`

A reply that came before its command was sent is nobody's: `send` then breaks the conversation off.
So it is, after it was judged, by a 421 or what is no reply (`doomed`).

Not here: what a reply means (`smtp.client_hello`, `smtp.client_transaction`).
"""

from collections import deque
from collections.abc import Callable

from indimail.mail.errors import Misuse
from indimail.smtp import report
from indimail.smtp.client_event import ClientEvent, Closed
from indimail.smtp.peer_reply import ReplyReader

OnReply = Callable[[int], None]


class Link:
    """One connection as a conversation sees it."""

    __slots__ = (
        "_break_off", "_host", "_question", "closed", "deaf", "doomed", "eof", "events",
        "on_reply", "out", "replies", "step", "timeout",
    )  # fmt: skip

    def __init__(self, host: str, break_off: Callable[[str, str], None]) -> None:
        """`break_off` is told, in a text for `explain`, that the conversation cannot go on.

        With it goes the reply that the text has in it, empty where there is none.
        """
        self._host = host
        self._break_off = break_off
        self._question: type[ClientEvent] | None = None
        self.replies = ReplyReader()
        self.events: deque[ClientEvent] = deque()
        self.out = b""
        self.timeout = 0  # seconds
        self.on_reply: OnReply = self._unasked
        self.step: Callable[[], bool] = self.read
        self.doomed = False  # nothing more can be said
        self.deaf = False  # what comes is for nobody: a handshake is due
        self.eof = False  # nothing more comes
        self.closed = False

    def send(self, octets: bytes, on_reply: OnReply, timeout: int) -> None:
        """Say something; `on_reply` gets the code of its reply."""
        if self.closed:
            return
        if self.doomed:
            self._break_off(*self._doom())
        elif self.replies.has_unread:
            self._break_off(report.OUT_OF_TURN.format(host=self._host), "")
        else:
            self.out += octets
            self.expect(on_reply, timeout)
            self.step = self.read

    def expect(self, on_reply: OnReply, timeout: int) -> None:
        """Say whose the next reply is, of those that are on their way."""
        self.on_reply = on_reply
        self.timeout = timeout

    def read(self) -> bool:
        """Take a reply; False where none is whole yet."""
        code = self.replies.next()
        if code is None:
            return False
        self.doomed = code == 421 or self.replies.malformed
        self.on_reply(code)
        if self.doomed and not self.closed:
            self._break_off(*self._doom())
        return True

    def ask(self, event: ClientEvent) -> None:
        """Hand out an event, and read nothing until it is answered."""
        self.events.append(event)
        self._question = type(event)
        self.step = self.wait

    def answered(self, kind: type[ClientEvent]) -> bool:
        """Take the answer to an event; False where the connection is gone by now."""
        if self.closed:
            return False
        if self._question is not kind:
            raise Misuse(f"{kind.__name__} is not asked")
        self._question = None
        return True

    def wait(self) -> bool:
        """Read nothing."""
        return False

    def close(self, event: Closed, *, politely: bool = False) -> None:
        """End it; `politely`: the server is told, if it may still listen."""
        if politely and not self.doomed:
            self.out += b"QUIT\r\n"  # waiting for its reply serves nobody (spec/queue.md 3.4)
        self.closed = True
        self.timeout = 0
        self.step = self.wait
        self.replies.clear()
        self.events.append(event)

    def _doom(self) -> tuple[str, str]:
        replies = self.replies
        text = report.NO_REPLY if replies.malformed else report.CLOSED
        return report.said(text, replies.text, host=self._host), replies.reply

    def _unasked(self, _code: int) -> None:
        self._break_off(report.OUT_OF_TURN.format(host=self._host), "")
