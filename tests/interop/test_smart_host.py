"""A relay that wants AUTH, in TLS with a certificate that is checked: Postfix, and Dovecot's passwords."""

import contextlib
import os
from collections.abc import Iterator

import pytest
import trustme

from indimail.control.cdb import build_cdb
from interop.smarthost import MECHANISMS, Passwords, SmartHost
from live import ALICE, Instance, Server, place, until
from support import needs, needs_root

pytestmark = [pytest.mark.interop, pytest.mark.slow]

FAR = "somebody@far.example"
PASSWORD = "not-a-secret-2"


@pytest.fixture(scope="module")
def home() -> Iterator[str]:
    needs_root()
    needs("postfix")
    needs("dovecot")
    with place() as folder:
        yield folder


@pytest.fixture(scope="module")
def passwords(home: str) -> Iterator[Passwords]:
    with Passwords(f"{home}/dovecot", PASSWORD) as running:
        yield running


@pytest.fixture(scope="module")
def relay(home: str, authority: trustme.CA, passwords: Passwords) -> Iterator[SmartHost]:
    with SmartHost(f"{home}/postfix", authority, passwords) as running:
        yield running


@pytest.fixture(scope="module")
def outward(home: str) -> Iterator[Server]:
    """A server that may send to other hosts, by two connections at most to one of them."""
    instance = Instance.make(f"{home}/i")
    toml = instance.read("indimail.toml")
    instance.write("indimail.toml", toml.replace("#per_host = 20", "per_host = 2"))
    instance.write("tcp/tcp.smtp", '127.:allow,RELAYCLIENT=""\n')
    with instance.serve(workers=1) as running:
        yield running


def route(server: Server, relay: SmartHost, rest: str) -> None:
    server.instance.write("control/smtproutes", f":[127.0.0.1]:{relay.port}{rest}\n")


@pytest.mark.parametrize("mechanism", ["", *MECHANISMS])
def test_a_relay_is_told_who_we_are(outward: Server, relay: SmartHost, mechanism: str) -> None:
    picked = f" AUTH_SMTP={mechanism}" if mechanism else ""
    route(outward, relay, f" ana {PASSWORD}{picked}")
    number = outward.send(FAR, sender=ALICE)
    told = outward.instance.delivery(number, "delivered")
    assert "accepted message - Protocol SMTPS." in told["text"]
    relay.says(f"sasl_method={mechanism.upper() or 'SCRAM-SHA-256'}, sasl_username=ana")
    story = outward.instance.run("explain", number).stdout
    assert (
        f"at the route to 127.0.0.1 port {relay.port} (TLSv1.3, AUTH ana by control/smtproutes:1)"
        in story
    )


def test_credentials_that_are_refused_wait(outward: Server, relay: SmartHost) -> None:
    route(outward, relay, " ana wrong")
    told = outward.instance.delivery(outward.send(FAR, sender=ALICE), "deferred")
    assert "authentication was rejected (AUTH " in told["text"]
    assert "wrong" not in str(outward.instance.explain(told["id"]))


def test_a_relay_that_offers_no_authentication_gets_nothing(
    outward: Server, home: str, authority: trustme.CA
) -> None:
    """It would take the mail, but as from a stranger."""
    with SmartHost(f"{home}/open", authority, None) as relay:
        route(outward, relay, f" ana {PASSWORD}")
        told = outward.instance.delivery(outward.send(FAR, sender=ALICE), "deferred")
        assert told["text"].endswith("it offers no authentication that can be used. (#4.7.0)")
        assert "from=<" not in relay.log


@contextlib.contextmanager
def verified(server: Server, authority: trustme.CA) -> Iterator[None]:
    """Have the relay checked against an authority."""
    name = "certs/tlshosts/127.0.0.1.pem"
    os.makedirs(os.path.dirname(server.instance.path(name)), 0o755, exist_ok=True)
    server.instance.write(name, authority.cert_pem.bytes().decode())
    try:
        yield
    finally:
        os.unlink(server.instance.path(name))


def test_a_certificate_is_checked_where_certs_says_so(
    outward: Server, relay: SmartHost, authority: trustme.CA
) -> None:
    route(outward, relay, f" ana {PASSWORD}")
    with verified(outward, authority):
        number = outward.send(FAR, sender=ALICE)
        assert outward.instance.delivery(number, "delivered")
        story = outward.instance.run("explain", number).stdout
        assert (
            "(TLSv1.3 by certs/tlshosts/127.0.0.1.pem, its certificate is right, AUTH ana by "
            in story
        )
    with verified(outward, trustme.CA()):
        told = outward.instance.delivery(outward.send(FAR, sender=ALICE), "deferred")
        assert "but TLS failed: unable to get local issuer certificate. (#4.7.5)" in told["text"]


@pytest.mark.parametrize("name", ["remote_auth", "remote_auth.cdb"])
def test_each_sender_has_a_password_of_its_own(
    outward: Server, relay: SmartHost, name: str
) -> None:
    route(outward, relay, " /s")
    path = outward.instance.path(f"control/{name}")
    if name.endswith(".cdb"):
        with open(path, "wb") as file:
            file.write(build_cdb([(f"!{ALICE}\0".encode(), f"alice {PASSWORD}".encode())]))
        os.chmod(path, 0o644)
    else:
        outward.instance.write(f"control/{name}", f"={ALICE}:alice {PASSWORD}:\n")
    try:
        told = outward.instance.delivery(outward.send(FAR, sender=ALICE), "delivered")
        assert told["facts"]["auth_user"] == "alice"  # type: ignore[index]
        number = outward.send(FAR, sender="bob@example.com")
        told = outward.instance.delivery(number, "failed")
        story = outward.instance.run("explain", number).stdout
        assert "(TLSv1.3, no AUTH: nothing in control/remote_auth[bob@example.com])" in story
        assert "Access denied" in told["text"]
    finally:
        os.unlink(path)


def test_fifty_recipients_at_a_host_cost_one_transaction(outward: Server, relay: SmartHost) -> None:
    route(outward, relay, f" ana {PASSWORD}")
    members = [f"member{number}@far.example" for number in range(50)]
    with outward.connect() as talk:
        talk.say(f"MAIL FROM:<{ALICE}>")
        for member in members:
            assert talk.say(f"RCPT TO:<{member}>").startswith("250 ")
        talk.say("DATA")
        talk.say("Subject: to fifty\r\n\r\n.")
    relay.says("nrcpt=50 (queue active)")
    until(lambda: all(f"to=<{member}>" in relay.log for member in members))


def test_many_mails_cost_few_connections(outward: Server, relay: SmartHost) -> None:
    route(outward, relay, f" ana {PASSWORD}")
    before = relay.log.count(": connect from ")
    outward.instance.write("control/holdremote", "1\n")
    with outward.connect() as talk:
        for number in range(40):
            talk.mail(f"number{number}@far.example", "Subject: one of many\r\n\r\n", ALICE)
    os.unlink(outward.instance.path("control/holdremote"))
    until(lambda: all(f"to=<number{number}@far.example>" in relay.log for number in range(40)))
    assert relay.log.count(": connect from ") - before <= 4  # two at once
