"""A failure and the mail that tells of it, with the real maker of bounces."""

import email
from collections.abc import Callable
from email import policy
from email.message import EmailMessage

import pytest

from indimail.delivery.bounce import BounceSettings
from indimail.delivery.plan import Deliver, Fail
from indimail.mail.channel import Channel
from indimail.mail.dsn import Dsn
from indimail.mail.foreseen import Foreseen
from indimail.mail.ids import QueueIds
from indimail.mail.outcome import Delivered, Failed
from indimail.queue.port import (
    Accepted,
    Finished,
    MessageStatus,
    QueuedMessage,
    QueuedRecipient,
    Reported,
    State,
)
from indimail.serve.bounce import Bounces
from indimail.testing.clock import START
from indimail.testing.disk import Kind
from serve.delivering import ALICE, LARGE, ONE, RULE, TO_ALICE, Delivering
from serve.desk import snapshot
from serve.sending import BrittleQueue

FAILS = Fail("no account alice@example.com here by that name. indimail (#5.1.5)", "5.1.5",
             Foreseen.ABSENT, RULE)  # fmt: skip
MAIL = b"Subject: x\n\nhello\n"


class Bouncing(Delivering):
    """Alice's delivery fails; bounces are the real ones, made aside."""

    def __init__(self, store: BrittleQueue | None = None, **settings: object) -> None:
        self._bounce_settings = BounceSettings(me="mx.example.com", bouncehost="mx.example.com",
                                               doublebouncehost="example.com", **settings)  # type: ignore[arg-type]  # fmt: skip
        super().__init__(store)

    def start(self):
        config = snapshot()
        self.bounces = Bounces(  # type: ignore[assignment]
            QueueIds(2), self.clock, lambda: self._bounce_settings, lambda: config.routing,
            self._aside, 89, lambda: self.config.signing,
        )  # fmt: skip
        send = super().start()
        self.plan(FAILS)
        return send

    def _aside(self, work: Callable[[], object], then: Callable[[object], None]) -> None:
        self.threads(work, then)  # there from `start` on

    @property
    def bounce(self) -> MessageStatus:
        [found] = self.forwarded
        return found

    @property
    def read(self) -> EmailMessage:
        """The bounce as python's email reads it."""
        body = self.bounce.message.body
        if body is None:
            body = self.disk.read(f"/queue/queue1/mess/{self.bounce.message.id}")
        return email.message_from_bytes(body, policy=policy.default)  # type: ignore[return-value]


def parts(mail: EmailMessage) -> list[EmailMessage]:
    return list(mail.iter_parts())  # type: ignore[arg-type]


# -- who is told -----------------------------------------------------------------------------------


def test_the_sender_is_told_by_a_report_from_nobody() -> None:
    world = Bouncing()
    world.mail(MAIL)
    world.rest()
    message = world.bounce.message
    assert message.reverse_path == ""
    [to] = world.bounce.recipients
    assert (to.recipient.address, to.recipient.channel) == ("eve@example.net", Channel.REMOTE)
    text, report, original = parts(world.read)
    assert f"<{ALICE}>:\n" in text.get_content()
    assert f"\n{FAILS.text}\n" in text.get_content()
    assert report.get_content_type() == "message/delivery-status"
    assert "Status: 5.1.5" in report.as_string()
    assert original.get_content_type() == "message/rfc822"
    assert "hello" in original.as_string()
    assert message.size == len(message.body or b"")


def test_a_bounce_is_a_row_of_the_commit_that_ends_the_debt() -> None:
    world = Bouncing()
    world.mail(MAIL)
    world.commit()  # the failure
    found = world.store.message(ONE)
    assert found is not None
    assert (found.recipients[0].state, found.recipients[0].owed) == (State.FAILED, Dsn.FAILED)
    assert world.forwarded == []
    world.threads.run()
    world.commit()
    found = world.store.message(ONE)
    assert found is not None
    assert not found.recipients[0].owed
    assert world.bounce


@pytest.mark.parametrize(
    ("sender", "reverse_path", "to"),
    [
        ("eve@example.net", "", "eve@example.net"),
        ("list-@example.net-@[]", "", "list-@example.net"),
        ("", "#@[]", "postmaster@example.com"),
    ],
)
def test_a_bounce_of_a_bounce_goes_to_the_postmaster(sender, reverse_path, to) -> None:
    world = Bouncing()
    world.mail(MAIL, sender=sender)
    world.rest()
    assert world.bounce.message.reverse_path == reverse_path
    assert world.bounce.recipients[0].recipient.address == to


@pytest.mark.parametrize(
    ("sender", "settings", "said"),
    [
        ("#@[]", {}, "triple bounce: discarding bounce/1 queue1"),
        ("", {"doublebounceto": "@"}, "double bounce: discarding bounce/1 queue1"),
    ],
)
def test_at_the_end_nobody_is_told_and_the_log_says_so(sender, settings, said) -> None:
    world = Bouncing(**settings)
    world.mail(MAIL, sender=sender)
    world.rest()
    assert world.forwarded == []
    assert world.log.lines[-2:] == [said, "end msg 1 qmail-send: queue1"]
    assert [record.verdict for record in world.trace.told("bounce")] == ["discarded"]
    assert world.store.owed() == []


