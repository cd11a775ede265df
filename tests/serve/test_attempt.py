"""An attempt with several steps: their order, their marks, what a later attempt leaves out."""

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from indimail.delivery.headers import delivered_to, prepended
from indimail.delivery.loop import LOOPING
from indimail.delivery.plan import Defer, Deliver, Discard, Fail, Forward, Mbox, Run
from indimail.delivery.program import Ended
from indimail.mail.channel import Channel
from indimail.mail.errors import MailboxUnwritable
from indimail.mail.foreseen import Foreseen
from indimail.mail.verdict import Rule
from indimail.queue.port import Accepted, QueuedMessage, QueuedRecipient, Staged, Step, Stepped
from indimail.testing.clock import START
from indimail.testing.disk import Kind
from serve.delivering import ALICE, BLOCK, MAILDIR, ONE, TO_ALICE, Delivering
from serve.sending import BrittleQueue


def line(number: int) -> Rule:
    return Rule("alias/.qmail-list", number)


STORE = Deliver(MAILDIR, line(1))
SORT = Run("sort", line(2))
TELL = Run("tell", line(3))
SEND_ON = Forward("bob@example.org", line(4))
FAILS = Fail("no mailbox (#5.1.1)", "5.1.1", Foreseen.ABSENT, line(5))


def told(world: Delivering) -> list[tuple[str, str, str]]:
    return [(r.verdict, r.text, str(r.rule)) for r in world.trace.told("step")]


def ran(world: Delivering) -> list[str]:
    return [step for step in world.steps if step.startswith("run ")]


# -- order -----------------------------------------------------------------------------------------


def test_each_step_is_marked_before_the_next_is_begun() -> None:
    world = Delivering()
    world.plan(STORE, SORT, TELL, virtual=False)
    world.mail()
    world.rest()
    order = [s for s in world.steps if s.startswith(("commit", "rename", "run"))]
    assert [step.split()[0] if step.startswith("rename") else step for step in order] == [
        "commit Accepted",
        "commit Staged",
        "rename",
        "commit Stepped",  # the copy
        "run sort",
        "commit Stepped",
        "run tell",
        "commit Finished",  # the last needs no mark of its own
    ]
    assert world.outcome == ("delivered", "did 1+0+2")


def test_the_story_names_line_and_end_of_each_of_several_steps() -> None:
    world = Delivering()
    world.plan(SORT, SEND_ON, STORE, virtual=False)
    world.ends["sort"] = Ended(0, "sorted\n")
    world.mail()
    world.rest()
    assert told(world) == [
        ("done", "|sort: exit 0\nsorted", "alias/.qmail-list:2"),
        ("done", MAILDIR, "alias/.qmail-list:1"),
        ("done", "forward to bob@example.org", "alias/.qmail-list:4"),
    ]


@pytest.mark.parametrize("step", [STORE, SEND_ON, Discard("delete", line(1))])
def test_a_single_step_is_told_by_the_end_of_its_delivery(step) -> None:
    world = Delivering()
    world.plan(step)
    world.mail()
    world.rest()
    assert told(world) == []
    assert world.trace.told("delivery")[-1].rule == step.rule


def test_a_file_of_comments_is_done_and_does_nothing() -> None:
    world = Delivering()
    world.plan(virtual=False)
    world.mail()
    world.rest()
    assert world.outcome == ("delivered", "did 0+0+0")


def test_files_forwards_and_programs_are_counted(tmp_path: Path) -> None:
    world = Delivering()
    box = Mbox(str(tmp_path / "box"), line(6))
    world.plan(STORE, box, SORT, SEND_ON, Forward("carol@example.org"), virtual=False)
    world.mail()
    world.rest()
    [forward] = world.forwarded
    assert world.outcome == ("delivered", f"did 2+2+1\nqp {forward.message.id}")


def test_one_line_of_vdelivermail_is_one_program() -> None:
    world = Delivering()
    world.plan(STORE, SEND_ON)
    world.mail()
    world.rest()
    [forward] = world.forwarded
    assert world.outcome == ("delivered", f"did 0+0+1\nqp {forward.message.id}")


