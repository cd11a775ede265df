"""Which hosts are tried, in which order, and what becomes of mail for which there is none.

Asked through `serve.hosts`, with zones in memory: what DNS says stands in the table as zones.
"""

import asyncio
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.delivery import mx
from indimail.delivery.mx import Choice, Exchangers, Hosts, Ourselves, choose, exchangers
from indimail.mail.address import NULL, Address
from indimail.mail.dns import Answer, Exchanger, Found, Type
from indimail.mail.outcome import Deferred, Failed
from indimail.mail.verdict import Rule
from indimail.schedule.nexthop import NextHop, Routes, next_hop
from indimail.serve.hosts import find_hosts
from indimail.testing.dns import Zones

US = Ourselves(
    names=frozenset({"mx.us.example"}),
    more=frozenset({"203.0.113.7"}),
    others=frozenset({"198.51.100.99"}),
    listening=(("0.0.0.0", 25), ("2001:db8:ffff::1", 25), ("198.51.100.1", 587)),
)
LOCAL = frozenset({"198.51.100.1", "198.51.100.99", "2001:db8:ffff::1", "2001:db8:ffff::2"})
ZONES = """
    two.example         MX    20 mx2.example
    two.example         MX    10 mx1.example
    mx1.example         A     192.0.2.1
    mx1.example         AAAA  2001:db8::1
    mx1.example         AAAA  2001:db8::11
    mx2.example         A     192.0.2.2
    mx2.example         A     192.0.2.22
    bare.example        A     192.0.2.3
    alias.example       CNAME two.example
    alias2.example      CNAME bare.example
    mxalias.example     MX    10 alias2.example
    six.example         MX    10 six-mx.example
    six-mx.example      AAAA  2001:db8::6
    same.example        MX    10 mx1.example
    same.example        MX    20 mx1.example
    nowhere.example     MX    10 0.example
    0.example           A     0.0.0.0

    null.example        MX    0 .
    halfnull.example    MX    0 .
    halfnull.example    MX    10 mx2.example
    empty.example       TXT   nothing
    nomx.example        MX    10 gone.example
    nomx.example        MX    20 empty.example
    dangling.example    CNAME gone.example

    broken.example      FAIL  SERVFAIL
    brokenmx.example    MX    10 broken.example
    brokenmx.example    MX    20 gone.example
    halfbroken.example  MX    10 broken.example
    halfbroken.example  MX    20 mx2.example

    we.example          MX    10 us.example
    us.example          A     198.51.100.1
    backup.example      MX    10 mx1.example
    backup.example      MX    20 us.example
    backup.example      MX    20 mx2.example
    backup.example      MX    30 bare.example
    lost.example        MX    10 gone.example
    lost.example        MX    20 us.example
    later.example       MX    10 broken.example
    later.example       MX    20 us.example
    byname.example      MX    10 mx1.example
    byname.example      MX    20 mx.us.example
    byname.example      MX    30 mx2.example
    nat.example         A     203.0.113.7
    six-us.example      AAAA  2001:db8:ffff::1
    six-other.example   AAAA  2001:db8:ffff::2
    notme.example       A     198.51.100.99
"""


def in_order() -> Callable[[], float]:
    """Chance that changes nothing."""
    numbers = count()
    return lambda: float(next(numbers))


def ask(domain: str, zones: Zones | None = None, draw: Callable[[], float] | None = None) -> Choice:
    hop = next_hop(Address("ana", domain), domain, NULL, Routes())
    return found(hop, zones or Zones(ZONES), draw or in_order())


def found(hop: NextHop, zones: Zones, draw: Callable[[], float]) -> Choice:
    return asyncio.run(find_hosts(hop, zones, US, LOCAL, draw))


def tried(choice: Choice) -> list[str]:
    assert isinstance(choice, Hosts), choice
    return [f"{one.preference} {one.host} {one.address}" for one in choice.candidates]


