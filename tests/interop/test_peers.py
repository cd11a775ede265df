"""Postfix, Exim and OpenSMTPD: mail to them and from them, with TLS and in clear, and what comes of it."""

import contextlib
import email
import os
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from typing import Any

import pytest
import trustme

from interop.foreign import Exim, OpenSmtpd, Peer, PostfixPeer
from interop.mails import arrived, give, new_mail
from live import ALICE, BOB, DOMAIN, HOST, Server, place, queue_id, until
from support import needs, needs_root

pytestmark = [pytest.mark.interop, pytest.mark.slow]

KINDS = (PostfixPeer, Exim, OpenSmtpd)
PEERS = [
    pytest.param((kind, tls), id=f"{kind.name}{'-tls' if tls else ''}")
    for tls in (False, True) for kind in KINDS
]  # fmt: skip
# Where TLS makes no difference.
in_clear = pytest.mark.parametrize("peer", PEERS[: len(KINDS)], indirect=True)
MANY = 1_000
STATUS = "message/delivery-status"


@pytest.fixture(scope="module", autouse=True)
def may_relay(server: Server) -> None:
    server.instance.write("tcp/tcp.smtp", '127.:allow,RELAYCLIENT=""\n')


@pytest.fixture(scope="module", params=PEERS)
def peer(request: pytest.FixtureRequest, server: Server, authority: trustme.CA) -> Iterator[Peer]:
    """A peer that has all mail for its domain from us, and brings us all other mail."""
    needs_root()
    needs("postfix")
    kind, tls = request.param
    with place() as folder:
        pem = ""
        if tls:
            pem = f"{folder}/cert.pem"
            chain = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem
            with open(pem, "xb", opener=_private) as file:
                file.write(chain.bytes())
        with kind(folder, server.address[1], pem) as running:
            server.instance.write(
                "control/smtproutes", f"{running.domain}:[127.0.0.1]:{running.port}\n"
            )
            yield running


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o640)


def whole_mail(name: str) -> bytes:
    """Return a mail to which nobody has to add anything."""
    return b"Date: Thu, 26 Nov 2026 09:00:00 +0000\nMessage-ID: <%b@client.example>\n%b" % (
        re.sub(rb"\W", b".", name.encode()),
        new_mail(name),
    )


def send(server: Server, mail: bytes, sender: str, recipients: list[str], **more: str) -> str:
    """Give a mail to our server; return its id."""
    here = ("127.0.0.1", server.address[1])
    return queue_id(give(here, mail, sender, recipients, **more))


def reports(mails: list[bytes], word: str) -> list[EmailMessage]:
    """Return the delivery reports that have the word, as python's email reads them.

    OpenSMTPD's have the part of a multipart/report, and call themselves multipart/mixed.
    """
    read = [email.message_from_bytes(one, policy=policy.default) for one in mails]
    return [
        one for one in read
        if isinstance(one, EmailMessage) and word in one.as_string()
        and any(part.get_content_type() == STATUS for part in one.walk())
    ]  # fmt: skip


def fields_of(report: EmailMessage) -> dict[str, str]:
    """Return the fields of a report's last recipient."""
    [status] = [part for part in report.walk() if part.get_content_type() == STATUS]
    return dict(list(status.iter_parts())[-1].items())  # type: ignore[union-attr]


# -- mail ------------------------------------------------------------------------------------------


def test_a_mail_comes_byte_for_byte(server: Server, peer: Peer) -> None:
    mail = whole_mail(f"{peer.name}")
    give(peer.address, mail, f"joe@{peer.domain}", [BOB], "BODY=8BITMIME")
    front = arrived(server, mail)
    assert front.startswith(b"Return-Path: <joe@%b>\n" % peer.domain.encode())
    assert (b" with ESMTPS (TLSv1.3 " in front) is peer.tls


def test_a_mail_goes_byte_for_byte(server: Server, peer: Peer) -> None:
    mail = whole_mail(f"us for {peer.name}")
    number = send(server, mail, ALICE, [f"joe@{peer.domain}"], parameters="BODY=8BITMIME")
    assert peer.got(mail).endswith(mail)
    facts: Any = server.instance.delivery(number, "delivered")["facts"]
    is_secure = peer.tls and peer.serves_tls
    assert facts.get("tls", "clear").startswith("TLSv1.3" if is_secure else "clear")
    told = [record["text"] for record in server.instance.explain(number)]
    # What was merely offered may fail; the mail goes in clear, and the story says so.
    assert any("TLS failed" in text for text in told) is (peer.tls and not peer.serves_tls)


def test_an_address_in_utf8(server: Server, peer: Peer) -> None:
    """OpenSMTPD has none: the sender is told so, and by a report in ASCII."""
    mail = whole_mail("utf8")
    far = f"jürgen@{peer.domain}"
    number = send(server, mail, ALICE, [far], parameters="SMTPUTF8 BODY=8BITMIME")
    if peer.utf8:
        assert peer.got(mail)
        mail = whole_mail("utf8 back")
        give(peer.address, mail, far, [BOB], "SMTPUTF8 BODY=8BITMIME")
        assert arrived(server, mail).startswith(f"Return-Path: <{far}>\n".encode())
    else:
        told = server.instance.delivery(number, "failed")
        assert "does not support unicode in email addresses. (#5.6.7)" in told["text"]


# -- reports ---------------------------------------------------------------------------------------


