"""tcp.smtp: the same answer as reading the file line by line with the order of spec/smtp.md 1.3."""

import ipaddress
import timeit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indimail.mail.ip import plain_ip
from indimail.mail.line import Line
from indimail.mail.verdict import Rule
from indimail.policy.tcprules import (
    TcpRules,
    compile_rules,
    parse_tcp_rules,
    rules_from_records,
)

FILE = "tcp/tcp.smtp"


def rules(*texts: str) -> TcpRules:
    found, mistakes = parse_tcp_rules([Line(FILE, n, text) for n, text in enumerate(texts, 1)])
    assert mistakes == []
    return found


ORDER = rules(
    ":allow",  # 1
    "=:allow",  # 2
    "=.example.com:allow",  # 3
    "192/8:allow",  # 4
    "192.0.2.128/25:allow",  # 5
    "192.:allow",  # 6
    "192.0.2.:allow",  # 7
    "=MX.example.com:allow",  # 8
    "192.0.2.1:allow",  # 9
    "ana@=mx.example.com:allow",  # 10
    "ana@192.0.2.1:allow",  # 11
    "2001:DB8:0::1:deny",  # 12
    "2001:db8::/32:allow",  # 13
    "10.0.0.0/8:allow",  # 14
    "10.1.2.3/16:allow",  # 15
    "=.deep.example.com:allow",  # 16
    "::ffff:198.51.100.:allow",  # 17
    "::ffff:203.0.113.0/120:allow",  # 18
    "172.16-31.:allow",  # 19
    "172.20.1.1-3:allow",  # 20
    "172.20.1.2:allow",  # 21: the range of line 20 came first
    "bob@172.20.1.7-9:allow",  # 22
    "172.20.2.5:allow",  # 23
    "172.20.2.4-6:allow",  # 24
    "192.0.2.1:deny",  # 25: the same as line 9
    "::ffff:c633:6455:allow",  # 26: 198.51.100.85
    "172.20.3-4.7:allow",  # 27
    "172.20.3.6-8:allow",  # 28
    "172.20.5.6-8:allow",  # 29
    "172.20.5-6.7:allow",  # 30
)


@pytest.mark.parametrize(
    ("ip", "host", "info", "line"),
    [
        ("192.0.2.1", "mx.example.com", "ana", 11),
        ("192.0.2.9", "mx.example.com", "ana", 10),
        ("192.0.2.1", "mx.example.com", "bob", 9),
        ("192.0.2.1", None, None, 9),
        ("192.0.2.9", "mx.EXAMPLE.com", None, 8),
        ("192.0.2.9", "a.example.com", None, 7),
        ("192.0.2.200", None, None, 7),
        ("192.1.2.3", None, None, 6),
        ("10.9.9.9", "a.example.com", None, 14),
        ("10.1.9.9", None, None, 15),
        ("198.18.0.1", "a.example.com", None, 3),
        ("198.18.0.1", "a.deep.example.com", None, 16),
        ("198.18.0.1", "deep.example.com", None, 3),
        ("198.18.0.1", "example.com", None, 2),
        ("198.18.0.1", None, None, 1),
        ("198.18.0.1", "", "", 1),
        ("2001:db8::1", None, None, 12),
        ("2001:db8:0:0::1", None, None, 12),
        ("2001:db8::2", None, None, 13),
        ("fe80::1%eth0", None, None, 1),
        ("::ffff:192.0.2.1", None, None, 9),
        ("::ffff:c000:201", None, None, 9),
        ("198.51.100.7", None, None, 17),
        ("203.0.113.9", None, None, 18),
        ("172.15.0.1", None, None, 1),
        ("172.16.0.1", None, None, 19),
        ("172.31.255.255", None, None, 19),
        ("172.20.1.1", None, None, 20),
        ("172.20.1.2", None, None, 20),
        ("172.20.1.4", None, None, 19),
        ("172.20.1.8", None, "bob", 22),
        ("172.20.2.5", None, None, 23),
        ("172.20.2.6", None, None, 24),
        ("198.51.100.85", None, None, 26),
        ("172.20.3.7", None, None, 27),
        ("172.20.5.7", None, None, 29),
        ("", None, None, 1),
    ],
)
def test_the_first_existing_rule_in_the_order_of_kinds_decides(
    ip: str, host: str | None, info: str | None, line: int
) -> None:
    assert ORDER.find(ip, host, info).rule == Rule(FILE, line)


