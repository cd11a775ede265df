r"""`indimail.toml`: how the processes are set up (the mail policy is in `control/`).

    setup, mistakes = parse_toml(octets, "indimail.toml")
    setup.listeners["smtp"].port      -> Given(25, line=8)
    setup.variables["STARTTLS"]       -> Given("1", line=14)

Every value keeps its line.  All mistakes are found at once, except that after an error of syntax
nothing else can be read.  A variable's value is text or a number; ``true`` sets it to ``1`` and
``false`` takes it away, whatever a wider section or the environment says.

Source: https://toml.io/en/v1.0.0.  Not here: defaults and limits of the values, and
which roles a listener can have (`app.listeners`).
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from indimail.mail.errors import Mistake
from indimail.mail.secret import mask

Value = str | int | bool | None
Path = tuple[str, ...]

# Section -> key -> type.  `listener.NAME` and the variables have tables of their own below.
SECTIONS: Final[Mapping[str, Mapping[str, type]]] = {
    "process": {
        "workers": int,
        "user": str,
        "log": str,
        "drain_seconds": int,
        "affinity": str,
    },
    "tls": {"certificate": str, "key": str},
    "database": {"url": str},
    "dns": {"servers": list},
    "remote": {"per_host": int},
    "relay": {"accept_open": list},
}
LISTENER: Final[Mapping[str, type]] = {"role": str, "address": str, "port": int}
_WORDS: Final = {
    int: "a whole number",
    str: 'text in quotes ("...")',
    dict: "a section",
    list: 'a list of texts (["...", "..."])',
}
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_POSITION: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Given:
    """A value and its line; None is a variable that is taken away.

    The items of a list are lines of one text.
    """

    value: str | int | None
    line: int | None


@dataclass(frozen=True, slots=True)
class ListenerTable:
    """``[listener.NAME]``; what was not given is None."""

    line: int | None
    role: Given | None = None
    address: Given | None = None
    port: Given | None = None
    variables: Mapping[str, Given] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Setup:
    """The whole file; `settings` has the dotted names of `SECTIONS` (``process.workers``)."""

    name: str
    settings: Mapping[str, Given] = field(default_factory=dict)
    variables: Mapping[str, Given] = field(default_factory=dict)
    listeners: Mapping[str, ListenerTable] = field(default_factory=dict)


def read_toml(path: str, name: str) -> tuple[Setup, list[Mistake]]:
    """Read the file; a missing one is an empty one."""
    try:
        with open(path, "rb") as file:
            octets = file.read()
    except FileNotFoundError:
        return Setup(name), []
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return Setup(name), [Mistake(name, None, reason, "a readable file")]
    return parse_toml(octets, name)


def parse_toml(octets: bytes, name: str) -> tuple[Setup, list[Mistake]]:
    """Read the octets of the file."""
    try:
        text = octets.decode()
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        found = f"octet {octets[error.start]:#04x}"
        return Setup(name), [Mistake(name, line, found, "UTF-8 text")]
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return Setup(name), [_syntax_mistake(str(error), text, name)]
    reader = _Reader(name, dict(_positions(text)))
    return reader.setup(tree), reader.mistakes


def _syntax_mistake(error: str, text: str, name: str) -> Mistake:
    at = _POSITION.search(error)
    lines = text.rstrip("\n").split("\n")
    number = int(at[1]) if at and at[1] else len(lines)
    shown = mask(lines[min(number, len(lines)) - 1].strip())
    reason = mask(error[: at.start()] if at else error)
    return Mistake(name, number, f"{shown!r} ({reason[:1].lower()}{reason[1:]})", "TOML")


def _positions(text: str) -> Iterator[tuple[Path, int]]:
    """Yield the path of every key and section of a valid text with its line.

    A statement is the fewest lines that are TOML by themselves: that takes arrays and texts of
    several lines whole, so nothing in them is mistaken for a key.
    """
    section: Path = ()
    statement, begun = "", 1
    for number, line in enumerate(text.split("\n"), 1):
        statement, begun = (f"{statement}\n{line}", begun) if statement else (line, number)
        try:
            tree = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        if statement.lstrip().startswith("["):
            section = next(_paths(tree), ())
            yield section, begun
        else:
            for path in _paths(tree):
                yield section + path, begun
        statement = ""


def _paths(tree: Mapping[str, object]) -> Iterator[Path]:
    """Yield the paths of a tree, leaves first."""
    for key, value in tree.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value = value[0]  # noqa: PLW2901  [[section]]
        if isinstance(value, dict):
            yield from ((key, *path) for path in _paths(value))
        yield (key,)


class _Reader:
    """Takes a tree apart and gathers what is wrong with it."""

    def __init__(self, name: str, lines: Mapping[Path, int]) -> None:
        self.mistakes: list[Mistake] = []
        self._name = name
        self._lines = lines

    def setup(self, tree: Mapping[str, object]) -> Setup:
        """Read all sections."""
        known = {**dict.fromkeys(SECTIONS, dict), "listener": dict, "variables": dict}
        top = self._checked((), tree, known)
        settings = {
            f"{section}.{key}": given
            for section, keys in SECTIONS.items()
            for key, given in self._values((section,), top.get(section), keys).items()
        }
        return Setup(
            self._name,
            settings,
            self._variables(("variables",), top.get("variables")),
            self._listeners(top.get("listener")),
        )

    def _listeners(self, found: object) -> dict[str, ListenerTable]:
        if not isinstance(found, dict):
            return {}
        names = self._checked(("listener",), found, dict.fromkeys(found, dict))
        return {name: self._listener(name, table) for name, table in names.items()}

    def _listener(self, name: str, table: object) -> ListenerTable:
        path = ("listener", name)
        values = self._values(path, table, {**LISTENER, "variables": dict})
        given = table.get("variables") if isinstance(table, dict) else None
        return ListenerTable(
            self._line(path),
            values.get("role"),
            values.get("address"),
            values.get("port"),
            self._variables((*path, "variables"), given),
        )

    def _values(self, path: Path, found: object, keys: Mapping[str, type]) -> dict[str, Given]:
        if not isinstance(found, dict):
            return {}
        return {
            key: Given(
                "\n".join(value) if isinstance(value, list) else value, self._line((*path, key))
            )
            for key, value in self._checked(path, found, keys).items()
            if isinstance(value, str | int | list)
        }

    def _variables(self, path: Path, found: object) -> dict[str, Given]:
        variables = {}
        for key, value in found.items() if isinstance(found, dict) else ():
            if not _VARIABLE.fullmatch(key):
                self._mistake((*path, key), f"'{key}'", "the name of a variable (A-Z, 0-9, _)")
            elif isinstance(value, str | int):
                text = {True: "1", False: None}[value] if isinstance(value, bool) else str(value)
                variables[key] = Given(text, self._line((*path, key)))
            else:
                self._mistake((*path, key), _kind(value), "text, a number, true or false")
        return variables

    def _checked(
        self, path: Path, table: Mapping[str, object], keys: Mapping[str, type]
    ) -> dict[str, object]:
        """Return the entries with a known key and the right type; the others are mistakes."""
        good = {}
        for key, value in table.items():
            where = (*path, key)
            if key not in keys:
                what = "key" if path else "section"
                self._mistake(where, f"{what} '{key}'", "one of " + " ".join(keys))
            elif type(value) is not keys[key] or not _has_texts(value):
                self._mistake(where, f"{key} = {_kind(value)}", _WORDS[keys[key]])
            else:
                good[key] = value
        return good

    def _line(self, path: Path) -> int | None:
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path)

    def _mistake(self, path: Path, found: str, expected: str) -> None:
        self.mistakes.append(Mistake(self._name, self._line(path), found, expected))


def _has_texts(value: object) -> bool:
    """Whether a list is one of texts; all else is no list."""
    return not isinstance(value, list) or all(isinstance(item, str) for item in value)


def _kind(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case dict():
            return "a section"
        case list():
            return "a list"
        case _:
            return str(value)


DEFAULT_TEXT: Final = """\
# How the processes of this instance are set up.  The mail policy is in control/ and tcp/.
# `indimail check-config` tells what is wrong here, `indimail config` what is in force.
# A change is taken at SIGHUP; listeners, workers and user at the next start.