# -- what fails ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ended", "verdict", "text"),
    [
        (Ended(100, "this list is closed\n"), "failed", "this list is closed"),
        (Ended(111, "come back\n"), "deferred", "come back"),
        (Ended(1), "deferred", "tell failed code(1). Temporary error"),
        (Ended(signal=9), "deferred", "Aack, child tell crashed. (#4.3.0)"),
        (Ended(limit="ended after 60 s"), "deferred", "tell: ended after 60 s. (#4.3.0)"),
        (MailboxUnwritable("no program today"), "deferred", "no program today"),
        (ZeroDivisionError("ours"), "deferred",
         "Sorry, something is wrong here: ZeroDivisionError('ours') (#4.3.0)"),
    ],
)  # fmt: skip
def test_the_first_failure_ends_it_all_and_nothing_is_forwarded(ended, verdict, text) -> None:
    world = Delivering()
    world.plan(SEND_ON, STORE, TELL, SORT, virtual=False)
    world.ends["tell"] = ended
    world.mail()
    world.rest()
    assert world.outcome == (verdict, text)
    assert len(world.new()) == 1  # what was made stays
    assert ran(world) == ["run tell"]
    assert world.forwarded == []


def test_a_program_s_end_and_last_words_are_in_the_story() -> None:
    world = Delivering()
    world.plan(SORT, virtual=False)
    world.ends["sort"] = Ended(100, "no such folder\n")
    world.mail()
    world.rest()
    assert told(world) == [("failed", "|sort: exit 100\nno such folder", "alias/.qmail-list:2")]


@pytest.mark.parametrize(
    ("end", "verdict"), [(FAILS, "failed"), (Defer("mend it", line(5)), "deferred")]
)
def test_a_line_that_fails_ends_it_where_it_stands(end, verdict) -> None:
    world = Delivering()
    world.plan(SEND_ON, SORT, end, TELL, virtual=False)
    world.mail()
    world.rest()
    assert world.outcome[0] == verdict
    assert world.trace.told("delivery")[-1].rule == line(5)
    assert ran(world) == ["run sort"]
    assert world.forwarded == []


def test_what_a_hand_says_on_another_thread_is_heard_in_the_loop() -> None:
    world = Delivering()
    world.plan(SORT, TELL, virtual=False)
    waiting = []
    object.__setattr__(world.delivery, "wake", waiting.append)
    world.mail()
    assert ran(world) == ["run sort"]
    assert told(world) == []
    waiting.pop()()
    assert len(told(world)) == 1


def test_what_goes_wrong_behind_a_step_keeps_no_slot() -> None:
    world = Delivering()
    world.plan(SORT, STORE, virtual=False)
    world.ends["sort"] = "no end at all"  # type: ignore[assignment]
    world.mail()
    world.rest()
    assert world.outcome[0] == "deferred"
    assert world.outcome[1].startswith("Sorry, something is wrong here: ")
    assert world.send.running == 0


# -- later attempts --------------------------------------------------------------------------------


def test_a_retry_goes_on_at_the_step_that_was_deferred(tmp_path: Path) -> None:
    world = Delivering()
    box = tmp_path / "box"
    world.plan(STORE, Mbox(str(box), line(2)), SORT, TELL, SEND_ON, virtual=False)
    world.ends["tell"] = Ended(111)
    world.mail()
    world.rest()
    assert ran(world) == ["run sort", "run tell"]
    before = box.read_bytes()
    world.ends.clear()
    world.retry()
    [forward] = world.forwarded
    assert world.outcome == ("delivered", f"did 2+1+2\nqp {forward.message.id}")
    assert ran(world) == ["run sort", "run tell", "run tell"]
    assert box.read_bytes() == before
    assert len(world.new()) == 1


