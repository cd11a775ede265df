"""The proof that the relay is closed: what opens it is named, and nothing closed is called open."""

from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from indimail.mail.address import Address
from indimail.mail.line import Line
from indimail.mail.match import parse_domains
from indimail.mail.verdict import Accept, Rule
from indimail.policy.clients import Wrong, parse_client, spans
from indimail.policy.relay import RelayFacts, RelayRules, decide_relay
from indimail.policy.relaycheck import Finding, Grade, check_relay
from indimail.policy.relaylists import (
    parse_relayclients,
    parse_relaydomains,
    parse_relaymailfrom,
)
from indimail.policy.sender import SenderRules
from indimail.policy.tcprules import ClientRule, TcpRules, parse_tcp_rules


@dataclass(frozen=True)
class Served:
    """What a client is served with."""

    relayclient: str | None
    relayclient_rule: Rule
    relayclients: str = "relayclients"
    check_relay: str | None = None
    check_relay_rule: Rule = Rule("")
    login_seconds: float = 3600.0
    sender_rules: SenderRules = SenderRules()


class World:
    """Files by their lines, apart by blanks."""

    def __init__(self, **files: str) -> None:
        def lines(name: str) -> list[Line]:
            texts = files.get(name, "").split()
            return [Line(name, number, text) for number, text in enumerate(texts, 1)]

        self.everywhere = files.get("everywhere")  # RELAYCLIENT of [variables]
        self.tcp: TcpRules = parse_tcp_rules(lines("tcp"))[0]
        self.rules = RelayRules(
            parse_domains(lines("rcpthosts"))[0],
            parse_domains(lines("morercpthosts"))[0],
            {"relayclients": parse_relayclients(lines("relayclients"))[0]},
            parse_relaydomains(lines("relaydomains"))[0],
            parse_relaymailfrom(lines("relaymailfrom"))[0],
        )

    def served(self, client: ClientRule) -> Served:
        own = client.variables.get("RELAYCLIENT")
        given = self.everywhere if own is None and "RELAYCLIENT" not in client.removed else own
        check = client.variables.get("CHECKRELAY")
        return Served(
            given,
            client.rule if own is not None else Rule("indimail.toml", 1),
            check_relay=check,
            check_relay_rule=client.rule,
            login_seconds=float(client.variables.get("SECONDS", 3600)),
            sender_rules=SenderRules(
                requireauth=client.rule if "REQUIREAUTH" in client.variables else None
            ),
        )

    def check(self) -> tuple[Finding, ...]:
        return check_relay(self.rules, self.tcp, [self.served])

    def may_send(self, ip: str, host: str, recipient: str) -> bool:
        """Ask as live traffic does."""
        client = self.tcp.find(ip, host)
        served = self.served(client)
        facts = RelayFacts(
            ip, client_host=host, forward_path=Address.parse(recipient),
            relayclient=served.relayclient, relayclient_rule=served.relayclient_rule,
        )  # fmt: skip
        return client.allowed and isinstance(decide_relay(facts, self.rules), Accept)

    def witnessed(self, finding: Finding) -> bool:
        """Whether the client that a finding names really may."""
        witness = finding.witness
        if finding.grade is Grade.OPEN:
            return self.may_send(witness.ip, witness.host, witness.recipient)
        return True


RELAY = ',RELAYCLIENT=""'


