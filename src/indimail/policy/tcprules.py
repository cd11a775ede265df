r"""tcp.smtp: which clients may connect, and the variables their connections get.

    rules, mistakes = parse_tcp_rules([Line("tcp/tcp.smtp", 1, '10.1.:allow,RELAYCLIENT=""')])
    rules.find("10.1.2.3")     -> ClientRule(True, {"RELAYCLIENT": ""}, ...) of tcp/tcp.smtp:1
    rules.find("192.0.2.1")    -> ClientRule(True, {}, ...) of tcp/tcp.smtp: no rule means allow

A line is ``address:allow`` or ``address:deny``, then any number of ``,VAR="value"`` (any character
may quote) and ``,!VAR`` (remove).  The addresses, and the order in which they are tried, are those of
`policy.clients`; the first that exists decides alone, rules are not merged.

Compiled, a record's key is the address, its data NUL-terminated items: ``D`` (deny),
``+VAR=value``, ``-VAR``.

Sources: spec/smtp.md 1.2 to 1.4.  Not here: the bytes of a cdb file (`control.cdb`), who drops a
denied client (`serve`).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from indimail.mail.errors import Mistake
from indimail.mail.line import Line
from indimail.mail.match import TYPOGRAPHIC, quoted
from indimail.mail.verdict import Rule
from indimail.policy.clients import ClientTable, Key, Range, Wrong, parse_client

FILE: Final = "tcp/tcp.smtp"

# Addresses of IPv6 contain colons: the one that allow or deny follows ends the address.
_SEPARATOR: Final = re.compile(r":(allow|deny)")
_NAME: Final = re.compile(rf"[^\s=,!\"'\0{TYPOGRAPHIC}]+")


@dataclass(frozen=True, slots=True)
class ClientRule:
    """What a line grants: the environment's changes for a client, or its end.

    `variables` are set (an empty value is a value), `removed` are taken away; `text` is the line.
    """

    allowed: bool
    variables: Mapping[str, str]
    removed: frozenset[str]
    rule: Rule
    text: str


class TcpRules:
    """The rules of one file."""

    __slots__ = ("_nothing", "_table")

    def __init__(self, listed: Sequence[tuple[Key, ClientRule]] = (), file: str = FILE) -> None:
        """`listed` is in the order of the file."""
        self._table = ClientTable(listed)
        self._nothing = ClientRule(True, {}, frozenset(), Rule(file), "")

    @property
    def listed(self) -> tuple[tuple[Key, ClientRule], ...]:
        """Every rule with its address, in the order of the file."""
        return self._table.listed

    @property
    def has_names(self) -> bool:
        """Tell whether a rule asks for a client's host name."""
        return self._table.has_names

    def find(self, ip: str, host: str | None = None, info: str | None = None) -> ClientRule:
        """Return the one rule for a client; `host` and `info` are None where they are unknown."""
        return self._table.find(ip, host, info) or self._nothing


def parse_tcp_rules(lines: Sequence[Line]) -> tuple[TcpRules, list[Mistake]]:
    """Read the lines of a rule file; a line that is a mistake is left out of the rules."""
    listed, mistakes = [], []
    for line in lines:
        parsed = _parse_rule(line)
        if isinstance(parsed, Wrong):
            mistakes.append(Mistake(line.file, line.number, parsed.found, parsed.expected))
        else:
            listed.append(parsed)
    return TcpRules(listed, lines[0].file if lines else FILE), mistakes


def compile_rules(rules: TcpRules) -> list[tuple[bytes, bytes]]:
    """Return the records of a cdb, in the order of the file; each address once, ranges expanded."""
    records: dict[str, bytes] = {}
    for key, rule in rules.listed:
        items = [] if rule.allowed else ["D"]
        items += [f"+{name}={value}" for name, value in rule.variables.items()]
        items += [f"-{name}" for name in sorted(rule.removed)]
        data = _encode("".join(f"{item}\0" for item in items))
        for text in key.expand() if isinstance(key, Range) else (key.text,):
            records.setdefault(text, data)
    return [(_encode(text), data) for text, data in records.items()]


