"""Mail to other hosts by a real DNS server: NSD and Unbound name them, they listen at port 25.

The hosts have loopback addresses of their own, so that their ports are free.
"""

import random
import re
from collections.abc import Iterator

import pytest

from interop.nameservers import Nsd, Unbound
from live import ALICE, Instance, Server, place
from sink import Sink
from support import needs_root

pytestmark = [pytest.mark.interop, pytest.mark.slow]

NET = f"127.{random.randint(10, 250)}.{random.randint(1, 250)}"
TAKES, SILENT = f"{NET}.2", f"{NET}.1"
ZONE = f"""
ns      IN A    127.0.0.1
two     IN MX   20 mx2
two     IN MX   10 mx1
mx1     IN A    {SILENT}
mx2     IN A    {TAKES}
bare    IN A    {TAKES}
nomail  IN MX   0 .
bad     IN MX   5 mx.broken.
bad     IN MX   9 mx2
gone    IN MX   5 mx.broken.
empty   IN MX   5 text
text    IN TXT  "no address"
alias   IN MX   5 www
www     IN CNAME mx2
also    IN CNAME two
loop    IN CNAME pool
pool    IN CNAME loop
inloop  IN MX   5 loop
nobody  IN MX   5 nowhere
us      IN MX   5 mx.example.com.
backup  IN MX   5 mx1
backup  IN MX   9 mx.example.com.
backup  IN MX   20 mx2
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that may send to other hosts, and asks Unbound for them."""
    needs_root()
    folder = tmp_path_factory.mktemp("names")
    with (
        Nsd(folder, {"example": ZONE}, broken=["broken"]) as nsd,
        Unbound(folder, nsd, ["example", "broken", "lame"]) as unbound,
        place() as home,
    ):
        instance = Instance.make(f"{home}/i")
        instance.write("tcp/tcp.smtp", '127.:allow,RELAYCLIENT=""\n')
        instance.name_servers(str(unbound.server))
        with instance.serve() as running:
            yield running


@pytest.fixture(scope="module")
def sink(server: Server) -> Iterator[Sink]:
    with Sink(TAKES, 25) as running:
        yield running


def steps(server: Server, number: str) -> list[str]:
    """Return what was told of each host that was tried, or left out."""
    told = [r["text"] for r in server.instance.explain(number) if r["event"] == "step"]
    return [re.sub(r"127\.0\.0\.1:\d+", "Unbound", text) for text in told]


@pytest.mark.parametrize(
    ("domain", "told"),
    [
        ("two.example", [f"MX 10 mx1.example [{SILENT}] port 25: connection refused"]),
        ("bare.example", []),
        ("bad.example", ["MX 5 mx.broken: Unbound: SERVFAIL"]),
        ("also.example", [f"MX 10 mx1.example [{SILENT}] port 25: connection refused"]),
        ("alias.example", []),  # RFC 2181 10.3 forbids it, and everybody has it
    ],
)
def test_the_hosts_of_a_domain_are_tried_in_their_order(
    server: Server, sink: Sink, domain: str, told: list[str]
) -> None:
    number = server.send(f"ana@{domain}", sender=ALICE)
    delivered = server.instance.delivery(number, "delivered")
    assert delivered["rule"] == f"DNS[MX {domain}]"
    assert steps(server, number) == told
    assert f"RCPT TO:<ana@{domain}>" in sink.heard[-1]


@pytest.mark.parametrize(
    ("domain", "verdict", "text"),
    [
        ("nomail.example", "failed", "its MX is null (RFC 7505). (#5.1.10)"),
        ("absent.example", "failed", "couldn't find any host named absent.example. (#5.1.2)"),
        ("empty.example", "failed", "couldn't find a mail exchanger or IP address. (#5.4.4)"),
        ("us.example", "failed", "so I don't treat it as local. (#5.4.6)"),
        ("gone.example", "deferred", "couldn't find any host by that name. (#4.1.2)"),
        ("broken", "deferred", "couldn't find any host by that name. (#4.1.2)"),
        ("lame", "deferred", "couldn't find any host by that name. (#4.1.2)"),
        ("loop.example", "deferred", "couldn't find any host by that name. (#4.1.2)"),
        ("inloop.example", "deferred", "couldn't find any host by that name. (#4.1.2)"),
        ("nobody.example", "failed", "couldn't find a mail exchanger or IP address. (#5.4.4)"),
    ],
)
def test_zones_that_lead_nowhere(server: Server, domain: str, verdict: str, text: str) -> None:
    number = server.send(f"ana@{domain}", sender=ALICE)
    ended = server.instance.delivery(number, verdict)
    assert ended["text"].endswith(text)
    assert ended["rule"].startswith(f"DNS[MX {domain}: ")


def test_a_backup_leaves_what_is_no_better_than_itself_alone(server: Server, sink: Sink) -> None:
    """The primary is down: the mail waits here, and does not go round."""
    before = len(sink.heard)
    number = server.send("ana@backup.example", sender=ALICE)
    waits = server.instance.delivery(number, "deferred")
    assert waits["text"].startswith("Sorry, I wasn't able to establish a SMTP connection")
    assert steps(server, number) == [
        "what has preference 9 or more: mx.example.com is our name",
        f"MX 5 mx1.example [{SILENT}] port 25: connection refused",
    ]
    assert len(sink.heard) == before
