"""Clients as rule files name them: an address, many addresses, a host name, everyone.

    key = parse_client("192.0.2.")                    # or Wrong("...", expected="...")
    table = ClientTable([(key, "what they get")])
    table.find("192.0.2.7", host=None, info=None)     -> "what they get", or None

In the order in which they are tried; the first that exists decides alone:

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

Sources: spec/smtp.md 1.2, 1.3, 0.12 (CIDR), 0.13 (mapped addresses).  Not here: what the files say of
them (`policy.tcprules`, `policy.relaylists`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Final, Generic, TypeVar

from indimail.mail.address import parents
from indimail.mail.ip import MAPPED, plain_ip
from indimail.mail.match import quoted

_BITS: Final = {4: 32, 6: 128}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Exact:
    """Found by its text: one client, a prefix of whole octets, a name, everyone."""

    text: str


@dataclass(frozen=True, slots=True)
class Range:
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
class Network:
    """The addresses whose first `length` bits are those of `value`."""

    version: int
    value: int
    length: int

    @property
    def text(self) -> str:
        address = IPv4Address(self.value) if self.version == 4 else IPv6Address(self.value)
        return str(ip_network((address, self.length)))


Key = Exact | Range | Network


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why a text is no rule."""

    found: str
    expected: str


class ClientTable(Generic[T]):
    """What clients get; `find` costs a dict look-up for each kind of address that occurs."""

    __slots__ = (
        "_exact", "_listed", "_networks", "_prefixes", "_ranges", "_shapes", "has_names",
    )  # fmt: skip

    def __init__(self, listed: Sequence[tuple[Key, T]] = ()) -> None:
        """`listed` is in the order of the file."""
        self._listed = tuple(listed)
        self._exact: dict[str, T] = {}
        # A range is kept once, whatever it covers: its pattern and a table of the 256 octets.
        self._ranges: dict[str, list[tuple[int, T] | None]] = {}
        self._shapes: set[tuple[int, int]] = set()  # (octets, position) of the ranges there are
        networks: dict[int, dict[int, dict[int, T]]] = {4: {}, 6: {}}
        for place, (key, rule) in enumerate(self._listed):
            match key:
                case Exact(text):
                    if not self._is_in_range(text):
                        self._exact.setdefault(text, rule)
                case Range():
                    self._add_range(key, place, rule)
                case Network(version, value, length):
                    networks[version].setdefault(length, {}).setdefault(value, rule)
        self._networks = {
            version: tuple((_BITS[version] - n, of[n]) for n in sorted(of, reverse=True))
            for version, of in networks.items()
        }
        self._prefixes = bool(self._shapes) or any(text.endswith(".") for text in self._exact)
        self.has_names = any("=" in text for text in self._exact)

    @property
    def listed(self) -> tuple[tuple[Key, T], ...]:
        """Everything with its address, in the order of the file."""
        return self._listed

    def find(self, ip: str, host: str | None = None, info: str | None = None) -> T | None:
        """Return what a client gets; `host` and `info` are None where they are unknown."""
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
        )

    def _by_info(self, head: str, ip: str, octets: list[str], name: str) -> T | None:
        return (
            self._exact.get(head + ip)
            or (self._by_range(head, octets) if self._shapes else None)
            or (self._exact.get(f"{head}={name}") if name else None)
        )

    def _by_prefix(self, octets: list[str]) -> T | None:
        for count in (3, 2, 1):
            some = octets[:count]
            found = self._exact.get(".".join(some) + ".")
            if found is None and self._shapes:
                found = self._by_range("", some)
            if found is not None:
                return found
        return None

    def _by_range(self, head: str, octets: list[str]) -> T | None:
        """Return the first listed of the ranges that cover these octets (a prefix has fewer)."""
        first: tuple[int, T] | None = None
        for count, position in self._shapes:
            if count == len(octets):
                pattern = _pattern(head, octets, position)
                table = self._ranges.get(pattern)
                placed = table[int(octets[position])] if table else None
                if placed and (first is None or placed[0] < first[0]):
                    first = placed
        return first[1] if first else None

    def _by_network(self, ip: str, octets: list[str]) -> T | None:
        networks = self._networks[4 if octets else 6]
        if not networks:
            return None
        value = _value4(octets) if octets else _value6(ip)
        for shift, rules in networks:
            found = rules.get(value >> shift << shift)
            if found is not None:
                return found
        return None

    def _by_name(self, name: str) -> T | None:
        for suffix in parents(name):
            found = self._exact.get(f"={suffix}")
            if found is not None:
                return found
        return self._exact.get("=")

    def _add_range(self, key: Range, place: int, rule: T) -> None:
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


def spans(key: Key) -> Iterator[tuple[int, int, int]]:
    """Yield the addresses of a key as (4 or 6, first, last); none where it is for names."""
    match key:
        case Network(version, value, length):
            yield version, value, value + (1 << (_BITS[version] - length)) - 1
        case Range():
            for text in key.expand():
                yield from spans(Exact(text))
        case Exact(""):
            for version, bits in _BITS.items():
                yield version, 0, (1 << bits) - 1
        case Exact(text) if ":" in text and "@" not in text and "=" not in text:
            yield 6, int(IPv6Address(text)), int(IPv6Address(text))
        case Exact(text) if text[0].isdigit() and "@" not in text:
            octets = [int(part) for part in text.removesuffix(".").split(".")]
            first = int.from_bytes(octets, "big") << 8 * (4 - len(octets))
            yield 4, first, first + (1 << 8 * (4 - len(octets))) - 1


