"""The address a connection comes from, and the name in EHLO: spec/queue.md 3.3."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.mail.address import NULL, Address
from indimail.mail.ip import ip_of
from indimail.mail.line import Line
from indimail.mail.verdict import NO_RULE, Rule
from indimail.schedule.outgoing import (
    Outgoing,
    Source,
    parse_addresses,
    parse_bindroutes,
    parse_domainbindings,
    parse_helohostbyip,
)

HELO = ("mx.example.com", Rule("control/helohost", 1))
SUE = Address("Sue", "sender.example")


def lines(name: str, *texts: str) -> list[Line]:
    return [Line(f"control/{name}", number, text) for number, text in enumerate(texts, 1)]


def outgoing(**files: list[str]) -> Outgoing:
    parsers = {
        "variable": parse_addresses,
        "addresses": parse_addresses,
        "domainbindings": parse_domainbindings,
        "bindroutes": parse_bindroutes,
        "helohostbyip": parse_helohostbyip,
    }
    found = {}
    for name, texts in files.items():
        found[name], mistakes = parsers[name](lines(name, *texts))
        assert mistakes == []
    return Outgoing(HELO, **found)  # type: ignore[arg-type]


def source(
    of: Outgoing, sender: Address = SUE, remote: str = "192.0.2.1", draw: float = 0.0,
    domain: str = "example.org",
) -> Source:  # fmt: skip
    return of.source(sender, domain, remote, draw)


@pytest.mark.parametrize(
    ("bindings", "sender", "domain", "is_shared"),
    [
        ([], Address("bo", "other.example"), "example.org", True),
        ([], SUE, "example.net", True),
        ([], SUE, "own.example", False),  # which has an outgoingip.DOMAIN
        (["sender.example:198.51.100.2"], Address("bo", "sender.example"), "example.org", True),
        (["sender.example:198.51.100.2"], Address("bo", "other.example"), "example.org", False),
        (["sender.example:198.51.100.2"], NULL, "example.org", False),
        ([":198.51.100.2"], Address("bo", "other.example"), "example.org", False),  # another HELO
        ([":"], Address("bo", "other.example"), "example.org", True),
    ],
)
def test_mail_that_would_come_from_elsewhere_or_with_another_name_shares_no_connection(
    bindings: list[str], sender: Address, domain: str, is_shared: bool
) -> None:
    own, _ = parse_addresses(lines("outgoingip.own.example", "198.51.100.9"))
    of = replace(outgoing(domainbindings=bindings), by_domain={"own.example": own})
    assert (of.company(SUE, "example.org") == of.company(sender, domain)) is is_shared


def test_without_files_the_system_picks_and_helohost_is_said() -> None:
    assert source(outgoing()) == Source("", "mx.example.com", NO_RULE, HELO[1])


BINDINGS = [
    "sue@sender.example:198.51.100.1",  # 1
    "sender.example:198.51.100.2",  # 2
    ".sender.example:198.51.100.3",  # 3
    "free.example:",  # 4
    "six.example:2001:db8:1::4",  # 5
    ":198.51.100.6",  # 6
]


@pytest.mark.parametrize(
    ("sender", "address", "helo", "line"),
    [
        ("SUE@Sender.example", "198.51.100.1", "sender.example", 1),
        ("bob@sender.example", "198.51.100.2", "sender.example", 2),
        ("bob@x.sender.example", "198.51.100.3", "x.sender.example", 3),
        ("bob@free.example", "", "mx.example.com", 4),
        ("bob@six.example", "", "six.example", 5),  # of the other family
        ("bob@else.example", "198.51.100.6", "else.example", 6),
    ],
)
def test_the_senders_domain_decides(sender: str, address: str, helo: str, line: int) -> None:
    found = source(outgoing(domainbindings=BINDINGS, addresses=["198.51.100.9"]),
                   Address.parse(sender))  # fmt: skip
    assert (found.address, found.helo) == (address, helo)
    assert found.rule == Rule("control/domainbindings", line)


def test_bounces_are_bound_to_no_senders_domain() -> None:
    found = source(outgoing(domainbindings=BINDINGS, addresses=["198.51.100.9"]), NULL)
    assert (found.address, found.helo) == ("198.51.100.9", "mx.example.com")


def test_to_ipv6_the_address_of_ipv6_is_used() -> None:
    files = outgoing(domainbindings=BINDINGS)
    bob = Address("bob", "six.example")
    assert source(files, bob, "2001:db8::1").address == "2001:db8:1::4"
    assert source(files, SUE, "2001:db8::1").address == ""


ADDRESSES = ["198.51.100.1", "2001:db8:1::1", "198.51.100.2"]


@pytest.mark.parametrize(
    ("remote", "draw", "address", "line"),
    [
        ("192.0.2.1", 0.0, "198.51.100.1", 1),
        ("192.0.2.1", 0.49, "198.51.100.1", 1),
        ("192.0.2.1", 0.5, "198.51.100.2", 3),
        ("192.0.2.1", 0.99, "198.51.100.2", 3),
        ("2001:db8::1", 0.99, "2001:db8:1::1", 2),
    ],
)
def test_of_several_addresses_chance_picks_one_of_the_family(
    remote: str, draw: float, address: str, line: int
) -> None:
    found = source(outgoing(addresses=ADDRESSES), remote=remote, draw=draw)
    assert (found.address, found.rule) == (address, Rule("control/addresses", line))


def test_the_variable_comes_before_the_domains_file_and_that_before_the_others() -> None:
    of = outgoing(addresses=["198.51.100.1"], variable=["198.51.100.3"])
    named = {"example.org": (("198.51.100.2", Rule("control/outgoingip.example.org", 1)),)}
    both = Outgoing(HELO, addresses=of.addresses, by_domain=named)
    all_three = Outgoing(HELO, of.variable, of.addresses, named)
    assert [source(one).address[-1] for one in (both, all_three)] == ["2", "3"]
    assert source(both, domain="example.net").address == "198.51.100.1"


@pytest.mark.parametrize("text", ["0.0.0.0", "::"])
def test_the_unspecified_address_is_the_systems_choice(text: str) -> None:
    assert source(outgoing(addresses=[text])).address == ""
    assert source(outgoing(addresses=[text]), remote="2001:db8::1").address == ""


ROUTES = [
    "10.:10.0.0.1",  # 1
    "10.2.3.:10.2.3.1",  # 2
    "10.2.3.4:10.2.3.2",  # 3
    "[2001:0db8:]:[2001:db8:1::1]",  # 4
    "[2001:db8::7]:2001:db8:1::2",  # 5
    "192.0.:",  # 6
]


@pytest.mark.parametrize(
    ("remote", "address", "line"),
    [
        ("10.9.9.9", "10.0.0.1", 1),
        ("10.2.3.9", "10.2.3.1", 2),
        ("10.2.3.4", "10.2.3.2", 3),
        ("2001:db8::1", "2001:db8:1::1", 4),
        ("2001:db8::7", "2001:db8:1::2", 5),
        ("192.0.2.1", "", 6),
    ],
)
def test_the_remote_address_decides_before_all(remote: str, address: str, line: int) -> None:
    files = outgoing(bindroutes=ROUTES, domainbindings=BINDINGS, addresses=["198.51.100.9"])
    found = source(files, remote=remote)
    assert (found.address, found.rule) == (address, Rule("control/bindroutes", line))
    assert found.helo == "sender.example"


@pytest.mark.parametrize("remote", ["110.0.0.1", "198.51.100.7", "2001:db80::1"])
def test_a_remote_address_in_no_line_leaves_the_others_their_say(remote: str) -> None:
    files = outgoing(bindroutes=ROUTES, addresses=["198.51.100.9", "2001:db8:9::9"])
    assert source(files, remote=remote).rule.file == "control/addresses"
    every = outgoing(bindroutes=[":198.51.100.8"], addresses=["198.51.100.9"])
    assert source(every).address == "198.51.100.8"


def test_an_address_can_have_a_name_of_its_own() -> None:
    names = ["198.51.100.1:One.example", "[2001:db8:1::1]:two.example", "0.0.0.0:any.example"]
    files = outgoing(helohostbyip=names, addresses=ADDRESSES)
    assert source(files) == Source(
        "198.51.100.1", "one.example", Rule("control/addresses", 1),
        Rule("control/helohostbyip", 1),
    )  # fmt: skip
    assert source(files, remote="2001:db8::1").helo == "two.example"
    assert source(files, draw=0.9).helo == "mx.example.com"
    bound = outgoing(helohostbyip=names, domainbindings=BINDINGS)
    assert source(bound).helo == "one.example"  # also before the sender's domain
    assert source(outgoing(helohostbyip=names)).helo == "any.example"


def test_of_two_lines_with_one_key_the_first_counts() -> None:
    found, _ = parse_helohostbyip(lines("helohostbyip", "192.0.2.1:one", "[::ffff:192.0.2.1]:two"))
    assert found == {"192.0.2.1": ("one", Rule("control/helohostbyip", 1))}
    found, _ = parse_bindroutes(lines("bindroutes", ":192.0.2.1", ":192.0.2.2"))
    assert found[""][0] == "192.0.2.1"


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_addresses, "mx.example.com"),
        (parse_addresses, "192.0.2.300"),
        (parse_domainbindings, "sender.example"),
        (parse_domainbindings, "sender.example:this-isnt-an-ip-address"),
        (parse_domainbindings, "a b:192.0.2.1"),
        (parse_domainbindings, "@sender.example:192.0.2.1"),
        (parse_domainbindings, "a@.sender.example:192.0.2.1"),
        (parse_bindroutes, "10:10.0.0.1"),
        (parse_bindroutes, "10.1.2.3.:10.0.0.1"),
        (parse_bindroutes, "[10.]:10.0.0.1"),
        (parse_bindroutes, "2001:db8::1:192.0.2.1"),
        (parse_bindroutes, "555.123.123.123:this-isnt-an-ip-address"),
        (parse_helohostbyip, "192.0.2.1"),
        (parse_helohostbyip, "192.0.2.1:"),
        (parse_helohostbyip, "192.0.2.1:a b"),
        (parse_helohostbyip, "mx:mx"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(parse, text: str) -> None:
    _, mistakes = parse(
        lines("file", ":192.0.2.1" if "helo" not in parse.__name__ else "::a", text)[1:]
    )
    assert [(m.file, m.line, m.found) for m in mistakes] == [("control/file", 2, f"'{text}'")]


TEXTS = st.text("ab0129:.[]@ é", max_size=24)


@given(st.lists(TEXTS, max_size=4))
def test_whatever_stands_there_is_taken_or_a_mistake(texts: list[str]) -> None:
    for parse in (parse_addresses, parse_domainbindings, parse_bindroutes, parse_helohostbyip):
        found, mistakes = parse(lines("file", *texts))
        assert len(mistakes) + len(found) <= len(texts)
        assert all(m.found and m.expected for m in mistakes)


@given(st.ip_addresses(), st.floats(0, 1, exclude_max=True))
def test_the_address_is_always_of_the_remotes_family(remote: object, draw: float) -> None:
    files = outgoing(addresses=ADDRESSES, bindroutes=ROUTES, domainbindings=BINDINGS)
    ip = ip_of(str(remote)) or ""
    for sender in (SUE, NULL, Address("a", "six.example")):
        found = source(files, sender, ip, draw)
        assert not found.address or (":" in found.address) == (":" in ip)
