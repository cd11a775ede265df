"""How the value of a setting is found, and how its text becomes a value.

    value, mistakes = resolve(setting, levels, controls, me="mx.example.org")
    value.value, value.source         -> 10485760, 'tcp/tcp.smtp:3'

A variable is sought in the client's rule of tcp.smtp, ``[listener.NAME.variables]``,
``[variables]`` and the environment of `serve`, in this order: those are the *levels*.  Where none
has it, or the one that does takes it away (``!VAR``, ``VAR = false``), the control file counts,
then the default.  An empty number in the environment counts as not set: that is how a shell's
``DATABYTES=`` is meant.

Source: spec/smtp.md 15 (set = existence counts).  Not here: which settings
there are (`app.settings`).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from indimail.accounts.url import EXPECTED, check_url
from indimail.control.files import ControlFile
from indimail.mail.errors import Mistake, Misuse
from indimail.mail.srs import SEPARATORS
from indimail.mail.verdict import Rule
from indimail.net import dns

Value = str | int | bool | tuple[str, ...] | None

ME: Final = "@me"  # a default: what control/me says
DEFAULT: Final = "default"
ENVIRONMENT: Final = "environment"
_HOST: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"[0-9a-fA-F.:]+")


class Scope(StrEnum):
    """For whom a value holds: of narrower ones, each client or listener may have its own."""

    PROCESS = "process"
    CLIENT = "client"
    QUEUE = "queue"
    DELIVERY = "delivery"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a text may be.  `parse` raises ValueError; `whole` takes a control file's every line."""

    name: str
    expected: str
    parse: Callable[[str], Value]
    whole: bool = False
    empty_is_unset: bool = False
    secret: bool = False


def number(low: int, high: int, unit: str = "") -> Kind:
    """Return the kind of whole numbers in a range."""
    expected = f"a whole number from {low} to {high}" + (f" ({unit})" if unit else "")

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(text)
        return int(text)

    return Kind("number", expected, parse, empty_is_unset=True)


def signed(low: int, high: int, unit: str = "") -> Kind:
    """Return the kind of whole numbers that may be negative."""
    unsigned = number(0, max(-low, high))

    def parse(text: str) -> int:
        value = unsigned.parse(text.removeprefix("-"))
        value = -int(str(value)) if text.startswith("-") else int(str(value))
        if not low <= value <= high:
            raise ValueError(text)
        return value

    expected = f"a whole number from {low} to {high}" + (f" ({unit})" if unit else "")
    return Kind("number", expected, parse, empty_is_unset=True)


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError(text)
    return text.lower()


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError(text)
    return text


def _database(text: str) -> str:
    check_url(text)
    return text


def _user_database(text: str) -> bool:
    if text not in ("1", "2"):
        raise ValueError(text)
    return True


def _check_relay(text: str) -> str:
    return "ip" if text.lower() == "ip" else "account"


def _sync_mode(text: str) -> str:
    if text not in ("auto", "each", "filesystem"):
        raise ValueError(text)
    return text


def _separator(text: str) -> str:
    if len(text) != 1 or text not in SEPARATORS:
        raise ValueError(text)
    return text


def _servers(text: str) -> tuple[str, ...]:
    return tuple(str(dns.parse_server(word)) for word in text.split())


