"""The files that say who may relay, whatever an operator pastes into them.

Invariant: each line is a rule or a mistake that names it, and nothing else happens; what is compiled reads
back the same; rules are looked at to the end, and the client that is named as a witness may relay.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.control.cdb import Cdb, build_cdb
from indimail.control.files import parse_lines
from indimail.mail.address import Address
from indimail.mail.errors import ConfigErrors
from indimail.mail.match import parse_domains
from indimail.mail.verdict import Accept
from indimail.policy.clients import Wrong, parse_client, spans
from indimail.policy.relay import RelayFacts, RelayRules, decide_relay
from indimail.policy.relaycheck import Grade, check_relay
from indimail.policy.relaylists import (
    parse_relayclients,
    parse_relaydomains,
    parse_relaymailfrom,
    parse_tlsclients,
)
from indimail.policy.tcprules import compile_rules, parse_tcp_rules, rules_from_records
from policy.test_relaycheck import Served, World

pytestmark = pytest.mark.fuzz

WORDS = [
    "\n", "\r\n", " ", "\t", "\0", "#", ":", "::", "@", ".", "..", "-", "/", "/0", "/8", "/33", "/128", "=",
    "=.", "!", "*", "[", "?", ",", ",!", '"', '""', "\u201c", "\u201d", "'", "allow", "deny", ":allow",
    ":deny", ",RELAYCLIENT=", ',RELAYCLIENT=""', "shadow ", "0", "1", "10.", "127.", "192.168.1.", "255",
    "256", "1-5", "9-1", "::1", "2001:db8::", "::ffff:1.2.3.4", "fe80::1%eth0", "com", ".com",
    "example.com", "heaven.af.mil", "a@b.c", "@b.c", "info@", "\xe9", "b\xfccher.example", "x" * 300,
]  # fmt: skip
FILES = st.lists(st.sampled_from(WORDS) | st.text(max_size=3), max_size=14).map("".join)


@given(FILES)
def test_each_line_is_a_rule_or_a_mistake(text: str) -> None:
    lines, _ = parse_lines(text.encode("utf-8", "surrogatepass"), "control/x")
    for line in lines:
        rules, mistakes = parse_tcp_rules([line])
        assert len(rules.listed) + len(mistakes) == 1
        clients, more = parse_relayclients([line])
        assert len(clients.listed) + len(more) == 1
        domains, wrong = parse_relaydomains([line])
        named = len(domains.hosts.permits) + len(domains.recipients.permits)
        assert named + len(wrong) == 1
        senders, bad = parse_relaymailfrom([line])
        assert len(senders.text.exact) + len(senders.text.patterns) + len(bad) == 1
        certificates, odd = parse_tlsclients([line])
        assert len(certificates) + len(odd) == 1
        for mistake in (*mistakes, *more, *wrong, *bad, *odd):
            assert (mistake.file, mistake.line) == ("control/x", line.number)
            assert mistake.found
            assert str(mistake).isprintable()


@given(FILES)
def test_what_is_compiled_reads_back_the_same(text: str) -> None:
    lines, _ = parse_lines(text.encode("utf-8", "surrogatepass"), "tcp/tcp.smtp")
    rules, _ = parse_tcp_rules(lines)
    records = list(Cdb(build_cdb(compile_rules(rules)), "x.cdb").items())
    back, mistakes = rules_from_records(records)
    assert mistakes == []
    assert dict(compile_rules(back)) == dict(compile_rules(rules))
    for ip in ("127.0.0.1", "192.168.1.5", "10.1.1.1", "::1", "2001:db8::5", "1.2.3.4", ""):
        one, other = rules.find(ip, "a.com"), back.find(ip, "a.com")
        assert (one.allowed, one.variables, one.removed) == (
            other.allowed, other.variables, other.removed,
        )  # fmt: skip


@given(st.binary(max_size=300), st.binary(max_size=60))
def test_a_data_base_of_anything_is_rules_or_mistakes(octets: bytes, key: bytes) -> None:
    rules_from_records([(octets, key), (key, octets)])
    try:
        list(Cdb(octets, "x.cdb").items())
    except ConfigErrors as errors:
        assert errors.mistakes


@given(FILES, FILES, FILES, FILES)
def test_whatever_the_rules_say_they_are_looked_at_to_the_end(
    tcp: str, clients: str, domains: str, hosts: str
) -> None:
    def lines(name: str, text: str):
        return parse_lines(text.encode("utf-8", "surrogatepass"), name)[0]

    rules = RelayRules(
        parse_domains(lines("rcpthosts", hosts))[0],
        relayclients={"relayclients": parse_relayclients(lines("relayclients", clients))[0]},
        relaydomains=parse_relaydomains(lines("relaydomains", domains))[0],
    )
    table = parse_tcp_rules(lines("tcp", tcp))[0]
    world = World()
    for finding in check_relay(rules, table, [world.served]):
        witness = finding.witness
        client = table.find(witness.ip, witness.host)
        served: Served = world.served(client)
        facts = RelayFacts(
            witness.ip, client_host=witness.host, forward_path=Address.parse(witness.recipient),
            relayclient=served.relayclient, relayclient_rule=served.relayclient_rule,
        )  # fmt: skip
        if finding.grade is Grade.OPEN:
            assert isinstance(decide_relay(facts, rules), Accept)


@given(FILES)
def test_the_addresses_of_what_is_an_address_are_in_order(text: str) -> None:
    key = parse_client(text)
    if not isinstance(key, Wrong):
        assert all(0 <= first <= last < 1 << 128 for _, first, last in spans(key))