def test_without_a_rule_a_client_is_allowed_and_gets_nothing() -> None:
    found = rules("10.:deny").find("192.0.2.1")
    assert (found.allowed, dict(found.variables), set(found.removed)) == (True, {}, set())
    assert str(found.rule) == "tcp/tcp.smtp"
    assert TcpRules().find("192.0.2.1").rule == Rule("tcp/tcp.smtp")


def test_rules_are_not_merged() -> None:
    both = rules('10.1.:allow,A="1"', '10.:allow,B="2"')
    assert both.find("10.1.0.1").variables == {"A": "1"}


@pytest.mark.parametrize(
    ("text", "allowed", "variables", "removed"),
    [
        ('10.:allow,RELAYCLIENT=""', True, {"RELAYCLIENT": ""}, set()),
        ("10.:deny", False, {}, set()),
        ("10.:allow,A=/b,c/,B='d'", True, {"A": "b,c", "B": "d"}, set()),
        ('10.:allow,!A,B="!C",!D', True, {"B": "!C"}, {"A", "D"}),
        ('10.:allow,A="1",!A', True, {}, {"A"}),
        ('10.:allow,!A,A="1"', True, {"A": "1"}, set()),
        ('10.:allow,A="1",A="2"', True, {"A": "2"}, set()),
        ('10.:allow,A=":deny"', True, {"A": ":deny"}, set()),
        ("10.:allow,A=xhix", True, {"A": "hi"}, set()),
        ('10.:allow,A="\u201cx\u201d"', True, {"A": "\u201cx\u201d"}, set()),
    ],
)
def test_variables_are_set_and_removed(
    text: str, allowed: bool, variables: dict[str, str], removed: set[str]
) -> None:
    found = rules(text).find("10.0.0.1")
    assert (found.allowed, dict(found.variables), set(found.removed)) == (
        allowed,
        variables,
        removed,
    )
    assert found.text == text


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        ("192.0.2.1", "'192.0.2.1'", "address:allow or address:deny"),
        ("192.0.2.1:ALLOW", "'192.0.2.1:ALLOW'", "address:allow or address:deny"),
        ("192.0.2.1 :allow", "'192.0.2.1 '", "no blanks in or around the address"),
        ("192.0.2.1: allow", "'192.0.2.1: allow'", "address:allow or address:deny"),
        (":allowed", "'ed'", "a comma, or the end of the line"),
        (":allow,", "','", 'VAR="value" or !VAR after the comma'),
        (":allow,A", "',A'", 'VAR="value" or !VAR after the comma'),
        (":allow,A=", "''", "a value in quotes, as in RELAYCLIENT=\"\""),
        (':allow,A="b', "'\"b'", "a value in quotes, as in RELAYCLIENT=\"\""),
        (':allow,A="b"x', "'x'", "a comma, or the end of the line"),
        (":allow,RELAYCLIENT=\u201c\u201d", "the typographic quote \u201c",
         "a plain quote, as in RELAYCLIENT=\"\""),
        (':allow,="b"', "''", "the name of a variable"),
        (":allow,!", "''", "the name of a variable"),
        (':allow,A B="b"', "'A B'", "the name of a variable"),
        ("1.2.3:allow", "'1.2.3'", "as in 1.2.3."),
        ("1.2.3.4.:allow", "'1.2.3.4.'", "a prefix that ends in a dot"),
        ("1.2.3.256:allow", "'1.2.3.256'", "octets from 0 to 255"),
        ("1.2.03.:allow", "'1.2.03.'", "octets from 0 to 255"),
        ("1.2..3:allow", "'1.2..3'", "octets from 0 to 255"),
        ("1.2-3.4-5.6:allow", "'1.2-3.4-5.6'", "a range in one octet only"),
        ("1.2.3.9-5:allow", "'9-5'", "a range from a smaller to a larger number"),
        ("1.2.3.9-:allow", "'1.2.3.9-'", "octets from 0 to 255"),
        ("10.0.0.0/33:allow", "'10.0.0.0/33'", "address/bits"),
        ("10.0.0.0/x:allow", "'10.0.0.0/x'", "address/bits"),
        ("2001:db8:::allow", "'2001:db8::'", None),
        ("2001:db8:allow", "'2001:db8'", "an address"),
        ("fe80::1%eth0:allow", "'fe80::1%eth0'", "an address"),
        ("localhost:allow", "'localhost'", "=name"),
        ("@192.0.2.1:allow", "'@192.0.2.1'", "what ident says before the @"),
        ("ana@:allow", "'ana@'", "info@address or info@=name"),
        ("ana@10.:allow", "'ana@10.'", "one address after info@"),
        ("ana@=.example.com:allow", "'ana@=.example.com'", "a whole name after info@="),
    ],
)  # fmt: skip
def test_a_broken_line_is_a_mistake_and_the_others_count(
    text: str, found: str, expected: str | None
) -> None:
    parsed, mistakes = parse_tcp_rules([Line(FILE, 1, text), Line(FILE, 2, "203.0.113.9:deny")])
    assert parsed.find("203.0.113.9").rule == Rule(FILE, 2)
    if expected is None:  # looks odd, is an address
        assert mistakes == []
        return
    (mistake,) = mistakes
    assert (mistake.file, mistake.line, mistake.found) == (FILE, 1, found)
    assert expected in mistake.expected


