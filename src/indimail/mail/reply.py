"""A reply to an SMTP command, as a value.

    Reply(250, "2.1.0", "ok").wire()          -> b"250 2.1.0 ok\r\n"
    Reply(214, "2.0.0", "a", "b").wire()      -> b"214-2.0.0 a\r\n214 2.0.0 b\r\n"

The class of the enhanced code always agrees with the reply's (RFC 2034 section 4), and text is
printable, so no peer's bytes can forge a second line.

Sources: RFC 5321 4.2 (replies), RFC 2034 and RFC 3463 (enhanced codes).
"""

from functools import lru_cache

from indimail.mail.errors import Misuse


class Reply:
    """A 3-digit code, an RFC 3463 code (None where RFC 2034 forbids one) and one or more lines."""

    __slots__ = ("code", "enhanced", "lines")

    def __init__(self, code: int, enhanced: str | None, *lines: str) -> None:
        if not 200 <= code <= 599:
            raise Misuse(f"reply code {code} is not 200..599")
        if enhanced is not None and enhanced[0] != str(code)[0]:
            raise Misuse(f"enhanced code {enhanced} contradicts {code}")
        self.code = code
        self.enhanced = enhanced
        self.lines = tuple(map(printable, lines)) or ("",)

    @property
    def text(self) -> str:
        """All lines joined, without the codes."""
        return " / ".join(self.lines)

    @property
    def is_positive(self) -> bool:
        """2xx or 3xx: the command was accepted."""
        return self.code < 400

    @property
    def is_temporary(self) -> bool:
        """4xx: the client should try again."""
        return 400 <= self.code < 500

    def wire(self) -> bytes:
        """Return the bytes to send (RFC 5321 4.2.1: a hyphen after the code on all but the last).

        They are ASCII (4.2), also about an address in UTF-8: only VRFY and EXPN can ask for more
        (RFC 6531 3.7.4).
        """
        prefix = f"{self.enhanced} " if self.enhanced else ""
        last = f"{self.code} {prefix}{self.lines[-1]}\r\n"
        if len(self.lines) == 1:
            return last.encode("ascii", "replace")
        first = "".join(f"{self.code}-{prefix}{line}\r\n" for line in self.lines[:-1])
        return (first + last).encode("ascii", "replace")

    def __str__(self) -> str:
        enhanced = f"{self.enhanced} " if self.enhanced else ""
        return f"{self.code} {enhanced}{self.text}"

    def __repr__(self) -> str:
        return f"Reply({self})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reply) and (self.code, self.enhanced, self.lines) == (
            other.code,
            other.enhanced,
            other.lines,
        )

    def __hash__(self) -> int:
        return hash((self.code, self.enhanced, self.lines))


@lru_cache(maxsize=1024)
def printable(text: str) -> str:
    """Return the text with every control character replaced by a question mark."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
