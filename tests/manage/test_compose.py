"""What a program's message lacks before it is mail."""

import pytest

from indimail.manage.compose import Author, Composed, compose

EVE = Author("eve@mx.org", "Eve")


def composed(*fields: bytes, author: Author = EVE) -> Composed:
    return compose([field + b"\n" for field in fields], author, "<1@mx>", "Mon, 1 Jan")


def test_what_is_there_stays_and_what_is_missing_is_added() -> None:
    assert composed(b"To: a@b", b"Subject: hi").header == (
        b'To: a@b\nSubject: hi\nDate: Mon, 1 Jan\nMessage-ID: <1@mx>\nFrom: "Eve" <eve@mx.org>\n'
    )
    whole = (b"from: x@y", b"DATE: now", b"Message-Id: <2@y>", b"Cc: a@b")
    assert composed(*whole).header == b"\n".join(whole) + b"\n"


@pytest.mark.parametrize(
    ("fields", "recipients"),
    [
        ((b"To: a@b, c@d", b"Cc: e@f", b"Bcc: g@h", b"Apparently-To: i@j", b"X-To: k@l"),
         ("a@b", "c@d", "e@f", "g@h", "i@j")),
        ((b"To: a@b", b"Resent-To: c@d", b"Resent-Bcc: e@f"), ("c@d", "e@f")),
        ((b"Subject: x",), ()),
    ],
)  # fmt: skip
def test_recipients_come_from_the_header(
    fields: tuple[bytes, ...], recipients: tuple[str, ...]
) -> None:
    assert composed(*fields).recipients == recipients


def test_nobody_sees_who_got_a_blind_copy() -> None:
    header = composed(b"Bcc: g@h,\n i@j", b"Return-Path: <x@y>", b"Content-Length: 3").header
    assert b"g@h" not in header
    assert b"i@j" not in header
    assert header.endswith(b"Cc: recipient list not shown: ;\n")
    assert b"Return-Path" not in header
    assert b"Content-Length" not in header


def test_a_resent_message_gets_resent_fields() -> None:
    header = composed(b"To: a@b", b"Resent-To: c@d").header
    assert header.startswith(b"Resent-Date: Mon, 1 Jan\nResent-Message-ID: <1@mx>\nResent-From: ")
    assert header.endswith(b"To: a@b\nResent-To: c@d\n")


def test_a_name_cannot_end_its_quotes_or_its_line() -> None:
    header = composed(b"To: a@b", author=Author("e@x", 'E "x\\\nBcc: y')).header
    assert header.endswith(b'From: "E \\"x\\\\ Bcc: y" <e@x>\n')
