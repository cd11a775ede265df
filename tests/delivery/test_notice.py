"""What people read in a report of success or delay."""

import email
from email.policy import default

import pytest
from flufl.bounce import scan_message

from indimail.delivery.bounce import Addressed, BounceSettings, compose, enclosed
from indimail.delivery.notice import notice
from indimail.delivery.reported import ReportedMessage, ReportedRecipient
from indimail.mail.dates import header_date
from indimail.mail.dsn import Dsn
from indimail.mail.outcome import Peer

NOW, UNTIL = 1_763_000_601.0, 1_763_600_000.0
SINK = Peer("mx.example.net", "192.0.2.1", "250 2.0.0 ok")
HERE = ReportedRecipient("ana@example.com", "did 0+0+1", NOW, dsn=Dsn.DELIVERED)
THERE = ReportedRecipient("bo@example.net", "accepted", NOW, "", SINK, Dsn.RELAYED)
ALIAS = ReportedRecipient("all@example.com", "did 0+2+0", NOW, dsn=Dsn.EXPANDED)
LATE = ReportedRecipient(
    "eve@example.net", "Remote host said: 450 4.2.2 full", NOW, "",
    Peer("mx.example.net", "192.0.2.1", "450 4.2.2 full"), Dsn.DELAYED,
)  # fmt: skip
MAIL = b"Subject: hello\n\nHi Ana\n"


def test_a_success_is_told_in_words_for_people() -> None:
    assert notice("mx.example.com", [HERE, THERE, ALIAS], UNTIL) == (
        """\
This is the mail system at mx.example.com.
You asked to be told when your message is delivered.

<ana@example.com>:
The message was delivered.

<bo@example.net>:
The mail server mx.example.net (192.0.2.1) took the message, and does not tell what becomes of it.
If it cannot be delivered you may still be told; if it is delivered you are not.

<all@example.com>:
The address stands for several others, and the message was sent on to them.
You may still be told if it cannot be delivered to one of them.

--- Enclosed is a copy of the message's header.
"""
    )


def test_a_delay_says_why_and_that_nothing_is_lost() -> None:
    assert notice("mx.example.com", [LATE], UNTIL) == (
        f"""\
This is the mail system at mx.example.com.
This is only a warning: you need not send your message again.
It could not be delivered yet to the following addresses. I keep trying until
{header_date(UNTIL)}; if it cannot be delivered by then, you are told.

<eve@example.net>:
The mailbox is full.
The mail server mx.example.net (192.0.2.1) said so:
Remote host said: 450 4.2.2 full

--- Enclosed is a copy of the message's header.
"""
    )


@pytest.mark.parametrize("ret", ["", "FULL", "HDRS"])
@pytest.mark.parametrize(
    ("one", "subject"),
    [(HERE, "delivery notice"), (LATE, "delay notice: your message is still on its way")],
)
def test_a_report_of_no_failure_has_the_header_alone(
    one: ReportedRecipient, subject: str, ret: str
) -> None:
    message = ReportedMessage("bob@example.org", NOW, ret=ret, envid="Q", until=UNTIL)
    copy = enclosed([MAIL], message, BounceSettings(), 7, one.dsn)
    made = compose(Addressed("", "bob@example.org"), BounceSettings(), message, [one], copy, 7, NOW)
    whole = made.head + MAIL[: made.copied] + made.tail
    read = email.message_from_bytes(whole, policy=default)
    assert (read["Subject"], read["Auto-Submitted"]) == (subject, "auto-replied")
    assert "X-Bounced-Address" not in read
    kinds = [part.get_content_type() for part in read.iter_parts()]  # type: ignore[attr-defined]
    assert kinds == ["text/plain", "message/delivery-status", "text/rfc822-headers"]
    assert b"Original-Envelope-Id: Q\n" in whole
    assert b"Hi Ana" not in whole
    assert scan_message(email.message_from_bytes(whole)) == set()  # a list keeps its subscriber
