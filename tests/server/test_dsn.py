"""What a sender asks to be told (RFC 3461), through a running server: by us, and by the next host."""

import email
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from email import policy
from email.message import EmailMessage
from typing import Any

import pytest

from live import ALICE, BOB, HOST, Instance, Server, place, until
from sink import OFFERS, Sink

pytestmark = pytest.mark.slow

NO = "550 5.1.1 <gone> no such user"
SINKS = {
    "dsn.example": Sink(offers=(*OFFERS, "DSN")),
    "plain.example": Sink(),
    "strict.example": Sink(rcpt=[NO] * 9),
    "late.example": Sink(rcpt=["450 4.2.1 come back"] * 9),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server whose users may send to four other hosts; a delay is told after a second."""
    with ExitStack() as stack:
        instance = Instance.make(f"{stack.enter_context(place())}/i")
        instance.write("tcp/tcp.smtp", '127.:allow,RELAYCLIENT=""\n')
        instance.write("control/delaywarn", "1\n")
        routes = [f"{domain}:{stack.enter_context(sink).place}" for domain, sink in SINKS.items()]
        instance.write("control/smtproutes", "\n".join(routes) + "\n")
        yield stack.enter_context(instance.serve())


def send(server: Server, to: str, notify: str, word: str, sender: str = ALICE) -> str:
    """Send a mail with DSN parameters; return its id."""
    with server.connect() as talk:
        assert "\n250-DSN\n" in talk.say("EHLO client.example")
        parameters = " RET=HDRS ENVID=QQ+2B314" if sender else ""
        assert talk.say(f"MAIL FROM:<{sender}>{parameters}").startswith("250 ")
        said = talk.say(f"RCPT TO:<{to}> NOTIFY={notify} ORCPT=rfc822;Orig+2B@example.com")
        assert said.startswith("250 "), said
        assert talk.say("DATA").startswith("354 ")
        said = talk.say(f"Subject: {word}\r\n\r\nthe body of {word}\r\n.")
        return said.split("qp ")[1].split()[0]


def report(server: Server, word: str) -> EmailMessage:
    """Return the report that alice gets of a mail."""

    def found() -> EmailMessage | None:
        for mail in server.instance.mails("alice"):
            if f"Subject: {word}\n".encode() in mail:
                read = email.message_from_bytes(mail, policy=policy.default)
                assert isinstance(read, EmailMessage)
                return read
        return None

    read = until(found)
    assert (read["Return-Path"], read.get_content_type()) == ("<>", "multipart/report")
    return read


def of_recipient(read: EmailMessage) -> dict[str, str]:
    """Return the fields that tell of the only recipient."""
    _, status, _ = read.iter_parts()
    of_message, fields = status.get_payload()
    assert of_message["Original-Envelope-Id"] == "QQ+314"
    assert of_message["Reporting-MTA"] == f"dns; {HOST}"
    return dict(fields.items())  # type: ignore[union-attr]


def text_of(read: EmailMessage) -> str:
    content: str = next(iter(read.iter_parts())).get_content()  # type: ignore[attr-defined]
    return content


def test_success_is_told_where_the_mailbox_is_ours(server: Server) -> None:
    number = send(server, BOB, "SUCCESS", "here")
    read = report(server, "here")
    fields = of_recipient(read)
    assert fields["Original-Recipient"] == "rfc822; Orig+@example.com"
    assert fields["Final-Recipient"] == f"rfc822; {BOB}"
    assert (fields["Action"], fields["Status"]) == ("delivered", "2.0.0")
    assert f"<{BOB}>:\nThe message was delivered.\n" in text_of(read)
    assert "the body of" not in read.as_string()
    story = server.instance.run("explain", number).stdout
    assert "outcome delivered, the sender is to be told: delivered" in story
    assert f"report (delivered) of {BOB} queued: to <{ALICE}>, qp " in story
    server.says(f"dsn msg {number} qp ")


def test_a_failure_tells_the_other_server_and_its_own_reply(server: Server) -> None:
    send(server, "gone@strict.example", "FAILURE", "gone")
    read = report(server, "gone")
    fields = of_recipient(read)
    sink = SINKS["strict.example"]
    assert (fields["Action"], fields["Status"]) == ("failed", "5.1.1")
    assert fields["Remote-MTA"] == f"dns; {sink.host}"
    assert fields["Diagnostic-Code"] == f"smtp; {NO}"
    assert "Last-Attempt-Date" in fields
    assert text_of(read).startswith(f"Hi. This is the qmail-send program at {HOST}.\n")
    assert (
        f"<gone@strict.example>:\nThere is no such address.\nThe mail server {sink.host} said so:\n"
    ) in text_of(read)
    assert "the body of" not in read.as_string()  # RET=HDRS


def test_a_server_that_speaks_dsn_gets_what_was_asked_and_answers_for_it(server: Server) -> None:
    number = send(server, "ana@dsn.example", "SUCCESS,DELAY", "handed on")
    ended: Any = server.instance.delivery(number, "delivered")
    assert "owed" not in ended["facts"]
    (heard,) = SINKS["dsn.example"].heard
    assert heard[1].endswith(" RET=HDRS ENVID=QQ+2B314")
    assert heard[2] == (
        "RCPT TO:<ana@dsn.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Orig+2B@example.com"
    )


def test_success_is_told_here_where_the_next_server_does_not_speak_dsn(server: Server) -> None:
    send(server, "ana@plain.example", "SUCCESS", "relayed")
    read = report(server, "relayed")
    fields = of_recipient(read)
    sink = SINKS["plain.example"]
    assert (fields["Action"], fields["Diagnostic-Code"]) == ("relayed", "smtp; 250 ok")
    assert fields["Remote-MTA"] == f"dns; {sink.host}"
    assert f"The mail server {sink.host} took the message, and does not tell" in text_of(read)
    assert sink.heard[-1][2] == "RCPT TO:<ana@plain.example>"


def test_a_delay_is_told_while_the_mail_waits(server: Server) -> None:
    server.instance.write("control/holdremote", "1\n")
    number = send(server, "ana@late.example", "DELAY", "delayed")
    began = time.monotonic()
    until(lambda: time.monotonic() - began > 1.0)
    os.unlink(server.instance.path("control/holdremote"))
    read = report(server, "delayed")
    fields = of_recipient(read)
    assert (fields["Action"], fields["Status"]) == ("delayed", "4.2.1")
    assert fields["Diagnostic-Code"] == "smtp; 450 4.2.1 come back"
    assert "Will-Retry-Until" in fields
    assert "you need not send your message again" in text_of(read)
    assert "ana@late.example" in server.instance.run("qmail-qread").stdout
    story = server.instance.run("explain", number).stdout
    assert ", the sender is to be told: delayed: " in story
    assert f"report (delayed) of ana@late.example queued: to <{ALICE}>, qp " in story


def test_nobody_is_told_who_asked_for_nothing(server: Server) -> None:
    numbers = [
        send(server, "gone@strict.example", "NEVER", "never"),
        send(server, BOB, "NEVER", "never"),
        send(server, BOB, "FAILURE,DELAY", "never"),
    ]
    for number in numbers:
        server.instance.ended(number)
    send(server, BOB, "SUCCESS", "after all")
    report(server, "after all")
    assert not any(b"Subject: never\n" in mail for mail in server.instance.mails("alice"))
