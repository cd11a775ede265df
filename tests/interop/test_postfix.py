"""Debian's Postfix as the peer that sends: what it takes, it brings to us as it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from interop.mails import OURS, arrived, new_mail, on_the_wire
from interop.peer import Postfix
from live import ALICE, BOB, DOMAIN, STRANGER, Server, our_lines, place, until
from support import needs, needs_root

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def peer(server: Server) -> Iterator[Postfix]:
    needs_root()
    needs("postfix")
    with place() as folder, Postfix(folder, f"[127.0.0.1]:{server.address[1]}") as running:
        yield running


def test_a_mail_comes_byte_for_byte(server: Server, peer: Postfix) -> None:
    """8BITMIME and SIZE as Postfix says them, and its own Received line behind ours."""
    mail = new_mail("postfix")
    peer.send(on_the_wire(mail), STRANGER, [BOB], "BODY=8BITMIME")
    assert our_lines(arrived(server, mail) + mail, mail) == [*OURS, "Received"]
    until(peer.is_empty)
    assert "status=sent (250 2.0.0 ok " in peer.log


def test_over_ipv6(server: Server) -> None:
    needs_root()
    needs("postfix")
    mail = new_mail("postfix over ::1")
    relay_to = f"[::1]:{server.address[1]}"
    with place() as folder, Postfix(folder, relay_to) as peer:
        peer.send(on_the_wire(mail), STRANGER, [BOB])
        assert b"(HELO postfix.elsewhere.example) (::1)\n" in arrived(server, mail)


def test_over_tls_with_a_certificate_that_it_checks(
    server: Server, authority: trustme.CA, tmp_path: Path
) -> None:
    needs_root()
    needs("postfix")
    mail = new_mail("postfix over tls")
    relay_to = f"[localhost]:{server.address[1]}"
    with place() as folder:
        roots = f"{folder}/roots.pem"
        authority.cert_pem.write_to_path(roots)
        secure = {"smtp_tls_security_level": "secure", "smtp_tls_CAfile": roots,
                  "smtp_tls_secure_cert_match": "nexthop"}  # fmt: skip
        with Postfix(folder, relay_to, **secure) as peer:
            peer.send(on_the_wire(mail), STRANGER, [BOB])
            assert b" with ESMTPS (TLSv1.3 " in arrived(server, mail)


def test_some_recipients_of_a_mail_are_refused(server: Server, peer: Postfix) -> None:
    mail = new_mail("postfix to several")
    recipients = [BOB, f"nobody@{DOMAIN}", ALICE, "somebody@far.example"]
    peer.send(on_the_wire(mail), "", [recipients[0]])
    peer.send(on_the_wire(mail), "who@far.example", recipients)
    log = peer.says(f"to=<{recipients[3]}>")
    assert f"mailbox {recipients[1]} is absent" in log
    assert "isn't allowed to be relayed" in log
    until(lambda: any(mail in stored for stored in server.instance.mails("alice")))


def test_many_mails_at_once(server: Server, peer: Postfix) -> None:
    """Postfix opens several connections, and sends several mails over each."""
    mails = [new_mail(f"number {number}") for number in range(40)]
    for mail in mails:
        peer.send(on_the_wire(mail), STRANGER, [BOB])
    for mail in mails:
        arrived(server, mail)
    stored = server.instance.mails("bob")
    assert all(sum(mail in one for one in stored) == 1 for mail in mails)


def test_a_large_mail(server: Server, peer: Postfix) -> None:
    mail = new_mail("large") + b"".join(b"%070d\n" % number for number in range(40_000))
    peer.send(on_the_wire(mail), STRANGER, [BOB])
    arrived(server, mail)


def test_an_address_in_utf8(server: Server, peer: Postfix) -> None:
    mail = new_mail("utf8")
    peer.send(on_the_wire(mail), "jürgen@elsewhere.example", [BOB], "SMTPUTF8", "BODY=8BITMIME")
    assert arrived(server, mail).startswith("Return-Path: <jürgen@elsewhere.example>\n".encode())


def test_a_mail_that_is_larger_than_we_say_is_not_sent(server: Server, peer: Postfix) -> None:
    """SIZE of our EHLO, and of its MAIL."""
    server.instance.write("control/databytes", "100000\n")
    try:
        mail = new_mail("too large") + b"x\n" * 100_000
        peer.send(on_the_wire(mail), STRANGER, [BOB])
        peer.says("exceeds size limit 100000 of server")
    finally:
        server.instance.write("control/databytes", "0\n")


def test_what_is_put_off_is_tried_again(server: Server) -> None:
    needs_root()
    needs("postfix")
    mail = new_mail("later")
    often = {"queue_run_delay": "1s", "minimal_backoff_time": "1s", "maximal_backoff_time": "1s"}
    relay_to = f"[127.0.0.1]:{server.address[1]}"
    with place() as folder, Postfix(folder, relay_to, **often) as peer:
        server.instance.write("tcp/tcp.smtp", '127.:allow,MAXPERIP="1"\n')
        with server.connect(host="127.0.0.1"):
            peer.send(on_the_wire(mail), STRANGER, [BOB])
            peer.says("refused to talk to me: 421 mx.example.com sorry, too many connections")
        server.instance.write("tcp/tcp.smtp", "")
        arrived(server, mail)
        until(peer.is_empty)
