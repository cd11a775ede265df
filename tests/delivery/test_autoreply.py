import email
from email import policy

import pytest

from indimail.delivery.autoreply import (
    LONGEST_VALUE,
    Mail,
    Reply,
    enclosing_body,
    fill,
    objection,
    own_header,
    plain_body,
    reply_header,
    words_of,
)
from indimail.mail.header import split_header

ALICE = ("alice@example.com", "example.com-alice@example.com")
DTLINE = b"Delivered-To: example.com-alice@example.com\n"
TO_ALICE = "To: Alice <Alice@Example.com>\n"


def mail(header: str = TO_ALICE, sender: str = "bob@example.org") -> Mail:
    return Mail.read(sender, ALICE, DTLINE, split_header(header.encode())[0])


@pytest.mark.parametrize(
    "header",
    [
        TO_ALICE,
        "To: x@y.z\nCc: (me) a@b.c,\n alice@example.com\n",
        "Bcc: alice@example.com\n",
        "Resent-To: alice@example.com\n",
        "To: example.com-alice@example.com\n",
        TO_ALICE + "Auto-Submitted: no\n",
        TO_ALICE + "Auto-Submitted: No (a person)\n",
        TO_ALICE + "Precedence: first-class\n",
        TO_ALICE + "X-Bogosity: No, tests=bogofilter\n",
        TO_ALICE + "Delivered-To: alice@example.com\n",
    ],
)
def test_who_writes_to_the_recipient_is_answered(header: str) -> None:
    assert objection(mail(header), lax=False) == ""


@pytest.mark.parametrize(
    ("sender", "why"),
    [
        ("", "a bounce"),
        ("#@[]", "a bounce"),
        ("Mailer-Daemon@example.org", "the sender is a program"),
        ("owner-list@example.org", "the sender is a program"),
        ("list-request@example.org", "the sender is a program"),
        ("bob", "the sender is no address"),
        ("@example.org", "the sender is no address"),
        ("bob@", "the sender is no address"),
        ("b\nob@example.org", "the sender is no address"),
        ("b\udcffb@example.org", "the sender is no address"),
        ("ALICE@example.com", "the sender is the recipient"),
    ],
)
def test_senders_that_nobody_answers(sender: str, why: str) -> None:
    assert objection(mail(sender=sender), lax=True) == why


@pytest.mark.parametrize(
    ("field", "why"),
    [
        ("List-ID: <a.b>", "mail of a list: list-id"),
        ("List-Unsubscribe: <mailto:a@b>", "mail of a list: list-unsubscribe"),
        ("Mailing-List: x", "mail of a list: mailing-list"),
        ("X-Mailing-List: x", "mail of a list: x-mailing-list"),
        ("X-ML-Name: x", "mail of a list: x-ml-name"),
        ("Delivered-To: example.com-alice@example.com",
         "a loop: it has the recipient's Delivered-To"),
        ("Auto-Submitted: auto-replied; x=no", "an automatic mail: auto-submitted"),
        ("AUTO-SUBMITTED: Auto-Generated", "an automatic mail: auto-submitted"),
        ("Auto-Submitted:\n auto-notified", "an automatic mail: auto-submitted"),
        ("Auto-Submitted: no\nAuto-Submitted: auto-replied", "an automatic mail: auto-submitted"),
        ("Precedence: BULK", "mail for many: precedence"),
        ("Precedence: junk", "mail for many: precedence"),
        ("Precedence: list", "mail for many: precedence"),
        ("X-Bogosity: Yes, spamicity=0.99", "spam: x-bogosity"),
    ],
)  # fmt: skip
def test_mails_that_nobody_answers(field: str, why: str) -> None:
    assert objection(mail(f"{TO_ALICE}{field}\n"), lax=True) == why


