"""What a program's message lacks before it is mail."""

from email.parser import BytesParser
from email.policy import compat32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.mail.addresses import Hosts
from indimail.mail.compose import ADDRESSES, Author, Composed, Marks, Wishes, compose
from indimail.mail.header import split_header

EVE = Author("eve@mx.org", "Eve")
HOSTS = Hosts("mx.org", "org", "plus.org")
PLAIN = Wishes()
MARKS = Marks("<1@mx>", "Mon, 1 Jan")


def composed(*fields: bytes, author: Author = EVE, wishes: Wishes = PLAIN) -> Composed:
    return compose([field + b"\n" for field in fields], author, MARKS, HOSTS, wishes)


def test_what_is_there_stays_and_what_is_missing_is_added() -> None:
    assert composed(b"To: a@b.c", b"Subject: hi").header == (
        b'To: a@b.c\nSubject: hi\nDate: Mon, 1 Jan\nMessage-ID: <1@mx>\nFrom: "Eve" <eve@mx.org>\n'
    )
    whole = (b"from: x@y.z", b"DATE: now", b"Message-Id: <2@y.z>", b"Cc: a@b.c")
    assert composed(*whole).header == b"\n".join(whole) + b"\n"


@pytest.mark.parametrize(
    ("fields", "recipients"),
    [
        ((b"To: a@b.c, c@d.e", b"Cc: e@f.g", b"Bcc: g@h.i", b"Apparently-To: i@j.k", b"X-To: k@l.m"),
         ("a@b.c", "c@d.e", "e@f.g", "g@h.i", "i@j.k")),
        ((b"To: a@b.c", b"Resent-To: c@d.e", b"Resent-Bcc: e@f.g"), ("c@d.e", "e@f.g")),
        ((b"Subject: x",), ()),
    ],
)  # fmt: skip
def test_recipients_come_from_the_header(
    fields: tuple[bytes, ...], recipients: tuple[str, ...]
) -> None:
    assert composed(*fields).recipients == recipients


def test_nobody_sees_who_got_a_blind_copy() -> None:
    header = composed(b"Bcc: g@h.i,\n i@j.k", b"Return-Path: <x@y.z>", b"Content-Length: 3").header
    assert b"g@h.i" not in header
    assert b"i@j.k" not in header
    assert header.endswith(b"Cc: recipient list not shown: ;\n")
    assert b"Return-Path" not in header
    assert b"Content-Length" not in header


def test_a_resent_message_gets_resent_fields() -> None:
    header = composed(b"To: a@b.c", b"Resent-To: c@d.e").header
    assert header.startswith(b"Resent-Date: Mon, 1 Jan\nResent-Message-ID: <1@mx>\nResent-From: ")
    assert header.endswith(b"To: a@b.c\nResent-To: c@d.e\n")


def test_a_name_cannot_end_its_quotes_or_its_line() -> None:
    header = composed(b"To: a@b.c", author=Author("e@x.y", 'E "x\\\nBcc: y')).header
    assert header.endswith(b'From: "E \\"x\\\\ Bcc: y" <e@x.y>\n')
    header = composed(
        b"To: a@b.c", author=Author("e@x.y", "E (x\n)\x85"), wishes=Wishes(name_as_comment=True)
    ).header
    assert header.endswith(b"From: e@x.y (E \\(x \\))\n")


def test_addresses_of_every_field_are_completed() -> None:
    header = composed(b"To: joe, ann@host", b"Reply-To: eve", b"X-To: joe", b"Sender: a@b+").header
    assert header.startswith(
        b"To: joe@mx.org, ann@host.org\nReply-To: eve@mx.org\nX-To: joe\nSender: a@b.plus.org\n"
    )


def test_a_field_that_needs_nothing_stays_octet_by_octet() -> None:
    field = b'To:"A, B"  <a@b.c> (x),\n\t\xff\xfe <d@e.f>'
    assert composed(field).header.startswith(field + b"\n")


@pytest.mark.parametrize(
    ("field", "path"),
    [(b"To: a@b.c", None), (b"Return-Path: <>", ""), (b"Return-Path: eve@host", "eve@host.org")],
)
def test_return_path_is_told_and_removed(field: bytes, path: str | None) -> None:
    found = composed(field)
    assert found.return_path == path
    assert b"Return-Path" not in found.header


def test_the_author_s_own_from_and_message_id_replace_the_message_s() -> None:
    fields = (b"To: a@b.c", b"From: x@y.z", b"Message-ID: <2@y>")
    wishes = Wishes(new_from=True, new_message_id=True)
    assert composed(*fields, wishes=wishes).header == (
        b'To: a@b.c\nDate: Mon, 1 Jan\nMessage-ID: <1@mx>\nFrom: "Eve" <eve@mx.org>\n'
    )


def test_mail_to_a_list_of_the_author_s_says_where_answers_go() -> None:
    wishes = Wishes(mailing_lists=frozenset({"list@b.c"}))
    header = composed(b"To: List@b.c, ann@b.c", b"Cc: list@b.c, joe", wishes=wishes).header
    assert header.endswith(b"Mail-Followup-To: List@b.c,\n  ann@b.c,\n  joe@mx.org\n")
    assert b"Followup" not in composed(b"To: ann@b.c", wishes=wishes).header
    ready = composed(b"To: list@b.c", b"Mail-Followup-To: x@y.z", wishes=wishes).header
    assert ready.count(b"Followup") == 1


LINE = st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"\n "))
FIELD = st.tuples(st.sampled_from(sorted(ADDRESSES)), LINE).map(
    lambda t: t[0].title().encode() + b": " + t[1]
)
TEXT = st.text(max_size=20).filter(lambda s: "\0" not in s)


@given(st.lists(FIELD, max_size=4), TEXT, TEXT, st.booleans())
def test_no_text_adds_a_field(fields: list[bytes], local: str, name: str, comment: bool) -> None:
    author = Author(f"{local}@x.y", name)
    found = composed(*fields, author=author, wishes=Wishes(name_as_comment=comment))
    expected = composed(*(field.partition(b":")[0] + b": joe" for field in fields))
    names = [field.partition(b":")[0] for field in split_header(found.header)[0]]
    assert names == [field.partition(b":")[0] for field in split_header(expected.header)[0]]
    text = found.header.replace(b"\r", b"")  # python ends a line there
    assert BytesParser(policy=compat32).parsebytes(text + b"\n").keys() == [
        name.decode() for name in names
    ]
