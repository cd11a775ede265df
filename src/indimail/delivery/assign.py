r"""users/assign: which user of the system a local address is delivered as, and where.

    assign, mistakes = parse_assign([Line("users/assign", 1,
        "+example.com-:indimail:555:555:/var/indimail/domains/example.com:-::"), Line(..., ".")])
    assign.find("example.com-Ana")
        -> AssignEntry("indimail", 555, 555, "/var/indimail/domains/example.com", "-", "Ana", ...)

A line ``=local:user:uid:gid:home:dash:ext:`` is for one address, ``+prefix:...`` for all that begin
so: what the prefix leaves is appended to `ext`, in its own case.  The exact line wins, then the
longest prefix; of two for one key the first.  Keys are compared without regard to the case of ASCII
letters.  The file ends with a line that begins with a dot.

Compiled (users/cdb): key ``!local\0`` or ``!prefix``, data the six fields, each with a NUL behind;
the empty key has the last characters of all prefixes.

Sources: spec/delivery.md 1.1, 3.  Not here: qmail-getpw's look-up in the password file; refusing
to deliver as root, which is the deliverer's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from indimail.mail.errors import Mistake
from indimail.mail.line import Line
from indimail.mail.match import quoted
from indimail.mail.verdict import Rule

_FIELDS: Final = 7  # with the key, each with a colon behind
_LARGEST_ID: Final = 0xFFFF_FFFE  # (uid_t)-1 means "no change" to the system


@dataclass(frozen=True, slots=True)
class AssignEntry:
    """Who and where; the dot-qmail file of a delivery is ``home/.qmail`` + dash + ext."""

    user: str
    uid: int
    gid: int
    home: str
    dash: str
    ext: str
    rule: Rule


class Assign:
    """The entries of one file."""

    __slots__ = ("_last", "exact", "prefixes")

    def __init__(self, exact: dict[str, AssignEntry], prefixes: dict[str, AssignEntry]) -> None:
        """Keys are in lower case, first come first served by the caller."""
        self.exact = exact
        self.prefixes = prefixes
        self._last = frozenset(prefix[-1] for prefix in prefixes if prefix)

    def has(self, uid: int, gid: int) -> bool:
        """Tell whether anything is delivered as this user."""
        entries = (*self.exact.values(), *self.prefixes.values())
        return any((entry.uid, entry.gid) == (uid, gid) for entry in entries)

    def find(self, local: str) -> AssignEntry | None:
        """Return the entry of a local address (what stands before its last ``@``)."""
        key = lower(local)
        found = self.exact.get(key)
        if found is not None:
            return found
        for end in range(len(key), -1, -1):
            if not end or key[end - 1] in self._last:
                found = self.prefixes.get(key[:end])
                if found is not None:
                    return AssignEntry(
                        found.user, found.uid, found.gid, found.home, found.dash,
                        found.ext + local[end:], found.rule,
                    )  # fmt: skip
        return None


def records(assign: Assign) -> list[tuple[bytes, bytes]]:
    """Return the records of users/cdb."""
    entries = [(f"!{key}\0", entry) for key, entry in assign.exact.items()]
    entries += [(f"!{key}", entry) for key, entry in assign.prefixes.items()]
    found = [(_encode(key), _encode(_data(entry))) for key, entry in entries]
    # Octets, as qmail-lspawn compares them: of a character beyond ASCII the last one.
    last = dict.fromkeys(_encode(prefix)[-1] for prefix in assign.prefixes if prefix)
    return [*found, (b"", bytes(last))]


def parse_assign(lines: Sequence[Line]) -> tuple[Assign, list[Mistake]]:
    """Read the file; no lines at all is an empty table (there is no such file)."""
    exact: dict[str, AssignEntry] = {}
    prefixes: dict[str, AssignEntry] = {}
    mistakes = []
    for line in lines:
        if line.text.startswith("."):
            break
        parsed = _parse_entry(line)
        if isinstance(parsed, str):
            mistakes.append(Mistake(line.file, line.number, quoted(line.text), parsed))
        else:
            key, entry = parsed
            (exact if line.text[0] == "=" else prefixes).setdefault(key, entry)
    else:
        if lines:
            wanted = f"a line with a dot at the end ({_BAD})"
            mistakes.append(Mistake(lines[0].file, None, "no end", wanted))
    return Assign(exact, prefixes), mistakes


def lower(text: str) -> str:
    """Lower the case of ASCII letters alone: the length stays, so a prefix cuts where it matched."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_BAD: Final = "bad format in users/assign"


def _parse_entry(line: Line) -> tuple[str, AssignEntry] | str:
    """Return key and entry, or what was expected."""
    text = line.text
    fields = text[1:].split(":", _FIELDS)
    if text[:1] not in {"=", "+"} or len(fields) <= _FIELDS or "\0" in text:
        return f"=local:user:uid:gid:home:dash:ext: or +prefix:user:uid:gid:home:dash:ext: ({_BAD})"
    local, user, uid, gid, home, dash, ext, _ = fields
    if text[0] == "=" and not local:
        return f"a local address after = ({_BAD})"
    if not (_is_id(uid) and _is_id(gid)):
        return f"uid and gid as numbers ({_BAD})"
    return lower(local), AssignEntry(user, int(uid), int(gid), home, dash, ext, line.rule)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= _LARGEST_ID


def _data(entry: AssignEntry) -> str:
    fields = (entry.user, str(entry.uid), str(entry.gid), entry.home, entry.dash, entry.ext)
    return "".join(f"{field}\0" for field in fields)


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