# A listener's name is its role: smtp submission submissions pop3 pop3s imap imaps http;
# with `role` the name is free.  Without any listener: smtp on port 25, all addresses.
#[listener.smtp]
#address = "::"           # IPv4 too; "0.0.0.0" for IPv4 alone
#port = 25
#[listener.smtp.variables]
#MAXPERIP = 25
#[listener.submission]    # port 587: for users, who have to log in; needs a certificate
#[listener.submissions]   # port 465: the same, with TLS from the first octet

# Variables of all listeners, as smtpd knows them from its environment: text or number, true (set)
# or false (not set).  A rule in tcp/tcp.smtp and [listener.NAME.variables] come before these.
[variables]
CHECKRECIPIENT = "1"      # refuse absent users while the client waits
STARTTLS = true           # offered where there is a certificate
SMTPUTF8 = true

[process]
#workers = 2              # default: one for each processor
#user = "indimail"        # whom the workers run as, where `serve` is started by root
#log = "stderr"           # or "files": log/
#drain_seconds = 30       # how long running conversations may go on after SIGTERM
#affinity = "auto"        # a processor for each worker, where there are as many; or "none"

[tls]
#certificate = "servercert.pem"    # in certs/: chain, and key unless `key` names its file
#key = "serverkey.pem"

[dns]
#servers = ["127.0.0.1"]  # recursive name servers; default: those of /etc/resolv.conf

[remote]
#per_host = 20            # connections at once to one host, and for one domain

[database]
#url = "mysql://user:password@host/indimail"    # or postgresql://...; default: SQLite in db/
"""


def first_text(database: str = "") -> str:
    """Return the text of a new file, with the URL of the database where there is one."""
    if not database:
        return DEFAULT_TEXT
    text, _, _ = DEFAULT_TEXT.rpartition("#url")
    return f"{text}url = {json.dumps(database, ensure_ascii=False)}\n"
