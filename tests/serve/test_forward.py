"""What a delivery sends on: as which mail, from whom, to whom, and when it is queued."""

import pytest
from msgspec.structs import replace

from indimail.delivery.blackhole import BlackHole
from indimail.delivery.plan import Deliver, Discard, Forward, Relay, Run
from indimail.mail.channel import Channel
from indimail.mail.dsn import Dsn
from indimail.mail.ids import QueueIds
from indimail.mail.outcome import Delivered
from indimail.mail.verdict import Rule
from indimail.queue.port import Finished, MessageStatus, QueuedMessage, QueuedRecipient
from indimail.testing.clock import START
from indimail.testing.disk import Kind
from serve.delivering import ALICE, LARGE, MAILDIR, ONE, Delivering

BOB = Forward("bob@example.org")
CAROL = Forward("Carol@example.com")
MAIL = b"Subject: x\n\nhello\n"


def only(world: Delivering) -> MessageStatus:
    [found] = world.forwarded
    return found


def head(found: MessageStatus) -> list[str]:
    assert found.message.body is not None
    block, subject, _ = found.message.body.decode().partition("Subject: ")
    assert subject
    return block.splitlines()


# -- when ------------------------------------------------------------------------------------------


def test_a_forward_is_queued_by_the_commit_that_ends_its_recipient() -> None:
    world = Delivering()
    world.plan(BOB)
    world.mail(MAIL)
    assert world.forwarded == []
    [change] = [item for item, _ in world.rounds._gathered]
    assert isinstance(change, Finished)
    assert len(change.forwards) == 1
    world.commit()
    assert [s.recipient.address for s in only(world).recipients] == ["bob@example.org"]


def test_a_forward_goes_after_all_other_steps_wherever_its_line_stands() -> None:
    world = Delivering()
    world.plan(BOB, Deliver(MAILDIR), virtual=False)
    world.mail(MAIL)
    world.syncs.step()
    world.commit()
    world.syncs.step()
    assert len(world.new()) == 1
    assert world.forwarded == []
    world.rest()
    assert only(world)


def test_a_forward_is_told_as_a_mail_of_its_own() -> None:
    world = Delivering()
    world.plan(BOB)
    world.mail(MAIL)
    world.rest()
    number = only(world).message.id
    [message] = world.trace.told("message")
    assert (message.id, message.verdict) == (number, "accept")
    assert message.text == f"forwarded by the delivery of {ONE}"
    [route] = world.trace.told("route")
    assert (route.id, route.verdict, route.facts["recipient"]) == (
        number, "remote", "bob@example.org",
    )  # fmt: skip
    assert f"new msg {number} queue1" in world.log.lines


def test_a_forward_to_somebody_here_is_delivered_like_any_mail() -> None:
    world = Delivering()
    world.plan(CAROL)
    world.foresight.knows("example.com-Carol@example.com", Deliver("/mail/carol/Maildir"))
    world.mail(MAIL)
    world.rest()
    [name] = world.disk.names("/mail/carol/Maildir/new")
    copy = world.disk.read(f"/mail/carol/Maildir/new/{name}")
    assert copy.endswith(b"X-Forwarded-For: alice@example.com\nSubject: x\n\nhello\n")


# -- what ------------------------------------------------------------------------------------------


def test_all_addresses_of_a_file_get_one_mail_with_a_line_for_each() -> None:
    world = Delivering()
    world.plan(BOB, CAROL, virtual=False)
    world.mail(MAIL)
    world.rest()
    forward = only(world)
    assert [s.recipient.address for s in forward.recipients] == [
        "bob@example.org", "Carol@example.com",
    ]  # fmt: skip
    assert [s.recipient.channel for s in forward.recipients] == [Channel.REMOTE, Channel.LOCAL]
    assert head(forward) == [
        f"Received: indimail-mta queue {forward.message.id} by host mx.example.com",
        " (invoked by uid 89); today",
        f"Delivered-To: {ALICE}",
        "X-Forwarded-To: bob@example.org",
        "X-Forwarded-To: Carol@example.com",
        "X-Forwarded-For: eve@example.net",
    ]
    assert forward.message.size == len(forward.message.body or b"")