@pytest.mark.parametrize(
    ("files", "opened"),
    [
        ({}, []),
        ({"rcpthosts": "example.com .example.org com"}, []),
        ({"tcp": f":allow{RELAY}"}, ["tcp:1"]),
        ({"tcp": f"10.:allow{RELAY} :allow"}, []),
        ({"tcp": f"0/1:allow{RELAY}"}, ["tcp:1"]),
        ({"tcp": f"0/2:allow{RELAY} 64/2:allow{RELAY}"}, ["tcp:1"]),
        ({"tcp": f"0/2:allow{RELAY} 64/3:allow{RELAY}"}, []),
        ({"tcp": f"1-200.:allow{RELAY}"}, ["tcp:1"]),
        ({"tcp": f":allow{RELAY} 0/1:deny 128/2:deny"}, ["tcp:1"]),  # IPv6 is left
        ({"tcp": f":allow{RELAY} 0/1:deny 128/2:deny ::/0:deny"}, []),
        ({"tcp": f"2000::/3:allow{RELAY}"}, ["tcp:1"]),
        ({"tcp": f"2000::/4:allow{RELAY}"}, ["tcp:1"]),
        ({"tcp": f"2001:db8::/32:allow{RELAY}"}, []),
        ({"tcp": f"::ffff:0:0/96:allow{RELAY}"}, []),
        ({"tcp": f"=:allow{RELAY}"}, ["tcp:1"]),
        ({"tcp": f"=.com:allow{RELAY}"}, ["tcp:1"]),
        ({"tcp": f"=.com:allow{RELAY} 0/1:allow 128/1:allow ::/0:allow"}, []),
        ({"tcp": f"=.example.com:allow{RELAY} =mx.example.net:allow{RELAY}"}, []),
        ({"tcp": f":deny{RELAY}"}, []),
        ({"tcp": f':allow{RELAY},REQUIREAUTH="1"'}, []),
        ({"tcp": f':allow{RELAY},REQUIREAUTH="1" 0/1:allow{RELAY}'}, ["tcp:2"]),
        ({"tcp": ':allow,REQUIREAUTH="1"', "relaydomains": ":"}, []),
        ({"everywhere": ""}, ["indimail.toml:1"]),
        ({"everywhere": "", "tcp": ":allow,!RELAYCLIENT"}, []),
        ({"everywhere": "", "tcp": ":deny"}, []),
        ({"relayclients": "0.0.0.0/0:"}, ["relayclients:1"]),
        ({"relayclients": "128.0.0.0/1:"}, ["relayclients:1"]),
        ({"relayclients": "0/2: 10.: 64/2: 10.0.0.1:"}, ["relayclients:3"]),
        ({"relayclients": "128.0.0.0/1:", "tcp": "128/1:deny"}, []),
        ({"relayclients": "192.168.1.: ::/0:"}, ["relayclients:2"]),
        ({"relaydomains": ":"}, ["relaydomains:1"]),
        ({"relaydomains": "heaven.af.mil: .heaven.af.mil: .com:"}, ["relaydomains:3"]),
        ({"relaydomains": "com:"}, []),
        ({"relaydomains": "@heaven.af.mil: @.heaven.af.mil:"}, []),
        ({"relaydomains": "@:"}, ["relaydomains:1"]),
        ({"relaydomains": "@.mil:"}, ["relaydomains:1"]),
        ({"rcpthosts": "example.com .com"}, ["rcpthosts:2"]),
        ({"morercpthosts": ".org"}, ["morercpthosts:1"]),
        ({"relaymailfrom": "@domain2.com"}, []),
    ],
)  # fmt: skip
def test_what_lets_everybody_relay_is_named(files: dict[str, str], opened: list[str]) -> None:
    world = World(**files)
    found = [finding for finding in world.check() if finding.grade is Grade.OPEN]
    assert [str(finding.rule) for finding in found] == opened
    assert all(map(world.witnessed, found))


@pytest.mark.parametrize(
    ("files", "graded"),
    [
        ({"relaymailfrom": "joe@domain1.com @domain2.com *@x.example !a@b.c"},
         [("claimable", f"relaymailfrom:{n}") for n in (1, 2, 3)]),
        ({"tcp": '192.0.2.:allow,CHECKRELAY="ip"'}, [("claimable", "tcp:1")]),
        ({"tcp": '192.0.2.:allow,CHECKRELAY=""'}, []),
        ({"tcp": '192.0.2.:allow,CHECKRELAY="",SECONDS="7200"'}, [("wide", "tcp:1")]),
        ({"tcp": f"10.:allow{RELAY} 127.:allow{RELAY} 172.16/12:allow{RELAY}"}, [("wide", "tcp:1")]),
        ({"relayclients": "8.8.: 8.8.8.: 192.168.: 2600::/32 2600::/33"},
         [("wide", "relayclients:1"), ("wide", "relayclients:4")]),
        ({"tcp": f"0/1:allow{RELAY}", "relaymailfrom": "@a.example"},
         [("open", "tcp:1"), ("claimable", "relaymailfrom:1")]),
    ],
)  # fmt: skip
def test_what_trusts_a_claim_and_what_is_wide_is_told_the_worst_first(
    files: dict[str, str], graded: list[tuple[str, str]]
) -> None:
    found = [(finding.grade.value, str(finding.rule)) for finding in World(**files).check()]
    assert found == graded