def test_a_step_is_known_by_its_place_whatever_line_it_stands_on_now() -> None:
    world = Delivering()
    world.plan(STORE, SORT, TELL, virtual=False)
    world.ends["tell"] = Ended(111)
    world.mail()
    world.rest()
    world.ends.clear()
    world.plan(TELL, Run("new", line(2)), SORT, Deliver(MAILDIR, line(9)), virtual=False)
    world.retry()
    assert world.outcome == ("delivered", "did 1+0+3")
    assert ran(world) == ["run sort", "run tell", "run tell", "run new"]
    assert len(world.new()) == 1


def test_two_lines_of_one_place_are_two_steps() -> None:
    world = Delivering()
    world.plan(SORT, STORE, TELL, SORT, STORE, virtual=False)
    world.ends["tell"] = Ended(111)
    world.mail()
    world.rest()
    world.ends.clear()
    world.retry()
    assert ran(world) == ["run sort", "run tell", "run tell", "run sort"]
    assert len(world.new()) == 2


def test_a_crash_behind_a_mark_leaves_the_step_out() -> None:
    store = BrittleQueue()
    store.apply([Accepted(QueuedMessage(ONE, START, "", 5, b"hello"), (TO_ALICE,))])
    mark = Step(0, 0, "|sort", "", "this boot", START, last=False, done=True)
    store.apply([Stepped(ONE, mark)])
    world = Delivering(store)
    world.plan(SORT, TELL, virtual=False)
    world.rest()
    assert ran(world) == ["run tell"]
    assert world.outcome == ("delivered", "did 0+0+2")


@pytest.mark.parametrize("last", [True, False])
def test_a_copy_of_several_that_a_crash_left_staged_is_counted_as_made(last) -> None:
    store = BrittleQueue()
    store.apply([Accepted(QueuedMessage(ONE, START, "", 5, b"hello"), (TO_ALICE,))])
    done = Step(0, 0, "|sort", "", "this boot", START, last=False, done=True)
    copy = Step(0, 1, MAILDIR, "NAME,S=5", "this boot", START, last=last)
    store.apply([Stepped(ONE, done), Staged(ONE, copy)])
    world = Delivering(store)
    world.plan(SORT, STORE, *(() if last else (TELL,)), virtual=False)
    for folder in ("tmp", "new", "cur"):
        world.disk.make_directories(f"{MAILDIR}/{folder}")
    world.disk.write_new(f"{MAILDIR}/tmp/NAME,S=5", (b"hello",))
    world.rest()
    assert world.new() == ["NAME,S=5"]
    assert ran(world) == ([] if last else ["run tell"])
    assert world.outcome == ("delivered", "did 1+0+1" if last else "did 1+0+2")


# -- rows of valias --------------------------------------------------------------------------------

FULL = Deliver("/mail/full/Maildir", line(1), limit="1000", is_row=True)
ROW = Deliver(MAILDIR, line(2), limit="", is_row=True)
LONG = b"Subject: x\n\n" + b"0123456789\n" * 200


def test_rows_behind_a_full_one_are_made_and_then_it_bounces() -> None:
    world = Delivering()
    world.plan(FULL, ROW, SEND_ON, TELL)
    world.mail(LONG)
    world.rest()
    verdict, text = world.outcome
    assert verdict == "failed"
    assert text.startswith("/mail/full/Maildir has insufficient quota. ")
    assert world.trace.told("outcome")[0].rule == FULL.rule
    assert told(world)[0] == ("failed", text, str(FULL.rule))
    assert len(world.new()) == 1
    assert ran(world) == ["run tell"]
    assert "bob@example.org" in [s.recipient.address for m in world.forwarded for s in m.recipients]


@pytest.mark.parametrize("limit", ["1000", "NOQUOTA"])
def test_a_row_that_was_full_is_not_made_by_a_later_attempt(limit: str) -> None:
    world = Delivering()
    world.plan(FULL, ROW, TELL)
    world.ends["tell"] = Ended(111)
    world.mail(LONG)
    world.rest()
    assert world.outcome[0] == "deferred"
    [(_, first, _), *_] = told(world)
    world.ends.clear()
    world.plan(replace(FULL, limit=limit), ROW, TELL)
    world.retry()
    assert world.outcome == ("failed", first)
    assert len(world.new()) == 1
    assert not world.disk.exists("/mail/full/Maildir/new")


