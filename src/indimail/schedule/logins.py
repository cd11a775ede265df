"""remote_auth: with which credentials we go to a relay, by sender, recipient or word.

    logins, mistakes = parse_logins([Line("control/remote_auth", 1, "=ana@example.com:ana secret:")])
    logins.find("Ana@example.com")
        -> (Login("ana", Secret(***)), (), Rule("control/remote_auth", 1))

A line ``=address:user password[ VAR=value,...]:`` is for one address, ``+prefix:...:`` for all that
begin so.  The exact line wins, then the longest prefix; of two for one key the first.  Compared
without regard to case.  A line that begins with a dot ends the file.

Compiled (remote_auth.cdb), as users/cdb: key ``!address\\0`` or ``!prefix``, the data what stands
between the colons; the record with the empty key is no entry.

Source: spec/queue.md 3.3.  Not here: which routes ask (`schedule.smtproutes`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from indimail.mail.errors import Mistake
from indimail.mail.line import Line
from indimail.mail.match import quoted
from indimail.mail.secret import Secret
from indimail.mail.verdict import Rule
from indimail.schedule.smtproutes import Login, Variables, parse_variables

Entry = tuple[Login, Variables, Rule]

_EXPECTED: Final = "=address:user password[ VAR=value,...]: or +prefix:...:"


class Logins:
    """The entries of one file; keys are in lower case."""

    __slots__ = ("_exact", "_lengths", "_prefixes")

    def __init__(
        self,
        exact: Mapping[str, Entry] | None = None,
        prefixes: Mapping[str, Entry] | None = None,
    ) -> None:
        self._exact = exact or {}
        self._prefixes = prefixes or {}
        self._lengths = sorted({len(prefix) for prefix in self._prefixes}, reverse=True)

    def __bool__(self) -> bool:
        return bool(self._exact or self._prefixes)

    def find(self, key: str) -> Entry | None:
        """Return the credentials for an address or a word."""
        key = key.lower()
        found = self._exact.get(key)
        if found is None:
            for length in self._lengths:
                found = self._prefixes.get(key[:length]) if length <= len(key) else None
                if found is not None:
                    break
        return found


def parse_logins(lines: Sequence[Line]) -> tuple[Logins, list[Mistake]]:
    """Read the lines of remote_auth."""
    tables: dict[str, dict[str, Entry]] = {"=": {}, "+": {}}
    mistakes = []
    for line in lines:
        if line.text.startswith("."):
            break
        kind, (key, colon, rest) = line.text[:1], line.text[1:].partition(":")
        entry = _entry(rest[:-1], line.rule) if rest.endswith(":") else None
        if kind not in tables or not colon or entry is None or (kind == "=" and not key):
            shown = "".join(line.text.partition(":")[0].split()[:1])  # no password
            mistakes.append(Mistake(line.file, line.number, quoted(shown), _EXPECTED))
        else:
            tables[kind].setdefault(key.lower(), entry)
    return Logins(tables["="], tables["+"]), mistakes


def logins_from_records(
    records: Iterable[tuple[bytes, bytes]], file: str
) -> tuple[Logins, list[Mistake]]:
    """Read the records of remote_auth.cdb."""
    exact: dict[str, Entry] = {}
    prefixes: dict[str, Entry] = {}
    mistakes = []
    for raw_key, raw_data in records:
        key, data = (part.decode("utf-8", "backslashreplace") for part in (raw_key, raw_data))
        if not key:
            continue
        name = key[1:].removesuffix("\0").lower()
        entry = _entry(data.rstrip("\0:"), Rule(file, key=name))
        if key[0] != "!" or entry is None or (key.endswith("\0") and not name):
            mistakes.append(Mistake(f"{file}[{name}]", None, "something else", _EXPECTED))
        else:
            (exact if key.endswith("\0") else prefixes).setdefault(name, entry)
    return Logins(exact, prefixes), mistakes


def _entry(text: str, rule: Rule) -> Entry | None:
    """Read what stands between the colons."""
    words = text.split()
    variables = parse_variables(words[2:])
    if not 2 <= len(words) <= 3 or variables is None:
        return None
    return Login(words[0], Secret(words[1])), variables, rule
