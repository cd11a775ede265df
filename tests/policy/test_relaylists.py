"""relayclients, relaydomains, relaymailfrom: which line permits whom, and what is no line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.mail.address import Address
from indimail.mail.line import Line
from indimail.mail.verdict import Accept, Rule
from indimail.policy.clients import ClientTable
from indimail.policy.relaylists import (
    RelayDomains,
    RelaySenders,
    parse_relayclients,
    parse_relaydomains,
    parse_relaymailfrom,
    parse_tlsclients,
)


def lines(file: str, texts: tuple[str, ...]) -> list[Line]:
    return [Line(f"control/{file}", number, text) for number, text in enumerate(texts, 1)]


def clients(*texts: str) -> ClientTable[Accept]:
    table, mistakes = parse_relayclients(lines("relayclients", texts))
    assert mistakes == []
    return table


def domains(*texts: str) -> RelayDomains:
    table, mistakes = parse_relaydomains(lines("relaydomains", texts))
    assert mistakes == []
    return table


def senders(*texts: str, base: tuple[str, ...] = ()) -> RelaySenders:
    keys = [(key, Rule("control/relaymailfrom.cdb", key=key)) for key in base]
    table, mistakes = parse_relaymailfrom(lines("relaymailfrom", texts), keys)
    assert mistakes == []
    return table


def told(found: Accept | None) -> tuple[str, str] | None:
    return found and (str(found.rule), found.suffix)


CLIENTS = clients(
    "  192.168.0.1:",  # 1
    "192.168.1.:",  # 2
    "192.168.1.5:@fix.me",  # 3
    "10.0.0.0/8:.gate.example",  # 4
    "10.1.0.0/16",  # 5
    "2001:db8::1:",  # 6
    "2001:db8:1::/48:@six.example",  # 7
    "::1",  # 8
    "172.16-31.:",  # 9
    "::ffff:198.51.100.7:",  # 10
    "192.168.0.1:@late.example",  # 11: the same as line 1
    "203.0.113.9",  # 12
)


@pytest.mark.parametrize(
    ("ip", "line", "suffix"),
    [
        ("192.168.0.1", 1, ""),
        ("192.168.1.77", 2, ""),
        ("192.168.1.5", 3, "@fix.me"),
        ("10.9.9.9", 4, ".gate.example"),
        ("10.1.9.9", 5, ""),
        ("2001:db8::1", 6, ""),
        ("2001:db8:1:ffff::1", 7, "@six.example"),
        ("::1", 8, ""),
        ("172.20.0.1", 9, ""),
        ("198.51.100.7", 10, ""),
        ("::ffff:203.0.113.9", 12, ""),
    ],
)
def test_a_client_is_found_by_its_address(ip: str, line: int, suffix: str) -> None:
    assert told(CLIENTS.find(ip)) == (f"control/relayclients:{line}", suffix)


@pytest.mark.parametrize(
    "ip", ["192.168.0.10", "192.168.10.1", "192.168.11.1", "2001:db8::2", "11.0.0.1", "", "::2"]
)
def test_a_prefix_matches_no_half_of_a_number(ip: str) -> None:
    assert CLIENTS.find(ip) is None


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        (":", "''", "an address, a prefix that ends in a dot"),
        ("=mx.example.net:", "'=mx.example.net'", "an address"),
        ("ana@10.0.0.1:", "'ana@10.0.0.1'", "an address"),
        ("heaven.af.mil:", "'heaven.af.mil'", "an address"),
        ("192.168.1:", "'192.168.1'", "as in 192.168.1."),
        ("192.168.1.256:", "'192.168.1.256'", "octets from 0 to 255"),
        ("10.0.0.0/33:", "'10.0.0.0/33'", "address/bits"),
        ("2001:db8:1::", "'2001:db8:1::'", "2001:db8:1::: for this one address, or a network"),
        ('10.:""', "'\"\"'", "without quotes"),
        ("10.:a b", "'a b'", "a suffix after the colon"),
        ('10.:allow,RELAYCLIENT=""', "'allow,RELAYCLIENT=\"\"'", "a suffix after the colon"),
        ("10.:\u201c\u201d", "'\u201c\u201d'", "without quotes"),
    ],
)
def test_a_broken_line_of_relayclients_is_a_mistake(text: str, found: str, expected: str) -> None:
    table, (mistake,) = parse_relayclients(lines("relayclients", (text, "10.0.0.1:")))
    assert (mistake.file, mistake.line, mistake.found) == ("control/relayclients", 1, found)
    assert expected in mistake.expected
    assert told(table.find("10.0.0.1")) == ("control/relayclients:2", "")


DOMAINS = domains(
    "heaven.af.mil:",  # 1
    ".heaven.af.mil:@fix.me",  # 2
    "@partner.example:",  # 3
    "@.partner.example:@gate.example",  # 4
    "Bücher.example",  # 5
    "MX.Example.net:",  # 6
)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("heaven.af.mil", ("control/relaydomains:1", "")),
        ("HEAVEN.af.mil", ("control/relaydomains:1", "")),
        ("mx.heaven.af.mil", ("control/relaydomains:2", "@fix.me")),
        ("a.b.heaven.af.mil", ("control/relaydomains:2", "@fix.me")),
        ("xn--bcher-kva.example", ("control/relaydomains:5", "")),
        ("mx.example.net", ("control/relaydomains:6", "")),
        ("seventhheaven.af.mil", None),
        ("heaven.af.mil.example", None),
        ("partner.example", None),
        ("", None),
        ("unknown", None),
    ],
)
def test_a_client_is_found_by_its_name(name: str, found: tuple[str, str] | None) -> None:
    assert told(DOMAINS.hosts.find(name)) == found


@pytest.mark.parametrize(
    ("domain", "found"),
    [
        ("partner.example", ("control/relaydomains:3", "")),
        ("a.partner.example", ("control/relaydomains:4", "@gate.example")),
        ("heaven.af.mil", None),
        ("example", None),
    ],
)
def test_a_line_with_an_at_names_domains_of_recipients(
    domain: str, found: tuple[str, str] | None
) -> None:
    assert told(DOMAINS.recipients.find(domain)) == found


def test_a_colon_alone_is_everybody() -> None:
    assert told(domains(":").hosts.find("")) == ("control/relaydomains:1", "")
    assert told(domains("@:").recipients.find("a.example")) == ("control/relaydomains:1", "")
    assert not domains("@:").hosts


@pytest.mark.parametrize(
    "text",
    ["a b:", "@", "a@b.example:", "192.168.1.:", "*.example:", "a..b", ".:", "@.:", "a/b:", "a,b:",
     "<a.example>:", "@@a.example:"],
)  # fmt: skip
def test_a_broken_line_of_relaydomains_is_a_mistake(text: str) -> None:
    _, (mistake,) = parse_relaydomains(lines("relaydomains", (text,)))
    assert (mistake.file, mistake.line) == ("control/relaydomains", 1)
    assert mistake.found == f"'{text}'"


SENDERS = senders(
    "joeblow@domain1.com",  # 1
    "  @domain2.com",  # 2
    "*@*.wild.example",  # 3
    "!eve@*",  # 4
    "@Bücher.example",  # 5
    base=("ana@domain1.com", "@base.example", "joeblow@domain2.com"),
)


@pytest.mark.parametrize(
    ("sender", "rule"),
    [
        ("joeblow@domain1.com", "control/relaymailfrom:1"),
        ("JoeBlow@Domain1.com", "control/relaymailfrom:1"),
        ("anybody@domain2.com", "control/relaymailfrom:2"),
        ("joeblow@domain2.com", "control/relaymailfrom.cdb[joeblow@domain2.com]"),
        ("a@base.example", "control/relaymailfrom.cdb[@base.example]"),
        ("a@x.wild.example", "control/relaymailfrom:3"),
        ("eve@x.wild.example", None),
        ("a@xn--bcher-kva.example", "control/relaymailfrom:5"),
        ("joe@domain1.com", None),
        ("joeblow@domain1.com.example", None),
        ("a@sub.domain2.com", None),
        ("domain2.com", None),
        ("", None),
    ],
)
def test_a_sender_is_found_in_the_cdb_then_in_the_text(sender: str, rule: str | None) -> None:
    found = SENDERS.find(Address.parse(sender))
    assert (found and str(found.rule)) == rule


def test_the_null_sender_is_in_a_star_alone() -> None:
    assert senders("*").find(Address.parse("")) is not None
    assert senders("*@*", "@example.com").find(Address.parse("")) is None


@pytest.mark.parametrize(
    "text", ["heaven.af.mil:a b", 'heaven.af.mil:""', "a.example:@x:y", "@a.b:,"]
)
def test_a_broken_suffix_of_relaydomains_is_a_mistake(text: str) -> None:
    table, (mistake,) = parse_relaydomains(lines("relaydomains", (text,)))
    assert mistake.found == f"'{text.partition(':')[2]}'"
    assert not table.hosts
    assert not table.recipients


@pytest.mark.parametrize(
    "text",
    ["gw@", "@partner.example", "partner.example", "gw", "a b@c.d", "gw@x..y", "gw@.x", "gw@x:",
     "*@partner.example", "<gw@partner.example>"],
)  # fmt: skip
def test_a_broken_line_of_tlsclients_is_a_mistake(text: str) -> None:
    found, (mistake,) = parse_tlsclients(lines("tlsclients", (text, "GW@Partner.example")))
    assert (mistake.line, mistake.found) == (1, f"'{text}'")
    assert mistake.expected == "user@domain, a whole address"
    assert [str(permit.rule) for permit in found.values()] == ["control/tlsclients:2"]


@pytest.mark.parametrize(
    "text",
    ["domain2.com", "joe", "@domain2.com:", "@.example.com", "a b@c.d", "joe@", "@", "joe@a..b",
     "<joe@a.example>", "joe@domain1.com,", "mailto:joe"],
)  # fmt: skip
def test_a_broken_line_of_relaymailfrom_is_a_mistake(text: str) -> None:
    _, (mistake,) = parse_relaymailfrom(lines("relaymailfrom", (text,)))
    assert (mistake.line, mistake.found) == (1, f"'{text}'")


@given(st.text(alphabet=st.sampled_from("0129.:/-@=*![]ab \"'\u201c\0\n")))
def test_any_line_is_a_rule_or_a_mistake(text: str) -> None:
    line = [Line("control/x", 1, text)]
    table, mistakes = parse_relayclients(line)
    assert len(table.listed) + len(mistakes) == 1
    found, mistakes = parse_relaydomains(line)
    assert len(found.hosts.permits) + len(found.recipients.permits) + len(mistakes) == 1
    said, mistakes = parse_relaymailfrom(line)
    assert len(said.text.exact) + len(said.text.patterns) + len(mistakes) == 1
