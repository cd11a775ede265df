"""Python's smtplib, and what it leaves to be done by hand: PIPELINING, BDAT, SMTPUTF8, 8BITMIME."""

import smtplib
import socket
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTPUTF8

import pytest

from interop.mails import OURS, arrived, arrived_as_sent, new_mail, on_the_wire
from live import ALICE, BOB, DOMAIN, HOST, PATIENCE, STRANGER, Server, our_lines, queue_id

pytestmark = pytest.mark.interop


@pytest.fixture(params=["127.0.0.1", "::1"])
def client(server: Server, request: pytest.FixtureRequest) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(request.param, server.address[1], "smtplib.example", PATIENCE) as connected:
        connected.ehlo()
        yield connected


def test_a_mail_comes_byte_for_byte(server: Server, client: smtplib.SMTP) -> None:
    mail = new_mail("smtplib")
    assert client.sendmail(STRANGER, [BOB], on_the_wire(mail), ["BODY=8BITMIME"]) == {}
    arrived_as_sent(server, mail)


def test_the_extensions_are_the_ones_we_keep(server: Server, client: smtplib.SMTP) -> None:
    assert client.esmtp_features == {
        "pipelining": "", "8bitmime": "", "size": "", "starttls": "", "smtputf8": "",
        "enhancedstatuscodes": "", "chunking": "", "dsn": "", "help": "",
    }  # fmt: skip
    assert client.help().startswith(b"2.0.0 ")
    assert client.verify(BOB)[0] == 252
    assert client.noop()[0] == 250


def test_some_of_the_recipients_are_refused(server: Server, client: smtplib.SMTP) -> None:
    mail = new_mail("smtplib")
    refused = client.sendmail(
        STRANGER, [f"nobody@{DOMAIN}", BOB, "x@far.example"], on_the_wire(mail)
    )
    assert {address: code for address, (code, _) in refused.items()} == {
        f"nobody@{DOMAIN}": 550,
        "x@far.example": 553,
    }
    arrived_as_sent(server, mail)


def test_many_mails_over_one_connection(server: Server, client: smtplib.SMTP) -> None:
    mails = [new_mail(f"number {number}") for number in range(20)]
    for mail in mails:
        client.sendmail(STRANGER, [BOB], on_the_wire(mail))
    for mail in mails:
        arrived_as_sent(server, mail)


def test_a_whole_mail_in_one_packet(server: Server, client: smtplib.SMTP) -> None:
    """PIPELINING up to DATA, and its data in the same packet: what a hurried client does."""
    mail = new_mail("pipelining")
    for split in (False, True):
        commands = (
            f"MAIL FROM:<{STRANGER}>\r\nRCPT TO:<{BOB}>\r\nRCPT TO:<x@far.example>\r\nDATA\r\n"
        )
        data = _dotted(mail) + b".\r\nNOOP\r\n"
        if split:
            client.send(commands)
            replies = [client.getreply() for _ in range(4)]
            client.send(data)
        else:
            client.send(commands.encode() + data)
            replies = [client.getreply() for _ in range(4)]
        replies += [client.getreply() for _ in range(2)]
        assert [code for code, _ in replies] == [250, 250, 553, 354, 250, 250]
        arrived_as_sent(server, mail)


def test_bdat_in_chunks_that_cut_anywhere(server: Server, client: smtplib.SMTP) -> None:
    mail = new_mail("chunking")
    octets = on_the_wire(mail)
    for size in (1 << 20, 61, 7):
        client.mail(STRANGER, [f"SIZE={len(octets)}", "BODY=8BITMIME"])
        client.rcpt(BOB)
        chunks = [octets[at : at + size] for at in range(0, len(octets), size)]
        for chunk in chunks:
            client.send(b"BDAT %d\r\n%b" % (len(chunk), chunk))
        client.send("BDAT 0 LAST\r\n")
        replies = [client.getreply() for _ in [*chunks, None]]
        assert {code for code, _ in replies} == {250}
        assert "qp" in replies[-1][1].decode()
        arrived_as_sent(server, mail)


