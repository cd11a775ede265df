"""A decision and the rule that made it.

    Refuse(Reply(553, "5.7.1", "sorry"), Rule("control/rcpthosts", None))

A `Rule` says where an operator finds the line: ``control/rcpthosts:3``.  Its `line` is None where
no single line decided (a list in which nothing matched, a built-in check, a cdb without text).
"""

from dataclasses import dataclass
from typing import Final, Self

from msgspec import Struct

from indimail.mail.reply import Reply


class Rule(Struct, frozen=True):
    """File (relative to the instance), line (from 1) and, for a cdb without text, the key."""

    file: str
    line: int | None = None
    key: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the rule that `str` wrote as `text`."""
        if text.endswith("]") and "[" in text:
            file, _, key = text[:-1].partition("[")
            return cls(file, key=key)
        file, colon, line = text.rpartition(":")
        return cls(file, int(line)) if colon and line.isdecimal() else cls(text)

    def __str__(self) -> str:
        if self.line is not None:
            return f"{self.file}:{self.line}"
        return f"{self.file}[{self.key}]" if self.key else self.file


NO_RULE: Final = Rule("")


class Accept(Struct, frozen=True):
    """Go on.  `suffix` is appended to the recipient (RELAYCLIENT's value), usually empty."""

    rule: Rule
    reason: str
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Refuse:
    """A 5xx reply."""

    reply: Reply
    rule: Rule
    reason: str


@dataclass(frozen=True, slots=True)
class TryLater:
    """A 4xx reply."""

    reply: Reply
    rule: Rule
    reason: str


Verdict = Accept | Refuse | TryLater