def test_vdelivermail_names_the_recipient_it_was_for() -> None:
    world = Delivering()
    world.plan(BOB)
    world.mail(MAIL)
    world.rest()
    assert head(only(world))[-1] == f"X-Forwarded-For: {ALICE}"


def test_a_host_gets_the_mail_for_the_same_address_with_nothing_but_a_received_line() -> None:
    world = Delivering()
    world.plan(Relay(ALICE, "example.com:192.0.2.9:25"))
    world.mail(MAIL)
    world.rest()
    forward = only(world)
    [status] = forward.recipients
    assert (status.recipient.address, status.recipient.channel, status.recipient.target) == (
        ALICE, Channel.REMOTE, "example.com:192.0.2.9:25",
    )  # fmt: skip
    assert len(head(forward)) == 2
    assert forward.message.reverse_path == "eve@example.net"


def test_a_large_body_is_copied_into_a_synced_file_before_its_row() -> None:
    world = Delivering()
    world.plan(BOB)
    world.send.spool.begin(ONE, (b"lines of a foreseen copy\n", LARGE))
    world.mail(None, offset=len(b"lines of a foreseen copy\n"))
    world.threads.run()
    [stray] = [name for name in world.disk.names("/queue/queue1/mess") if name != "1"]
    assert world.forwarded == []
    assert world.disk.survivor().exists(f"/queue/queue1/mess/{stray}")
    world.rest()
    forward = only(world)
    assert (str(forward.message.id), forward.message.body) == (stray, None)
    octets = world.disk.read(f"/queue/queue1/mess/{stray}")
    assert octets.endswith(b"X-Forwarded-For: alice@example.com\n" + LARGE)
    assert forward.message.size == len(octets)


@pytest.mark.parametrize("broken", [0, 1])
def test_a_large_body_that_cannot_be_copied_leaves_no_file_and_is_tried_again(broken) -> None:
    ids = QueueIds(1)
    number = [ids.next(int(START * 1e6)) for _ in range(2)][broken]
    world = Delivering()
    world.plan(BOB, Relay(ALICE, "example.com:192.0.2.9:25"))
    world.send.spool.begin(ONE, (LARGE,))
    world.disk.fail(Kind.SYNC_FILE, f"/mess/{number}")
    world.mail(None)
    world.rest()
    assert world.outcome[0] == "deferred"
    assert world.outcome[1].startswith("Unable to forward message: ")
    assert world.disk.names("/queue/queue1/mess") == ["1"]
    world.retry()
    assert world.outcome[0] == "delivered"
    assert len(world.forwarded) == 2


# -- from whom -------------------------------------------------------------------------------------

OWNER = "alice-owner@example.com"
VERP = "alice-owner-@example.com-@[]"


@pytest.mark.parametrize(
    ("owner", "sender", "reverse_path"),
    [
        ("", "eve@example.net", "eve@example.net"),
        (OWNER, "eve@example.net", OWNER),
        (VERP, "eve@example.net", VERP),
        (OWNER, "", ""),  # a bounce has no owner
        (OWNER, "#@[]", "#@[]"),
        ("", "list-@example.net-@[]", "list-alice=example.com@example.net"),
    ],
)
def test_an_owner_is_the_sender_of_what_is_sent_on(owner, sender, reverse_path) -> None:
    world = Delivering()
    world.plan(BOB, owner=owner, virtual=False)
    world.mail(MAIL, sender=sender)
    world.rest()
    forward = only(world)
    assert forward.message.reverse_path == reverse_path
    assert head(forward)[-1] == f"X-Forwarded-For: {reverse_path}"


def test_a_verp_sender_is_expanded_for_each_recipient_of_the_forward() -> None:
    world = Delivering()
    world.plan(CAROL, owner=VERP, virtual=False)
    world.foresight.knows("example.com-Carol@example.com", Deliver("/mail/carol/Maildir"))
    world.mail(MAIL)
    world.rest()
    [name] = world.disk.names("/mail/carol/Maildir/new")
    copy = world.disk.read(f"/mail/carol/Maildir/new/{name}")
    assert copy.startswith(b"Return-Path: <alice-owner-Carol=example.com@example.com>\n")


