"""Delivery status notifications with Debian's Postfix as the next host: it refuses, and it answers."""

import email
import smtplib
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from typing import Any

import pytest

from interop.peer import Postfix
from live import ALICE, HOST, PATIENCE, Instance, Server, place, until
from support import needs, needs_root

pytestmark = [pytest.mark.interop, pytest.mark.slow]

FAR = "far.example"
# It knows one user, whose mail it throws away, and refuses the others as they are offered.
KNOWS = {
    "virtual_mailbox_domains": FAR,
    "virtual_mailbox_maps": f"inline:{{ known@{FAR}=x }}",
    "virtual_transport": "discard",
    "smtpd_reject_unlisted_recipient": "yes",
}


@pytest.fixture(scope="module")
def ours() -> Iterator[Server]:
    needs_root()
    needs("postfix")
    with place() as folder:
        instance = Instance.make(f"{folder}/i")
        instance.write("tcp/tcp.smtp", '127.:allow,RELAYCLIENT="",SMTPUTF8="1"\n')
        with instance.serve() as running:
            yield running


@pytest.fixture(scope="module")
def speaks(ours: Server) -> Iterator[Postfix]:
    """A Postfix with DSN; its own mail comes to us."""
    with place() as folder, Postfix(folder, f"[127.0.0.1]:{ours.address[1]}", **KNOWS) as peer:
        yield peer


@pytest.fixture(scope="module")
def mute(ours: Server) -> Iterator[Postfix]:
    """A Postfix without DSN."""
    relay_to = f"[127.0.0.1]:{ours.address[1]}"
    without = {**KNOWS, "smtpd_discard_ehlo_keywords": "dsn,silent-discard"}
    with place() as folder, Postfix(folder, relay_to, **without) as peer:
        yield peer


def send(ours: Server, peer: Postfix, user: str, word: str, notify: str) -> None:
    """Send a mail from alice by way of the peer."""
    ours.instance.write("control/smtproutes", f"{FAR}:[127.0.0.1]:{peer.port}\n")
    with ours.connect() as talk:
        talk.say("EHLO client.example")
        assert talk.say(f"MAIL FROM:<{ALICE}> ENVID={word}+2B1").startswith("250 ")
        to = f"RCPT TO:<{user}@{FAR}> NOTIFY={notify} ORCPT=rfc822;Orig@{FAR}"
        assert talk.say(to).startswith("250 ")
        assert talk.say("DATA").startswith("354 ")
        assert talk.say(f"Subject: {word}\r\n\r\n{word}\r\n.").startswith("250 ")


def report(ours: Server, word: str) -> tuple[EmailMessage, dict[str, str], dict[str, str]]:
    """Return the report that alice gets of it, its fields and those of its only recipient."""

    def found() -> EmailMessage | None:
        for mail in ours.instance.mails("alice"):
            read = email.message_from_bytes(mail, policy=policy.default)
            assert isinstance(read, EmailMessage)
            if f"Original-Envelope-Id: {word}+1\n".encode() in mail:
                return read
        return None

    read = until(found)
    assert read.get_content_type() == "multipart/report"
    _, status, _ = read.iter_parts()
    of_message, of_recipient = status.get_payload()
    return read, dict(of_message.items()), dict(of_recipient.items())  # type: ignore[union-attr]


@pytest.mark.parametrize("which", ["speaks", "mute"])
def test_its_refusal_is_told_in_its_own_words(
    ours: Server, which: str, request: pytest.FixtureRequest
) -> None:
    peer: Postfix = request.getfixturevalue(which)
    send(ours, peer, "gone", f"gone-{which}", "FAILURE")
    read, _, fields = report(ours, f"gone-{which}")
    assert (fields["Action"], fields["Status"]) == ("failed", "5.1.1")
    assert fields["Remote-MTA"] == "dns; 127.0.0.1"
    assert fields["Diagnostic-Code"].startswith(f"smtp; 550 5.1.1 <gone@{FAR}>: Recipient address")
    assert fields["Final-Recipient"] == f"rfc822; gone@{FAR}"
    assert fields["Original-Recipient"] == f"rfc822; Orig@{FAR}"
    text = next(iter(read.iter_parts())).get_content()  # type: ignore[attr-defined]
    assert f"<gone@{FAR}>:\nThere is no such address.\n" in text