def rules_from_records(
    records: Iterable[tuple[bytes, bytes]], file: str = f"{FILE}.cdb"
) -> tuple[TcpRules, list[Mistake]]:
    """Read the records of a cdb back; each rule is named by its key."""
    listed, mistakes = [], []
    for raw_key, raw_data in records:
        text = _decode(raw_key)
        key = parse_client(text)
        rule = _parse_data(_decode(raw_data), Rule(file, key=text), text)
        if isinstance(key, Wrong):
            mistakes.append(Mistake(file, None, key.found, key.expected))
        elif isinstance(rule, Wrong):
            mistakes.append(Mistake(f"{file}[{text}]", None, rule.found, rule.expected))
        else:
            listed.append((key, rule))
    return TcpRules(listed, file), mistakes


def address_of(rule: ClientRule) -> str:
    """Return the address of a rule as it is written; empty: it is for everyone."""
    return _SEPARATOR.split(rule.text, maxsplit=1)[0]


# -- a line ----------------------------------------------------------------------------------------


def _parse_rule(line: Line) -> tuple[Key, ClientRule] | Wrong:
    separator = _SEPARATOR.search(line.text)
    if separator is None:
        return Wrong(quoted(line.text), "address:allow or address:deny")
    key = parse_client(line.text[: separator.start()])
    if isinstance(key, Wrong):
        return key
    changes = _parse_changes(line.text[separator.end() :])
    if isinstance(changes, Wrong):
        return changes
    variables, removed = changes
    allowed = separator[1] == "allow"
    return key, ClientRule(allowed, variables, removed, line.rule, line.text)


def _parse_changes(rest: str) -> tuple[dict[str, str], frozenset[str]] | Wrong:
    """Read ``,VAR="value"`` and ``,!VAR``; of two for one variable the later counts."""
    variables: dict[str, str] = {}
    removed: set[str] = set()
    while rest:
        if rest[0] != ",":
            return Wrong(quoted(rest), "a comma, or the end of the line")
        if rest.startswith(",!"):
            name, comma, rest = rest[2:].partition(",")
            rest = comma + rest
            value = None
        else:
            name, equals, quoted_value = rest[1:].partition("=")
            if not equals:
                return Wrong(quoted(rest), 'VAR="value" or !VAR after the comma')
            parsed = _parse_value(quoted_value)
            if isinstance(parsed, Wrong):
                return parsed
            value, rest = parsed
        if not _NAME.fullmatch(name):
            return Wrong(quoted(name), "the name of a variable")
        variables.pop(name, None)
        removed.discard(name)
        if value is None:
            removed.add(name)
        else:
            variables[name] = value
    return variables, frozenset(removed)


def _parse_value(text: str) -> tuple[str, str] | Wrong:
    """Read ``"value"`` and return the value and what follows; the first character is the quote."""
    quote = text[:1]
    if quote and quote in TYPOGRAPHIC:
        return Wrong(f"the typographic quote {quote}", 'a plain quote, as in RELAYCLIENT=""')
    value, closing, rest = text[1:].partition(quote or '"')
    if not closing:
        return Wrong(quoted(text), 'a value in quotes, as in RELAYCLIENT=""')
    if "\0" in value:
        return Wrong("a NUL in a value", "text")
    return value, rest


def _parse_data(data: str, rule: Rule, text: str) -> ClientRule | Wrong:
    allowed = True
    variables: dict[str, str] = {}
    removed: set[str] = set()
    if data and not data.endswith("\0"):
        return Wrong(quoted(data), "items that end in NUL")
    for item in data.split("\0")[:-1]:
        name, equals, value = item[1:].partition("=")
        if item == "D":
            allowed = False
        elif item[:1] == "+" and name and equals:
            variables[name] = value
            removed.discard(name)
        elif item[:1] == "-" and name:
            removed.add(name)
            variables.pop(name, None)
        else:
            return Wrong(quoted(item), "D, +VAR=value or -VAR")
    return ClientRule(allowed, variables, frozenset(removed), rule, text)


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _decode(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
