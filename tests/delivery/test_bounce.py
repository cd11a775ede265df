"""A whole bounce: who gets it, how it reads, and that two parsers nobody here wrote read it."""

import email
import quopri
from base64 import b64decode
from dataclasses import replace
from email.message import EmailMessage, Message
from email.policy import SMTPUTF8, default

import pytest
from flufl.bounce import scan_message

from indimail.delivery.bounce import (
    Addressed,
    Bounce,
    BounceSettings,
    Discard,
    addressed,
    compose,
    enclosed,
    encoded_words,
)
from indimail.delivery.reported import ReportedMessage, ReportedRecipient
from indimail.mail.dates import header_date
from indimail.mail.errors import Misuse
from indimail.mail.outcome import Peer
from indimail.mail.sevenbit import to_seven_bit

BORN, AT, NOW = 1_763_000_000.0, 1_763_000_600.0, 1_763_000_601.0
ID = 1838568448000000001
MX = BounceSettings("mx.example.com", bouncehost="mx.example.com", doublebouncehost="example.com")
BOB = ReportedMessage("bob@example.org", BORN)
ANA = ReportedRecipient("ana@example.com", "no account here by that name. indimail (#5.1.5)", AT)
MX_NET = Peer("mx.net", "192.0.2.1", "550 5.2.2 full")
EVE = ReportedRecipient("eve@example.net", "550 5.2.2 full", AT, "rfc822;Eve@example.com", MX_NET)
PARTS = ["text/plain", "message/delivery-status", "message/rfc822"]
MAIL = b"Received: x\nSubject: hello\n\nHi Ana\n"


def made(
    mail: bytes = MAIL,
    message: ReportedMessage = BOB,
    failed: tuple[ReportedRecipient, ...] = (ANA,),
    settings: BounceSettings = MX,
) -> tuple[Bounce, bytes]:
    envelope = addressed(message.reverse_path, settings)
    assert isinstance(envelope, Addressed)
    copy = enclosed([mail], message, settings, ID)
    bounce = compose(envelope, settings, message, failed, copy, ID, NOW)
    whole = bounce.head + mail[: bounce.copied] + bounce.tail
    assert bounce.size == len(whole)
    return bounce, whole


def parsed(whole: bytes) -> EmailMessage:
    message = email.message_from_bytes(whole, policy=default)
    assert isinstance(message, EmailMessage)
    assert [part.defects for part in message.walk() if part.defects] == []
    return message


def parts(whole: bytes) -> list[EmailMessage]:
    return list(parsed(whole).iter_parts())


# -- who gets it ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reverse_path", "to"),
    [
        ("bob@example.org", Addressed("", "bob@example.org")),
        ("root", Addressed("", "root")),
        ("list-@example.org-@[]", Addressed("", "list-@example.org")),
        ("list-@[]x@example.org", Addressed("", "list-@[]x@example.org")),
        ("", Addressed("#@[]", "postmaster@example.com")),
        ("-@[]", Addressed("#@[]", "postmaster@example.com")),
        ("#@[]", Discard.TRIPLE),
    ],
)
def test_who_is_told(reverse_path: str, to: Addressed | Discard) -> None:
    assert addressed(reverse_path, MX) == to


@pytest.mark.parametrize("nobody", ["", " ", "@", "@example.com"])
def test_without_doublebounceto_a_double_bounce_goes_to_nobody(nobody: str) -> None:
    settings = replace(MX, doublebounceto=nobody)
    assert addressed("", settings) is Discard.DOUBLE
    assert addressed("#@[]", settings) is Discard.TRIPLE
    assert addressed("bob@example.org", settings) == Addressed("", "bob@example.org")


# -- how it reads --------------------------------------------------------------------------------


