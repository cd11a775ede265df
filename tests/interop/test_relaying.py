"""Who may relay, asked by swaks from addresses of this machine: each way alone, as its file is written.

The founding text's examples have the addresses and names of this machine; names are told by a real name
server on a free port.
"""

import itertools
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from interop.conftest import certify
from interop.nameservers import Nsd
from live import ALICE, PATIENCE, Instance, Server, place, until
from net.test_clientcerts import PARTNERS, PEM, STRANGERS
from support import needs, needs_perl

pytestmark = pytest.mark.interop

FAR = "elsewhere.example"
NUMBERS = itertools.count()  # each recipient is asked about once, so its record is its own
CONTROL = {
    "relayclients": "127.1.0.1:\n127.1.1.:\n",
    "relaydomains": "heaven.af.mil:\n.heaven.af.mil:\n@partner.example:\n",
    "relaymailfrom": "joeblow@domain1.com\n@domain2.com\n",
    "tlsclients": "gw@partner.example\n",
    "holdremote": "1\n",
}
TCP_SMTP = '# clients\n127.9.1.:allow,RELAYCLIENT=""\n127.9.2.:deny\n'
ZONES = {
    "127.in-addr.arpa": "1.0.2 IN PTR heaven.af.mil.\n2.0.2 IN PTR mx.heaven.af.mil.\n"
    "3.0.2 IN PTR heaven.af.mil.\n4.0.2 IN PTR mx.example.net.\n",
    "heaven.af.mil": "@ IN A 127.2.0.1\nmx IN A 127.2.0.2\n",
    "example.net": "mx IN A 127.2.0.4\n",
}


