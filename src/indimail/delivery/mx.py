"""Which hosts take the mail of a domain, and in which order they are tried.

    exchangers("example.com", answer, random)     -> Exchangers((Exchanger(10, "mx1..."), ...)), or an end
    choose(found, {"mx1.example.com": (AAAA, A)}, ourselves, local)
        -> Hosts((Candidate("2001:db8::1", 25, "mx1.example.com", 10, "MX 10 mx1.example.com"), ...))
    at_address("example.com", "192.0.2.7", ourselves, local)       # an address literal
    at_relay("relay.example.net", 587, answers, ourselves, local)  # an artificial route

The better preference first, those of the same one in the order of chance; of a host its IPv6
addresses, then the others, each in DNS's order.  Without MX the domain is its own exchanger.  Where
one of them is us, by name or by an address at a port we listen on, only better ones count: what is
no better would bring the mail back to us (RFC 5321 5.1).

| what DNS says                         | end                                       |
|---------------------------------------|-------------------------------------------|
| there is no such name                 | Failed 5.1.2                              |
| a null MX                             | Failed 5.1.10                             |
| exchangers without any address        | Failed 5.4.4                              |
| we are the best of them               | Failed 5.4.6                              |
| nothing, or only what has run out and would fail | Deferred 4.1.2                 |
| the relay of a route does not exist   | Deferred 4.4.4: a mistake of ours         |
| the relay of a route is us            | Deferred 4.4.6: the same                  |

Sources: RFC 5321 5.1; RFC 7505 (null MX); spec/queue.md 3.2, 3.3.  Not here: asking DNS
(`serve.hosts`), which domains have a route (`schedule.nexthop`), hosts that are down
(`schedule.deadhosts`).
"""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from indimail.mail.dns import Answer, Exchanger, Found, Type
from indimail.mail.ip import is_ipv6
from indimail.mail.outcome import Deferred, Failed
from indimail.mail.verdict import Rule

SMTP: Final = 25
MOST_EXCHANGERS: Final = 20  # a zone may have thousands
MOST_ADDRESSES: Final = 50
NOWHERE: Final = frozenset({"0.0.0.0", "::"})  # connecting there is connecting to us  # noqa: S104
_OF_ALL: Final = {"::": True, "0.0.0.0": False}  # noqa: S104  whether IPv6 is taken too


@dataclass(frozen=True, slots=True)
class Ourselves:
    """How a list of hosts would name us: host names, and addresses beside those of interfaces.

    `more` (moreipme) are addresses that others reach us at, on port 25 whatever we listen on;
    `others` (notipme) are not ours, whatever the interfaces say; `listening` is host and port.
    """

    names: frozenset[str] = frozenset()
    more: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    listening: tuple[tuple[str, int], ...] = ()

    def at(self, address: str, port: int, local: Container[str]) -> bool:
        """Whether a connection would lead to us; `local` has the addresses of the interfaces."""
        if address in self.others:
            return False
        if address in self.more:
            return port == SMTP or any(port == other for _, other in self.listening)
        return address in local and any(
            port == other and _covers(host, address) for host, other in self.listening
        )


def _covers(host: str, address: str) -> bool:
    every = _OF_ALL.get(host)
    return host == address if every is None else every or not is_ipv6(address)


class Candidate(Struct, frozen=True):
    """An address to try, and why it is on the list."""

    address: str
    port: int
    host: str
    preference: int
    why: str

    @property
    def shown(self) -> str:
        """``MX 10 mx1.example.com [192.0.2.1] port 25``."""
        is_said = self.host == self.address or f"[{self.address}]" in self.why
        where = "" if is_said else f" [{self.address}]"
        return f"{self.why}{where} port {self.port}"


class Hosts(Struct, frozen=True):
    """What is tried, in this order; `left_out` tells what is not, and why."""

    candidates: tuple[Candidate, ...]
    rule: Rule
    left_out: tuple[str, ...] = ()


class Exchangers(Struct, frozen=True):
    """The exchangers of a domain in the order of use; `implicit`: the domain itself, without MX."""

    domain: str
    records: tuple[Exchanger, ...]
    implicit: bool = False
    stale: bool = False


Addresses = Mapping[str, Sequence[Answer]]  # host -> its answers, those to AAAA first
Choice = Hosts | Deferred | Failed

_SOFT: Final = "Sorry, I couldn't find any host by that name. (#4.1.2)"
_NO_EXCHANGER: Final = "Sorry, I couldn't find a mail exchanger or IP address. (#5.4.4)"
_OURSELVES: Final = (
    "Sorry. Although I'm listed as a best-preference MX or A for that host,"
    " it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)"
)


def exchangers(
    domain: str, answer: Answer, draw: Callable[[], float]
) -> Exchangers | Deferred | Failed:
    """Say from the answer to MX whose addresses are needed; `draw` gives a number of chance."""
    match answer.found:
        case Found.FAILED:
            return Deferred(_SOFT, _rule(domain, answer.reason))
        case Found.NO_NAME:
            return _failed(_no_host(domain), domain, "no such name", stale=answer.stale)
        case Found.NONE:
            own = Exchanger(0, answer.name or domain)
            return Exchangers(domain, (own,), implicit=True, stale=answer.stale)
    named = [record for record in answer.exchangers if record.host]
    if not named:
        text = f"Sorry, {domain} takes no mail: its MX is null (RFC 7505). (#5.1.10)"
        return _failed(text, domain, "a null MX", stale=answer.stale)
    drawn = sorted((record.preference, draw(), record) for record in named)
    records = tuple(record for _, _, record in drawn[:MOST_EXCHANGERS])
    return Exchangers(domain, records, stale=answer.stale)


