"""How lines of smtproutes and records of moresmtproutes.cdb are read."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.control.cdb import Cdb, build_cdb
from indimail.mail.line import Line
from indimail.mail.secret import Secret
from indimail.mail.verdict import Rule
from indimail.schedule.smtproutes import (
    Login,
    LoginKey,
    RouteTable,
    SmtpRoute,
    parse_smtproutes,
    routes_from_records,
)

FILE = "control/smtproutes"


def lines(*texts: str) -> list[Line]:
    return [Line(FILE, number, text) for number, text in enumerate(texts, 1)]


def table(*texts: str) -> RouteTable:
    found, mistakes = parse_smtproutes(lines(*texts))
    assert mistakes == []
    return found


ANA = Login("ana", Secret("pass:word"))


@pytest.mark.parametrize(
    ("line", "key", "route"),
    [
        ("example.com:192.0.2.1", "example.com", SmtpRoute("192.0.2.1")),
        ("Example.COM:Relay.Example.NET", "example.com", SmtpRoute("relay.example.net")),
        ("bücher.example:rélay.example", "xn--bcher-kva.example",
         SmtpRoute("xn--rlay-bpa.example")),
        (".example.com:relay", ".example.com", SmtpRoute("relay")),
        (":smarthost.example:587", "", SmtpRoute("smarthost.example", 587)),
        ("!@:bounces.example:26", "!@", SmtpRoute("bounces.example", 26)),
        ("Ana@Example.com:192.0.2.1", "ana@example.com", SmtpRoute("192.0.2.1")),
        ("example.com:", "example.com", SmtpRoute()),
        ("example.com:[192.0.2.1]", "example.com", SmtpRoute("192.0.2.1")),
        ("example.com:[2001:DB8::1]:2525", "example.com", SmtpRoute("2001:db8::1", 2525)),
        ("example.com:[IPv6:2001:db8::1]", "example.com", SmtpRoute("2001:db8::1")),
        ("[192.0.2.9]:relay", "[192.0.2.9]", SmtpRoute("relay")),
        ("[IPv6:2001:db8::9]:[::1]:26", "[ipv6:2001:db8::9]", SmtpRoute("::1", 26)),
        ("d.example:relay:25:7200:300", "d.example", SmtpRoute("relay", 25, 7200, 300)),
        ("d.example:relay::0", "d.example", SmtpRoute("relay", 25, 0)),
        ("d.example:relay:::60", "d.example", SmtpRoute("relay", 25, None, 60)),
        ("d.example:relay:", "d.example", SmtpRoute("relay")),
        ("d.example:relay:587 ana pass:word", "d.example", SmtpRoute("relay", 587, login=ANA)),
        ("d.example:relay ana pass:word AUTH_SMTP=LOGIN,TLS=", "d.example",
         SmtpRoute("relay", login=ANA, variables=(("AUTH_SMTP", "LOGIN"), ("TLS", "")))),
        ("d.example:[::1]:587:60:60  ana  pass:word", "d.example",
         SmtpRoute("::1", 587, 60, 60, ANA)),
        ("d.example:relay /s", "d.example", SmtpRoute("relay", login=LoginKey("s"))),
        ("d.example:relay:587 /r", "d.example", SmtpRoute("relay", 587, login=LoginKey("r"))),
        ("d.example:relay /smarthost", "d.example",
         SmtpRoute("relay", login=LoginKey("smarthost"))),
    ],
)  # fmt: skip
def test_a_line(line: str, key: str, route: SmtpRoute) -> None:
    assert table(line).get(key) == (route, Rule(FILE, 1))


def test_tls_from_the_first_octet_is_a_matter_of_the_port() -> None:
    found = table("a.example:relay:465", "b.example:relay:587")
    assert [found.get(f"{key}.example")[0].tls for key in "ab"] == [True, False]  # type: ignore[index]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("example.com", "'example.com'"),
        ("example.com relay", "'example.com ...'"),
        ("exa mple:relay", "'exa ...'"),
        ("a@b@.c:relay", "'a@b@.c'"),
        ("@example.com:relay", "'@example.com'"),
        ("[192.0.2.1:relay", "'[192.0.2.1'"),
        ("d.example:rel_ay!", "'rel_ay!'"),
        ("d.example:-relay", "'-relay'"),
        ("d.example:re..lay", "'re..lay'"),
        ("d.example:2001:db8::1", "'2001:...'"),
        ("d.example:[2001:db8::1", "'[2001:...'"),
        ("d.example:[relay]", "'[relay]'"),
        ("d.example:192.0.2.300", "'192.0.2.300'"),
        ("d.example:12345", "'12345'"),
        ("d.example:relay:0", "'relay:0'"),
        ("d.example:relay:65536", "'relay:65536'"),
        ("d.example:relay:25:1:2:3", "'relay:25:1:2:3'"),
        ("d.example:relay:25:-1", "'relay:...'"),
        ("d.example:relay:25:1234567890", "'relay:25:1234567890'"),
        ("d.example::587", "':587'"),
        ("d.example:relay:6209", "'relay:6209'"),
        ("d.example:relay:209", "'relay:209'"),
        ("d.example: ana topsecret", "credentials without a relay"),
        ("d.example:relay ana", "1 words behind the relay"),
        ("d.example:relay ana topsecret A=b more", "4 words behind the relay"),
        ("d.example:relay ana topsecret more", "a third word that is none of that"),
        ("d.example:relay ana topsecret 1A=b", "a third word that is none of that"),
        ("d.example:relay /s topsecret", "more or less than a word behind the slash"),
        ("d.example:relay /", "more or less than a word behind the slash"),
        ("d.example:relay:ana:topsecret", "'relay:...'"),
    ],
)
def test_what_is_wrong_is_told_without_a_password(line: str, found: str) -> None:
    routes, mistakes = parse_smtproutes(lines("ok.example:relay", line))
    assert [(m.file, m.line, m.found) for m in mistakes] == [(FILE, 2, found)]
    assert "topsecret" not in str(mistakes[0])
    assert routes.get("ok.example")


def test_of_two_lines_with_one_key_the_first_counts() -> None:
    found = table("d.example:one", "D.example:two").get("d.example")
    assert found == (SmtpRoute("one"), Rule(FILE, 1))


def test_patterns_are_tried_in_the_order_of_the_file() -> None:
    found = table("mx-?.example.*:one", "*.example.com:two", "a*@*.org:three", "*:four")

    def rule(address: str) -> str:
        return str(found.match(address, address.partition("@")[2])[1])  # type: ignore[index]

    assert rule("x@mx-1.example.com") == f"{FILE}:1"
    assert rule("x@mx-11.example.com") == f"{FILE}:2"
    assert rule("ana@b.org") == f"{FILE}:3"
    assert rule("bob@b.org") == f"{FILE}:4"
    assert table("*.example.com:two").match("x@example.com", "example.com") is None
    assert found.get("*") is None


def test_a_data_base_names_its_keys() -> None:
    records = [
        (b"Ana@example.com", b"192.0.2.1:587 ana pass:word"),
        (b"d.example", b"relay\0"),
        (b"*.org", b"relay"),
        (b"bad key", b"relay"),
        (b"x.example", b"relay:0"),
        (b"y.example", b"relay:0"),
    ]
    name = "control/moresmtproutes.cdb"
    base = Cdb(build_cdb(records), name)
    found, mistakes = routes_from_records(base.items(), name)
    assert found.get("ana@example.com") == (
        SmtpRoute("192.0.2.1", 587, login=ANA), Rule(name, key="ana@example.com"),
    )  # fmt: skip
    assert found.get("d.example") == (SmtpRoute("relay"), Rule(name, key="d.example"))
    assert found.match("a@b.org", "b.org") == (SmtpRoute("relay"), Rule(name, key="*.org"))
    assert [(m.file, m.line, m.found) for m in mistakes] == [
        (name, None, "'bad ...'"),
        (f"{name}[x.example]", None, "'relay:0'"),
        (f"{name}[y.example]", None, "'relay:0'"),
    ]


def test_a_table_can_be_sent_to_workers_and_shows_no_password() -> None:
    found = table("d.example:relay ana pass:word")
    assert pickle.loads(pickle.dumps(found)).get("d.example") == found.get("d.example")
    assert "pass:word" not in repr(found.get("d.example"))


@given(st.lists(st.text("ab.:@*[]/ =,!019é", max_size=30), max_size=4))
def test_whatever_stands_there_is_a_route_or_a_mistake(texts: list[str]) -> None:
    _, mistakes = parse_smtproutes(lines(*texts))
    assert len(mistakes) <= len(texts)
    assert all(m.line and texts[m.line - 1] and m.expected for m in mistakes if texts[m.line - 1])


@given(st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=20)), max_size=4))
def test_whatever_a_record_is_it_is_a_route_or_a_mistake(
    records: list[tuple[bytes, bytes]],
) -> None:
    _, mistakes = routes_from_records(records, "control/moresmtproutes.cdb")
    assert len(mistakes) <= len(records)
