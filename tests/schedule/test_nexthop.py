"""Whom a remote recipient's mail is handed to: the order of spec/queue.md 3.3."""

import time

import pytest

from indimail.mail.address import NULL, Address
from indimail.mail.line import Line
from indimail.mail.secret import Secret
from indimail.mail.verdict import NO_RULE, Rule
from indimail.schedule.logins import parse_logins
from indimail.schedule.nexthop import NextHop, Routes, next_hop
from indimail.schedule.smtproutes import Login, RouteTable, parse_smtproutes

SMTPROUTES, MORE, CDB = "control/smtproutes", "control/moresmtproutes", "control/smtproutes.cdb"
SENDER = Address("sue", "sender.example")


def table(file: str, *texts: str) -> RouteTable:
    numbered = [Line(file, number, text) for number, text in enumerate(texts, 1)]
    found, mistakes = parse_smtproutes(numbered)
    assert mistakes == []
    return found


FILES = (
    table(
        SMTPROUTES,
        "example.com:one",  # 1
        ".example.com:two",  # 2
        ".a.example.com:three",  # 3
        "direct.example.com:",  # 4
        "*.org:four",  # 5
        "b.*:five",  # 6
        ".both.example:six",  # 7
        "[192.0.2.7]:seven",  # 8
    ),
    table(
        MORE,
        "ana@example.com:more1:587",  # 1
        "example.com:more2",  # 2
        "both.example:more3",  # 3
        "!@:bounces:26",  # 4
        "ana@direct.example.com:",  # 5
        "exact.example.com:more6",  # 6
    ),
    table(CDB, "example.org:cdb1", ":cdb2"),
)
ROUTES = Routes(FILES)
VARIABLE = table("environment", "example.com:env1", "!@:env2")


def hop(address: str, routes: Routes = ROUTES, sender: Address = SENDER) -> NextHop:
    recipient = Address.parse(address)
    return next_hop(recipient, recipient.domain, sender, routes)


@pytest.mark.parametrize(
    ("address", "relay", "rule"),
    [
        ("ana@example.com", "more1", f"{MORE}:1"),  # the whole address before all
        ("ANA@Example.COM", "more1", f"{MORE}:1"),
        ("bob@example.com", "one", f"{SMTPROUTES}:1"),  # of one key the first file's
        ("bob@x.example.com", "two", f"{SMTPROUTES}:2"),
        ("bob@exact.example.com", "more6", f"{MORE}:6"),  # the domain before its suffixes
        ("bob@x.a.example.com", "three", f"{SMTPROUTES}:3"),
        ("bob@direct.example.com", "", f"{SMTPROUTES}:4"),  # empty: DNS
        ("ana@direct.example.com", "", f"{MORE}:5"),
        ("bob@x.direct.example.com", "two", f"{SMTPROUTES}:2"),
        ("bob@both.example", "more3", f"{MORE}:3"),
        ("bob@x.both.example", "six", f"{SMTPROUTES}:7"),
        ("bob@example.org", "cdb1", f"{CDB}:1"),  # a key before a pattern
        ("bob@b.org", "four", f"{SMTPROUTES}:5"),  # patterns by their place
        ("bob@b.net", "five", f"{SMTPROUTES}:6"),
        ("bob@elsewhere.net", "cdb2", f"{CDB}:2"),  # the empty key last
        ("bob@[192.0.2.7]", "seven", f"{SMTPROUTES}:8"),
    ],
)
def test_the_first_that_is_there_decides(address: str, relay: str, rule: str) -> None:
    found = hop(address)
    assert (found.relay, str(found.rule)) == (relay, rule)


def test_without_a_route_dns_decides() -> None:
    assert hop("bob@Bücher.example", Routes()) == NextHop(
        "xn--bcher-kva.example", "", 25, False, 3600, 120, Rule(SMTPROUTES)
    )


def test_bounces_have_a_relay_of_their_own() -> None:
    found = hop("bob@example.com", sender=NULL)
    assert (found.relay, found.port, str(found.rule)) == ("bounces", 26, f"{MORE}:4")
    assert hop("ana@example.com", sender=NULL).relay == "more1"
    assert hop("bob@example.com", Routes(FILES[:1]), NULL).relay == "one"


def test_smtproute_takes_the_place_of_the_files_but_for_whole_addresses() -> None:
    routes = Routes(FILES, VARIABLE)
    assert hop("bob@example.com", routes).relay == "env1"
    assert hop("bob@example.com", routes, NULL).relay == "env2"
    assert hop("bob@b.org", routes).relay == ""
    assert hop("ana@example.com", routes).relay == "more1"
    assert hop("bob@example.com", Routes(FILES, RouteTable())).relay == ""