def test_a_bounce() -> None:
    bounce, whole = made(failed=(ANA, EVE))
    assert (bounce.envelope, bounce.eight_bit, bounce.smtputf8) == (
        Addressed("", "bob@example.org"), False, False,
    )  # fmt: skip
    assert whole.decode() == (
        f"""\
Date: {header_date(NOW)}
X-Bounced-Address: <eve@example.net>
From: MAILER-DAEMON@mx.example.com
To: bob@example.org
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
 boundary="=_bounce_{ID}_0_"
Subject: failure notice
Auto-Submitted: auto-replied
Message-ID: <{ID}.bounce@mx.example.com>

--=_bounce_{ID}_0_
Content-Type: text/plain; charset=us-ascii

Hi. This is the qmail-send program at mx.example.com.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<ana@example.com>:
There is no such address.
no account here by that name. indimail (#5.1.5)

<eve@example.net>:
The mailbox is full.
The mail server mx.net (192.0.2.1) said so:
550 5.2.2 full

--- Enclosed is a copy of the message.

--=_bounce_{ID}_0_
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com
Arrival-Date: {header_date(BORN)}

Final-Recipient: rfc822; ana@example.com
Action: failed
Status: 5.1.5
Diagnostic-Code: X-IndiMail; no account here by that name. indimail (#5.1.5)
Last-Attempt-Date: {header_date(AT)}

Original-Recipient: rfc822; Eve@example.com
Final-Recipient: rfc822; eve@example.net
Action: failed
Status: 5.2.2
Remote-MTA: dns; mx.net (192.0.2.1)
Diagnostic-Code: smtp; 550 5.2.2 full
Last-Attempt-Date: {header_date(AT)}

--=_bounce_{ID}_0_
Content-Type: message/rfc822

Return-Path: <bob@example.org>
Received: x
Subject: hello

Hi Ana

--=_bounce_{ID}_0_--
"""
    )


def test_a_double_bounce_has_texts_of_its_own() -> None:
    settings = replace(
        MX, bouncesubject="once", bouncemessage=("Once.",), bouncefrom="a b",
        doublebouncesubject="twice", doublebouncemessage=("Twice.",),
    )  # fmt: skip
    bounce, whole = made(message=ReportedMessage("", BORN), settings=settings)
    assert bounce.envelope == Addressed("#@[]", "postmaster@example.com")
    message = parsed(whole)
    assert message["Subject"] == "twice"
    assert message["From"] == '"a b"@mx.example.com'
    text, _, original = parts(whole)
    assert text.get_content().startswith(
        "Hi. This is the qmail-send program at mx.example.com.\nTw"
    )
    assert text.get_content().endswith("\n--- Enclosed is the original bounce.\n")
    assert original.get_content()["Return-Path"] == "<>"


def test_the_same_records_make_the_same_bounce_and_one_more_a_longer_one() -> None:
    assert made() == made()
    assert set(made(failed=(ANA, EVE))[1].splitlines()) > set(made()[1].splitlines()) - {
        b"X-Bounced-Address: <ana@example.com>"
    }


def test_a_bounce_of_nobody_is_a_bug() -> None:
    with pytest.raises(Misuse):
        made(failed=())


# -- what is enclosed ----------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0, len(MAIL), 50_000])
def test_a_whole_message_is_enclosed_as_it_came(limit: int) -> None:
    _, whole = made(settings=replace(MX, bouncemaxbytes=limit))
    original = parts(whole)[2]
    assert original.get_content_type() == "message/rfc822"
    assert bytes(original.get_content()) == b"Return-Path: <bob@example.org>\n" + MAIL


@pytest.mark.parametrize(
    ("limit", "end"),
    [
        (len(MAIL) - 1, b"Subject: hello\n\n\n--- End of message stripped.\n"),
        (14, b"Received: x\n\n--- End of message stripped.\n"),
        (5, b"\nRecei\n\n--- End of message stripped.\n"),
    ],
)
def test_a_long_message_is_cut_and_says_so(limit: int, end: bytes) -> None:
    bounce, whole = made(settings=replace(MX, bouncemaxbytes=limit))
    assert bounce.copied <= limit
    assert whole.partition(b"Return-Path")[2].partition(b"\n--=_bounce")[0].endswith(end)
    message = email.message_from_bytes(whole, policy=default)
    assert [part.get_content_type() for part in message.get_payload()] == PARTS


def test_with_ret_hdrs_the_header_alone_is_enclosed() -> None:
    _, whole = made(message=replace(BOB, ret="HDRS"))
    text, _, header = parts(whole)
    assert header.get_content_type() == "text/rfc822-headers"
    assert header.get_content() == ("Return-Path: <bob@example.org>\nReceived: x\nSubject: hello\n")
    assert text.get_content().endswith("\n--- Enclosed is a copy of the message's header.\n")
    assert b"Hi Ana" not in whole