# -- delivery status -------------------------------------------------------------------------------

ASKED = QueuedRecipient(
    0, ALICE, Channel.LOCAL, ALICE, notify="FAILURE,DELAY", orcpt="rfc822;alice@example.net"
)


def asked(owner: str = "") -> tuple[QueuedMessage, QueuedRecipient]:
    world = Delivering()
    world.plan(BOB, owner=owner, virtual=False)
    world.mail(MAIL, to=ASKED, ret="HDRS", envid="QQ314")
    world.rest()
    forward = only(world)
    return forward.message, forward.recipients[0].recipient


HERE, PROGRAM, GONE = Deliver(MAILDIR), Run("./sort"), Discard("delete")
OTHER_HOST = Relay(ALICE, "example.com:192.0.2.9:25")


@pytest.mark.parametrize(
    ("plan", "owner", "dsn", "further"),
    [
        ((HERE,), "", Dsn.DELIVERED, []),
        ((PROGRAM,), "", Dsn.DELIVERED, []),
        ((GONE,), "", None, []),
        ((), "", None, []),
        ((BOB,), "", None, ["SUCCESS,DELAY"]),
        ((GONE, BOB), "", None, ["SUCCESS,DELAY"]),
        ((OTHER_HOST,), "", None, ["SUCCESS,DELAY"]),
        ((BOB, CAROL), "", Dsn.EXPANDED, ["DELAY", "DELAY"]),
        ((HERE, BOB), "", Dsn.EXPANDED, ["DELAY"]),
        ((PROGRAM, BOB), "", Dsn.EXPANDED, ["DELAY"]),
        ((BOB, OTHER_HOST), "", Dsn.EXPANDED, ["DELAY", "DELAY"]),
        ((BOB,), OWNER, Dsn.DELIVERED, [""]),
        ((HERE, BOB, CAROL), OWNER, Dsn.DELIVERED, ["", ""]),
    ],
)
def test_who_answers_for_success(plan, owner, dsn, further) -> None:
    """RFC 3461 5.2.7: a mailbox and a list here, behind an alias of one address whoever it is."""
    world = Delivering()
    world.plan(*plan, owner=owner, virtual=False)
    world.mail(MAIL, to=replace(ASKED, notify="SUCCESS,DELAY"))
    world.rest()
    ended = world.bounces.ends[0]
    assert isinstance(ended, Delivered)
    assert ended.dsn is dsn
    assert [s.recipient.notify for found in world.forwarded for s in found.recipients] == further


def test_a_mail_that_nobody_reads_is_delivered_to_nobody() -> None:
    world = Delivering()
    world.black_hole = BlackHole({"eve@example.net": Rule("control/blackholedsender", 1)})
    world.mail(MAIL)
    world.rest()
    ended = world.bounces.ends[0]
    assert isinstance(ended, Delivered)
    assert ended.dsn is None


def test_an_alias_hands_on_for_which_address_the_sender_asked() -> None:
    """RFC 3461 5.2.1 (d): so a bounce names who it was sent to, and not the address behind."""
    world = Delivering()
    world.plan(BOB)
    world.mail(MAIL)
    world.rest()
    assert only(world).recipients[0].recipient.orcpt == f"rfc822;{ALICE}"


def test_an_alias_hands_on_what_the_sender_asked_to_be_told() -> None:
    message, recipient = asked()
    assert (message.ret, message.envid) == ("HDRS", "QQ314")
    assert (recipient.notify, recipient.orcpt) == ("FAILURE,DELAY", "rfc822;alice@example.net")


def test_a_list_answers_for_itself() -> None:
    message, recipient = asked(OWNER)
    assert (message.ret, message.envid, recipient.notify, recipient.orcpt) == ("", "", "", "")


def test_what_the_mail_is_goes_with_it() -> None:
    world = Delivering()
    world.plan(BOB)
    world.mail(MAIL, eight_bit=True, smtputf8=True, auth="eve", source="spool.1")
    world.rest()
    message = only(world).message
    assert (message.eight_bit, message.smtputf8) == (True, True)
    assert message.source == ""  # the file in spool/ belongs to the mail that came
