"""Who may relay: ours for everybody, the rest with a permission."""

import pytest

from indimail.mail.address import Address
from indimail.mail.line import Line
from indimail.mail.match import parse_domains
from indimail.mail.verdict import Accept, Refuse, Rule
from indimail.policy.relay import RelayFacts, RelayRules, decide_relay, is_ours

RCPTHOSTS = "control/rcpthosts"
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


def facts(recipient: str, **more: object) -> RelayFacts:
    return RelayFacts("192.0.2.1", forward_path=Address.parse(recipient), **more)  # type: ignore[arg-type]


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


@pytest.mark.parametrize(
    ("known", "end"),
    [
        ({"auth_user": "ana@example.com"}, "without authentication, auth ana@example.com #5.7.1"),
        ({"tls": "TLSv1.3"}, "without authentication; no valid cert for gateway  #5.7.1"),
        ({"tls": "TLSv1.3", "auth_user": "a"}, "without authentication, auth a #5.7.1"),
    ],
)
def test_the_refusal_says_what_was_tried(known: dict[str, object], end: str) -> None:
    found = decide_relay(facts("bob@elsewhere.example", **known), OURS)
    assert isinstance(found, Refuse)
    assert str(found.reply).endswith(end)


def test_ours_is_told_by_rule() -> None:
    assert is_ours("example.com", OURS) == Rule(RCPTHOSTS, 1)
    assert is_ours("elsewhere.example", OURS) is None


@pytest.mark.parametrize("relayclient", [None, "", "@fix.me"])
def test_facts_are_read_back_from_a_trace_record(relayclient: str | None) -> None:
    asked = facts(
        "Bob@elsewhere.example", client_host="h", listener="smtp", helo="x",
        reverse_path=Address("eve", "example.net"), relayclient=relayclient,
        relayclient_rule=Rule("tcp/tcp.smtp") if relayclient is not None else Rule(""),
        auth_user="u", tls="TLSv1.3", size=9,
    )  # fmt: skip
    assert RelayFacts.from_facts(asked.as_facts()) == asked
