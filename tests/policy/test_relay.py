"""Who may relay: ours for everybody, the rest with a permission."""

import pytest

from indimail.mail.address import Address
from indimail.mail.addresslist import parse_address_list
from indimail.mail.line import Line
from indimail.mail.match import parse_domains
from indimail.mail.verdict import Accept, Refuse, Rule, TryLater
from indimail.policy.relay import RelayFacts, RelayRules, decide_relay, is_ours
from indimail.policy.relaylists import (
    parse_relayclients,
    parse_relaydomains,
    parse_relaymailfrom,
)

RCPTHOSTS = "control/rcpthosts"
ELSEWHERE = "bob@elsewhere.example"
TCP_SMTP = Rule("tcp/tcp.smtp", 7)
DENIED = (
    "553 5.7.1 sorry, that domain isn't allowed to be relayed thru this MTA"
    " without authentication #5.7.1"
)


def rules_of(*domains: str) -> RelayRules:
    lines = [Line(RCPTHOSTS, number, text) for number, text in enumerate(domains, 1)]
    more = [Line("control/morercpthosts", 1, "more.example")]
    return RelayRules(parse_domains(lines)[0], parse_domains(more)[0])


OURS = rules_of("example.com", ".example.org")


def relay_rules(
    clients: str = "", domains: str = "", senders: str = "", vpn: str = "203.0.113.1:"
) -> RelayRules:
    """Return rules with lists of one line each, apart by blanks; none where the text is empty."""

    def lines(file: str, text: str) -> list[Line]:
        return [Line(f"control/{file}", n, word) for n, word in enumerate(text.split(), 1)]

    return RelayRules(
        OURS.rcpthosts,
        OURS.morercpthosts,
        {
            "relayclients": parse_relayclients(lines("relayclients", clients))[0],
            "vpn": parse_relayclients(lines("vpn", vpn))[0],
        },
        parse_relaydomains(lines("relaydomains", domains))[0],
        parse_relaymailfrom(lines("relaymailfrom", senders))[0],
    )


def facts(recipient: str, **more: object) -> RelayFacts:
    known = {"client_ip": "192.0.2.1", **more}
    return RelayFacts(forward_path=Address.parse(recipient), **known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("recipient", "relayclient", "rule", "reason", "suffix"),
    [
        ("ana@example.com", None, "control/rcpthosts:1", "rcpthosts", ""),
        ("ana@EXAMPLE.com", None, "control/rcpthosts:1", "rcpthosts", ""),
        ("ana@a.example.org", None, "control/rcpthosts:2", "rcpthosts", ""),
        ("a@b@example.com", None, "control/rcpthosts:1", "rcpthosts", ""),
        ("ana@more.example", None, "control/morercpthosts:1", "rcpthosts", ""),
        ("postmaster", None, "built-in[no domain]", "no domain", ""),
        ("bob@elsewhere.example", "", "tcp/tcp.smtp:7", "tcp.smtp", ""),
        ("bob@elsewhere.example", "@fix.me", "tcp/tcp.smtp:7", "tcp.smtp", "@fix.me"),
        ("ana@example.com", "@fix.me", "control/rcpthosts:1", "rcpthosts", "@fix.me"),
        ("postmaster", "@fix.me", "built-in[no domain]", "no domain", "@fix.me"),
    ],
)
def test_accepted_with_the_rule_that_allows_it(
    recipient: str, relayclient: str | None, rule: str, reason: str, suffix: str
) -> None:
    found = decide_relay(facts(recipient, relayclient=relayclient, relayclient_rule=TCP_SMTP), OURS)
    assert isinstance(found, Accept)
    assert (str(found.rule), found.reason, found.suffix) == (rule, reason, suffix)


@pytest.mark.parametrize(
    "recipient",
    ["bob@elsewhere.example", "ana@example.org", "ana@a.example.com", "ana@example.com.", "a@com",
     "ana@example.com@elsewhere.example", "ana@[127.0.0.1]"],
)  # fmt: skip
@pytest.mark.parametrize(
    "known",
    [{}, {"helo": "example.com"}, {"client_host": "mx.example.com"}, {"listener": "smtp"},
     {"reverse_path": Address("ana", "example.com")}],
)  # fmt: skip
def test_a_stranger_is_refused_whatever_he_says(recipient: str, known: dict[str, object]) -> None:
    found = decide_relay(facts(recipient, **known), OURS)
    assert isinstance(found, Refuse)
    assert str(found.reply) == DENIED
    assert found.rule == Rule(RCPTHOSTS)


def test_an_empty_rcpthosts_makes_nothing_ours() -> None:
    for empty in (RelayRules(), RelayRules(parse_domains([])[0])):
        assert isinstance(decide_relay(facts("ana@example.com"), empty), Refuse)
        assert is_ours("example.com", empty) is None