@pytest.mark.parametrize("last", [True, False])
def test_a_row_that_was_full_is_remembered_by_the_copy_that_a_crash_left(last: bool) -> None:
    store = BrittleQueue()
    store.apply([Accepted(QueuedMessage(ONE, START, "", 5, b"hello"), (TO_ALICE,))])
    full = Step(
        0, 0, FULL.maildir, "refused: it is full", "this boot", START, last=False, done=True
    )
    copy = Step(0, 1, MAILDIR, "NAME,S=5", "this boot", START, last=last)
    store.apply([Stepped(ONE, full), Staged(ONE, copy)])
    world = Delivering(store)
    world.plan(FULL, ROW, *(() if last else (TELL,)))
    for folder in ("tmp", "new", "cur"):
        world.disk.make_directories(f"{MAILDIR}/{folder}")
    world.disk.write_new(f"{MAILDIR}/tmp/NAME,S=5", (b"hello",))
    world.rest()
    assert world.new() == ["NAME,S=5"]
    assert world.outcome == ("failed", "it is full")


def test_a_full_quota_of_the_disk_is_one_of_the_row() -> None:
    world = Delivering()
    row = replace(FULL, limit="NOQUOTA")
    world.plan(row, ROW)
    world.disk.fail(Kind.CREATE, row.maildir, errno.EDQUOT)
    world.mail(LONG)
    world.rest()
    assert world.outcome[0] == "failed"
    assert "Recipient's mailbox is full" in world.outcome[1]
    assert len(world.new()) == 1


# -- exit 99 ---------------------------------------------------------------------------------------


def test_exit_99_leaves_out_the_rest_and_earlier_forwards_go() -> None:
    world = Delivering()
    world.plan(SEND_ON, SORT, STORE, Forward("carol@example.org", line(5)), virtual=False)
    world.ends["sort"] = Ended(99)
    world.mail()
    world.rest()
    [forward] = world.forwarded
    assert [s.recipient.address for s in forward.recipients] == ["bob@example.org"]
    assert world.outcome == ("delivered", f"did 0+1+1\nqp {forward.message.id}")
    assert not world.disk.exists(MAILDIR)


def test_exit_99_of_a_branch_goes_on_behind_what_it_skips() -> None:
    world = Delivering()
    world.plan(Run("ask", line(1), skip=2), STORE, SORT, TELL, virtual=False)
    world.ends["ask"] = Ended(99)
    world.mail()
    world.rest()
    assert ran(world) == ["run ask", "run tell"]
    assert not world.disk.exists(MAILDIR)


def test_what_99_left_out_stays_left_out_when_a_forward_has_to_be_tried_again() -> None:
    world = Delivering()
    world.plan(SEND_ON, SORT, STORE, virtual=False)
    world.ends["sort"] = Ended(99)
    world.send.spool.begin(ONE, (b"Subject: large\n\n" + b"0123456789\n" * 20_000,))
    world.disk.fail(Kind.CREATE, "/mess/")
    world.mail(None)
    world.rest()
    assert world.outcome[0] == "deferred"
    assert world.outcome[1].startswith("Unable to forward message: ")
    world.retry()
    assert world.outcome[0] == "delivered"
    assert ran(world) == ["run sort"]
    assert not world.disk.exists(MAILDIR)
    assert len(world.forwarded) == 1


# -- what a program is given -----------------------------------------------------------------------


