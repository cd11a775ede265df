r"""tcp.smtp: which clients may connect, and the variables their connections get.

    rules, mistakes = parse_tcp_rules([Line("tcp/tcp.smtp", 1, '10.1.:allow,RELAYCLIENT=""')])
    rules.find("10.1.2.3")     -> ClientRule(True, {"RELAYCLIENT": ""}, ...) of tcp/tcp.smtp:1
    rules.find("192.0.2.1")    -> ClientRule(True, {}, ...) of tcp/tcp.smtp: no rule means allow

A line is ``address:allow`` or ``address:deny``, then any number of ``,VAR="value"`` (any character
may quote) and ``,!VAR`` (remove).  The address, in the order in which they are tried; the first
that exists decides alone, rules are not merged:

| address                                        | matches                                         |
|------------------------------------------------|-------------------------------------------------|
| ``info@192.0.2.1``, then ``info@=mx.example``  | the client that ident calls so                  |
| ``192.0.2.1``, ``2001:db8::1``                 | one client                                      |
| ``=mx.example.com``                            | the client of this name                         |
| ``192.0.2.``, ``192.0.``, ``192.``             | IPv4 by whole octets, longest first             |
| ``192.0.2.0/25``, ``127/8``, ``2001:db8::/32`` | a network, longest prefix first                 |
| ``=.example.com``, ``=.com``, then ``=``       | names below it; any client that has a name      |
| (nothing)                                      | everyone                                        |

An octet may be a range (``192.0.2.37-53``, ``10.2-3.``).  Of two lines for one address the first
counts.  A client ``::ffff:192.0.2.1`` is 192.0.2.1, and so is a rule written so.

Compiled, a record's key is the address, its data NUL-terminated items: ``D`` (deny),
``+VAR=value``, ``-VAR``.

Sources: spec/smtp.md 1.2 to 1.4, 0.12 (CIDR), 0.13 (mapped addresses).  Not here: the bytes of
a cdb file (`control.cdb`), who drops a denied client (`serve`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Final

from indimail.mail.address import parents
from indimail.mail.errors import Mistake
from indimail.mail.ip import MAPPED, plain_ip
from indimail.mail.line import Line
from indimail.mail.match import TYPOGRAPHIC, quoted
from indimail.mail.verdict import Rule

FILE: Final = "tcp/tcp.smtp"

# Addresses of IPv6 contain colons: the one that allow or deny follows ends the address.
_SEPARATOR: Final = re.compile(r":(allow|deny)")
_NAME: Final = re.compile(rf"[^\s=,!\"'\0{TYPOGRAPHIC}]+")
_BITS: Final = {4: 32, 6: 128}


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


@dataclass(frozen=True, slots=True)
class _Exact:
    """Found by its text: one client, a prefix of whole octets, a name, everyone."""

    text: str


@dataclass(frozen=True, slots=True)
class _Range:
    """All keys ``before + N + after`` with N from `low` to `high`; the octets are `count`."""

    before: str
    after: str
    low: int
    high: int
    position: int
    count: int

    @property
    def pattern(self) -> str:
        return f"{self.before}*{self.after}"

    def expand(self) -> Iterator[str]:
        return (f"{self.before}{octet}{self.after}" for octet in range(self.low, self.high + 1))


@dataclass(frozen=True, slots=True)
class _Network:
    """The addresses whose first `length` bits are those of `value`."""

    version: int
    value: int
    length: int

    @property
    def text(self) -> str:
        address = IPv4Address(self.value) if self.version == 4 else IPv6Address(self.value)
        return str(ip_network((address, self.length)))


_Key = _Exact | _Range | _Network


@dataclass(frozen=True, slots=True)
class _Wrong:
    """Why a line is no rule."""

    found: str
    expected: str


class TcpRules:
    """The rules of one file; `find` costs a dict look-up for each kind of address that occurs."""

    __slots__ = ("_exact", "_listed", "_networks", "_nothing", "_prefixes", "_ranges", "_shapes")

    def __init__(self, listed: Sequence[tuple[_Key, ClientRule]] = (), file: str = FILE) -> None:
        """`listed` is in the order of the file."""
        self._listed = tuple(listed)
        self._nothing = ClientRule(True, {}, frozenset(), Rule(file), "")
        self._exact: dict[str, ClientRule] = {}
        # A range is kept once, whatever it covers: its pattern and a table of the 256 octets.
        self._ranges: dict[str, list[tuple[int, ClientRule] | None]] = {}
        self._shapes: set[tuple[int, int]] = set()  # (octets, position) of the ranges there are
        networks: dict[int, dict[int, dict[int, ClientRule]]] = {4: {}, 6: {}}
        for place, (key, rule) in enumerate(self._listed):
            match key:
                case _Exact(text):
                    if not self._is_in_range(text):
                        self._exact.setdefault(text, rule)
                case _Range():
                    self._add_range(key, place, rule)
                case _Network(version, value, length):
                    networks[version].setdefault(length, {}).setdefault(value, rule)
        self._networks = {
            version: tuple((_BITS[version] - n, of[n]) for n in sorted(of, reverse=True))
            for version, of in networks.items()
        }
        self._prefixes = bool(self._shapes) or any(text.endswith(".") for text in self._exact)

    @property
    def listed(self) -> tuple[tuple[_Key, ClientRule], ...]:
        """Every rule with its address, in the order of the file."""
        return self._listed

    def find(self, ip: str, host: str | None = None, info: str | None = None) -> ClientRule:
        """Return the one rule for a client; `host` and `info` are None where they are unknown."""
        ip = plain_ip(ip)
        octets = ip.split(".")
        if len(octets) != 4:
            octets = []  # IPv6, or no address at all (a local socket)
        exact = self._exact
        name = host.lower() if host else ""
        return (
            (self._by_info(f"{info}@", ip, octets, name) if info else None)
            or exact.get(ip)
            or (self._by_range("", octets) if self._shapes else None)
            or (exact.get(f"={name}") if name else None)
            or (self._by_prefix(octets) if self._prefixes and octets else None)
            or self._by_network(ip, octets)
            or (self._by_name(name) if name else None)
            or exact.get("")
            or self._nothing
        )

    def _by_info(self, head: str, ip: str, octets: list[str], name: str) -> ClientRule | None:
        return (
            self._exact.get(head + ip)
            or (self._by_range(head, octets) if self._shapes else None)
            or (self._exact.get(f"{head}={name}") if name else None)
        )

    def _by_prefix(self, octets: list[str]) -> ClientRule | None:
        for count in (3, 2, 1):
            some = octets[:count]
            found = self._exact.get(".".join(some) + ".")
            if found is None and self._shapes:
                found = self._by_range("", some)
            if found is not None:
                return found
        return None

    def _by_range(self, head: str, octets: list[str]) -> ClientRule | None:
        """Return the first listed of the ranges that cover these octets (a prefix has fewer)."""
        first: tuple[int, ClientRule] | None = None
        for count, position in self._shapes:
            if count == len(octets):
                pattern = _pattern(head, octets, position)
                table = self._ranges.get(pattern)
                placed = table[int(octets[position])] if table else None
                if placed and (first is None or placed[0] < first[0]):
                    first = placed
        return first[1] if first else None

    def _by_network(self, ip: str, octets: list[str]) -> ClientRule | None:
        networks = self._networks[4 if octets else 6]
        if not networks:
            return None
        value = _value4(octets) if octets else _value6(ip)
        for shift, rules in networks:
            found = rules.get(value >> shift << shift)
            if found is not None:
                return found
        return None

    def _by_name(self, name: str) -> ClientRule | None:
        for suffix in parents(name):
            found = self._exact.get(f"={suffix}")
            if found is not None:
                return found
        return self._exact.get("=")

    def _add_range(self, key: _Range, place: int, rule: ClientRule) -> None:
        table = self._ranges.setdefault(key.pattern, [None] * 256)
        self._shapes.add((key.count, key.position))
        for octet in range(key.low, key.high + 1):
            if table[octet] is None:
                table[octet] = (place, rule)

    def _is_in_range(self, text: str) -> bool:
        """Whether an earlier range covers this text: then the range counts."""
        if not self._shapes:
            return False
        info, at, address = text.rpartition("@")
        octets = address.removesuffix(".").split(".")
        return all(map(_is_octet, octets)) and self._by_range(info + at, octets) is not None


def parse_tcp_rules(lines: Sequence[Line]) -> tuple[TcpRules, list[Mistake]]:
    """Read the lines of a rule file; a line that is a mistake is left out of the rules."""
    listed, mistakes = [], []
    for line in lines:
        parsed = _parse_rule(line)
        if isinstance(parsed, _Wrong):
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
        for text in key.expand() if isinstance(key, _Range) else (key.text,):
            records.setdefault(text, data)
    return [(_encode(text), data) for text, data in records.items()]


def rules_from_records(
    records: Iterable[tuple[bytes, bytes]], file: str = f"{FILE}.cdb"
) -> tuple[TcpRules, list[Mistake]]:
    """Read the records of a cdb back; each rule is named by its key."""
    listed, mistakes = [], []
    for raw_key, raw_data in records:
        text = _decode(raw_key)
        key = _parse_key(text)
        rule = _parse_data(_decode(raw_data), Rule(file, key=text), text)
        if isinstance(key, _Wrong):
            mistakes.append(Mistake(file, None, key.found, key.expected))
        elif isinstance(rule, _Wrong):
            mistakes.append(Mistake(f"{file}[{text}]", None, rule.found, rule.expected))
        else:
            listed.append((key, rule))
    return TcpRules(listed, file), mistakes


def address_of(rule: ClientRule) -> str:
    """Return the address of a rule as it is written; empty: it is for everyone."""
    return _SEPARATOR.split(rule.text, maxsplit=1)[0]


@lru_cache(maxsize=4096)
def _value6(ip: str) -> int:
    try:
        return int(IPv6Address(ip))
    except ValueError:
        return -1  # in no network: a shifted -1 stays below 0


def _value4(octets: list[str]) -> int:
    a, b, c, d = octets
    return int(a) << 24 | int(b) << 16 | int(c) << 8 | int(d)


# -- a line ----------------------------------------------------------------------------------------


def _parse_rule(line: Line) -> tuple[_Key, ClientRule] | _Wrong:
    separator = _SEPARATOR.search(line.text)
    if separator is None:
        return _Wrong(quoted(line.text), "address:allow or address:deny")
    key = _parse_key(line.text[: separator.start()])
    if isinstance(key, _Wrong):
        return key
    changes = _parse_changes(line.text[separator.end() :])
    if isinstance(changes, _Wrong):
        return changes
    variables, removed = changes
    allowed = separator[1] == "allow"
    return key, ClientRule(allowed, variables, removed, line.rule, line.text)


def _parse_changes(rest: str) -> tuple[dict[str, str], frozenset[str]] | _Wrong:
    """Read ``,VAR="value"`` and ``,!VAR``; of two for one variable the later counts."""
    variables: dict[str, str] = {}
    removed: set[str] = set()
    while rest:
        if rest[0] != ",":
            return _Wrong(quoted(rest), "a comma, or the end of the line")
        if rest.startswith(",!"):
            name, comma, rest = rest[2:].partition(",")
            rest = comma + rest
            value = None
        else:
            name, equals, quoted_value = rest[1:].partition("=")
            if not equals:
                return _Wrong(quoted(rest), 'VAR="value" or !VAR after the comma')
            parsed = _parse_value(quoted_value)
            if isinstance(parsed, _Wrong):
                return parsed
            value, rest = parsed
        if not _NAME.fullmatch(name):
            return _Wrong(quoted(name), "the name of a variable")
        variables.pop(name, None)
        removed.discard(name)
        if value is None:
            removed.add(name)
        else:
            variables[name] = value
    return variables, frozenset(removed)


def _parse_value(text: str) -> tuple[str, str] | _Wrong:
    """Read ``"value"`` and return the value and what follows; the first character is the quote."""
    quote = text[:1]
    if quote and quote in TYPOGRAPHIC:
        return _Wrong(f"the typographic quote {quote}", 'a plain quote, as in RELAYCLIENT=""')
    value, closing, rest = text[1:].partition(quote or '"')
    if not closing:
        return _Wrong(quoted(text), 'a value in quotes, as in RELAYCLIENT=""')
    if "\0" in value:
        return _Wrong("a NUL in a value", "text")
    return value, rest


def _parse_data(data: str, rule: Rule, text: str) -> ClientRule | _Wrong:
    allowed = True
    variables: dict[str, str] = {}
    removed: set[str] = set()
    if data and not data.endswith("\0"):
        return _Wrong(quoted(data), "items that end in NUL")
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
            return _Wrong(quoted(item), "D, +VAR=value or -VAR")
    return ClientRule(allowed, variables, frozenset(removed), rule, text)


# -- an address ------------------------------------------------------------------------------------

_ADDRESS: Final = "an address, a prefix that ends in a dot, address/bits, =name or nothing"


def _parse_key(address: str) -> _Key | _Wrong:
    if address != "".join(address.split()):
        return _Wrong(quoted(address), "no blanks in or around the address")
    info, at, rest = address.rpartition("@")
    if at and not info:
        return _Wrong(quoted(address), "what ident says before the @")
    if rest.startswith("="):
        name = rest[1:].lower()
        if at and (not name or name[0] == "."):
            return _Wrong(quoted(address), "a whole name after info@=")
        return _Exact(f"{info}{at}={name}")
    if not rest:
        return _Wrong(quoted(address), "info@address or info@=name") if at else _Exact("")
    mapped = rest.lower().startswith(MAPPED) and "." in rest
    if mapped:
        rest = rest[len(MAPPED) :]
    if "/" in rest:
        return _Wrong(quoted(address), "one address after info@") if at else _network(rest, mapped)
    if ":" in rest:
        if not _is_ip(rest):
            return _Wrong(quoted(address), _ADDRESS)
        return _Exact(info + at + plain_ip(rest))
    return _octets(info + at, rest)


def _octets(head: str, address: str) -> _Key | _Wrong:
    """Read a full IPv4 address or a prefix that ends in a dot, either with a range in it."""
    parts = address.removesuffix(".").split(".")
    prefix = address.endswith(".")
    if prefix and head:
        return _Wrong(quoted(head + address), "one address after info@")
    if len(parts) not in ((1, 2, 3) if prefix else (4,)):
        hint = f", as in {address}." if not prefix and len(parts) < 4 and parts[0].isdigit() else ""
        return _Wrong(quoted(address), _ADDRESS + hint)
    ranges = [position for position, part in enumerate(parts) if "-" in part]
    if len(ranges) > 1:
        return _Wrong(quoted(address), "a range in one octet only")
    end = "." if prefix else ""
    if not ranges:
        if not all(map(_is_octet, parts)):
            return _Wrong(quoted(address), "octets from 0 to 255")
        return _Exact(f"{head}{address}")
    return _range(head, parts, ranges[0], end)


def _range(head: str, parts: list[str], position: int, end: str) -> _Range | _Wrong:
    low, _, high = parts[position].partition("-")
    others = parts[:position] + parts[position + 1 :]
    if not (all(map(_is_octet, [*others, low])) and high.isascii() and high.isdecimal()):
        return _Wrong(quoted(".".join(parts) + end), "octets from 0 to 255")
    first, last = int(low), min(int(high[:9]), 255)
    if first > last:
        return _Wrong(quoted(parts[position]), "a range from a smaller to a larger number")
    before = head + "".join(f"{part}." for part in parts[:position])
    after = "".join(f".{part}" for part in parts[position + 1 :]) + end
    return _Range(before, after, first, last, position, len(parts))


def _pattern(head: str, octets: list[str], position: int) -> str:
    """Return the pattern that a range at this position of these octets has."""
    starred = ".".join([*octets[:position], "*", *octets[position + 1 :]])
    return f"{head}{starred}." if len(octets) < 4 else head + starred


def _network(text: str, mapped: bool) -> _Network | _Wrong:
    """Read ``address/bits``; of IPv4 the octets at the end may be left out."""
    address, _, bits = text.partition("/")
    version = 6 if ":" in address else 4
    if version == 4:
        address = address.removesuffix(".")
        address += ".0" * (3 - address.count("."))
    length = int(bits) if bits.isascii() and bits.isdecimal() and len(bits) <= 3 else -1
    length -= 96 if mapped else 0
    if not 0 <= length <= _BITS[version] or not _is_ip(address):
        return _Wrong(quoted(text), "address/bits, as in 192.0.2.0/24 or 2001:db8::/32")
    value = int(IPv4Address(address)) if version == 4 else int(IPv6Address(address))
    host_bits = _BITS[version] - length
    return _Network(version, value >> host_bits << host_bits, length)


def _is_octet(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 3 and str(int(text)) == text \
        and int(text) <= 255  # fmt: skip


def _is_ip(text: str) -> bool:
    try:
        IPv6Address(text) if ":" in text else IPv4Address(text)
    except ValueError:
        return False
    return "%" not in text


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _decode(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
