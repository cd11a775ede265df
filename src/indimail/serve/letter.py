"""The octets of a queued message on their way to another server.

    letter = letter_of(message, spool, aside)
    letter.next(given)            # given(octets, last, why not), now or on a later turn

A body in its row is given whole; one in the spool in pieces, each read on a thread when the server
has taken the one before.

Not here: what a server gets to see of them (`smtp.client`: CRLF, dots, chunks).
"""

from collections.abc import Callable, Iterator
from typing import Final

from indimail.mail.sevenbit import Stays, to_seven_bit
from indimail.queue.port import QueuedMessage
from indimail.queue.spool import Spool
from indimail.serve.hands import RunAside

MOST_CONVERTED: Final = 64 << 20
UNREADABLE: Final = "Unable to read message. (#4.3.0)"
Given = Callable[[bytes, bool, str], None]
Downgraded = Callable[[int, str], None]


class Kept:
    """A body at hand."""

    __slots__ = ("_body", "size")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.size = len(body) + body.count(b"\n")  # in CRLF lines

    def next(self, given: Given) -> None:
        """Give all of it."""
        given(self._body, True, "")

    def downgrade(self, done: Downgraded) -> None:
        """Become 7-bit, or say why not."""
        match to_seven_bit(self._body):
            case Stays(why):
                done(0, why)
            case bytes() as body:
                self._body = body
                self.size = len(body) + body.count(b"\n")
                done(self.size, "")


class Spooled:
    """A body in a spool file."""

    __slots__ = ("_ahead", "_aside", "_pieces", "size")

    def __init__(self, pieces: Iterator[bytes], size: int, aside: RunAside) -> None:
        self._pieces = pieces
        self._aside = aside
        self._ahead: bytes | None = None  # read, and not given: so the last one is known as such
        self.size = size

    def next(self, given: Given) -> None:
        """Read a piece on a thread."""

        def read() -> tuple[bytes, bool]:
            if self._ahead is None:
                self._ahead = next(self._pieces, b"")
            piece, self._ahead = self._ahead, next(self._pieces, b"")
            return piece, not self._ahead

        def done(result: object) -> None:
            match result:
                case (bytes() as piece, bool() as last):
                    given(piece, last, "")
                case _:  # unknown failures are temporary
                    given(b"", False, UNREADABLE)

        self._aside(read, done)

    def downgrade(self, done: Downgraded) -> None:
        """Become 7-bit on a thread, in memory, where it is not too large for that; or say why not."""
        if self.size > MOST_CONVERTED:
            done(0, f"it has more than {MOST_CONVERTED} octets to be converted")
            return

        def converted(result: object) -> None:
            match result:
                case bytes() as body:
                    self._pieces = iter((body,))
                    self.size = len(body) + body.count(b"\n")
                    done(self.size, "")
                case Stays(why):
                    done(0, why)
                case _:  # the next read says what is wrong with the file
                    done(self.size, "")

        self._aside(lambda: to_seven_bit(b"".join(self._pieces)), converted)


def letter_of(message: QueuedMessage, spool: Spool, aside: RunAside) -> Kept | Spooled:
    """Return a queued message's octets."""
    if message.body is not None:
        return Kept(message.body)
    return Spooled(spool.read(message.id, message.offset), message.size, aside)