def test_a_program_gets_the_mail_as_it_is_and_the_envelope_in_its_environment() -> None:
    world = Delivering()
    world.plan(SORT, owner="alice-owner@example.com", virtual=False)
    world.mail(b"Subject: x\n\nhello\n")
    [program] = world.programs
    assert b"".join(program.content.pieces()) == b"Subject: x\n\nhello\n"
    assert program.home == "/home"
    assert program.environment["SENDER"] == "eve@example.net"
    assert program.environment["NEWSENDER"] == "alice-owner@example.com"
    assert program.environment["RPLINE"] == "Return-Path: <eve@example.net>\n"
    assert program.environment["DTLINE"] == f"Delivered-To: {ALICE}\n"


def test_a_line_of_a_virtual_user_runs_in_his_home_behind_vdelivermail_s_lines() -> None:
    world = Delivering()
    world.plan(Run("sort", line(2), block=True, home="/mail/alice"))
    world.mail(b"Subject: x\n\nhello\n")
    [program] = world.programs
    assert b"".join(program.content.pieces()).decode().splitlines() == [
        "X-Forwarded-To: |sort",
        f"X-Forwarded-For: {ALICE}",
        "X-Filter: None",
        "Received: (indimail 1 invoked by uid 89); today",
        "Subject: x",
        "",
        "hello",
    ]
    assert program.home == "/mail/alice"
    assert "DTLINE" not in program.environment


@pytest.mark.parametrize("virtual", [True, False])
def test_a_copy_has_the_lines_of_who_stores_it(tmp_path: Path, virtual) -> None:
    world = Delivering()
    box = tmp_path / "box"
    world.plan(STORE, Mbox(str(box), line(2)), virtual=virtual)
    world.mail(b"Subject: x\n\nhello\n")
    world.rest()
    short = f"Return-Path: <eve@example.net>\nDelivered-To: {ALICE}\n".encode()
    [name] = world.new()
    copy = world.disk.read(f"{MAILDIR}/new/{name}")
    assert copy == (BLOCK if virtual else short) + b"Subject: x\n\nhello\n"
    from_ = b"From eve@example.net Sun Sep  9 01:46:40 2001\n"
    assert box.read_bytes() == from_ + short + b"Subject: x\n\nhello\n\n"


def test_a_sender_that_is_to_be_expanded_names_the_recipient_of_each_copy() -> None:
    world = Delivering()
    world.plan(SORT, STORE)
    world.mail(sender="list-@example.net-@[]")
    world.rest()
    [program] = world.programs
    expanded = "list-alice=example.com@example.net"
    assert program.environment["SENDER"] == expanded
    [name] = world.new()
    block = prepended(expanded, ALICE, 1, "mx.example.com", 89, "today")
    assert world.disk.read(f"{MAILDIR}/new/{name}").startswith(block)


# -- loops -----------------------------------------------------------------------------------------


def test_two_addresses_that_forward_to_each_other_stop_after_one_round() -> None:
    world = Delivering()
    pairs = {"alice": "bob", "bob": "alice"}
    for user, other in pairs.items():
        target = f"example.com-{user}@example.com"
        world.foresight.knows(target, Forward(f"{other}@example.com"))
    target = f"example.com-{ALICE}"
    world.mail(to=QueuedRecipient(0, ALICE, Channel.LOCAL, target))
    world.rest()
    ends = [(r.facts["recipient"], r.verdict) for r in world.trace.told("outcome")]
    assert ends == [(ALICE, "delivered"), ("bob@example.com", "delivered"), (ALICE, "failed")]
    assert world.trace.told("outcome")[-1].text == LOOPING


def test_a_loop_is_found_before_any_step() -> None:
    world = Delivering()
    world.plan(SORT, STORE, virtual=False)
    world.mail(delivered_to(ALICE) + b"Subject: x\n\n")
    world.rest()
    assert world.outcome == ("failed", LOOPING)
    assert ran(world) == []


def test_a_retry_of_what_was_begun_is_no_loop_of_its_own() -> None:
    world = Delivering()
    world.plan(STORE, TELL, virtual=False)
    world.ends["tell"] = Ended(111)
    world.mail()
    world.rest()
    world.ends.clear()
    world.retry()
    assert world.outcome[0] == "delivered"