def test_its_refusal_of_an_address_in_utf8_is_told_in_utf8(ours: Server, speaks: Postfix) -> None:
    """RFC 6533: both addresses as they are, in parts of their own kind."""
    ours.instance.write("control/smtproutes", f"{FAR}:[127.0.0.1]:{speaks.port}\n")
    with ours.connect() as talk:
        talk.say("EHLO client.example")
        assert talk.say(f"MAIL FROM:<{ALICE}> SMTPUTF8 BODY=8BITMIME ENVID=utf8+2B1")[:3] == "250"
        assert talk.say(f"RCPT TO:<göne@{FAR}> ORCPT=utf-8;göne@{FAR}")[:3] == "250"
        assert talk.say("DATA")[:3] == "354"
        assert talk.say("Subject: grüße\r\n\r\ngrüße\r\n.")[:3] == "250"

    def told() -> list[bytes]:
        return [mail for mail in ours.instance.mails("alice") if b"-Id: utf8+1\n" in mail]

    (mail,) = until(told)
    read: Any = email.message_from_bytes(mail, policy=policy.default)
    kinds = [part.get_content_type() for part in read.iter_parts()]
    assert kinds == ["text/plain", "message/global-delivery-status", "message/global"]
    for line in (
        f"<göne@{FAR}>:\nThere is no such address.", "Action: failed\nStatus: 5.1.1",
        f"Final-Recipient: utf-8; göne@{FAR}", f"Original-Recipient: utf-8; göne@{FAR}",
        "Subject: grüße",
    ):  # fmt: skip
        assert f"\n{line}\n" in mail.decode()


def test_what_was_asked_arrives_and_it_answers(ours: Server, speaks: Postfix) -> None:
    """Its report comes through us to the sender; we make none."""
    send(ours, speaks, "known", "answered", "SUCCESS")
    _, of_message, fields = report(ours, "answered")
    assert "postfix.elsewhere.example" in of_message["Reporting-MTA"]
    assert fields["Action"] == "delivered"
    assert fields["Original-Recipient"] == f"rfc822;Orig@{FAR}"
    mails = [mail for mail in ours.instance.mails("alice") if b"answered" in mail]
    assert len(mails) == 1


def test_success_is_told_here_where_it_speaks_no_dsn(ours: Server, mute: Postfix) -> None:
    send(ours, mute, "known", "relayed", "SUCCESS,FAILURE")
    _, of_message, fields = report(ours, "relayed")
    assert of_message["Reporting-MTA"] == f"dns; {HOST}"
    assert (fields["Action"], fields["Status"]) == ("relayed", "2.0.0")
    assert fields["Diagnostic-Code"].startswith("smtp; 250 2.0.0 Ok: ")


def test_its_mail_with_dsn_is_answered_by_us(ours: Server, speaks: Postfix) -> None:
    """The other way: Postfix hands us what its client asked, and gets our report."""
    sender = f"known@{FAR}"
    mail = b"From: <known@far.example>\r\nSubject: inward\r\n\r\ninward\r\n"
    with smtplib.SMTP("127.0.0.1", speaks.port, "client.example", PATIENCE) as client:
        client.ehlo()
        client.sendmail(sender, [ALICE], mail, ["ENVID=inward"], ["NOTIFY=SUCCESS"])
    ours.instance.write("control/smtproutes", f"{FAR}:[127.0.0.1]:{speaks.port}\n")

    def told() -> list[dict[str, Any]]:
        records: list[Any] = ours.instance.explain("--from", sender)
        return [record for record in records if record["event"] == "bounce"]

    (record,) = until(told)
    facts = record["facts"]
    assert (facts["report"], facts["told"]) == ("delivered", ALICE)
    ours.instance.delivery(record["text"].rpartition("qp ")[2], "delivered")