@pytest.mark.parametrize(
    ("notify", "is_told"), [("", True), ("FAILURE", True), ("SUCCESS,DELAY", False), ("NEVER", False)]
)  # fmt: skip
def test_notify_says_whether_a_failure_is_told(notify, is_told) -> None:
    world = Bouncing()
    to = QueuedRecipient(0, ALICE, Channel.LOCAL, ALICE, notify=notify, orcpt="rfc822;a@b.example")
    world.mail(MAIL, to=to, envid="QQ314")
    world.rest()
    assert len(world.forwarded) == is_told
    assert "end msg 1 qmail-send: queue1" in world.log.lines
    if is_told:
        report = parts(world.read)[1].as_string()
        assert "Original-Envelope-Id: QQ314" in report
        assert "Original-Recipient: rfc822; a@b.example" in report


def test_ret_hdrs_gets_the_header_alone() -> None:
    world = Bouncing()
    world.mail(MAIL, ret="HDRS")
    world.rest()
    original = parts(world.read)[2]
    assert original.get_content_type() == "text/rfc822-headers"
    assert "hello" not in original.as_string()


# -- what it is ------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [0, 20_000])
def test_a_large_mail_is_enclosed_as_far_as_is_allowed(most) -> None:
    world = Bouncing(bouncemaxbytes=most)
    world.send.spool.begin(ONE, (b"foreseen", LARGE))
    world.mail(None, offset=len(b"foreseen"))
    world.rest()
    mail = world.read.as_bytes()
    assert (LARGE in mail) == (most == 0)
    assert LARGE[: most - 100 if most else None] in mail  # whole lines
    assert b"foreseen" not in mail
    assert (world.bounce.message.body is None) == (most == 0)  # else it is small
    assert world.bounce.message.size == len(
        world.bounce.message.body
        or world.disk.read(f"/queue/queue1/mess/{world.bounce.message.id}")
    )


def test_a_bounce_that_is_large_is_whole_on_disk_before_its_row() -> None:
    world = Bouncing(bouncemaxbytes=0)
    world.send.spool.begin(ONE, (LARGE,))
    world.mail(None)
    while not world.store.owed():
        world.threads.run()
        world.commit()
    world.threads.run()
    [stray] = [name for name in world.disk.names("/queue/queue1/mess") if name != "1"]
    assert world.forwarded == []
    assert LARGE in world.disk.survivor().read(f"/queue/queue1/mess/{stray}")


def test_a_bounce_that_cannot_be_written_is_made_again_and_leaves_nothing() -> None:
    world = Bouncing(bouncemaxbytes=0)
    world.send.spool.begin(ONE, (LARGE,))
    world.disk.fail(Kind.SYNC_FILE, "/mess/")
    world.mail(None)
    world.rest()
    assert world.forwarded == []
    assert any(line.startswith("alert: bounce for 1 is not made yet") for line in world.log.lines)
    assert world.disk.names("/queue/queue1/mess") == ["1"]
    world.pass_time(60.0)
    world.rest()
    assert world.bounce
    assert world.log.lines.count("end msg 1 qmail-send: queue1") == 1


def test_addresses_carry_no_line_into_the_bounce() -> None:
    evil = "a\nBcc: everybody@example.net\n@example.com"
    world = Bouncing()
    world.foresight.knows(
        evil, Fail("no\n\n--- Below this line\n.", "5.1.1", Foreseen.ABSENT, RULE)
    )
    world.mail(MAIL, to=QueuedRecipient(0, evil, Channel.LOCAL, evil))
    world.rest()
    assert world.read["Bcc"] is None
    assert "\nBcc:" not in parts(world.read)[0].get_content()


def test_a_bounce_to_somebody_here_is_delivered() -> None:
    world = Bouncing()
    world.foresight.knows("example.com-bob@example.com", Deliver("/mail/bob/Maildir", RULE))
    world.mail(MAIL, sender="bob@example.com")
    world.rest()
    [name] = world.disk.names("/mail/bob/Maildir/new")
    copy = world.disk.read(f"/mail/bob/Maildir/new/{name}")
    assert copy.startswith(b"Return-Path: <>\n")


def test_a_debt_that_a_crash_left_is_paid_at_the_start() -> None:
    store = BrittleQueue()
    store.apply([Accepted(QueuedMessage(ONE, START, "eve@example.net", 5, MAIL), (TO_ALICE,))])
    store.apply([Finished(ONE, 0, Failed(FAILS.text, RULE), START, owed=Dsn.FAILED)])
    world = Bouncing(store)
    world.pass_time(1.0)
    world.rest()
    assert world.bounce
    assert "end msg 1 qmail-send: queue1" in world.log.lines


def test_a_bounce_tells_of_who_failed_and_of_nobody_twice() -> None:
    store = BrittleQueue()
    names = ("told", "delivered", "unasked", "new")
    addresses = [f"{name}@x" for name in names]
    to = [QueuedRecipient(n, a, Channel.LOCAL, a) for n, a in enumerate(addresses)]
    store.apply([Accepted(QueuedMessage(ONE, START, "eve@example.net", 5, MAIL), tuple(to))])
    failed, done = Failed("no"), Delivered("did 0+0+1")
    store.apply([Finished(ONE, 0, failed, START, owed=Dsn.FAILED), Finished(ONE, 1, done, START)])
    store.apply([Reported(ONE, ((0, Dsn.FAILED),), None)])
    store.apply([Finished(ONE, 2, failed, START), Finished(ONE, 3, failed, START, owed=Dsn.FAILED)])
    world = Bouncing(store)
    world.pass_time(1.0)
    world.rest()
    text = parts(world.read)[0].get_content()
    assert [name for name in names if f"<{name}@x>" in text] == ["new"]
