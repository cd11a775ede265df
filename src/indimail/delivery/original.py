"""How much of the original a bounce encloses, found in one pass over its octets.

    copy = examine(pieces, limit=50_000, headers_only=False, mark=b"=_bounce_7_")
    copy.size                           # octets, from the first on, that belong into the bounce

Nothing is kept of the pieces, so a spooled message may be read a second time to be spliced in.  A
copy that is cut ends at the end of a line where there is one.

`mark` is how this bounce's boundaries begin; `taken` are the numbers after it that occur in the
copy, at whatever place, so that none of them becomes the boundary.

Source: spec/queue.md 4.3 (bouncemaxbytes); RFC 2046 5.1.1 (boundaries); RFC 6522 4 (a header is all
before the first empty line).  Not here: RET's meaning (`delivery.bounce`).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

_NUMBER: Final = rb"(\d{1,18})_"
_OVERLAP: Final = 19  # the longest number with its end


@dataclass(frozen=True, slots=True)
class Copy:
    """The first `size` octets; `cut`: there were more, of what was to be enclosed."""

    size: int
    headers_only: bool = False
    cut: bool = False
    ends_line: bool = True
    eight_bit: bool = False
    taken: frozenset[int] = frozenset()


def examine(pieces: Iterable[bytes], limit: int, *, headers_only: bool, mark: bytes) -> Copy:
    """Read the message, as far as needed.  `limit` is in octets, 0 = none; line ends are LF."""
    marked = re.compile(re.escape(mark) + _NUMBER)
    size, line_end, eight_bit, cut = 0, 0, False, False
    taken: set[int] = set()
    before = b""
    for piece in _header(pieces) if headers_only else pieces:
        octets = piece[: limit - size] if limit else piece
        newline = octets.rfind(b"\n")
        line_end = size + newline + 1 if newline >= 0 else line_end
        size += len(octets)
        eight_bit = eight_bit or not octets.isascii()
        before += octets
        taken.update(map(int, marked.findall(before)))
        before = before[-len(mark) - _OVERLAP :]
        cut = len(octets) < len(piece)
        if cut:
            break
    if cut and line_end:
        size = line_end
    return Copy(size, headers_only, cut, line_end == size, eight_bit, frozenset(taken))


def _header(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what is before the first empty line; a message may begin with it."""
    last = b"\n"
    for piece in pieces:
        end = (last + piece).find(b"\n\n")
        if end >= 0:
            yield piece[:end]
            return
        yield piece
        last = piece[-1:] or last
