"""Text that must not be printed: passwords, hashes, tokens.

    str(Secret("x"))              -> '***'
    Secret("x").reveal()          -> 'x'
    mask("mysql://user:x@host/")  -> 'mysql://user:***@host/'

`reveal` is the one way out, so that a search for it finds every place where a secret leaves.
Two secrets are compared in a time that does not tell how much of them is equal.
"""

import re
from hmac import compare_digest
from typing import Final

_IN_URLS: Final = re.compile(r"(://[^:/@\s]*:)\S*(?=@)|([?&]passw(?:or)?d=)[^&\s\"']*")


class Secret:
    """Holds a text; `repr`, `str` and formatting give three stars."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def __bool__(self) -> bool:
        """False for the empty text."""
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and compare_digest(
            self._text.encode("utf-8", "surrogateescape"),
            other._text.encode("utf-8", "surrogateescape"),
        )

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __str__(self) -> str:
        return "***"

    def __repr__(self) -> str:
        return "***"


def mask(text: str) -> str:
    """Return the text with three stars for each password in a URL."""
    return _IN_URLS.sub(lambda found: f"{found[1] or found[2]}***", text)
