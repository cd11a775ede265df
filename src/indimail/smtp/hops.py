"""Counting hops: header lines that begin with ``Received`` or ``Delivered``, as a stream.

    hops = HopCounter()
    hops.feed(b"Received: from a\\nDelivered-To: b\\n\\nReceived: c\\n");  hops.count  -> 2

Only the beginning of a line counts, whatever its case and its end (``Received-SPF`` is one), and
only up to the first empty line (``spec/smtp.md`` 6.3; RFC 5321 6.3).
"""


class HopCounter:
    """Counts over stored (LF) octets, however they are cut."""

    __slots__ = ("_count", "_held", "_in_header")

    def __init__(self) -> None:
        self._count = 0
        self._held = b"\n"  # a line begins
        self._in_header = True

    def feed(self, stored: bytes) -> None:
        """Count the next octets."""
        if not self._in_header:
            return
        text = self._held + stored
        blank = text.find(b"\n\n")
        if blank >= 0:
            self._in_header = False
            self._held = b""
            self._count += _beginnings(text[:blank])
            return
        # A line whose first letters are not all there yet is counted with the next octets;
        # the longer word has 9.
        line = text.rfind(b"\n", max(len(text) - 9, 0))
        if line >= 0:
            self._held = text[line:]
            text = text[:line]
        else:
            self._held = b""
        self._count += _beginnings(text)

    @property
    def count(self) -> int:
        """How many there are in what was fed."""
        return self._count + _beginnings(self._held)


def _beginnings(text: bytes) -> int:
    text = text.lower()
    return text.count(b"\nreceived") + text.count(b"\ndelivered")