ANA = Rule("accounts", key="ana@example.com")
AUTH_ALL = Rule("tcp/tcp.smtp", 9)
LOGGED_IN = {"auth_user": "ana@example.com", "auth_rule": ANA}


@pytest.mark.parametrize(
    ("recipient", "known", "rule"),
    [
        ("bob@elsewhere.example", LOGGED_IN, "accounts[ana@example.com]"),
        ("bob@elsewhere.example", {**LOGGED_IN, "auth_relays": False}, ""),
        ("ana@example.com", {**LOGGED_IN, "auth_relays": False}, "control/rcpthosts:1"),
        ("bob@elsewhere.example", {"auth_relays": True}, ""),  # nobody
        # Methods add up: the first that holds is told.
        ("bob@elsewhere.example", {**LOGGED_IN, "relayclient": ""}, "tcp/tcp.smtp:7"),
        ("bob@elsewhere.example", {**LOGGED_IN, "auth_relays": False, "relayclient": ""},
         "tcp/tcp.smtp:7"),
    ],
)  # fmt: skip
def test_who_is_logged_in_may_relay_unless_no_relay(
    recipient: str, known: dict[str, object], rule: str
) -> None:
    found = decide_relay(facts(recipient, relayclient_rule=TCP_SMTP, **known), OURS)
    assert isinstance(found, Accept if rule else Refuse)
    assert str(found.rule) == (rule or RCPTHOSTS)


LISTED = RelayRules(
    OURS.rcpthosts, authdomains=parse_address_list([Line("control/authdomains", 2, "@example.com")])
)
OF_ANA = {"reverse_path": Address("ana", "example.com")}


@pytest.mark.parametrize("recipient", ["ana@example.com", "bob@elsewhere.example", "postmaster"])
@pytest.mark.parametrize(
    ("known", "rules", "rule"),
    [
        ({"auth_all": AUTH_ALL}, OURS, "tcp/tcp.smtp:9"),
        (OF_ANA, LISTED, "control/authdomains:2"),
        ({**OF_ANA, "auth_all": AUTH_ALL}, LISTED, "control/authdomains:2"),
    ],
)
def test_where_nothing_is_ours_every_recipient_needs_a_permission(
    recipient: str, known: dict[str, object], rules: RelayRules, rule: str
) -> None:
    found = decide_relay(facts(recipient, **known), rules)
    assert isinstance(found, Refuse)
    assert str(found.rule) == rule
    found = decide_relay(facts(recipient, **known, **LOGGED_IN), rules)
    assert isinstance(found, Accept)
    assert (found.rule, found.reason) == (ANA, "smtp-auth")


def test_authdomains_are_about_their_senders_alone() -> None:
    assert isinstance(decide_relay(facts("ana@example.com"), LISTED), Accept)


@pytest.mark.parametrize(
    ("known", "end"),
    [
        ({"auth_user": "ana@example.com", "auth_relays": False},
         "without authentication, auth ana@example.com #5.7.1"),
        ({"tls": "TLSv1.3"}, "without authentication; no valid cert for gateway  #5.7.1"),
        ({"tls": "TLSv1.3", "auth_user": "a", "auth_relays": False},
         "without authentication, auth a #5.7.1"),
    ],
)  # fmt: skip
def test_the_refusal_says_what_was_tried(known: dict[str, object], end: str) -> None:
    found = decide_relay(facts("bob@elsewhere.example", **known), OURS)
    assert isinstance(found, Refuse)
    assert str(found.reply).endswith(end)


def test_ours_is_told_by_rule() -> None:
    assert is_ours("example.com", OURS) == Rule(RCPTHOSTS, 1)
    assert is_ours("elsewhere.example", OURS) is None


JOE = Address("Joe", "domain2.com")
ALL = relay_rules(
    "192.0.2.:@one.example", "heaven.af.mil:@two.example @partner.example:", "@domain2.com"
)


@pytest.mark.parametrize(
    ("recipient", "known", "rule", "reason", "suffix"),
    [
        (ELSEWHERE, {}, "control/relayclients:1", "relayclients", "@one.example"),
        ("ana@example.com", {}, "control/rcpthosts:1", "rcpthosts", "@one.example"),
        (ELSEWHERE, {"client_ip": "198.51.100.1", "client_host": "heaven.af.mil"},
         "control/relaydomains:1", "relaydomains", "@two.example"),
        (ELSEWHERE, {"client_ip": "198.51.100.1", "reverse_path": JOE},
         "control/relaymailfrom:1", "relaymailfrom", ""),
        ("bob@partner.example", {"client_ip": "198.51.100.1"},
         "control/relaydomains:2", "relaydomains", ""),
        (ELSEWHERE, {"client_ip": "203.0.113.1", "relayclients": "vpn"},
         "control/vpn:1", "relayclients", ""),
        (ELSEWHERE, {"relayclient": "@fix.me", "relayclient_rule": TCP_SMTP},
         "tcp/tcp.smtp:7", "tcp.smtp", "@fix.me"),
    ],
)  # fmt: skip
def test_each_method_permits_and_names_its_line(
    recipient: str, known: dict[str, object], rule: str, reason: str, suffix: str
) -> None:
    found = decide_relay(facts(recipient, **known), ALL)
    assert isinstance(found, Accept)
    assert (str(found.rule), found.reason, found.suffix) == (rule, reason, suffix)