OCTETS: Final = number(0, 2**53, "octets")
COUNT: Final = number(0, 1_000_000)
SECONDS: Final = number(0, 2**31, "seconds")
SWITCH: Final = Kind("switch", "anything: that it is there counts", lambda _: True)
ON_OFF: Final = Kind("switch", "0 for off, anything else for on", lambda text: text != "0")
TEXT: Final = Kind("text", "text", str)
WORDS: Final = Kind("words", "words with blanks between them", str)
LINES: Final = Kind("lines", "text", str, whole=True)
HOST: Final = Kind("host name", "a host name", _host)
HOSTS: Final = Kind("host names", "a host name in each line", str, whole=True)
ADDRESSES: Final = Kind("IP addresses", "an IP address in each line", _address, whole=True)
TEXTS: Final = Kind("texts", "text", lambda text: tuple(text.split("\n")), whole=True)
RULES: Final = Kind("list", "the name of a control file", str, whole=True)
SECRET: Final = Kind("secret", "text", str, secret=True)
SECRETS: Final = Kind("secret list", "text", str, whole=True, secret=True)
SERVERS: Final = Kind("servers", f"{dns.EXPECTED}, each", _servers, whole=True)
DATABASE: Final = Kind("secret", EXPECTED, _database, secret=True)
SEPARATOR: Final = Kind("character", "one of = + -", _separator)
SYNC_MODE: Final = Kind("word", "auto, each or filesystem", _sync_mode)
CHECK_RELAY: Final = Kind("word", "ip, or anything else", _check_relay)
CHECK: Final = Kind(
    "check", "1 (the user database; the recipients extension, 3, is not built yet)", _user_database
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One row: where a setting is given, what it may be, and what for.

    `control` is a control file's name, `variable` a variable's, `toml` a key of indimail.toml;
    `waits_for` names what has to be built before it has an effect (empty: it works).
    `names_file`: the variable is no value, but the name of a control file in place of `control`.
    """

    name: str
    kind: Kind
    default: str | None
    meaning: str
    reader: str
    scope: Scope
    control: str = ""
    variable: str = ""
    toml: str = ""
    unit: str = ""
    waits_for: str = ""
    names_file: bool = False

    @property
    def status(self) -> str:
        """``works``, or ``not yet: ...``."""
        return f"not yet: {self.waits_for}" if self.waits_for else "works"


@dataclass(frozen=True, slots=True)
class Entry:
    """A variable's text on one level; None takes it away.  `source` is told to operators."""

    text: str | None
    source: str
    rule: Rule
    file: str
    line: int | None


Level = Mapping[str, Entry]


class Controls(Protocol):
    """The control files by name."""

    def __getitem__(self, name: str) -> ControlFile:
        """Return a file, also one that is missing."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A value, where it came from, and the rule for a verdict that it decides."""

    value: Value
    source: str
    rule: Rule


def resolve(
    setting: Setting, levels: Sequence[Level], controls: Controls, me: str
) -> tuple[Resolved, list[Mistake]]:
    """Find a setting's value; a mistake on the way leaves the default."""
    entry = given(setting, levels)
    if entry is not None and entry.text is not None and not setting.names_file:
        return parsed(setting, entry, me)
    if setting.control:
        file = controls[control_of(setting, entry)]
        if file.exists and (file.lines or setting.kind.whole):
            return _from_control(setting, file, me)
    return default(setting, me), []


def control_of(setting: Setting, entry: Entry | None) -> str:
    """Return the control file that counts for a setting."""
    named = entry.text if entry is not None and setting.names_file else ""
    return named or setting.control


def given(setting: Setting, levels: Sequence[Level]) -> Entry | None:
    """Return the entry of the first level that has the variable."""
    if not setting.variable:
        return None
    for level in levels:
        entry = level.get(setting.variable)
        if entry is not None and not _is_unset(setting, entry):
            return entry
    return None


def _is_unset(setting: Setting, entry: Entry) -> bool:
    return entry.text == "" and entry.source == ENVIRONMENT and setting.kind.empty_is_unset


def parsed(setting: Setting, entry: Entry, me: str) -> tuple[Resolved, list[Mistake]]:
    """Make a variable's text a value."""
    assert entry.text is not None
    try:
        value = setting.kind.parse(entry.text)
    except ValueError:
        text = "***" if setting.kind.secret else entry.text
        found = f'{setting.variable}="{text}"'
        mistake = Mistake(entry.file, entry.line, found, setting.kind.expected)
        return default(setting, me), [mistake]
    if setting.kind.whole:
        value = (value,) if isinstance(value, str) else value
    return Resolved(value, entry.source, entry.rule), []


def _from_control(setting: Setting, file: ControlFile, me: str) -> tuple[Resolved, list[Mistake]]:
    lines = file.lines if setting.kind.whole else file.lines[:1]
    values, mistakes = [], []
    for line in lines:
        try:
            values.append(setting.kind.parse(line.text))
        except ValueError:
            expected = setting.kind.expected
            text = "***" if setting.kind.secret else line.text
            mistakes.append(Mistake(line.file, line.number, f"'{text}'", expected))
    if mistakes:
        return default(setting, me), mistakes
    if setting.kind.whole:
        return Resolved(tuple(map(str, values)), file.name, Rule(file.name)), []
    return Resolved(values[0], f"{file.name}:{lines[0].number}", lines[0].rule), []


def default(setting: Setting, me: str) -> Resolved:
    """Return a setting's default; None where it has none."""
    rule = Rule("built-in", key=setting.name)
    text = me if setting.default == ME else setting.default
    if text is None:
        absent: Value = False if setting.kind.name in ("switch", "check") else None
        return Resolved(() if setting.kind.whole else absent, DEFAULT, rule)
    value = setting.kind.parse(text) if text else text
    return Resolved((str(value),) if setting.kind.whole else value, DEFAULT, rule)


class Values(dict[str, Resolved]):
    """Settings by name, taken out by type; a wrong type is a bug in the table."""

    def number(self, name: str) -> int:
        """Return a number that has a default."""
        value = self[name].value
        if type(value) is not int:
            raise Misuse(f"{name} is {value!r}")
        return value

    def optional_number(self, name: str) -> int | None:
        """Return a number, None where it is not set."""
        return None if self[name].value is None else self.number(name)

    def text(self, name: str) -> str:
        """Return a text; the empty one where it is not set."""
        value = self[name].value
        if value is not None and not isinstance(value, str):
            raise Misuse(f"{name} is {value!r}")
        return value or ""

    def optional_text(self, name: str) -> str | None:
        """Return a text, None where it is not set: for what differs from set and empty."""
        return None if self[name].value is None else self.text(name)

    def switch(self, name: str) -> bool:
        """Tell whether a switch is set."""
        value = self[name].value
        if not isinstance(value, bool):
            raise Misuse(f"{name} is {value!r}")
        return value

    def lines(self, name: str) -> tuple[str, ...]:
        """Return the lines of a list."""
        value = self[name].value
        if not isinstance(value, tuple):
            raise Misuse(f"{name} is {value!r}")
        return value


def shown(setting: Setting, value: Value) -> str:
    """Return a value as an operator reads it."""
    match value:
        case None:
            return "not set"
        case bool():
            return "set" if value else "not set"
        case "":
            return '""'
        case _ if setting.kind.secret:
            return "***"
        case tuple() if len(value) > 3:
            return f"{len(value)} lines"
        case tuple():
            return ", ".join(value) if value else "none"
        case _:
            return str(value)
