"""Our own end of a connection to a remote host: the address it comes from, and the name in EHLO.

    outgoing.source(sender, "example.com", "192.0.2.1", draw=random())
        -> Source("198.51.100.7", "mail.example.org", Rule("control/domainbindings", 2), ...)

| what decides the address                             | read in        |
|------------------------------------------------------|----------------|
| the remote address: ``10.:10.0.0.1`` (a prefix)      | bindroutes     |
| the sender: ``ana@d:IP``, ``d:IP``, ``.d:IP``, ``:IP``; not of the null one | domainbindings |
| OUTGOINGIP                                           | the variable   |
| the recipient's domain; of several lines, chance     | outgoingip.DOMAIN |
| the same for all                                     | outgoingip     |

The first of these that has a line decides; an empty address, ``0.0.0.0`` or ``::`` leaves it to the
system.  An address of the other family than the remote one is not used.

The name is what helohostbyip has for the address; else the sender's domain, where domainbindings
decided; else helohost.  An IPv6 address in bindroutes and helohostbyip stands in brackets, a prefix
of one ends with a colon: ``[2001:db8:]:[2001:db8::1]``.

Sources: spec/queue.md 3.3.  Not here: whether the address is one of this machine (the connection
fails, and says so).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec import Struct

from indimail.mail.address import Address, domain_key, parents
from indimail.mail.errors import Mistake
from indimail.mail.ip import ip_of, is_ipv6, literal
from indimail.mail.line import Line
from indimail.mail.match import key_of, quoted
from indimail.mail.verdict import NO_RULE, Rule

UNBOUND: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  what leaves it to the system
_HOST: Final = re.compile(r"(?!-)[a-z0-9_.-]{1,253}(?<![-.])")
_PREFIX4: Final = re.compile(r"(?:[0-9]{1,3}\.){1,3}")
_PREFIX6: Final = re.compile(r"(?:[0-9a-f]{1,4}:){1,7}", re.IGNORECASE)

Bound = tuple[str, Rule]  # an address, empty for the system's choice


class Source(Struct, frozen=True):
    """An empty `address` is the system's choice; the rules say who decided."""

    address: str
    helo: str
    rule: Rule = NO_RULE
    helo_rule: Rule = NO_RULE


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What the files say; keys are in lower case."""

    helohost: Bound
    variable: tuple[Bound, ...] = ()
    addresses: tuple[Bound, ...] = ()
    by_domain: Mapping[str, tuple[Bound, ...]] = field(default_factory=dict)
    domainbindings: Mapping[str, Bound] = field(default_factory=dict)
    bindroutes: Mapping[str, Bound] = field(default_factory=dict)
    helohostbyip: Mapping[str, Bound] = field(default_factory=dict)

    def source(self, sender: Address, domain: str, remote: str, draw: float) -> Source:
        """Decide for one connection; `draw` is a number of chance from 0 to below 1."""
        helo, helo_rule = self.helohost
        bound = self.binding(sender)
        if bound is None:
            bound = self._of_domain(domain, remote, draw)
        elif bound[0]:
            helo, helo_rule = domain_key(sender.domain), bound[1]
        bound = self._of_remote(remote) or bound
        address, rule = bound or ("", NO_RULE)
        if address and is_ipv6(address) != is_ipv6(remote):
            address = ""
        helo, helo_rule = self.helohostbyip.get(address, (helo, helo_rule))
        return Source(address, helo, rule, helo_rule)

    def binding(self, sender: Address) -> Bound | None:
        """Return what domainbindings has for a sender."""
        if not (sender and self.domainbindings):
            return None
        domain = domain_key(sender.domain)
        keys = (f"{sender.local.lower()}@{domain}", domain, *parents(domain), "")
        return _first(self.domainbindings, keys)

    def company(self, sender: Address, domain: str) -> object:
        """Return what is the same for all mail that may come over one connection to a relay."""
        bound = self.binding(sender)
        if bound is None:
            return self.by_domain.get(domain)
        return bound, domain_key(sender.domain) if bound[0] else ""

    def _of_remote(self, remote: str) -> Bound | None:
        return _first(self.bindroutes, _prefixes(remote)) if self.bindroutes else None

    def _of_domain(self, domain: str, remote: str, draw: float) -> Bound | None:
        """Pick one of the remote address's family; the system's choice where there is none."""
        listed = self.variable or self.by_domain.get(domain) or self.addresses
        fit = [one for one in listed if not one[0] or is_ipv6(one[0]) == is_ipv6(remote)]
        return fit[int(draw * len(fit))] if fit else None


def _first(table: Mapping[str, Bound], keys: Sequence[str]) -> Bound | None:
    return next((table[key] for key in keys if key in table), None)


def _prefixes(remote: str) -> list[str]:
    """Return what a remote address is looked up by: itself, its prefixes, the empty key."""
    if not is_ipv6(remote):
        parts = remote.split(".")
        return [remote, *(".".join(parts[:end]) + "." for end in (3, 2, 1)), ""]
    groups = _groups(remote)
    return [remote, *(":".join(groups[:end]) + ":" for end in range(7, 0, -1)), ""]


def _groups(ip: str) -> list[str]:
    """Return the eight groups of an IPv6 address without leading zeros."""
    before, _, after = ip.partition("::")
    head, tail = ([group for group in part.split(":") if group] for part in (before, after))
    return [*head, *["0"] * (8 - len(head) - len(tail)), *tail]


# -- the files -------------------------------------------------------------------------------------


def parse_addresses(lines: Sequence[Line]) -> tuple[tuple[Bound, ...], list[Mistake]]:
    """Read outgoingip, outgoingip.DOMAIN or the value of OUTGOINGIP."""
    found, mistakes = [], []
    for line in lines:
        address = _address(line.text)
        if address is None:
            mistakes.append(_mistake(line, "an IP address of this machine"))
        else:
            found.append((address, line.rule))
    return tuple(found), mistakes


def parse_domainbindings(lines: Sequence[Line]) -> tuple[dict[str, Bound], list[Mistake]]:
    """Read domainbindings."""
    return _parse(lines, _sender_key, _address, "user@domain:IP, domain:IP, .domain:IP or :IP")


def parse_bindroutes(lines: Sequence[Line]) -> tuple[dict[str, Bound], list[Mistake]]:
    """Read bindroutes."""
    return _parse(lines, _remote_key, _address, "remote IP or the beginning of one, and our IP")


def parse_helohostbyip(lines: Sequence[Line]) -> tuple[dict[str, Bound], list[Mistake]]:
    """Read helohostbyip."""
    return _parse(lines, _address, _name, "IP:name")


def _parse(
    lines: Sequence[Line],
    key_of_text: Callable[[str], str | None],
    value_of_text: Callable[[str], str | None],
    expected: str,
) -> tuple[dict[str, Bound], list[Mistake]]:
    """Read lines ``key:value``; of two with one key the first counts."""
    found: dict[str, Bound] = {}
    mistakes = []
    for line in lines:
        start = line.text.find("]") + 1 if line.text.startswith("[") else 0
        colon = line.text.find(":", start)
        key = key_of_text(line.text[:colon]) if colon >= 0 else None
        value = value_of_text(line.text[colon + 1 :])
        if key is None or value is None:
            mistakes.append(_mistake(line, expected))
        else:
            found.setdefault(key, (value, line.rule))
    return found, mistakes


def _mistake(line: Line, expected: str) -> Mistake:
    return Mistake(line.file, line.number, quoted(line.text), expected)


def _address(text: str) -> str | None:
    """Return an address of ours; empty: the system's choice."""
    if text in UNBOUND:
        return ""
    return literal(text) if text.startswith("[") else ip_of(text)


def _name(text: str) -> str | None:
    name = domain_key(text)
    return name if _HOST.fullmatch(name) else None


def _sender_key(text: str) -> str | None:
    if not text:
        return ""
    local, at, domain = text.rpartition("@")
    key = key_of(domain)
    if key is None or not at:
        return key
    return f"{local.lower()}@{key}" if local and key[0] != "." else None


def _remote_key(text: str) -> str | None:
    if not text or _PREFIX4.fullmatch(text):
        return text
    inside = text[1:-1] if text.startswith("[") and text.endswith("]") else ""
    if _PREFIX6.fullmatch(inside):
        return "".join(f"{group.lstrip('0') or '0'}:" for group in inside.lower().split(":")[:-1])
    return literal(text) if inside else ip_of(text)