@pytest.mark.parametrize(
    "known",
    [
        {"client_ip": "192.0.3.1"},
        {"client_ip": "203.0.113.1"},  # is in the file of another RELAYCLIENTS
        {"relayclients": "vpn"},  # his is not
        {"client_ip": "198.51.100.1", "client_host": "partner.example"},
        {"client_ip": "198.51.100.1", "helo": "heaven.af.mil"},
        {"client_ip": "198.51.100.1", "reverse_path": Address("joe", "domain2.com.example")},
    ],
)
def test_who_is_in_no_list_is_refused(known: dict[str, object]) -> None:
    assert isinstance(decide_relay(facts(ELSEWHERE, **known), ALL), Refuse)


def test_relaydomains_takes_nothing_away_that_relayclients_gave() -> None:
    """A defect of IndiMail's (spec/smtp.md 0.3): the second list forgot what the first had found."""
    both = relay_rules("192.0.2.1:", "heaven.af.mil:")
    assert isinstance(decide_relay(facts(ELSEWHERE, client_host="mx.example.net"), both), Accept)


def test_a_name_that_dns_does_not_tell_is_a_451_where_it_could_have_permitted() -> None:
    known = {"client_ip": "198.51.100.1", "host_trouble": "SERVFAIL"}
    found = decide_relay(facts(ELSEWHERE, **known), relay_rules(domains="heaven.af.mil:"))
    assert isinstance(found, TryLater)
    assert str(found.reply) == "451 4.4.3 Sorry, there is a DNS temporary failure (#4.4.3)"
    for closed in (relay_rules(), relay_rules(domains="@partner.example:")):
        assert isinstance(decide_relay(facts(ELSEWHERE, **known), closed), Refuse)
    for ours in ("ana@example.com", "bob@partner.example"):
        assert isinstance(decide_relay(facts(ours, **known), ALL), Accept)


def test_a_login_counts_for_its_time() -> None:
    known = {"client_ip": "198.51.100.1", "login": "ana@example.com", "login_seconds": 3600.0}
    found = decide_relay(facts(ELSEWHERE, **known, login_age=3599.9), OURS)
    assert isinstance(found, Accept)
    assert (str(found.rule), found.reason) == ("relay[ana@example.com 198.51.100.1]", "relay table")
    assert isinstance(decide_relay(facts(ELSEWHERE, **known, login_age=3600.0), OURS), Refuse)
    assert isinstance(decide_relay(facts(ELSEWHERE, login_seconds=3600.0), OURS), Refuse)


def test_accounts_that_do_not_answer_are_a_451() -> None:
    found = decide_relay(facts(ELSEWHERE, login_trouble="down"), OURS)
    assert isinstance(found, TryLater)
    assert str(found.reply) == "451 4.3.2 Sorry, I got a temporary database error (#4.3.2)"


def test_the_original_of_a_rewritten_sender_gets_mail_wherever_he_is() -> None:
    srs = Rule("control/srs_domain", 1)
    found = decide_relay(facts("eve@elsewhere.example", srs_rule=srs), OURS)
    assert found == Accept(srs, "srs")
    found = decide_relay(facts("ana@example.com", srs_rule=srs), OURS)
    assert found == Accept(Rule(RCPTHOSTS, 1), "rcpthosts")


@pytest.mark.parametrize("srs_rule", [Rule(""), Rule("control/srs_domain")])
@pytest.mark.parametrize("relayclient", [None, "", "@fix.me"])
def test_facts_are_read_back_from_a_trace_record(relayclient: str | None, srs_rule: Rule) -> None:
    asked = facts(
        "Bob@elsewhere.example", client_host="h", listener="smtp", helo="x",
        reverse_path=Address("eve", "example.net"), relayclient=relayclient,
        relayclient_rule=Rule("tcp/tcp.smtp") if relayclient is not None else Rule(""),
        auth_user="u", auth_relays=False, auth_rule=Rule("accounts[u]"),
        auth_all=Rule("tcp/tcp.smtp:9"), tls="TLSv1.3", size=9, host_trouble="SERVFAIL", relayclients="vpn",
        login="ana@example.com", login_age=1.5, login_seconds=3600.0, login_trouble="down",
        certificate="a@b.example c@d.example", certificate_trouble="expired",
        offered="SRS0=x", srs_rule=srs_rule,
    )  # fmt: skip
    assert RelayFacts.from_facts(asked.as_facts()) == asked