@pytest.mark.parametrize(
    ("target", "domain", "relay", "port", "tls"),
    [
        ("Example.com:192.0.2.1:2525", "example.com", "192.0.2.1", 2525, False),
        ("other.example:Node.Example:465", "other.example", "node.example", 465, True),
    ],
)
def test_an_instruction_decides_before_all_files(
    target: str, domain: str, relay: str, port: int, tls: bool
) -> None:
    rule = Rule("domains/example.com/.qmail-default", 1)
    for sender in (SENDER, NULL):
        found = next_hop(Address("ana", "example.com"), target, sender, ROUTES, rule)
        assert found == NextHop(domain, relay, port, tls, 3600, 120, rule)


def test_a_literal_of_ipv6_is_no_instruction() -> None:
    domain = "[ipv6:2001:db8::7]"
    assert next_hop(Address("ana", domain), domain, SENDER, Routes()).domain == domain


@pytest.mark.parametrize(
    ("line", "penalty", "tolerance"),
    [
        ("d.example:relay", 60, 30),
        ("d.example:relay:25:7200:300", 7200, 300),
        ("d.example:relay:25:0", 0, 30),
        ("d.example:", 60, 30),
    ],
)
def test_a_routes_times_beat_the_variables(line: str, penalty: int, tolerance: int) -> None:
    routes = Routes((table(SMTPROUTES, line),), min_penalty=60, max_tolerance=30)
    found = hop("a@d.example", routes)
    assert (found.min_penalty, found.max_tolerance) == (penalty, tolerance)


# -- credentials -----------------------------------------------------------------------------------

LOGINS, _ = parse_logins([
    Line("control/remote_auth", 1, "=sue@sender.example:by-sender x A=b:"),
    Line("control/remote_auth", 2, "=ana@r.example:by-recipient x:"),
    Line("control/remote_auth", 3, "=smart:by-word x:"),
])  # fmt: skip
KEYED = Routes(
    (
        table(
            SMTPROUTES,
            "s.example:relay /s",
            "r.example:relay /r",
            "w.example:relay /smart",
            "n.example:relay /nobody",
            "p.example:relay:587 user pass C=d",
        ),
    ),
    logins=LOGINS,
)


@pytest.mark.parametrize(
    ("address", "user", "variables", "rule"),
    [
        ("ana@s.example", "by-sender", (("A", "b"),), "control/remote_auth:1"),
        ("Ana@r.example", "by-recipient", (), "control/remote_auth:2"),
        ("ana@w.example", "by-word", (), "control/remote_auth:3"),
        ("ana@p.example", "user", (("C", "d"),), f"{SMTPROUTES}:5"),
    ],
)
def test_credentials_and_where_they_stand(
    address: str, user: str, variables: tuple[tuple[str, str], ...], rule: str
) -> None:
    found = hop(address, KEYED)
    assert found.login is not None
    assert (found.login.user, found.variables, str(found.login_rule)) == (user, variables, rule)


@pytest.mark.parametrize(
    ("address", "sender", "rule"),
    [
        ("ana@n.example", SENDER, "control/remote_auth[nobody]"),
        ("bob@r.example", SENDER, "control/remote_auth[bob@r.example]"),
        ("ana@s.example", NULL, "control/remote_auth"),
    ],
)
def test_who_has_no_credentials_goes_without_and_it_is_told(
    address: str, sender: Address, rule: str
) -> None:
    found = hop(address, KEYED, sender)
    assert (found.relay, found.login, str(found.login_rule)) == ("relay", None, rule)


def test_a_route_without_credentials_says_nothing_of_them() -> None:
    assert hop("bob@example.com").login_rule == NO_RULE


def test_credentials_are_shown_nowhere() -> None:
    found = hop("ana@p.example", KEYED)
    assert found.login == Login("user", Secret("pass"))
    assert "pass" not in repr(found).replace("password", "")


def test_a_look_up_does_not_grow_with_the_files() -> None:
    """10,000 routes: no slower than ten by more than a busy machine explains."""

    def routes(number: int) -> Routes:
        return Routes((table(SMTPROUTES, *(f"d{n}.example:relay" for n in range(number))),))

    def seconds(of: Routes) -> float:
        begun = time.perf_counter()
        for _ in range(300):
            hop("ana@no.such.example", of)
        return time.perf_counter() - begun

    few, many = routes(10), routes(10_000)
    assert min(seconds(many) for _ in range(5)) < 20 * min(seconds(few) for _ in range(5))