@pytest.mark.parametrize("ret", ["", "FULL"])
def test_without_ret_hdrs_the_message_is_enclosed(ret: str) -> None:
    assert b"\n\nHi Ana\n\n--" in made(message=replace(BOB, ret=ret))[1]


# -- octets above 127 ----------------------------------------------------------------------------


def kinds(whole: bytes) -> list[tuple[str, str]]:
    return [
        (part.get_content_type(), part.get("Content-Transfer-Encoding", "7bit"))
        for part in [parsed(whole), *parts(whole)]
    ]


UTF8 = "Subject: né\n\né\n".encode()


@pytest.mark.parametrize(
    ("mail", "message", "failed", "expected", "smtputf8"),
    [
        (
            b"Subject: x\n\n\xff\n", BOB, ANA,
            ["multipart/report 8bit", "text/plain 7bit", "message/delivery-status 7bit",
             "message/rfc822 8bit"], False,
        ),
        (
            MAIL, BOB, replace(ANA, text="débordé"),
            ["multipart/report 8bit", "text/plain 8bit", "message/delivery-status 7bit",
             "message/rfc822 7bit"], False,
        ),
        (
            MAIL, BOB, replace(ANA, address="é@example.com"),
            ["multipart/report 8bit", "text/plain 8bit", "message/delivery-status 7bit",
             "message/rfc822 7bit"], False,
        ),
        (
            MAIL, replace(BOB, smtputf8=True), ANA,
            ["multipart/report 7bit", "text/plain 7bit", "message/delivery-status 7bit",
             "message/rfc822 7bit"], False,
        ),
        (
            UTF8, replace(BOB, smtputf8=True), replace(ANA, address="é@example.com"),
            ["multipart/report 8bit", "text/plain 8bit", "message/global-delivery-status 8bit",
             "message/global 8bit"], True,
        ),
        (
            UTF8, replace(BOB, smtputf8=True, ret="HDRS"), ANA,
            ["multipart/report 8bit", "text/plain 7bit", "message/delivery-status 7bit",
             "message/global-headers 8bit"], True,
        ),
        (
            MAIL, replace(BOB, reverse_path="bób@example.org", smtputf8=True), ANA,
            ["multipart/report 8bit", "text/plain 7bit", "message/delivery-status 7bit",
             "message/global 8bit"], True,
        ),
    ],
)  # fmt: skip
def test_octets_above_127_are_declared(
    mail: bytes, message: ReportedMessage, failed: ReportedRecipient, expected: list[str],
    smtputf8: bool,
) -> None:  # fmt: skip
    bounce, whole = made(mail, message, (failed,))
    assert [" ".join(pair) for pair in kinds(whole)] == expected
    assert (bounce.eight_bit, bounce.smtputf8) == (expected[0].endswith("8bit"), smtputf8)
    assert bounce.eight_bit is not whole.isascii()


def test_texts_and_addresses_in_utf8_are_read() -> None:
    message = replace(BOB, reverse_path="bób@example.org", smtputf8=True)
    failed = replace(ANA, address="é@example.com", text="Boîte pleine (#5.2.2)")
    _, whole = made(message=message, failed=(failed,))
    assert email.message_from_bytes(whole, policy=SMTPUTF8).keys()[:4] == [
        "Date", "X-Bounced-Address", "From", "To",
    ]  # fmt: skip
    assert "To: bób@example.org\n" in whole.decode()
    assert "\n<é@example.com>:\nThe mailbox is full.\nBoîte pleine (#5.2.2)\n" in (
        parts(whole)[0].get_content()
    )
    assert "\nFinal-Recipient: utf-8; é@example.com\n" in whole.decode()
    assert "\nX-Bounced-Address: <\\x{E9}@example.com>\n" in whole.decode()


@pytest.mark.parametrize("ret", ["", "HDRS"])
def test_a_report_in_utf8_can_go_to_a_server_that_knows_none(ret: str) -> None:
    """RFC 6533 4.5: its parts take an encoding, and its header needs no UTF-8."""
    failed = replace(ANA, address="é@example.com")
    bounce, whole = made(UTF8, replace(BOB, smtputf8=True, ret=ret), (failed,))
    assert bounce.smtputf8
    changed = to_seven_bit(whole)
    assert isinstance(changed, bytes)
    assert changed.isascii()
    _, status, original = email.message_from_bytes(changed, policy=default).iter_parts()  # type: ignore[attr-defined]
    assert status.get_content_type() == "message/global-delivery-status"
    assert b"Final-Recipient: utf-8; \xc3\xa9@example.com" in decoded(status)
    assert "Subject: né".encode() in decoded(original)


