"""NSD and Unbound as the DNS: zones as they are, and as they should not be."""

import random
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from indimail.delivery.mx import Hosts, Ourselves
from indimail.mail.address import NULL, Address
from indimail.mail.clock import SystemClock
from indimail.mail.dns import Answer, Exchanger, Found, Type
from indimail.net.dns import Server
from indimail.net.dnscache import CachedDns
from indimail.net.resolver import Resolver
from indimail.schedule.nexthop import Routes, next_hop
from indimail.serve.hosts import find_hosts
from indimail.testing.clock import FakeClock
from interop.nameservers import Nsd, Unbound
from support import in_loop

pytestmark = [pytest.mark.interop, pytest.mark.slow]

MANY = [f"mx{number}.some-long-name-so-that-it-does-not-fit.example" for number in range(60)]
ZONE = """
ns      IN A    127.0.0.1
one     IN MX   20 mx2
one     IN MX   10 mx1
mx1     IN A    192.0.2.1
mx1     IN AAAA 2001:db8::1
mx2     IN A    192.0.2.2
mx2     IN A    192.0.2.3
nomail  IN MX   0 .
bare    IN A    192.0.2.9
six     IN MX   10 six-mx
six-mx  IN AAAA 2001:db8::6
a       IN CNAME b
b       60 IN CNAME c
c       IN CNAME one
loop1   IN CNAME loop2
loop2   IN CNAME loop1
dangle  IN CNAME nowhere
cross   IN CNAME mail.other.
noglue  IN NS   ns.noglue
""" + "".join(f"many IN MX 10 {name}.\n" for name in MANY)
OTHER = "ns IN A 127.0.0.1\nmail 30 IN MX 5 mx.other.\n"


@pytest.fixture(scope="module")
def nsd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nsd]:
    folder = tmp_path_factory.mktemp("nsd")
    with Nsd(folder, {"example": ZONE, "other": OTHER}, broken=["broken"]) as running:
        yield running


@pytest.fixture(scope="module")
def unbound(nsd: Nsd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Unbound]:
    folder: Path = tmp_path_factory.mktemp("unbound")
    with Unbound(folder, nsd, ["example", "other", "broken", "lame"]) as running:
        yield running


def asking(*servers: Server, rounds: Sequence[float] = (2.0, 5.0)) -> Resolver:
    return Resolver(lambda: servers, SystemClock(), rounds=rounds)


def mx(*records: tuple[int, str]) -> tuple[Exchanger, ...]:
    return tuple(Exchanger(preference, host) for preference, host in records)


ONE = mx((10, "mx1.example"), (20, "mx2.example"))


@pytest.mark.parametrize(
    ("name", "kind", "answer"),
    [
        ("one.example", Type.MX, Answer(Found.RECORDS, ONE, 300, "one.example")),
        ("mx1.example", Type.A, Answer(Found.RECORDS, ("192.0.2.1",), 300, "mx1.example")),
        ("mx1.example", Type.AAAA, Answer(Found.RECORDS, ("2001:db8::1",), 300, "mx1.example")),
        ("mx2.example", Type.A,
         Answer(Found.RECORDS, ("192.0.2.2", "192.0.2.3"), 300, "mx2.example")),
        ("mx2.example", Type.AAAA, Answer(Found.NONE, ttl=120, name="mx2.example")),
        ("six-mx.example", Type.A, Answer(Found.NONE, ttl=120, name="six-mx.example")),
        ("nomail.example", Type.MX, Answer(Found.RECORDS, mx((0, "")), 300, "nomail.example")),
        ("bare.example", Type.MX, Answer(Found.NONE, ttl=120, name="bare.example")),
        ("nowhere.example", Type.MX, Answer(Found.NO_NAME, ttl=120, name="nowhere.example")),
        ("a.example", Type.MX, Answer(Found.RECORDS, ONE, 60, "one.example")),
        ("dangle.example", Type.MX, Answer(Found.NO_NAME, ttl=120, name="nowhere.example")),
        ("cross.example", Type.MX,
         Answer(Found.RECORDS, mx((5, "mx.other")), 30, "mail.other")),
    ],
)  # fmt: skip
@in_loop
async def test_both_say_the_same(
    unbound: Unbound, nsd: Nsd, name: str, kind: Type, answer: Answer
) -> None:
    """Unbound looks further, NSD has these zones itself."""
    for server in (unbound.server, nsd.server):
        found = await asking(server).look_up(name, kind)
        ordered = Answer(found.found, tuple(sorted(found.records)), found.ttl, found.name)  # type: ignore[type-var]
        assert (ordered.found, ordered.records, ordered.name) == (
            answer.found, answer.records, answer.name,
        )  # fmt: skip
        if server is nsd.server:  # Unbound has a TTL of its own here
            assert ordered.ttl == answer.ttl