def test_every_mistake_of_a_file_is_told() -> None:
    texts = ["x:allow", ":allow", ":deny,A", "nothing"]
    _, mistakes = parse_tcp_rules([Line(FILE, n, text) for n, text in enumerate(texts, 1)])
    assert [m.line for m in mistakes] == [1, 3, 4]


def test_a_range_ends_at_255_and_costs_one_table_however_wide() -> None:
    found = rules("1.2.3.250-999:deny", *(f"10.{n}.0-255.:deny" for n in range(256)))
    assert found.find("1.2.3.255").rule.line == 1
    assert found.find("1.2.3.249").rule.line is None
    assert found.find("10.7.200.1").rule.line == 9
    assert len(found._table._ranges) == 257


def test_compiled_records_have_the_format_of_tcprules() -> None:
    compiled = rules(
        '10.1.:allow,RELAYCLIENT="",A="b"', "1.2.3.7-8:deny", ":allow,!A", "127/8:deny",
        "1.2.3.8:allow", "::ffff:192.0.2.1:allow", "=MX.Example:allow",
    )  # fmt: skip
    assert compile_rules(compiled) == [
        (b"10.1.", b"+RELAYCLIENT=\0+A=b\0"),
        (b"1.2.3.7", b"D\0"),
        (b"1.2.3.8", b"D\0"),
        (b"", b"-A\0"),
        (b"127.0.0.0/8", b"D\0"),
        (b"192.0.2.1", b""),
        (b"=mx.example", b""),
    ]


def test_a_compiled_file_is_read_back() -> None:
    back, mistakes = rules_from_records(
        [(b"10.", b'+A="1"\0+A=2\0-B\0'), (b"", b"D\0"), (b"10.", b"D\0")]
    )
    assert mistakes == []
    found = back.find("10.0.0.1")
    assert (found.allowed, dict(found.variables), set(found.removed)) == (True, {"A": "2"}, {"B"})
    assert str(found.rule) == "tcp/tcp.smtp.cdb[10.]"
    assert not back.find("192.0.2.1").allowed


def test_broken_records_are_mistakes() -> None:
    _, mistakes = rules_from_records(
        [(b"10.", b"D"), (b"11.", b"X\0"), (b"what", b""), (b"", b"+=\0")]
    )
    assert [str(m).split(", expected")[0] for m in mistakes] == [
        "tcp/tcp.smtp.cdb[10.]: found 'D'",
        "tcp/tcp.smtp.cdb[11.]: found 'X'",
        "tcp/tcp.smtp.cdb: found 'what'",
        "tcp/tcp.smtp.cdb[]: found '+='",
    ]


@pytest.mark.parametrize("ip", ["", "what", "x::y::z", "1.2.3", "%", "::ffff:"])
def test_what_is_no_address_matches_what_is_for_everyone(ip: str) -> None:
    assert rules("::/0:deny", "0/0:deny", ":allow,A=''").find(ip).variables == {"A": ""}


def test_mapped_addresses_have_one_spelling() -> None:
    spellings = [
        "::ffff:192.0.2.1",
        "::FFFF:192.0.2.1",
        "::ffff:c000:201",
        "0:0:0:0:0:ffff:192.0.2.1",
    ]
    assert {plain_ip(ip) for ip in spellings} == {"192.0.2.1"}


# -- the same as a naive reader --------------------------------------------------------------------

OCTETS = st.sampled_from([0, 1, 2, 10, 255])
NAMES = st.sampled_from(["a.example", "b.a.example", "example", "mx"])
INFOS = st.sampled_from(["ana", "b*b"])
V4 = st.lists(OCTETS, min_size=4, max_size=4).map(lambda o: ".".join(map(str, o)))
V6 = st.sampled_from(["2001:db8::1", "2001:db8::2", "::1", "2001:db8:0:0::1"])
IPS = V4 | V6 | V4.map("::ffff:{}".format)


@st.composite
def prefixes(draw: st.DrawFn) -> str:
    return "".join(f"{o}." for o in draw(st.lists(OCTETS, min_size=1, max_size=3)))