@pytest.mark.parametrize(
    ("domain", "hosts"),
    [
        ("two.example", ["10 mx1.example 2001:db8::1", "10 mx1.example 2001:db8::11",
                         "10 mx1.example 192.0.2.1", "20 mx2.example 192.0.2.2",
                         "20 mx2.example 192.0.2.22"]),
        ("bare.example", ["0 bare.example 192.0.2.3"]),
        ("alias.example", ["10 mx1.example 2001:db8::1", "10 mx1.example 2001:db8::11",
                           "10 mx1.example 192.0.2.1", "20 mx2.example 192.0.2.2",
                           "20 mx2.example 192.0.2.22"]),
        ("alias2.example", ["0 bare.example 192.0.2.3"]),
        ("mxalias.example", ["10 alias2.example 192.0.2.3"]),
        ("six.example", ["10 six-mx.example 2001:db8::6"]),
        ("same.example", ["10 mx1.example 2001:db8::1", "10 mx1.example 2001:db8::11",
                          "10 mx1.example 192.0.2.1"]),
        ("halfnull.example", ["10 mx2.example 192.0.2.2", "10 mx2.example 192.0.2.22"]),
        ("halfbroken.example", ["20 mx2.example 192.0.2.2", "20 mx2.example 192.0.2.22"]),
        ("192.0.2.77", ["0 192.0.2.77 192.0.2.77"]),
        ("[192.0.2.77]", ["0 [192.0.2.77] 192.0.2.77"]),
        ("[ipv6:2001:db8::77]", ["0 [ipv6:2001:db8::77] 2001:db8::77"]),
        # Where we are one of them, only better ones count; a port that we do not listen on is not us.
        ("backup.example", ["10 mx1.example 2001:db8::1", "10 mx1.example 2001:db8::11",
                            "10 mx1.example 192.0.2.1"]),
        ("byname.example", ["10 mx1.example 2001:db8::1", "10 mx1.example 2001:db8::11",
                            "10 mx1.example 192.0.2.1"]),
        ("six-other.example", ["0 six-other.example 2001:db8:ffff::2"]),
        ("notme.example", ["0 notme.example 198.51.100.99"]),
    ],
)  # fmt: skip
def test_the_hosts_of_a_domain(domain: str, hosts: list[str]) -> None:
    assert tried(ask(domain)) == hosts


NO_HOST = "Sorry, I couldn't find any host named {}. (#5.1.2)"
NO_EXCHANGER = "Sorry, I couldn't find a mail exchanger or IP address. (#5.4.4)"
SOFT = "Sorry, I couldn't find any host by that name. (#4.1.2)"
AMBIGUOUS = (
    "Sorry. Although I'm listed as a best-preference MX or A for that host,"
    " it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)"
)


@pytest.mark.parametrize(
    ("domain", "end", "rule"),
    [
        ("gone.example", Failed(NO_HOST.format("gone.example")), "no such name"),
        ("dangling.example", Failed(NO_HOST.format("dangling.example")), "no such name"),
        ("[x]", Failed(NO_HOST.format("[x]")), "no name of DNS"),
        ("", Failed(NO_HOST.format("")), "no name of DNS"),
        ("null.example",
         Failed("Sorry, null.example takes no mail: its MX is null (RFC 7505). (#5.1.10)"),
         "a null MX"),
        ("empty.example", Failed(NO_EXCHANGER),
         "empty.example has no MX: empty.example: no address"),
        ("nomx.example", Failed(NO_EXCHANGER),
         "MX 10 gone.example: no address; MX 20 empty.example: no address"),
        ("nowhere.example", Failed(NO_EXCHANGER), "MX 10 0.example: no address"),
        ("lost.example", Failed(NO_EXCHANGER),
         "what has preference 20 or more: us.example is us (198.51.100.1);"
         " MX 10 gone.example: no address"),
        ("broken.example", Deferred(SOFT), "SERVFAIL"),
        ("brokenmx.example", Deferred(SOFT),
         "MX 10 broken.example: SERVFAIL; MX 20 gone.example: no address"),
        ("later.example", Deferred(SOFT),
         "what has preference 20 or more: us.example is us (198.51.100.1);"
         " MX 10 broken.example: SERVFAIL"),
        ("we.example", Failed(AMBIGUOUS),
         "what has preference 10 or more: us.example is us (198.51.100.1)"),
        ("mx.us.example", Failed(NO_HOST.format("mx.us.example")), "no such name"),
        ("nat.example", Failed(AMBIGUOUS),
         "what has preference 0 or more: nat.example is us (203.0.113.7)"),
        ("six-us.example", Failed(AMBIGUOUS),
         "what has preference 0 or more: six-us.example is us (2001:db8:ffff::1)"),
        ("[198.51.100.1]", Failed(AMBIGUOUS), "198.51.100.1 is us"),
        ("0.0.0.0", Failed(AMBIGUOUS), "0.0.0.0 is us"),
    ],
)  # fmt: skip
def test_mail_for_which_there_is_no_host(domain: str, end: Deferred | Failed, rule: str) -> None:
    choice = ask(domain)
    assert not isinstance(choice, Hosts)
    assert (type(choice), choice.text) == (type(end), end.text)
    assert choice.rule == Rule("DNS", key=f"MX {domain}: {rule}")


