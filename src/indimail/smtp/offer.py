"""What a server offers in its reply to EHLO.

    parse_offer(b"250-mx.example.com\\n250-PIPELINING\\n250-SIZE 1000\\n250 AUTH PLAIN LOGIN")
        -> Offer(pipelining=True, size=1000, auth=("PLAIN", "LOGIN"))

A keyword that is not known, or whose value cannot be read, is not offered.  ``AUTH=PLAIN`` is what
some servers wrote before RFC 2554, and means the same.

Sources: RFC 5321 4.1.1.1; RFC 1870, 2920, 3030, 3207, 3461, 4954, 6152, 6531.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Offer:
    """The extensions that the client uses; after HELO there are none.

    `size` are octets of a message in CRLF lines; 0 = no limit is told, or SIZE is not offered
    (`takes_size` tells them apart).
    """

    pipelining: bool = False
    eight_bit: bool = False
    takes_size: bool = False
    size: int = 0
    starttls: bool = False
    smtputf8: bool = False
    chunking: bool = False
    dsn: bool = False
    auth: tuple[str, ...] | None = None  # mechanisms, upper-case; None: no AUTH


def parse_offer(said: bytes) -> Offer:
    """Read the lines of a reply to EHLO, separated by LF; the first one names the server."""
    words = {}
    auth: dict[str, None] | None = None
    for line in said.decode("utf-8", "replace").upper().split("\n")[1:]:
        keyword, _, values = line[4:].replace("=", " ").strip().partition(" ")
        if keyword == "AUTH":
            auth = {**(auth or {}), **dict.fromkeys(values.split())}
        else:
            words[keyword] = values.strip()
    size = words.get("SIZE", "")
    return Offer(
        pipelining="PIPELINING" in words,
        eight_bit="8BITMIME" in words,
        takes_size="SIZE" in words,
        size=int(size) if size.isascii() and size.isdigit() and len(size) <= 20 else 0,
        starttls="STARTTLS" in words,
        smtputf8="SMTPUTF8" in words,
        chunking="CHUNKING" in words,
        dsn="DSN" in words,
        auth=None if auth is None else tuple(auth),
    )