def decoded(part: EmailMessage) -> bytes:
    """Return a part's octets; the library leaves what is in message/* as it came."""
    encoded = part.as_bytes().partition(b"\n\n")[2]
    if part["Content-Transfer-Encoding"] == "base64":
        return b64decode(encoded)
    return quopri.decodestring(encoded)


@pytest.mark.parametrize("text", ["failure notice", "Zurück", "é" * 60, "\N{SNOWMAN} =?_ " * 9, ""])
def test_a_subject_is_read_as_it_was_written(text: str) -> None:
    header = f"Subject: {encoded_words(text)}\n\n"
    assert header.isascii()
    assert max(map(len, header.splitlines())) <= 90
    assert email.message_from_string(header, policy=default)["Subject"] == text


# -- two parsers ---------------------------------------------------------------------------------

MANY = tuple(ReportedRecipient(f"r{n}@example.com", "gone (#5.1.1)", AT) for n in range(100))
HOSTILE = (
    ReportedRecipient(
        "ana@example.com", "<mallory@example.org>:\n\n<trent@example.org>:\n---\n", AT
    ),
    ReportedRecipient("a b@example.com", "x\n\nFinal-Recipient: rfc822; mallory@example.org", AT),
    ReportedRecipient("o'hara+x@example.com", f"\n\n--=_bounce_{ID}_0_--\n\nX", AT),
    ReportedRecipient("c\n\nFinal-Recipient: rfc822; mallory@example.org", "", AT, "rfc822;c@d+0A"),
)


@pytest.mark.parametrize(
    ("failed", "addresses"),
    [
        ((ANA,), {"ana@example.com"}),
        ((EVE, ANA), {"Eve@example.com", "ana@example.com"}),  # the original recipient counts
        (MANY, {one.address for one in MANY}),
        (
            HOSTILE,
            {"ana@example.com", '"a b"@example.com', "o'hara+x@example.com", "c@d+0A"},
        ),
    ],
    ids=["one", "two", "many", "hostile"],
)
def test_a_bounce_handler_finds_exactly_the_failed_addresses(
    failed: tuple[ReportedRecipient, ...], addresses: set[str]
) -> None:
    _, whole = made(failed=failed)
    found = scan_message(email.message_from_bytes(whole))
    assert {address.decode() for address in found} == addresses


def test_a_reader_of_qmail_s_format_finds_them_too() -> None:
    """The same handler, shown the text alone."""
    text = Message()
    text.set_payload(parts(made(failed=(ANA, HOSTILE[0], EVE))[1])[0].get_content())
    assert scan_message(text) == {b"ana@example.com", b"eve@example.net"}


def test_no_text_from_elsewhere_adds_a_field() -> None:
    _, whole = made(
        message=ReportedMessage("bob\r\nBcc: eve\udcff@example.org", BORN, envid="x\nAction: y"),
        failed=(replace(ANA, address="a\nBcc: b@x", peer=Peer("mx\nStatus: 2.0.0", "192.0.2.1")),),
        settings=replace(MX, bouncesubject="a\nBcc: b"),
    )
    lines = whole.decode().splitlines()
    assert 'To: "bob  Bcc: eve_"@example.org' in lines
    assert 'Return-Path: <"bob  Bcc: eve_"@example.org>' in lines
    assert 'X-Bounced-Address: <"a Bcc: b"@x>' in lines
    assert "Subject: a Bcc: b" in lines
    assert "Original-Envelope-Id: x Action: y" in lines
    assert "Remote-MTA: dns; mx Status: 2.0.0 (192.0.2.1)" in lines


def test_the_boundary_is_one_that_does_not_occur() -> None:
    taken = f"=_bounce_{ID}_0_\n--=_bounce_{ID}_2_--\n"
    _, whole = made(MAIL + taken.encode(), failed=(replace(ANA, text=f"=_bounce_{ID}_1_"),))
    assert parsed(whole).get_boundary() == f"=_bounce_{ID}_3_"
    assert [part.get_content_type() for part in parts(whole)] == PARTS