def test_what_is_left_out_is_told() -> None:
    choice = ask("backup.example")
    assert isinstance(choice, Hosts)
    assert choice.left_out == ("what has preference 20 or more: us.example is us (198.51.100.1)",)
    assert choice.candidates[0].why == "MX 10 mx1.example"
    assert str(choice.rule) == "DNS[MX backup.example]"
    assert ask("bare.example").candidates[0].why == "bare.example has no MX: bare.example"  # type: ignore[union-attr]


@pytest.mark.parametrize(("draws", "first"), [([0.1, 0.9], "a"), ([0.9, 0.1], "b")])
def test_equal_preferences_are_in_the_order_of_chance(draws: list[float], first: str) -> None:
    zones = Zones("""
        d.example  MX  10 a.example
        d.example  MX  10 b.example
        d.example  MX  5  c.example
        a.example  A   192.0.2.1
        b.example  A   192.0.2.2
        c.example  A   192.0.2.3
    """)
    numbers: Iterator[float] = iter([*draws, 1.0])
    second = {"a": "b", "b": "a"}[first]
    hosts = [line.split()[1] for line in tried(ask("d.example", zones, lambda: next(numbers)))]
    assert hosts == ["c.example", f"{first}.example", f"{second}.example"]


def test_a_zone_cannot_make_us_ask_for_thousands() -> None:
    zones = Zones()
    for number in range(mx.MOST_EXCHANGERS + 5):
        zones.add(f"many.example MX {number} mx{number}.example")
        for last in range(4):
            zones.add(f"mx{number}.example A 192.0.{number}.{last}")
    hosts = tried(ask("many.example", zones))
    assert len(hosts) == mx.MOST_ADDRESSES
    assert hosts[0] == "0 mx0.example 192.0.0.0"
    assert len(zones.asked) == 1 + 2 * mx.MOST_EXCHANGERS


def test_a_host_with_two_preferences_is_asked_for_once() -> None:
    zones = Zones(ZONES)
    ask("same.example", zones)
    assert len(zones.asked) == 3


def test_one_family_that_fails_takes_nothing_from_the_other() -> None:
    exchanger = Exchangers("d.example", (Exchanger(10, "mx.example"),))
    failed, four = Answer(Found.FAILED), Answer(Found.RECORDS, ("192.0.2.1",))
    none = Answer(Found.NONE)
    assert tried(choose(exchanger, {"mx.example": (failed, four)}, US, LOCAL)) == [
        "10 mx.example 192.0.2.1"
    ]
    end = choose(exchanger, {"mx.example": (failed, none)}, US, LOCAL)
    assert isinstance(end, Deferred)


STALE = Answer(Found.RECORDS, (Exchanger(0, ""),), stale=True)


@pytest.mark.parametrize("stale", [True, False])
@pytest.mark.parametrize(
    "answer",
    [
        Answer(Found.RECORDS, (Exchanger(0, ""),)),
        Answer(Found.RECORDS, (Exchanger(10, "mx.us.example"),)),
    ],
    ids=["null", "us"],
)
def test_what_has_run_out_is_no_reason_to_give_up(answer: Answer, stale: bool) -> None:
    old = Answer(answer.found, answer.records, stale=stale)
    end: object = exchangers("d.example", old, in_order())
    if isinstance(end, Exchangers):
        end = choose(end, {"mx.us.example": ()}, US, LOCAL)
    assert isinstance(end, Deferred if stale else Failed)


def test_an_address_that_has_run_out_and_is_us_is_no_reason_either() -> None:
    of = Exchangers("d.example", (Exchanger(10, "us.example"),))
    answer = Answer(Found.RECORDS, ("198.51.100.1",), stale=True)
    assert isinstance(choose(of, {"us.example": (answer,)}, US, LOCAL), Deferred)


@pytest.mark.parametrize(
    ("address", "port", "ours"),
    [
        ("198.51.100.1", 25, True),
        ("198.51.100.1", 587, True),
        ("198.51.100.1", 465, False),
        ("198.51.100.99", 25, False),  # notipme
        ("203.0.113.7", 25, True),  # moreipme
        ("203.0.113.7", 587, True),
        ("203.0.113.7", 2525, False),
        ("2001:db8:ffff::1", 25, True),
        ("2001:db8:ffff::2", 25, False),  # 0.0.0.0 takes no IPv6
        ("192.0.2.1", 25, False),
    ],
)
def test_where_a_connection_would_lead_to_us(address: str, port: int, ours: bool) -> None:
    assert US.at(address, port, LOCAL) is ours


def test_others_reach_us_at_port_25_whatever_we_listen_on() -> None:
    behind = Ourselves(more=frozenset({"203.0.113.7"}), listening=(("127.0.0.1", 2525),))
    assert behind.at("203.0.113.7", 25, LOCAL)


