r"""Shell patterns, as some control files have them.

    matches("*.example.com", "mx.example.com")      -> True

``*``, ``?``, ``[a-z]``, ``[!a-z]``, ``\c``; a dot and a slash are characters as any other.
"""

import re
from functools import lru_cache
from typing import Final

_CLASS: Final = re.compile(r"\[!?\]?[^\]]*\]")


def matches(glob: str, text: str) -> bool:
    r"""Tell whether a shell pattern (``*``, ``?``, ``[a-z]``, ``[!a-z]``, ``\c``) fits all of it."""
    # Greedy with one way back: no pattern makes it take more than len(glob) * len(text) steps.
    tokens = _tokens(glob)
    at = place = 0
    star, behind = -1, 0
    while place < len(text):
        if at < len(tokens) and tokens[at] is None:
            star, behind = at, place
            at += 1
        elif at < len(tokens) and _fits(tokens[at], text[place]):
            at += 1
            place += 1
        elif star >= 0:
            behind += 1
            at, place = star + 1, behind
        else:
            return False
    return all(token is None for token in tokens[at:])


def literal(glob: str) -> str:
    """Return the longest text that is in everything that a pattern fits: most of it fails there."""
    runs = [""]
    for piece in _tokens(glob):
        if piece is None or piece == "?" or (len(piece) > 1 and piece[0] == "["):
            runs.append("")
        else:
            runs[-1] += piece[-1]
    return max(runs, key=len)


@lru_cache(maxsize=4096)
def _tokens(glob: str) -> tuple[str | None, ...]:
    """Cut a pattern into what fits one character each; None is ``*``."""
    tokens: list[str | None] = []
    at = 0
    while at < len(glob):
        found = _CLASS.match(glob, at) if glob[at] == "[" else None
        length = len(found[0]) if found else 2 if glob[at] == "\\" and at + 1 < len(glob) else 1
        tokens.append(None if glob[at] == "*" else glob[at : at + length])
        at += length
    return tuple(tokens)


def _fits(token: str | None, character: str) -> bool:
    if token is None:
        return False
    if len(token) == 1:
        return token in ("?", character)
    if token[0] == "\\":
        return token[1] == character
    inside = token[1:-1].removeprefix("!")
    found = any(
        first <= character <= (last or first)
        for first, last in re.findall(r"(.)(?:-(.))?", inside, re.DOTALL)
    )
    return found is not token.startswith("[!")