@pytest.mark.parametrize(
    "name", ["x.noglue.example", "noglue.example", "loop1.example", "x.broken", "x.lame"]
)
@in_loop
async def test_what_is_broken_has_no_answer(unbound: Unbound, name: str) -> None:
    """Missing glue, a loop, a zone without its file, a server that does not know its zone."""
    answer = await asking(unbound.server).look_up(name, Type.MX)
    assert answer.found is Found.FAILED
    assert answer.reason


@pytest.mark.parametrize(
    ("name", "why"),
    [("x.noglue.example", "a referral"), ("x.broken", "SERVFAIL"), ("x.lame", "REFUSED")],
)
@in_loop
async def test_a_server_that_does_not_look_further_is_no_word_on_names(
    nsd: Nsd, name: str, why: str
) -> None:
    answer = await asking(nsd.server).look_up(name, Type.MX)
    assert (answer.found, why in answer.reason) == (Found.FAILED, True)


@in_loop
async def test_what_does_not_fit_a_datagram_comes_by_tcp(unbound: Unbound, nsd: Nsd) -> None:
    for server in (unbound.server, nsd.server):
        answer = await asking(server).look_up("many.example", Type.MX)
        assert {record.host for record in answer.exchangers} == set(MANY)


@in_loop
async def test_a_change_is_seen_after_the_ttl(nsd: Nsd) -> None:
    clock = FakeClock()
    dns = CachedDns(asking(nsd.server), clock)
    nsd.write("other", "ns IN A 127.0.0.1\nmail 30 IN MX 5 old.other.\n")
    assert (await dns.look_up("mail.other", Type.MX)).exchangers == mx((5, "old.other"))
    nsd.write("other", OTHER)
    clock.advance(29)
    assert (await dns.look_up("mail.other", Type.MX)).exchangers == mx((5, "old.other"))
    clock.advance(1)
    assert (await dns.look_up("mail.other", Type.MX)).exchangers == mx((5, "mx.other"))


@in_loop
async def test_a_resolver_that_is_down_and_comes_back(unbound: Unbound) -> None:
    clock = FakeClock()
    dns = CachedDns(asking(unbound.server), clock)
    assert (await dns.look_up("one.example", Type.MX)).found is Found.RECORDS
    unbound.daemon.stop()
    clock.advance(301)
    stale = await dns.look_up("one.example", Type.MX)
    assert (stale.stale, sorted(stale.exchangers)) == (True, list(ONE))
    assert "connection refused" in stale.reason
    assert (await dns.look_up("bare.example", Type.A)).found is Found.FAILED
    unbound.daemon.start(unbound.server)
    clock.advance(31)
    back = await dns.look_up("one.example", Type.MX)
    assert (back.stale, back.found) == (False, Found.RECORDS)
    assert (await dns.look_up("bare.example", Type.A)).addresses == ("192.0.2.9",)


@in_loop
async def test_a_resolver_that_hangs_is_passed_over(unbound: Unbound, nsd: Nsd) -> None:
    unbound.daemon.signal(signal.SIGSTOP)
    try:
        resolver = asking(unbound.server, nsd.server, rounds=(0.5, 5.0))
        for _ in range(2):
            answer = await resolver.look_up("one.example", Type.MX)
            assert answer.found is Found.RECORDS
        alone = await asking(unbound.server, rounds=(0.1, 0.2)).look_up("one.example", Type.MX)
        assert alone.reason == (
            f"{unbound.server}: no answer in 0.1 s; {unbound.server}: no answer in 0.2 s"
        )
    finally:
        unbound.daemon.signal(signal.SIGCONT)


US = Ourselves(listening=(("::", 25),))
LOCAL = frozenset({"192.0.2.2"})


@pytest.mark.parametrize(
    ("domain", "end"),
    [
        ("one.example", ["2001:db8::1", "192.0.2.1"]),  # mx2.example is us
        ("a.example", ["2001:db8::1", "192.0.2.1"]),
        ("bare.example", ["192.0.2.9"]),
        ("six.example", ["2001:db8::6"]),
        ("mx2.example", "5.4.6"),
        ("nomail.example", "5.1.10"),
        ("nowhere.example", "5.1.2"),
        ("dangle.example", "5.1.2"),
        ("many.example", "5.4.4"),  # no such hosts
        ("loop1.example", "4.1.2"),
        ("x.noglue.example", "4.1.2"),
        ("x.broken", "4.1.2"),
        ("x.lame", "4.1.2"),
    ],
)
@in_loop
async def test_the_hosts_of_a_domain(unbound: Unbound, domain: str, end: list[str] | str) -> None:
    hop = next_hop(Address("ana", domain), domain, NULL, Routes())
    choice = await find_hosts(hop, asking(unbound.server), US, LOCAL, random.random)
    if isinstance(choice, Hosts):
        assert [one.address for one in choice.candidates] == end
    else:
        assert f"(#{end})" in choice.text