def test_a_listener_on_every_address_takes_both_families() -> None:
    every = Ourselves(listening=(("::", 25),))
    assert all(every.at(address, 25, LOCAL) for address in LOCAL)


# -- relays ----------------------------------------------------------------------------------------


def hop(relay: str, port: int = 25) -> NextHop:
    return NextHop("d.example", relay, port, False, 3600, 120, Rule("control/smtproutes", 4))


@pytest.mark.parametrize(
    ("relay", "port", "result"),
    [
        ("192.0.2.50", 587, ["192.0.2.50 587"]),
        ("2001:db8::50", 25, ["2001:db8::50 25"]),
        ("mx2.example", 26, ["192.0.2.2 26", "192.0.2.22 26"]),
        ("two.example", 25, "Sorry, I couldn't find the relay two.example of a route. (#4.4.4)"),
        ("gone.example", 25, "Sorry, I couldn't find the relay gone.example of a route. (#4.4.4)"),
        ("broken.example", 25, SOFT),
        # A route is the operator's word: it may lead to this machine, but not back to us.
        ("198.51.100.1", 10025, ["198.51.100.1 10025"]),
        ("198.51.100.1", 587,
         "Sorry, the route to 198.51.100.1 port 587 leads back to me. (#4.4.6)"),
        ("us.example", 25, "Sorry, the route to us.example port 25 leads back to me. (#4.4.6)"),
    ],
)  # fmt: skip
def test_a_relay(relay: str, port: int, result: list[str] | str) -> None:
    choice = found(hop(relay, port), Zones(ZONES), in_order())
    if isinstance(choice, Hosts):
        assert [f"{one.address} {one.port}" for one in choice.candidates] == result
    else:
        assert isinstance(choice, Deferred)
        assert choice.text == result
    assert choice.rule == Rule("control/smtproutes", 4)


def test_of_a_relay_with_several_addresses_ours_is_left_out() -> None:
    zones = Zones("relay.example A 198.51.100.1\nrelay.example A 192.0.2.1")
    choice = found(hop("relay.example"), zones, in_order())
    assert isinstance(choice, Hosts)
    assert [one.address for one in choice.candidates] == ["192.0.2.1"]
    assert choice.left_out == ("198.51.100.1: is us",)


def test_a_relay_is_asked_for_addresses_alone() -> None:
    zones = Zones(ZONES)
    found(hop("mx1.example"), zones, in_order())
    assert set(zones.asked) == {("mx1.example", Type.A), ("mx1.example", Type.AAAA)}


# -- whatever DNS says -----------------------------------------------------------------------------

HOSTS = [f"h{number}.example" for number in range(5)]
ADDRESSES = [*sorted(LOCAL), "192.0.2.1", "192.0.2.2", "2001:db8::1", "0.0.0.0"]
ANSWERS = st.one_of(
    st.builds(
        Answer, st.just(Found.RECORDS),
        st.lists(st.sampled_from(ADDRESSES), min_size=1, max_size=3).map(tuple),
        stale=st.booleans(),
    ),
    st.sampled_from([Answer(Found.NONE), Answer(Found.NO_NAME), Answer(Found.FAILED)]),
)  # fmt: skip


@given(
    st.lists(st.builds(Exchanger, st.integers(0, 3), st.sampled_from(["", *HOSTS])), min_size=1),
    st.fixed_dictionaries({host: st.tuples(ANSWERS, ANSWERS) for host in HOSTS}),
    st.randoms(use_true_random=False),
)
def test_mail_is_never_sent_to_ourselves_nor_to_who_is_no_better(records, answers, chance) -> None:
    of = exchangers("d.example", Answer(Found.RECORDS, tuple(records)), chance.random)
    if not isinstance(of, Exchangers):
        assert {record.host for record in records} == {""}
        return
    choice = choose(of, answers, US, LOCAL)
    ours = {
        record.preference
        for record in of.records
        for answer in answers[record.host]
        if any(US.at(address, 25, LOCAL) for address in answer.addresses)
    }
    if isinstance(choice, Hosts):
        assert choice.candidates
        for one in choice.candidates:
            assert not US.at(one.address, 25, LOCAL)
            assert one.address not in mx.NOWHERE
            assert not ours or one.preference < min(ours)
        preferences = [one.preference for one in choice.candidates]
        assert preferences == sorted(preferences)
        assert len({one.address for one in choice.candidates}) == len(choice.candidates)
    elif isinstance(choice, Failed):
        used = [answer for record in of.records for answer in answers[record.host]]
        assert not any(answer.stale for answer in used)