def test_success_is_told_by_the_one_that_delivered(server: Server, peer: Peer) -> None:
    mine, theirs = f"{secrets.token_hex(4)}@{peer.domain}", f"orig-{secrets.token_hex(4)}"
    ask = {"parameters": "RET=HDRS ENVID=e1", "each": f"NOTIFY=SUCCESS ORCPT=rfc822;{theirs}@x"}
    send(server, whole_mail("success there"), ALICE, [mine], **ask)
    [there] = until(lambda: reports(server.instance.mails("alice"), mine), say=lambda: peer.log)
    assert fields_of(there)["Action"] == "delivered"
    give(peer.address, whole_mail("success here"), mine, [BOB], **ask)
    [here] = until(lambda: reports(peer.mails, theirs), say=lambda: peer.log)
    fields = fields_of(here)
    assert (fields["Action"], fields["Final-Recipient"]) == ("delivered", f"rfc822; {BOB}")
    assert fields["Original-Recipient"] == f"rfc822; {theirs}@x"


@in_clear
def test_a_refusal_comes_back_with_the_words_of_who_refused(server: Server, peer: Peer) -> None:
    """The one who has the mail tells: we of theirs, and they of ours."""
    word = secrets.token_hex(4)
    bad, nobody = f"bad-{word}@{peer.domain}", f"nobody-{word}@{DOMAIN}"
    joe = f"joe@{peer.domain}"
    send(server, whole_mail("refused there"), joe, [bad])
    [there] = until(lambda: reports(peer.mails, bad), say=lambda: peer.log)
    fields = fields_of(there)
    assert (fields["Action"], fields["Final-Recipient"]) == ("failed", f"rfc822; {bad}")
    assert fields["Diagnostic-Code"].startswith("smtp; 55")
    give(peer.address, whole_mail("refused here"), joe, [nobody])
    until(lambda: [mail for mail in peer.mails if nobody.encode() in mail and b"absent" in mail],
          say=lambda: peer.log)  # fmt: skip


# -- many ------------------------------------------------------------------------------------------


@in_clear
def test_a_thousand_recipients_go(server: Server, peer: Peer) -> None:
    recipients = [f"many-{number}@{peer.domain}" for number in range(MANY)]
    number = send(server, whole_mail("many there"), ALICE, recipients)
    pattern = re.compile(rf"end msg {number}\b")
    until(lambda: pattern.search(server.output), say=lambda: peer.log)
    outcomes = Counter(
        record["verdict"] for record in server.instance.explain(number)
        if record["event"] == "outcome"
    )  # fmt: skip
    assert outcomes == {"delivered": MANY}


@in_clear
def test_a_thousand_recipients_come(server: Server, peer: Peer) -> None:
    default = f"domains/{DOMAIN}/.qmail-default"
    before = server.instance.read(default)
    server.instance.write(default, before.replace("bounce-no-mailbox", "delete"))
    word = f"to-{peer.name}-{peer.tls}"
    give(peer.address, whole_mail("many here"), f"joe@{peer.domain}",
         [f"{word}-{number}@{DOMAIN}" for number in range(MANY)])  # fmt: skip
    try:
        found = re.compile(rf"to local example\.com-({word}-\d+)@")
        until(lambda: len(set(found.findall(server.output))) == MANY, say=lambda: peer.log)
    finally:
        server.instance.write(default, before)


# -- SRS and BATV ----------------------------------------------------------------------------------


@contextlib.contextmanager
def controls(server: Server, **texts: str) -> Iterator[None]:
    """Have these control files for a while."""
    for name, text in texts.items():
        server.instance.write(f"control/{name}", f"{text}\n")
    try:
        yield
    finally:
        for name in texts:
            os.unlink(server.instance.path(f"control/{name}"))


def sender_of(mail: bytes) -> str:
    """Return the sender that the peer saw."""
    found = re.search(rb"(?im)^Return-path: <([^>]*)>", mail)
    assert found is not None, mail
    return found[1].decode()


@in_clear
def test_a_forward_comes_back_by_its_rewritten_sender(server: Server, peer: Peer) -> None:
    mail, bounce = whole_mail("forwarded"), whole_mail("the bounce")
    server.instance.write("alias/.qmail-abroad", f"&joe@{peer.domain}\n")
    with controls(server, srs_domain=f"srs.{DOMAIN}", srs_secrets="a secret"):
        give(peer.address, mail, f"eve@{peer.domain}", [f"abroad@{HOST}"])
        path = sender_of(peer.got(mail))
        assert path.startswith("SRS0=")
        assert path.endswith(f"={peer.domain}=eve@srs.{DOMAIN}")
        give(peer.address, bounce, "", [path])
        assert peer.got(bounce)


@in_clear
def test_a_bounce_comes_back_with_the_signature_of_its_sender(server: Server, peer: Peer) -> None:
    mail, bounce = whole_mail("signed"), whole_mail("the bounce")
    with controls(server, batvkey="a key"), server.connect() as talk:
        send(server, mail, ALICE, [f"joe@{peer.domain}"])
        path = sender_of(peer.got(mail))
        assert re.fullmatch(rf"prvs=0\d{{3}}[0-9a-f]{{6}}={ALICE}", path)
        give(peer.address, bounce, "", [path])
        until(lambda: [one for one in server.instance.mails("alice") if bounce in one],
              say=lambda: peer.log)  # fmt: skip
        assert talk.say("MAIL FROM:<>").startswith("250 ")
        assert talk.say(f"RCPT TO:<{ALICE}>").startswith("553 5.7.1 Not our message")
