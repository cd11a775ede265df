"""What a worker asks of a qmail-lspawn and what it is told, as octets.

    pack(7, {"op": "publish", "folder": "/home/bob/Maildir", "name": "1790.Q7R0.0.mx,S=12"})
    unpack(frame)                            -> Errand(7, {"op": ...}, b"")
    failure(unpack(answer))                  -> None, or MailboxFull("...")

A frame holds a number, which the answer repeats, a JSON object, and octets that are no JSON.  A
worker believes no more of an answer than it can check: who answers is a user's process.

Operations: ``look store publish settle append run find-mark add-mark ping``, and those of
`serve.quota_errand`; number 0 is the greeting.
Not here: who asks (`serve.spawned`), who does it (`serve.lspawn`).
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from indimail.delivery.dotqmail import Name
from indimail.mail.errors import (
    CopyGone,
    MailboxFull,
    MailboxUnwritable,
    MailError,
    Temporary,
)
from indimail.mailbox.dupmd5 import Mark
from indimail.serve.home import Home, HomeMissing, HomeUnreadable
from indimail.wire.frames import BrokenFrame, write_frame

LONGEST: Final = 1 << 20  # octets of a frame; a body of 64 KiB and its lines, or a .qmail file
GREETING: Final = 0
_HEAD: Final = struct.Struct("!II")  # the number, and the length of the JSON
_FAILURES: Final[Mapping[str, type[MailError]]] = {
    kind.__name__: kind
    for kind in (Temporary, MailboxUnwritable, MailboxFull, CopyGone, HomeUnreadable, HomeMissing)
}

Fields = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Errand:
    """A request, or its answer."""

    number: int
    fields: Fields
    octets: bytes = b""

    def text(self, name: str) -> str:
        """Return a field that is a text.  Raises BrokenFrame, as the others do."""
        return self._of(name, str) or ""

    def whole(self, name: str) -> int:
        """Return a field that is a whole number."""
        return self._of(name, int) or 0

    def fraction(self, name: str) -> float:
        """Return a field that is a number."""
        return self._of(name, float) or 0.0

    def truth(self, name: str) -> bool:
        """Return a field that is true or false."""
        return self._of(name, bool) or False

    def texts(self, name: str) -> dict[str, str]:
        """Return a field that is an object of texts."""
        found: dict[str, object] = self._of(name, dict) or {}
        return {key: _text(value) for key, value in found.items()}

    def items(self, name: str) -> list[Any]:
        """Return a field that is a list."""
        return self._of(name, list) or []

    def _of(self, name: str, kind: type[T]) -> T | None:
        value = self.fields.get(name)
        if value is not None and not isinstance(value, kind):
            raise BrokenFrame(f"{name} in a frame")
        return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise BrokenFrame("no text in a frame")
    return value


def pack(number: int, fields: Fields, octets: bytes = b"") -> bytes:
    """Return the frame."""
    text = json.dumps(fields, separators=(",", ":")).encode()
    return write_frame(_HEAD.pack(number, len(text)) + text + octets)


def unpack(frame: bytes) -> Errand:
    """Take a frame apart.  Raises BrokenFrame."""
    try:
        number, size = _HEAD.unpack_from(frame)
        end = _HEAD.size + size
        fields = json.loads(frame[_HEAD.size : end])
    except (struct.error, ValueError, RecursionError) as error:
        raise BrokenFrame(str(error)) from error
    if end > len(frame) or not isinstance(fields, dict):
        raise BrokenFrame("a frame that is not whole")
    return Errand(number, fields, frame[end:])


def told_home(home: Home, names: tuple[Name, ...]) -> tuple[Fields, bytes]:
    """Return what was seen of a home."""
    fields: Fields = {
        "mode": home.mode, "file_mode": home.file_mode, "owned": home.owned, "verp": home.verp,
        "local_only": home.local_only, "watched": home.watched,
    }  # fmt: skip
    if home.name is not None:
        fields["name"] = names.index(home.name)
    return fields, home.text.encode("utf-8", "surrogateescape")


def read_home(answer: Errand, names: tuple[Name, ...]) -> Home:
    """Return what another process saw.  Raises BrokenFrame."""
    name = None
    if "name" in answer.fields:
        number = answer.whole("name")
        if not 0 <= number < len(names):
            raise BrokenFrame("a name in a frame")
        name = names[number]
    return Home(
        answer.whole("mode"), name, answer.octets.decode("utf-8", "surrogateescape"),
        answer.whole("file_mode"), answer.truth("owned"), answer.truth("verp"),
        answer.truth("local_only"), answer.truth("watched"),
    )  # fmt: skip


def told_mark(mark: Mark | None) -> Fields:
    """Return the fields of a mark of dupmd5, or of none."""
    return {} if mark is None else mark._asdict()


def read_mark(errand: Errand) -> Mark:
    """Return a mark as another process tells it.  Raises BrokenFrame."""
    id_ = errand.text("id")
    if id_ and not (id_.isascii() and id_.isdecimal() and len(id_) <= 20):
        raise BrokenFrame("an id in a frame")
    return Mark(errand.text("digest"), errand.whole("at"), id_)


def failed(error: Exception) -> Fields:
    """Return the answer for a failure."""
    kind = type(error).__name__
    if kind in _FAILURES:
        return {"failure": kind, "text": str(error)}
    text = f"Temporary error on delivery: {error} (#4.3.0)"
    return {"failure": "Temporary", "text": text}


def failure(answer: Errand) -> MailError | None:
    """Return the failure that an answer tells; an unknown one is temporary."""
    kind = answer.text("failure")
    return _FAILURES.get(kind, Temporary)(answer.text("text")) if kind else None