@pytest.mark.parametrize(
    "header", ["", "To: malice@example.com\n", "Reply-To: alice@example.com\n"]
)
def test_who_did_not_name_the_recipient_is_answered_by_a_lax_one_alone(header: str) -> None:
    assert objection(mail(header), lax=False) == "the recipient is not in To, Cc or Bcc"
    assert objection(mail(header), lax=True) == ""


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("%S|%F|%T|%C|%B", "a b|Bob <bob@example.org>|alice@example.com|c@d.e|"),
        ("%D|%d|%t", "Mon, 23 Nov 2026 23:15:00 +0000|2026-12-24|08:00:00"),
        ("%R|%r|%M|%m", "alice@example.com|bob@example.org|<1@x>|1@x"),
        ("100%% %s %x %", "100% %s %x %"),
        ("%%S", "%S"),
    ],
)
def test_letters_stand_for_words_of_the_mail(text: str, filled: str) -> None:
    came = mail(
        "Subject: a\n b\nFrom: Bob <bob@example.org>\nTo: alice@example.com\nCc: c@d.e\n"
        "Date: Mon, 23 Nov 2026 23:15:00 +0000\nMessage-ID: (x) <1@x>\n"
    )
    assert fill(text, words_of(came, "alice@example.com", "2026-12-24", "08:00:00")) == filled


def test_words_are_not_filled_again_and_have_a_length() -> None:
    assert fill("%S", words_of(mail("Subject: %S%F\n"), "a", "b", "c")) == "%S%F"
    long = mail("Subject: " + "ü" * 5000 + "\n").first("subject")
    assert long == "ü" * (LONGEST_VALUE // 2)


REPLY = Reply("alice@example.com", "bob@example.org", "hi", "Mon, ...", "<2@x>", "<1@x>")


def test_a_reply_says_that_it_is_automatic() -> None:
    octets = b"".join([reply_header(REPLY), *plain_body("text/plain; charset=utf-8", b"I am away")])
    assert octets.decode() == (
        "From: alice@example.com\nTo: bob@example.org\nSubject: hi\nDate: Mon, ...\n"
        "Message-ID: <2@x>\nIn-Reply-To: <1@x>\nReferences: <1@x>\nAuto-Submitted: auto-replied\n"
        "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
        "Content-Transfer-Encoding: 7bit\n\nI am away\n"
    )


@pytest.mark.parametrize("evil", ["a\nBcc: x@y.z", "a\r\n\r\nbody", "a\0b", "a\rb"])
def test_nothing_adds_a_field(evil: str) -> None:
    octets = reply_header(Reply(evil, f"{evil}@example.org", evil, evil, evil, evil))
    assert octets.count(b"\n") == 8
    assert not set(b"\r\0") & set(octets)
    came = mail(f"{TO_ALICE}Message-ID: <{evil}>\n")
    assert came.message_id == "" or "\n" not in came.message_id


def test_an_enclosed_mail_is_read_by_others() -> None:
    original = [b"Subject: caf\xc3\xa9\n\n", b"--x\n\nbody"]
    body = enclosing_body("text/plain; charset=utf-8", "Grüße".encode(), original, "=_b")
    found = email.message_from_bytes(
        b"".join([reply_header(REPLY), *body]), policy=policy.default
    )  # fmt: skip
    text, enclosed = found.iter_parts()  # type: ignore[attr-defined]
    assert text.get_content() == "Grüße\n"
    [message] = enclosed.get_payload()
    assert message.get_content() == "--x\n\nbody"
    assert not found.defects


@pytest.mark.parametrize(
    ("text", "header", "below"),
    [
        (b"Subject: away\n\nhi\n", {"subject": "away"}, b"hi\n"),
        (b"From: a\n <a@b>\nSubject: x\nSubject: y\n\nhi", {"from": "a <a@b>", "subject": "x"}, b"hi"),
        (b"Subject: away\nhi", {"subject": "away"}, b"hi"),
        (b"Note: I am away\n\nhi\n", {}, b"Note: I am away\n\nhi\n"),
        (b"\nSubject: away\n\n", {}, b"\nSubject: away\n\n"),
        (b"", {}, b""),
    ],
)  # fmt: skip
def test_a_text_may_have_a_header(text: bytes, header: dict[str, str], below: bytes) -> None:
    assert own_header(text) == (header, below)