def test_addresses_and_headers_in_utf8(server: Server, client: smtplib.SMTP) -> None:
    message = EmailMessage(policy=SMTPUTF8)
    message["From"], message["To"], message["Subject"] = "jürgen@köln.example", BOB, "Grüße"
    message.set_content("Größe\n", cte="8bit")
    assert client.send_message(message) == {}
    mail = message.as_bytes().replace(b"\r\n", b"\n")
    stored = arrived(server, mail) + mail
    assert stored.startswith("Return-Path: <jürgen@köln.example>\n".encode())
    assert b" with UTF8ESMTP; " in stored
    assert our_lines(stored, mail) == OURS


def test_a_utf8_recipient_without_the_parameter_is_refused(
    server: Server, client: smtplib.SMTP
) -> None:
    client.mail(STRANGER)
    client.send(f"RCPT TO:<jürgen@{DOMAIN}>\r\n".encode())
    assert client.getreply()[0] in (501, 553)
    client.rset()
    client.mail(STRANGER, ["SMTPUTF8"])
    client.send(f"RCPT TO:<jürgen@{DOMAIN}>\r\n".encode())
    assert client.getreply()[0] == 550  # understood, and absent


def test_a_bounce_has_one_recipient(server: Server, client: smtplib.SMTP) -> None:
    mail = new_mail("null")
    postmaster = f"postmaster@{DOMAIN}"
    refused = client.sendmail("", [BOB, postmaster], on_the_wire(mail))
    assert {address: code for address, (code, _) in refused.items()} == {postmaster: 553}
    assert arrived(server, mail).startswith(b"Return-Path: <>\n")
    assert client.sendmail("", [postmaster], on_the_wire(mail)) == {}


@pytest.mark.parametrize("ending", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r"])
def test_no_smuggled_end_of_data_splits_a_mail(server: Server, ending: bytes) -> None:
    """What comes behind a false end of data is no second mail (SMTP smuggling)."""
    smuggled = (
        b"MAIL FROM:<evil@far.example>\r\nRCPT TO:<" + ALICE.encode() + b">\r\n"
        b"DATA\r\nSubject: smuggled\r\n\r\n.\r\n"
    )
    with socket.create_connection(server.address[:2], PATIENCE) as sock:
        sock.sendall(
            f"MAIL FROM:<{STRANGER}>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n".encode()
            + b"Subject: outer\r\n\r\ntext" + ending + smuggled + b"QUIT\r\n"
        )  # fmt: skip
        said = b"".join(iter(lambda: sock.recv(4096), b""))
    codes = [line[:3] for line in said.split(b"\r\n") if line[3:4] == b" "]
    assert codes[:4] == [b"220", b"250", b"250", b"354"]
    assert codes.count(b"354") == 1, said
    accepted = said.count(b" qp ")
    if accepted:  # a bare CR is data: then all of it is one mail, up to the true end
        assert accepted == 1
        arrived(server, b"")
        number = queue_id(said[said.index(b" qp ") - 30 :].decode())
        server.instance.ended(number)
    assert not any(b"Subject: smuggled" in mail.partition(b"\n\n")[0]
                   for mail in server.instance.mails("alice"))  # fmt: skip


def test_the_received_line_says_how_the_mail_came(server: Server, client: smtplib.SMTP) -> None:
    mail = new_mail("received")
    client.sendmail(STRANGER, [BOB], on_the_wire(mail))
    host = client.sock.getpeername()[0]
    lines = arrived(server, mail).decode().splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("Received: indimail-mta smtpd "))
    (number,) = {word for word in lines[at].split() if word.isdigit()}
    assert lines[at] == f"Received: indimail-mta smtpd {number} (HELO smtplib.example) ({host})"
    assert lines[at + 1].startswith(f"  by {HOST} with ESMTP; ")
    assert server.instance.explain(number)


def _dotted(mail: bytes) -> bytes:
    """Return a mail as DATA carries it."""
    return b"".join(
        (b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in mail.split(b"\n")[:-1]
    )