# -- an address ------------------------------------------------------------------------------------

_ADDRESS: Final = "an address, a prefix that ends in a dot, address/bits, =name or nothing"


def parse_client(address: str) -> Key | Wrong:
    """Read an address as the table above has it."""
    if address != "".join(address.split()):
        return Wrong(quoted(address), "no blanks in or around the address")
    info, at, rest = address.rpartition("@")
    if at and not info:
        return Wrong(quoted(address), "what ident says before the @")
    if rest.startswith("="):
        name = rest[1:].lower()
        if at and (not name or name[0] == "."):
            return Wrong(quoted(address), "a whole name after info@=")
        return Exact(f"{info}{at}={name}")
    if not rest:
        return Wrong(quoted(address), "info@address or info@=name") if at else Exact("")
    mapped = rest.lower().startswith(MAPPED) and "." in rest
    if mapped:
        rest = rest[len(MAPPED) :]
    if "/" in rest:
        return Wrong(quoted(address), "one address after info@") if at else _network(rest, mapped)
    if ":" in rest:
        if not _is_ip(rest):
            return Wrong(quoted(address), _ADDRESS)
        return Exact(info + at + plain_ip(rest))
    return _octets(info + at, rest)


def _octets(head: str, address: str) -> Key | Wrong:
    """Read a full IPv4 address or a prefix that ends in a dot, either with a range in it."""
    parts = address.removesuffix(".").split(".")
    prefix = address.endswith(".")
    if prefix and head:
        return Wrong(quoted(head + address), "one address after info@")
    if len(parts) not in ((1, 2, 3) if prefix else (4,)):
        hint = (
            f", as in {address}."
            if not prefix and len(parts) < 4 and all(map(_is_octet, parts))
            else ""
        )
        return Wrong(quoted(address), _ADDRESS + hint)
    ranges = [position for position, part in enumerate(parts) if "-" in part]
    if len(ranges) > 1:
        return Wrong(quoted(address), "a range in one octet only")
    end = "." if prefix else ""
    if not ranges:
        if not all(map(_is_octet, parts)):
            return Wrong(quoted(address), "octets from 0 to 255")
        return Exact(f"{head}{address}")
    return _range(head, parts, ranges[0], end)


def _range(head: str, parts: list[str], position: int, end: str) -> Range | Wrong:
    low, _, high = parts[position].partition("-")
    others = parts[:position] + parts[position + 1 :]
    if not (all(map(_is_octet, [*others, low])) and high.isascii() and high.isdecimal()):
        return Wrong(quoted(".".join(parts) + end), "octets from 0 to 255")
    first, last = int(low), min(int(high[:9]), 255)
    if first > last:
        return Wrong(quoted(parts[position]), "a range from a smaller to a larger number")
    before = head + "".join(f"{part}." for part in parts[:position])
    after = "".join(f".{part}" for part in parts[position + 1 :]) + end
    return Range(before, after, first, last, position, len(parts))


def _pattern(head: str, octets: list[str], position: int) -> str:
    """Return the pattern that a range at this position of these octets has."""
    starred = ".".join([*octets[:position], "*", *octets[position + 1 :]])
    return f"{head}{starred}." if len(octets) < 4 else head + starred


def _network(text: str, mapped: bool) -> Network | Wrong:
    """Read ``address/bits``; of IPv4 the octets at the end may be left out."""
    address, _, bits = text.partition("/")
    version = 6 if ":" in address else 4
    if version == 4:
        address = address.removesuffix(".")
        address += ".0" * (3 - address.count("."))
    length = int(bits) if bits.isascii() and bits.isdecimal() and len(bits) <= 3 else -1
    length -= 96 if mapped else 0
    if not 0 <= length <= _BITS[version] or not _is_ip(address):
        return Wrong(quoted(text), "address/bits, as in 192.0.2.0/24 or 2001:db8::/32")
    value = int(IPv4Address(address)) if version == 4 else int(IPv6Address(address))
    host_bits = _BITS[version] - length
    return Network(version, value >> host_bits << host_bits, length)


def _is_octet(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 3 and str(int(text)) == text \
        and int(text) <= 255  # fmt: skip


def _is_ip(text: str) -> bool:
    try:
        IPv6Address(text) if ":" in text else IPv4Address(text)
    except ValueError:
        return False
    return "%" not in text


@lru_cache(maxsize=4096)
def _value6(ip: str) -> int:
    try:
        return int(IPv6Address(ip))
    except ValueError:
        return -1  # in no network: a shifted -1 stays below 0


def _value4(octets: list[str]) -> int:
    a, b, c, d = octets
    return int(a) << 24 | int(b) << 16 | int(c) << 8 | int(d)
