"""Where a recipient goes: qmail's rewriting, decided once, when the message is accepted.

    routing, mistakes = parse_routing({"virtualdomains": lines}, me="mx.example.com")
    route(Address("ana", "example.com"), routing)
        -> Route(local, "example.com-ana@example.com", ana@example.com, control/virtualdomains:1)

In this order, comparing without regard to case:

1. without a domain: the one of ``envnoathost`` is appended;
2. ``u%d@host`` with the host in ``percenthack``: becomes ``u@d``, as often as that holds;
3. the domain is in ``locals``: local, unchanged;
4. ``virtualdomains`` has the address, its domain, a ``.suffix`` of it (longest first) or the empty
   key: local, with ``prepend-`` in front; an empty prepend is an exception and means remote;
5. else remote, to the host named by the domain.

A file that is missing is no key of the mapping: then ``locals`` and ``envnoathost`` are ``me``.

Sources: spec/queue.md 1.3; spec/delivery.md 3.  Not here: which program delivers the local address
(`delivery.assign`), MX look-ups (`delivery.mx`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from indimail.mail.address import Address, domain_key, parents
from indimail.mail.channel import Channel
from indimail.mail.errors import Mistake
from indimail.mail.line import Line
from indimail.mail.match import key_of, parse_domain_rules, quoted
from indimail.mail.verdict import Rule

FILES: Final = ("locals", "virtualdomains", "percenthack", "envnoathost")


@dataclass(frozen=True, slots=True)
class VirtualDomain:
    """A line of virtualdomains: what is put in front, with its ``-``; empty for an exception."""

    prepend: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class Routing:
    """The control files of routing; keys are lower-case A-labels."""

    locals: Mapping[str, Rule]
    virtualdomains: Mapping[str, VirtualDomain]
    percenthack: Mapping[str, Rule]
    envnoathost: str
    me: str


class Route(Struct, frozen=True):
    """`target` is qmail's local address, or the host for the remote channel.

    `address` is the recipient after steps 1 and 2; `rule` decided the channel (no line where the
    domain is in none of the files).
    """

    channel: Channel
    target: str
    address: Address
    rule: Rule


def route(address: Address, routing: Routing) -> Route:
    """Decide where a recipient goes.  Raises nothing."""
    address = rewritten(address, routing)
    domain = domain_key(address.domain)
    ours = routing.locals.get(domain)
    if ours is not None:
        return Route(Channel.LOCAL, str(address), address, ours)
    virtual = _virtual(address, domain, routing.virtualdomains)
    if virtual is not None and virtual.prepend:
        return Route(Channel.LOCAL, f"{virtual.prepend}{address}", address, virtual.rule)
    return Route(Channel.REMOTE, domain, address, virtual.rule if virtual else _IN_NONE)


def rewritten(address: Address, routing: Routing) -> Address:
    """Give an address without a domain one, and undo percent signs where the host allows them."""
    if not address.domain:
        address = Address(address.local, routing.envnoathost)
    while routing.percenthack and domain_key(address.domain) in routing.percenthack:
        local, percent, domain = address.local.rpartition("%")
        if not (percent and domain):
            break
        address = Address(local, domain.lower())
    return address


def _virtual(
    address: Address, domain: str, virtualdomains: Mapping[str, VirtualDomain]
) -> VirtualDomain | None:
    if not virtualdomains:
        return None
    return (
        virtualdomains.get(f"{address.local.lower()}@{domain}")
        or virtualdomains.get(domain)
        or next((virtualdomains[s] for s in parents(domain) if s in virtualdomains), None)
        or virtualdomains.get("")
    )


_IN_NONE: Final = Rule("control/virtualdomains")


def parse_routing(files: Mapping[str, Sequence[Line]], me: str) -> tuple[Routing, list[Mistake]]:
    """Read the control files; `me` is our host name."""
    me = me.lower()
    found = files.get("locals")
    local, mistakes = ({domain_key(me): Rule("control/me")}, []) if found is None else (
        parse_domain_rules(found, suffixes=False)
    )  # fmt: skip
    virtual, more = _parse_virtualdomains(files.get("virtualdomains", ()))
    mistakes += more
    percent, more = parse_domain_rules(files.get("percenthack", ()), suffixes=False)
    mistakes += more
    noathost, more = _parse_host(files.get("envnoathost", ()), me)
    mistakes += more
    return Routing(local, virtual, percent, noathost, me), mistakes


def _parse_host(lines: Sequence[Line], default: str) -> tuple[str, list[Mistake]]:
    """Read a file whose first line is a host name."""
    if not lines:
        return default, []
    key = key_of(lines[0].text)
    if key is None or key[0] == ".":
        line = lines[0]
        return default, [Mistake(line.file, line.number, quoted(line.text), "a host name")]
    return key, []


def _parse_virtualdomains(
    lines: Sequence[Line],
) -> tuple[dict[str, VirtualDomain], list[Mistake]]:
    found: dict[str, VirtualDomain] = {}
    mistakes = []
    for line in lines:
        subject, colon, prepend = line.text.partition(":")
        key = _virtual_key(subject)
        if not colon or key is None or prepend != "".join(prepend.split()):
            expected = "domain:prepend, user@domain:prepend, .domain:prepend or :prepend"
            mistakes.append(Mistake(line.file, line.number, quoted(line.text), expected))
        else:
            found.setdefault(key, VirtualDomain(f"{prepend}-" if prepend else "", line.rule))
    return found, mistakes


def _virtual_key(subject: str) -> str | None:
    if not subject:
        return ""
    local, at, domain = subject.rpartition("@")
    key = key_of(domain)
    if key is None or not at:
        return key
    return f"{local.lower()}@{key}" if local and key[0] != "." else None
