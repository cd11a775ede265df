"""What makes two mails equal: spec/delivery.md 5.5 (6)."""

import pytest

from indimail.delivery.duplicate import digest

MAIL = b"Received: from a\n\tby b\nMessage-ID: <1@example.com>\nSubject: x\n y\n\nhello\n"


@pytest.mark.parametrize(
    ("old", "new", "equal"),
    [
        (b"from a\n\tby b", b"from c\n\tby d", True),
        (b"Received", b"Delivered-To", True),
        (b"Received", b"X-DELIVERED-TO", True),
        (b"hello", b"good bye", True),
        (b"Received", b"X-Received", False),
        (b"<1@", b"<2@", False),
        (b"Subject: x\n y", b"Subject: x\n z", False),
    ],
)
def test_the_header_counts_without_what_each_way_adds(old: bytes, new: bytes, equal: bool) -> None:
    assert old in MAIL
    assert (digest(MAIL.replace(old, new)) == digest(MAIL)) == equal


def test_a_mail_without_a_message_id_has_no_digest() -> None:
    assert digest(MAIL.replace(b"Message-ID", b"X-Message-ID")) == ""
    assert digest(b"Subject: x\n\nMessage-ID: <1@example.com>\n") == ""
