"""Where paths of one place are in another: in rows, files and links.

    moved = Moved([("/var/indimail", "/srv/new"), ("/home/mail", "/srv/new/mail")])
    moved.path("/home/mail/A2E/example.com/alice")      -> '/srv/new/mail/A2E/example.com/alice'
    moved.text("| /var/indimail/bin/x '' delete")       -> "| /srv/new/bin/x '' delete"

The longest old path wins, and what was changed is not changed again.  In a text a path ends with
white space, a quote, a slash or one of ``: , ;``.
"""

import re
from collections.abc import Iterable
from typing import Final

_BEFORE: Final = rb"(?<![\w./-])"
_BEHIND: Final = rb"(?=[/\s'\":,;]|\Z)"


class Moved:
    """Pairs of absolute paths, old and new."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        found = {old: new for old, new in pairs if old != new}
        self._pairs = sorted(found.items(), key=lambda pair: len(pair[0]), reverse=True)
        olds = b"|".join(re.escape(_octets(old)) for old, _ in self._pairs)
        self._pattern = re.compile(_BEFORE + b"(" + olds + b")" + _BEHIND) if olds else None
        self._new = {_octets(old): _octets(new) for old, new in self._pairs}

    def path(self, path: str) -> str:
        """Return where a path is."""
        for old, new in self._pairs:
            if path == old or path.startswith(f"{old}/"):
                return new + path[len(old) :]
        return path

    def octets(self, text: bytes) -> bytes:
        """Return a text with every path that it names."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: self._new[found[1]], text)

    def text(self, text: str) -> str:
        """Return a text with every path that it names."""
        return self.octets(_octets(text)).decode("utf-8", "surrogateescape")


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