def test_the_witness_is_a_client_of_the_internet() -> None:
    (finding,) = World(tcp=f":allow{RELAY} 0/8:deny 10/8:deny 127/8:deny 1/8:deny").check()
    assert finding.witness.ip.split(".")[0] not in {"0", "10", "127"}
    (named,) = World(relaydomains=".com:").check()
    assert named.witness.host == "relaycheck.com"
    assert named.why == "lets everybody whose name ends in .com relay"


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("192.0.2.1", [(4, 0xC0000201, 0xC0000201)]),
        ("10.", [(4, 0x0A000000, 0x0AFFFFFF)]),
        ("10.2-3.", [(4, 0x0A020000, 0x0A02FFFF), (4, 0x0A030000, 0x0A03FFFF)]),
        ("128/1", [(4, 1 << 31, (1 << 32) - 1)]),
        ("2001:db8::/32", [(6, 0x20010DB8 << 96, (0x20010DB9 << 96) - 1)]),
        ("::1", [(6, 1, 1)]),
        ("", [(4, 0, (1 << 32) - 1), (6, 0, (1 << 128) - 1)]),
        ("=mx.example.com", []),
        ("=", []),
        ("ana@192.0.2.1", []),
        ("ana@::1", []),
    ],
)
def test_the_addresses_of_a_key(address: str, found: list[tuple[int, int, int]]) -> None:
    key = parse_client(address)
    assert not isinstance(key, Wrong)
    assert list(spans(key)) == found


# -- the same as asking everybody ------------------------------------------------------------------

ADDRESSES = ["", "0/1", "128/1", "0/2", "64/2", "128/2", "192/2", "16/4", "32/4", "112-143.", "10."]
NAMES = ["=", "=.com", "=.example.com", "=mx.example.com"]
GRANTS = [f"allow{RELAY}", "allow", "deny", f"deny{RELAY}", "allow,!RELAYCLIENT"]
WORLDS = st.fixed_dictionaries(
    {
        "tcp": st.lists(
            st.tuples(st.sampled_from(ADDRESSES + NAMES), st.sampled_from(GRANTS)).map(":".join),
            max_size=6,
        ).map(" ".join),
        "relayclients": st.lists(
            st.sampled_from(ADDRESSES[1:]).map("{}:".format), max_size=3
        ).map(" ".join),
        "relaydomains": st.lists(
            st.sampled_from([":", ".com:", ".example.com:", "mx.example.com:", "@:", "@.com:",
                             "@example.com:"]), max_size=2,
        ).map(" ".join),
        "rcpthosts": st.sampled_from(["", "example.com", ".com", ".example.com"]),
        "relaymailfrom": st.sampled_from(["", "@example.com", "*"]),
    },
    optional={"everywhere": st.just("")},
)  # fmt: skip
# An address of each sixteenth of IPv4 (no rule cuts one but 10.), and how many /8 it stands for; one of
# each half of 2000::/3.
EVERYBODY4 = {"5.6.7.8": 15, "10.6.7.8": 1} | {f"{16 * n + 5}.6.7.8": 16 for n in range(1, 16)}
EVERYBODY6 = ["2600::1", "3600::1"]


@given(WORLDS)
@example({"tcp": "112-143.:deny", "relayclients": "128/1: 10.:", "relaydomains": "", "rcpthosts": "",
          "relaymailfrom": ""})  # fmt: skip
@settings(max_examples=300)
def test_nothing_open_is_missed_and_nothing_closed_is_called_open(files: dict[str, str]) -> None:
    world = World(**files)
    closed = World(**{**files, "relaymailfrom": ""})  # that is what they claim

    def is_open(host: str) -> bool:
        v4 = sum(
            size for ip, size in EVERYBODY4.items()
            if closed.may_send(ip, host, "x@recipient.invalid")
        )  # fmt: skip
        v6 = sum(closed.may_send(ip, host, "x@recipient.invalid") for ip in EVERYBODY6)
        return v4 > 7 * 16 or v6 >= 1

    # To .com or everywhere: as a client that nothing else lets relay.
    to_com = World(
        rcpthosts=files["rcpthosts"],
        relaydomains=" ".join(w for w in files["relaydomains"].split() if w[0] == "@"),
    ).may_send("8.8.8.8", "", "x@stranger.com")
    is_wide_open = to_com or any(is_open(host) for host in ("", "x.invalid", "x.com"))
    found = [finding for finding in world.check() if finding.grade is Grade.OPEN]
    assert bool(found) == is_wide_open
