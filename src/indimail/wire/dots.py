"""Text as a stream: dot-stuffed or counted, CRLF on the wire, LF as it is stored.

    text = DottedText()
    text.feed(b"..a\\r\\n.\\r\\nQUIT\\r\\n")  -> b".a\\n";  text.ended, text.left == 6
    StuffedText(dots=True).feed(b".a\\n")  -> b"..a\\r\\n"

Only CRLF.CRLF ends dotted text (RFC 5321 4.1.1.4, 4.5.2), so no LF.LF, LF.CRLF or CR.CRLF of a
smuggled mail does.  A bare LF is noticed (`bare_lf`) and stays in the text; a bare CR is data.
No bare CR is sent on: a server that takes one for a line's end could see the end of a mail in it.
What is stored or sent, and `bare_lf`, never depend on how the bytes were cut.

Sources: RFC 5321 2.3.8 (no bare CR or LF is sent), 4.5.2 (transparency), RFC 3030 section 2 (chunks),
``spec/smtp.md`` 6.2.
Not here: what a bare LF means for the conversation (`smtp.session`).
"""

from typing import Final

END: Final = b"\r\n.\r\n"


class DottedText:
    """Dot-stuffed text: turns wire octets into stored ones until the lone dot."""

    __slots__ = ("_held", "_virtual", "bare_lf", "ended", "left")

    def __init__(self) -> None:
        # The text begins at a line's start: a CRLF that is not there says so.
        self._held = b"\r\n"
        self._virtual = True
        self.bare_lf = False
        self.ended = False
        self.left = 0  # octets of the last feed that lie behind the end

    def feed(self, data: bytes) -> bytes:
        """Return the stored form of what is certain by now."""
        wire = self._held + data
        dot = wire.find(b"\r\n.")
        if dot >= 0:
            # The first one is the end, or else there is a dot to remove.
            end = dot if wire.startswith(END, dot) else wire.find(END, dot)
            if end >= 0:
                self.ended = True
                self.left = len(wire) - end - 5
                wire = wire[: end + 2]
        if not self.ended:
            # What may be the beginning of an end waits for its rest.
            held = _start_of_end(wire)
            self._held = wire[len(wire) - held :] if held else b""
            if held:
                wire = wire[:-held]
        if not wire:
            return b""
        if 0 <= dot < len(wire) - 2:
            wire = wire.replace(b"\r\n.", b"\r\n")
        stored, bare_lf = _stored(wire)
        if bare_lf:
            self.bare_lf = True
        if self._virtual:
            self._virtual = False
            return stored[1:]
        return stored


class CountedText:
    """Text of a known length in CRLF lines (BDAT): only the line ends change."""

    __slots__ = ("_held", "bare_lf")

    def __init__(self) -> None:
        self._held = b""
        self.bare_lf = False

    def feed(self, data: bytes) -> bytes:
        """Return the stored form of what is certain by now; a CR at the end waits for its LF."""
        wire = self._held + data
        if wire.endswith(b"\r"):
            self._held = b"\r"
            wire = wire[:-1]
        else:
            self._held = b""
        stored, bare_lf = _stored(wire)
        if bare_lf:
            self.bare_lf = True
        return stored

    def end(self) -> bytes:
        """Return what waited: after the last octet a CR is data."""
        held, self._held = self._held, b""
        return held


class StuffedText:
    """Stored text on its way out: lines end in CRLF, a bare CR is a blank; `dots` are for DATA."""

    __slots__ = ("_dots", "_held_cr", "in_line")

    def __init__(self, *, dots: bool) -> None:
        self._dots = dots
        self._held_cr = False
        self.in_line = False  # the last line has no end yet

    def feed(self, stored: bytes) -> bytes:
        """Return the wire form of what is certain by now; a CR at the end waits for its LF."""
        if self._held_cr:
            stored = b"\r" + stored
            self._held_cr = False
        if b"\r" in stored:
            if stored.endswith(b"\r"):
                self._held_cr = True
                stored = stored[:-1]
            stored = stored.replace(b"\r\n", b"\n").replace(b"\r", b" ")
        return self._wire(stored)

    def end(self) -> bytes:
        """Return what waited: after the last octet a CR is bare."""
        held, self._held_cr = self._held_cr, False
        return self._wire(b" ") if held else b""

    def _wire(self, stored: bytes) -> bytes:
        if not stored:
            return b""
        wire = stored.replace(b"\n", b"\r\n")
        if self._dots:
            if b"\n." in wire:
                wire = wire.replace(b"\n.", b"\n..")
            if not self.in_line and wire.startswith(b"."):
                wire = b"." + wire
        self.in_line = not stored.endswith(b"\n")
        return wire


def _stored(wire: bytes) -> tuple[bytes, bool]:
    """Return the text with LF for CRLF, and whether it had a bare LF.

    Deleting one character and counting a pair are several times faster in CPython than counting
    one character or replacing a pair, so the usual text, which has no bare CR, is done that way.
    """
    stored = wire.replace(b"\r", b"")
    pairs = wire.count(b"\r\n")
    if len(wire) - len(stored) != pairs:
        stored = wire.replace(b"\r\n", b"\n")
    return stored, len(wire) - len(wire.replace(b"\n", b"")) != pairs


def _start_of_end(wire: bytes) -> int:
    """Return the length of the longest tail with which CRLF.CRLF may begin."""
    last = wire[-1:]
    if last == b"\r":
        return 4 if wire.endswith(b"\r\n.\r") else 1
    if last == b"\n":
        return 2 if wire.endswith(b"\r\n") else 0
    return 3 if last == b"." and wire.endswith(b"\r\n.") else 0
