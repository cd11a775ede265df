"""smtproutes: artificial routes, and how their lines are read.

    table, mistakes = parse_smtproutes([Line("control/smtproutes", 1, "example.com:192.0.2.1:587 ana x")])
    table.get("example.com")
        -> (SmtpRoute("192.0.2.1", 587, login=Login("ana", Secret(***))), Rule("control/smtproutes", 1))
    table.match("a@b.example")        # patterns alone, in the order of the file

A line is ``key:value``.  Keys:

| key                           | is for                                                       |
|-------------------------------|--------------------------------------------------------------|
| ``ana@example.com``           | one recipient                                                |
| ``!@``                        | mail with the null sender: bounces                           |
| ``example.com``, ``[192.0.2.7]`` | one domain                                                |
| ``.example.com``              | its sub-domains                                              |
| ``mx-*.example.?``            | a shell pattern (``*``, ``?``) for domains, with @ for addresses |
| (nothing)                     | all others                                                   |

Values; an empty one means DNS, as if there were no route:

    relay[:port[:penalty[:max_tolerance]]][ user password[ VAR=value,...]]
    relay[:port[:penalty[:max_tolerance]]] /s     credentials of remote_auth, by sender
    ... /r                                        by recipient
    ... /word                                     by that word

`relay` is a host name, an IPv4 address, ``[IP]`` or ``[IPv6]``; its port is 25, and 465 means TLS from
the first octet.  Of two lines with one key the first counts.  A mistake shows no password.

Compiled (moresmtproutes.cdb), the key is the key and the data the value.

Sources: spec/queue.md 3.3 (grammar).  Not here: which key is tried when (`schedule.nexthop`), the
credentials of remote_auth (`schedule.logins`).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from indimail.mail.address import domain_key
from indimail.mail.errors import Mistake
from indimail.mail.glob import matches
from indimail.mail.ip import ip_of, literal
from indimail.mail.line import Line
from indimail.mail.match import key_of, quoted
from indimail.mail.secret import Secret
from indimail.mail.verdict import Rule

SMTP: Final = 25
SMTPS: Final = 465
QMTP: Final = frozenset({209, 6209})
NULL_SENDER: Final = "!@"

Variables = tuple[tuple[str, str], ...]

_NAME: Final = re.compile(r"(?!-)[a-z0-9_.-]{1,253}(?<![-.])")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEY: Final = "domain:relay, .domain:relay, user@domain:relay, !@:relay or :relay"
_VALUE: Final = "relay[:port[:penalty[:max_tolerance]]][ user password[ VAR=value,...]]"
_CREDENTIALS: Final = "user and password, perhaps VAR=value,... after them, or /s, /r, /word"
_NUMBERS: Final = re.compile(r"[0-9:]*")
_LOCAL: Final = re.compile(r"[^\s\0-\x1f\x7f]+")


class Login(Struct, frozen=True):
    """Who we are to a relay."""

    user: str
    password: Secret


class LoginKey(Struct, frozen=True):
    """What credentials are looked up by: ``s`` the sender, ``r`` the recipient, else this word."""

    word: str


class SmtpRoute(Struct, frozen=True):
    """A value; times are seconds, None where the line does not say one.

    `relay` is an address in its one spelling or a lower-case A-label; empty: ask DNS.
    """

    relay: str = ""
    port: int = SMTP
    min_penalty: int | None = None
    max_tolerance: int | None = None
    login: Login | LoginKey | None = None
    variables: Variables = ()

    @property
    def tls(self) -> bool:
        """Whether TLS begins with the first octet."""
        return self.port == SMTPS


Routed = tuple[SmtpRoute, Rule]


class RouteTable:
    """The routes of one file; without a line number, each is named by its key."""

    __slots__ = ("_file", "_patterns", "_routes")

    def __init__(
        self,
        file: str = "",
        routes: Mapping[str, tuple[SmtpRoute, int | None]] | None = None,
        patterns: Sequence[tuple[str, SmtpRoute, int | None]] = (),
    ) -> None:
        self._file = file
        self._routes = routes or {}
        self._patterns = tuple(patterns)

    def __bool__(self) -> bool:
        return bool(self._routes or self._patterns)

    @property
    def has_logins(self) -> bool:
        """Whether there is a password in it."""
        routes = [route for route, _ in self._routes.values()]
        routes += [route for _, route, _ in self._patterns]
        return any(isinstance(route.login, Login) for route in routes)

    def get(self, key: str) -> Routed | None:
        """Return the route of this very key."""
        found = self._routes.get(key)
        return None if found is None else (found[0], self._rule(key, found[1]))

    def match(self, address: str, domain: str) -> Routed | None:
        """Return the route of the first pattern that fits."""
        for pattern, route, line in self._patterns:
            if matches(pattern, address if "@" in pattern else domain):
                return route, self._rule(pattern, line)
        return None

    def _rule(self, key: str, line: int | None) -> Rule:
        return Rule(self._file, line, key if line is None else "")


def parse_smtproutes(lines: Sequence[Line]) -> tuple[RouteTable, list[Mistake]]:
    """Read the lines of one file."""
    split = [(line, *_split(line.text)) for line in lines]
    file = lines[0].file if lines else ""
    return _table(file, ((line.file, line.number, key, value) for line, key, value in split))


def routes_from_records(
    records: Iterable[tuple[bytes, bytes]], file: str
) -> tuple[RouteTable, list[Mistake]]:
    """Read the records of a data base."""
    texts = (tuple(part.decode("utf-8", "backslashreplace") for part in both) for both in records)
    return _table(file, ((file, None, key, value.rstrip("\0 ")) for key, value in texts))


def _split(text: str) -> tuple[str, str | None]:
    """Part a line at the colon behind its key; the value is None where there is no colon."""
    start = text.find("]") + 1 if text.startswith("[") else 0
    colon = text.find(":", start)
    return (text, None) if colon < 0 else (text[:colon], text[colon + 1 :])


def _table(
    file: str, entries: Iterable[tuple[str, int | None, str, str | None]]
) -> tuple[RouteTable, list[Mistake]]:
    routes: dict[str, tuple[SmtpRoute, int | None]] = {}
    patterns: list[tuple[str, SmtpRoute, int | None]] = []
    mistakes = []
    known: dict[str, SmtpRoute | Mistake] = {}  # many keys have few relays
    for where, line, text, value in entries:
        key = _route_key(text)
        if key is None or value is None:
            mistakes.append(Mistake(where, line, quoted(_shown(text)), _KEY))
            continue
        route = known.get(value)
        if route is None:
            route = known[value] = _parse_value(value)
        if isinstance(route, Mistake):
            named = where if line is not None else f"{where}[{text}]"
            mistakes.append(Mistake(named, line, route.found, route.expected))
        elif "*" in key or "?" in key:
            patterns.append((key, route, line))
        else:
            routes.setdefault(key, (route, line))
    return RouteTable(file, routes, patterns), mistakes


def _shown(text: str) -> str:
    """Return what may be shown of a line: all before its first blank, behind which is a password."""
    first = "".join(text.split(maxsplit=1)[:1])
    return text if first == text else f"{first} ..."


def _route_key(text: str) -> str | None:
    """Return a key as it is looked up; None where it is none."""
    if text in ("", NULL_SENDER):
        return text
    if "*" in text or "?" in text:
        return text.lower() if _LOCAL.fullmatch(text) else None
    local, at, domain = text.rpartition("@")
    key = key_of(domain)
    if not at or key is None:
        return key
    return f"{local.lower()}@{key}" if _LOCAL.fullmatch(local) and key[0] != "." else None


def _parse_value(text: str) -> SmtpRoute | Mistake:
    """Read a value; a mistake has no place yet."""
    where = "" if text[:1].isspace() else "".join(text.split(maxsplit=1)[:1])
    words = text[len(where) :].split()
    relay = _parse_relay(where)
    if isinstance(relay, Mistake) or not words:
        return relay
    if not relay.relay:
        return Mistake("", None, "credentials without a relay", _VALUE)
    found = _parse_login(words)
    return (
        found if isinstance(found, Mistake) else replace(relay, login=found[0], variables=found[1])
    )


def _parse_login(words: Sequence[str]) -> tuple[Login | LoginKey, Variables] | Mistake:
    if words[0].startswith("/"):
        if len(words) == 1 and words[0] != "/":
            return LoginKey(words[0][1:]), ()
        return Mistake("", None, "more or less than a word behind the slash", _CREDENTIALS)
    if not 2 <= len(words) <= 3:
        return Mistake("", None, f"{len(words)} words behind the relay", _CREDENTIALS)
    variables = parse_variables(words[2:])
    if variables is None:
        return Mistake("", None, "a third word that is none of that", "VAR=value,VAR2=value")
    return Login(words[0], Secret(words[1])), variables


def parse_variables(words: Sequence[str]) -> Variables | None:
    """Read ``VAR=value,VAR2=``, where there is such a word; None where it is something else."""
    pairs = [pair.partition("=") for word in words for pair in word.split(",")]
    if any(not equals or not _VARIABLE.fullmatch(name) for name, equals, _ in pairs):
        return None
    return tuple((name, value) for name, _, value in pairs)


def _parse_relay(text: str) -> SmtpRoute | Mistake:
    """Read a value up to its first blank."""
    end = text.find("]") + 1 if text.startswith("[") else 0
    colon = text.find(":", end)
    host, rest = (text, "") if colon < 0 else (text[:colon], text[colon + 1 :])
    relay = _host(host)
    fields = rest.split(":")
    numbers = [_number(field) for field in (*fields, "", "")[:3]]
    port = SMTP if numbers[0] is None else numbers[0]
    if (
        relay is None
        or (rest and not relay)
        or len(fields) > 3
        or any(number is not None and number < 0 for number in numbers)
        or not 0 < port <= 65_535
    ):
        # What is no number may be a password behind the wrong character.
        shown = text if _NUMBERS.fullmatch(rest) else f"{host}:..."
        return Mistake("", None, quoted(shown), _VALUE)
    if port in QMTP:
        return Mistake("", None, quoted(text), "a port of SMTP (209 and 6209 are QMTP's)")
    return SmtpRoute(relay, port, numbers[1], numbers[2])


def _number(text: str) -> int | None:
    """Return a number; None for nothing, -1 for what is none."""
    if not text:
        return None
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1


def _host(text: str) -> str | None:
    """Return a relay as it is asked for; None where it is none."""
    if not text:
        return ""
    address = literal(text) if text.startswith("[") else ip_of(text)
    if address is not None:
        return address
    name = domain_key(text)
    last = name.rpartition(".")[2]  # a number: it was meant as an address
    return name if _NAME.fullmatch(name) and ".." not in name and not last.isdecimal() else None
