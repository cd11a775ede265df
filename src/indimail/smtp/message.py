"""A message while it arrives: octets to store, and what is wrong with it.

    message = IncomingMessage(rules, DottedText())
    message.feed(b"Subject: x\\r\\n\\r\\n")   -> b"Subject: x\\n\\n"
    message.refusal()                      -> None, or the 552 or 554 that its end will get

A message that is too big or loops is read to its end, and not handed over any more.  Sizes are
octets as stored (LF), so that exactly `databytes` pass (``spec/smtp.md`` 6.2).  The verdict is a
function of the octets alone, however they were cut; a loop is reported before a size.
"""

from indimail.mail.reply import Reply
from indimail.smtp.hops import HopCounter
from indimail.smtp.replies import LOOPING, TOO_BIG
from indimail.smtp.rules import SessionRules
from indimail.wire.dots import CountedText, DottedText


class IncomingMessage:
    """Counts one message; `text` turns its wire form into the stored one."""

    __slots__ = ("_databytes", "_hops", "_max_hops", "refused", "size", "text")

    def __init__(self, rules: SessionRules, text: DottedText | CountedText) -> None:
        self.text = text
        self.size = 0
        self.refused: Reply | None = None  # by the driver, in the middle
        self._databytes = rules.databytes
        self._max_hops = rules.max_hops
        self._hops = HopCounter()

    def feed(self, wire: bytes) -> bytes:
        """Return the octets to hand over; none once the message is refused."""
        return self._count(self.text.feed(wire))

    def end(self) -> bytes:
        """Return the last octets of a counted text."""
        return self._count(self.text.end()) if isinstance(self.text, CountedText) else b""

    def refusal(self) -> Reply | None:
        """Return why the octets so far cannot become a message."""
        if self.refused is not None:
            return self.refused
        if self._max_hops and self._hops.count >= self._max_hops:
            return LOOPING
        return TOO_BIG if 0 < self._databytes < self.size else None

    def _count(self, stored: bytes) -> bytes:
        if stored:
            self.size += len(stored)
            self._hops.feed(stored)
            if self.refused is not None or 0 < self._databytes < self.size:
                return b""
        return stored
