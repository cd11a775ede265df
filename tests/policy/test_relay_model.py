"""All ways to be allowed to relay, alone and together, against the plainest reading of the documents."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from indimail.mail.address import Address
from indimail.mail.line import Line
from indimail.mail.match import parse_domains
from indimail.mail.verdict import Accept, Refuse, Rule, TryLater
from indimail.policy.relay import RelayFacts, RelayRules, decide_relay
from indimail.policy.relaylists import (
    parse_relayclients,
    parse_relaydomains,
    parse_relaymailfrom,
    parse_tlsclients,
)

SENDERS = ["joe@domain1.com", "any@domain2.com", "eve@example.org", ""]
RECIPIENTS = [
    "ana@example.com",
    "bob@elsewhere.example",
    "far@partner.example",
    "x@sub.partner.example",
]
CLIENTS = ["192.168.0.1", "192.168.1.7", "2001:db8::1", "::ffff:192.168.0.1", "198.51.100.1"]
HOSTS = ["", "heaven.af.mil", "mx.heaven.af.mil", "mx.example.net"]


@dataclass(frozen=True)
class World:
    """Which lines there are, and what is known of a client."""

    lines: frozenset[str]
    client: str
    host: str
    trouble: str
    sender: str
    recipient: str
    relayclient: str | None
    auth: str  # "", "user" or "norelay"
    certificate: str
    age: float | None  # of a login

    def permitted(self) -> list[tuple[str, str]]:
        """Return reason and suffix of each permission for any domain, in the documented order."""
        ip = self.client.removeprefix("::ffff:")
        domain = self.sender.rpartition("@")[2]
        below = self.host.endswith(".heaven.af.mil")
        holds = [
            ("tcp.smtp", self.relayclient, self.relayclient is not None),
            ("relayclients", "@one", "192.168.0.1:@one" in self.lines and ip == "192.168.0.1"),
            ("relayclients", "", "192.168.1.:" in self.lines and ip.startswith("192.168.1.")),
            ("relayclients", "", "2001:db8::/32:" in self.lines and ip.startswith("2001:db8:")),
            ("relaydomains", "", "heaven.af.mil:" in self.lines and self.host == "heaven.af.mil"),
            ("relaydomains", "@two", ".heaven.af.mil:@two" in self.lines and below),
            ("smtp-auth", "", self.auth == "user"),
            ("relaymailfrom", "", self.sender in self.lines - {""}),
            ("relaymailfrom", "", bool(domain) and f"@{domain}" in self.lines),
            ("tlsclients", "", self.certificate == "gw@partner.example"
             and self.certificate in self.lines),
            ("relay table", "", self.age is not None and self.age < 3600),
        ]  # fmt: skip
        return [(reason, suffix or "") for reason, suffix, is_so in holds if is_so]

    def expected(self) -> tuple[str, str]:
        """Return reason and suffix of an acceptance, or what else is said."""
        permitted = self.permitted()
        suffix = permitted[0][1] if permitted else ""
        domain = self.recipient.rpartition("@")[2]
        if domain == "example.com":
            return "rcpthosts", suffix
        if permitted:
            return permitted[0]
        if domain == "partner.example" and "@partner.example:" in self.lines:
            return "relaydomains", ""
        hosts = {"heaven.af.mil:", ".heaven.af.mil:@two"} & self.lines
        return ("later", "") if self.trouble and hosts else ("refuse", "")

    def decided(self) -> tuple[str, str]:
        def lines(*texts: str) -> list[Line]:
            return [Line("control/x", n, t) for n, t in enumerate(texts, 1) if t in self.lines]

        rules = RelayRules(
            parse_domains([Line("control/rcpthosts", 1, "example.com")])[0],
            relayclients={"relayclients": parse_relayclients(
                lines("192.168.0.1:@one", "192.168.1.:", "2001:db8::/32:"))[0]},
            relaydomains=parse_relaydomains(
                lines("heaven.af.mil:", ".heaven.af.mil:@two", "@partner.example:"))[0],
            relaymailfrom=parse_relaymailfrom(lines("joe@domain1.com", "@domain2.com"))[0],
            tlsclients=parse_tlsclients(lines("gw@partner.example"))[0],
        )  # fmt: skip
        facts = RelayFacts(
            self.client, client_host=self.host, host_trouble=self.trouble,
            reverse_path=Address.parse(self.sender), forward_path=Address.parse(self.recipient),
            relayclient=self.relayclient, relayclient_rule=Rule("tcp/tcp.smtp", 1),
            auth_user="ana" if self.auth else "", auth_relays=self.auth == "user",
            certificate=self.certificate, login="ana@example.com" if self.age is not None else "",
            login_age=self.age or 0.0, login_seconds=3600.0,
        )  # fmt: skip
        again = decide_relay(RelayFacts.from_facts(facts.as_facts()), rules)
        match decide_relay(facts, rules):
            case Accept(_, reason, suffix):
                assert isinstance(again, Accept)  # as the trace has it
                assert (again.reason, again.suffix) == (reason, suffix)
                return reason, suffix
            case TryLater() as verdict:
                assert again == verdict
                return "later", ""
            case Refuse() as verdict:
                assert isinstance(again, Refuse)
                assert again.reply == verdict.reply
                return "refuse", ""


LINES = ["192.168.0.1:@one", "192.168.1.:", "2001:db8::/32:", "heaven.af.mil:", ".heaven.af.mil:@two",
         "@partner.example:", "joe@domain1.com", "@domain2.com", "gw@partner.example"]  # fmt: skip
WORLDS = st.builds(
    World, st.frozensets(st.sampled_from(LINES)), st.sampled_from(CLIENTS), st.sampled_from(HOSTS),
    st.sampled_from(["", "SERVFAIL"]), st.sampled_from(SENDERS), st.sampled_from(RECIPIENTS),
    st.sampled_from([None, None, "", "@fix.me"]), st.sampled_from(["", "", "user", "norelay"]),
    st.sampled_from(["", "gw@partner.example", "other@partner.example"]),
    st.sampled_from([None, None, 0.0, 3599.0, 3600.0]),
)  # fmt: skip


@given(WORLDS)
@settings(max_examples=500)
def test_methods_add_up_in_their_order_and_none_takes_anything_away(world: World) -> None:
    assert world.decided() == world.expected()