@pytest.fixture(scope="module")
def relaying(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with place() as folder, Nsd(tmp_path_factory.mktemp("nsd"), ZONES) as nsd:
        made = Instance.make(f"{folder}/i")
        certify(made, authority)
        for name, text in CONTROL.items():
            made.write(f"control/{name}", text)
        made.write("tcp/tcp.smtp", TCP_SMTP)
        made.write("certs/clientca.pem", PARTNERS.certificate.public_bytes(PEM).decode())
        made.variables(CHECKRELAY="")
        made.name_servers(str(nsd.server))
        with made.serve("smtp=[::]:0") as running:
            yield running


@dataclass(frozen=True)
class Offered:
    """What a client was told, and what is recorded of it."""

    reply: str
    reason: str
    rule: str


def judged(server: Server, to: str) -> list[dict[str, str]]:
    """Return the records of what was decided about a recipient."""
    said = server.instance.run("explain", "--to", to, "--json", code=None).stdout
    return [record for record in json.loads(said or "[]") if record["event"] == "recipient"]


def offer(
    server: Server, client: str, *options: str, sender: str = "eve@example.org", to: str = FAR
) -> Offered:
    """Offer a recipient of a domain from an address of this machine, and go."""
    to = f"far{next(NUMBERS)}@{to}"
    done = subprocess.run(
        [needs("swaks"), "--protocol", "ESMTP", "--server", "127.0.0.1",
         "--port", str(server.address[1]), "--local-interface", client, "--helo", "swaks.example",
         "--from", sender, "--to", to, "--quit-after", "RCPT", *options],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    lines = [line.lstrip("<*~- ") for line in done.stdout.splitlines() if line.startswith("<")]
    replies = [line for line in lines if line[:1].isdigit()]
    if not replies:
        return Offered("", "", "")
    reply = replies[-2]  # the last is that to QUIT
    (record,) = until(lambda: judged(server, to))
    return Offered(reply, record["text"], record["rule"])


@pytest.mark.parametrize(
    ("client", "sender", "reason", "rule"),
    [
        ("127.9.1.5", "eve@example.org", "tcp.smtp", "tcp/tcp.smtp:2"),
        ("127.1.0.1", "eve@example.org", "relayclients", "control/relayclients:1"),
        ("127.1.1.77", "eve@example.org", "relayclients", "control/relayclients:2"),
        ("127.2.0.1", "eve@example.org", "relaydomains", "control/relaydomains:1"),
        ("127.2.0.2", "eve@example.org", "relaydomains", "control/relaydomains:2"),
        ("127.3.0.1", "joeblow@domain1.com", "relaymailfrom", "control/relaymailfrom:1"),
        ("127.3.0.1", "anybody@domain2.com", "relaymailfrom", "control/relaymailfrom:2"),
    ],
)
def test_a_line_of_each_file_permits(
    relaying: Server, client: str, sender: str, reason: str, rule: str
) -> None:
    found = offer(relaying, client, sender=sender)
    assert found.reply.startswith("250 ")
    assert (found.reason, found.rule) == (reason, rule)


@pytest.mark.parametrize(
    ("client", "sender"),
    [
        ("127.1.0.10", "eve@example.org"),  # a prefix of it is listed
        ("127.1.10.1", "eve@example.org"),
        ("127.2.0.3", "eve@example.org"),  # says that it is heaven.af.mil
        ("127.2.0.4", "eve@example.org"),  # has a name, and another one
        ("127.3.0.1", "joe@domain1.com"),
        ("127.3.0.1", "anybody@sub.domain2.com"),
        ("127.3.0.1", ALICE),  # did not log in
    ],
)
def test_everybody_else_is_refused(relaying: Server, client: str, sender: str) -> None:
    found = offer(relaying, client, sender=sender)
    assert found.reply.startswith("553 5.7.1 sorry, that domain isn't allowed to be relayed thru")
    assert found.rule == "control/rcpthosts"


def test_denied_is_closed_without_a_word(relaying: Server) -> None:
    assert offer(relaying, "127.9.2.1").reply == ""


def test_to_a_domain_of_a_line_with_an_at_everybody_may_send(relaying: Server) -> None:
    found = offer(relaying, "127.3.0.1", to="partner.example")
    assert (found.reply[:4], found.rule) == ("250 ", "control/relaydomains:3")


def test_a_login_counts_at_once_for_its_user_and_address(relaying: Server) -> None:
    user, ip = ALICE, "127.4.0.1"
    assert offer(relaying, ip, sender=user).reply.startswith("553 ")
    relaying.instance.run("relay", "add", user, ip)
    found = offer(relaying, ip, sender=user)
    assert (found.reply[:4], found.rule) == ("250 ", f"relay[{user} {ip}]")
    for client, sender in ((ip, "bob@example.com"), (ip, ""), ("127.4.0.10", user)):
        assert offer(relaying, client, sender=sender or "<>").reply.startswith("553 ")
    relaying.instance.run("relay", "add", user, "127.4.0.2", "--at", "1000")
    assert offer(relaying, "127.4.0.2", sender=user).reply.startswith("553 ")


def test_a_certificate_permits_and_one_that_does_not_count_ends_nothing(
    relaying: Server, tmp_path: Path
) -> None:
    needs_perl("Net::SSLeay")
    for who, reply in ((PARTNERS, "250 "), (STRANGERS, "553 ")):
        path = tmp_path / "client.pem"
        path.write_bytes(who.issue("gw@partner.example")[0])
        found = offer(
            relaying, "127.5.0.1", "-tls", "--tls-cert", str(path), "--tls-key", str(path)
        )
        assert found.reply.startswith(reply)
        if who is PARTNERS:
            assert (found.reason, found.rule) == ("tlsclients", "control/tlsclients:1")
        else:
            assert "; no valid cert for gateway: of an unknown authority  #5.7.1" in found.reply


def test_an_edit_counts_at_the_next_connection_and_a_wrong_one_keeps_the_old(
    relaying: Server,
) -> None:
    assert offer(relaying, "127.6.0.1").reply.startswith("553 ")
    instance = relaying.instance
    instance.write("tcp/tcp.smtp", f'{TCP_SMTP}127.6.:allow,RELAYCLIENT=""\n')
    assert offer(relaying, "127.6.0.1").rule == "tcp/tcp.smtp:4"
    instance.write("tcp/tcp.smtp", f"{TCP_SMTP}127.6.:allow,RELAYCLIENT=\u201d\u201d\n")
    assert offer(relaying, "127.6.0.1").rule == "tcp/tcp.smtp:4"
    relaying.says("tcp/tcp.smtp:4: found the typographic quote \u201d")
    instance.write("tcp/tcp.smtp", TCP_SMTP)
    assert offer(relaying, "127.6.0.1").reply.startswith("553 ")