@st.composite
def ranges(draw: st.DrawFn) -> str:
    parts = list(map(str, draw(st.lists(OCTETS, min_size=1, max_size=4))))
    low, high = sorted((draw(OCTETS), draw(OCTETS)))
    parts[draw(st.integers(0, len(parts) - 1))] = f"{low}-{high}"
    return ".".join(parts) + ("." if len(parts) < 4 else "")


ADDRESSES = (
    IPS
    | prefixes()
    | ranges()
    | st.builds("{}/{}".format, V4, st.integers(0, 32))
    | st.builds("{}/{}".format, V6, st.integers(0, 128))
    | NAMES.map("={}".format)
    | NAMES.map("=.{}".format)
    | st.sampled_from(["", "="])
    | st.builds("{}@{}".format, INFOS, IPS | NAMES.map("={}".format) | V4)
)


def expand(address: str) -> list[str]:
    head, at, rest = address.rpartition("@")
    parts = rest.split(".")
    for position, part in enumerate(parts):
        if "-" in part:
            low, high = map(int, part.split("-"))
            return [
                head + at + ".".join([*parts[:position], str(n), *parts[position + 1 :]])
                for n in range(low, high + 1)
            ]
    return [address]


def naive_ip(text: str) -> str:
    ip = ipaddress.ip_address(text)
    mapped = getattr(ip, "ipv4_mapped", None)
    return str(mapped or ip)


def naive_rank(address: str, ip: str, host: str, info: str) -> tuple[int, int] | None:
    """Say how good a line is for a client: kind (1.3), then length; None where it is for others."""
    given_info, at, rest = address.rpartition("@")
    if at:
        if given_info != info:
            return None
        if rest.startswith("="):
            return (2, 0) if host and rest == f"={host}" else None
        return (1, 0) if naive_ip(rest) == ip else None
    if address == "":
        return (9, 0)
    if address.startswith("="):
        name = address[1:]
        if not host:
            return None
        if name == "":
            return (8, 0)
        if name.startswith("."):
            return (7, -len(name)) if host.endswith(name) else None
        return (4, 0) if name == host else None
    if "/" in address:
        network = ipaddress.ip_network(address, strict=False)
        return (6, -network.prefixlen) if ipaddress.ip_address(ip) in network else None
    if address.endswith("."):
        return (5, -len(address)) if ip.startswith(address) else None
    return (3, 0) if naive_ip(address) == ip else None


@settings(max_examples=200, deadline=None)
@given(
    st.lists(ADDRESSES, max_size=12), IPS, NAMES | st.just(""), INFOS | st.just("")
)  # fmt: skip
def test_the_same_rule_as_reading_every_line(
    addresses: list[str], ip: str, host: str, info: str
) -> None:
    ranked = [
        (rank, line)
        for line, address in enumerate(addresses, 1)
        for text in expand(address)
        if (rank := naive_rank(text, naive_ip(ip), host, info)) is not None
    ]
    expected = Rule(FILE, min(ranked)[1]) if ranked else Rule(FILE)
    read = rules(*(f"{address}:allow,N='{n}'" for n, address in enumerate(addresses, 1)))
    assert read.find(ip, host or None, info or None).rule == expected
    back, mistakes = rules_from_records(compile_rules(read))
    assert mistakes == []
    number = back.find(ip, host or None, info or None).variables.get("N")
    assert number == (str(expected.line) if expected.line else None)


@given(st.text(max_size=30) | st.text("0123456789.-/:@=,!\"'allowdeny", max_size=30))
def test_any_line_is_a_rule_or_a_mistake(text: str) -> None:
    parsed, mistakes = parse_tcp_rules([Line(FILE, 1, text)])
    assert len(parsed.listed) + len(mistakes) == 1


@given(
    st.binary(max_size=20), st.binary(max_size=20) | st.binary(max_size=9).map(lambda b: b + b"\0")
)
def test_any_record_is_a_rule_or_a_mistake(key: bytes, data: bytes) -> None:
    parsed, mistakes = rules_from_records([(key, data)])
    assert len(parsed.listed) + len(mistakes) == 1


def test_a_client_is_found_in_microseconds() -> None:
    """Generous, for a busy machine: the point is that ten thousand rules cost what ten do."""
    many = rules(
        *(f"10.{n // 250}.{n % 250}.:allow" for n in range(10_000)), "127/8:deny", ":allow"
    )
    best = min(
        timeit.repeat(lambda: many.find("192.0.2.1", "mx.example.com"), number=200, repeat=5)
    )
    assert best / 200 < 50e-6