def choose(
    found: Exchangers, addresses: Addresses, ourselves: Ourselves, local: Container[str]
) -> Choice:
    """Say which addresses are tried; every exchanger has its answers in `addresses`."""
    ours, why_ours = _our_preference(found, addresses, ourselves, local)
    left_out = [f"what has preference {ours} or more: {why_ours}"] if why_ours else []
    better = [record for record in found.records if ours is None or record.preference < ours]
    candidates: dict[str, Candidate] = {}
    for record in better:
        why = f"MX {record.preference} {record.host}"
        if found.implicit:
            why = f"{found.domain} has no MX: {record.host}"
        here = list(_usable(addresses[record.host]))
        if not here:
            left_out.append(f"{why}: {_without(addresses[record.host])}")
        for address in here:
            candidate = Candidate(address, SMTP, record.host, record.preference, why)
            candidates.setdefault(address, candidate)
    if candidates:
        return Hosts(
            tuple(candidates.values())[:MOST_ADDRESSES], _rule(found.domain), tuple(left_out)
        )
    return _nobody(found, addresses, better, left_out)


def _our_preference(
    found: Exchangers, addresses: Addresses, ourselves: Ourselves, local: Container[str]
) -> tuple[int | None, str]:
    """Return the best preference that we have ourselves, and how we know."""
    for record in found.records:
        if record.host in ourselves.names:
            return record.preference, f"{record.host} is our name"
        for answer in addresses[record.host]:
            for address in answer.addresses:
                if ourselves.at(address, SMTP, local):
                    return record.preference, f"{record.host} is us ({address})"
    return None, ""


def _nobody(
    found: Exchangers, addresses: Addresses, better: Sequence[Exchanger], left_out: Sequence[str]
) -> Deferred | Failed:
    """Return the end where no address is left."""
    answers = [answer for record in better for answer in addresses[record.host]]
    why = "; ".join(left_out)
    if any(answer.found is Found.FAILED for answer in answers):
        return Deferred(_SOFT, _rule(found.domain, why))
    if not better:
        text = _OURSELVES
    elif found.implicit and all(answer.found is Found.NO_NAME for answer in answers):
        text = _no_host(found.domain)
    else:
        text = _NO_EXCHANGER
    used = [answer for of in addresses.values() for answer in of]
    stale = found.stale or any(answer.stale for answer in used)
    return _failed(text, found.domain, why, stale=stale)


def at_address(
    domain: str, address: str, ourselves: Ourselves, local: Container[str]
) -> Hosts | Failed:
    """Say what an address literal leads to; a domain that is an IPv4 address is one, too."""
    rule = _rule(domain)
    if address in NOWHERE or ourselves.at(address, SMTP, local):
        return Failed(_OURSELVES, _rule(domain, f"{address} is us"))
    return Hosts((Candidate(address, SMTP, domain, 0, f"the address {domain}"),), rule)


def no_host(domain: str) -> Failed:
    """Return the end of mail for what is neither a name nor an address (``[x]``)."""
    return Failed(_no_host(domain), _rule(domain, "no name of DNS"))


def at_relay(
    relay: str, port: int, answers: Sequence[Answer], ourselves: Ourselves,
    local: Container[str], rule: Rule,
) -> Hosts | Deferred:  # fmt: skip
    """Say which addresses of a route's relay are tried; `rule` is the route's."""
    found = list(dict.fromkeys(_usable(answers)))
    foreign = [address for address in found if not ourselves.at(address, port, local)]
    if foreign:
        left_out = tuple(f"{each}: is us" for each in found if each not in foreign)
        candidates = [Candidate(each, port, relay, 0, f"the route to {relay}") for each in foreign]
        return Hosts(tuple(candidates[:MOST_ADDRESSES]), rule, left_out)
    if found:
        text = f"Sorry, the route to {relay} port {port} leads back to me. (#4.4.6)"
        return Deferred(text, rule)
    if any(answer.found is Found.FAILED for answer in answers):
        return Deferred(_SOFT, rule)
    return Deferred(f"Sorry, I couldn't find the relay {relay} of a route. (#4.4.4)", rule)


def _usable(answers: Sequence[Answer]) -> Iterator[str]:
    return (each for answer in answers for each in answer.addresses if each not in NOWHERE)


def _without(answers: Sequence[Answer]) -> str:
    """Tell why a host has no address."""
    failed = [answer.reason for answer in answers if answer.found is Found.FAILED]
    return failed[0] if failed else "no address"


def _failed(text: str, domain: str, why: str, *, stale: bool) -> Deferred | Failed:
    """Return a failure; what DNS said once and does no more say is no reason to give up."""
    if stale:
        return Deferred(_SOFT, _rule(domain, f"{why}, by answers that have run out"))
    return Failed(text, _rule(domain, why))


def _no_host(domain: str) -> str:
    return f"Sorry, I couldn't find any host named {domain}. (#5.1.2)"


def _rule(domain: str, why: str = "") -> Rule:
    """Return whose word decided: DNS's, with what it said."""
    asked = f"{Type.MX} {domain}"
    return Rule("DNS", key=f"{asked}: {why}" if why else asked)
