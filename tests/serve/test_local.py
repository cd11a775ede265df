import errno
from typing import Any

import pytest

from indimail.delivery.headers import delivered_to
from indimail.delivery.plan import Defer, Deliver, Discard, Fail
from indimail.mail.channel import Channel
from indimail.mail.errors import AccountsUnavailable
from indimail.mail.foreseen import Foreseen
from indimail.mail.ids import QueueId
from indimail.queue.port import Accepted, QueuedMessage, QueuedRecipient, Staged, Step
from indimail.testing.clock import START
from indimail.testing.disk import Kind
from serve.delivering import ALICE, BLOCK, LARGE, MAILDIR, ONE, RULE, TO_ALICE, Delivering
from serve.sending import BrittleQueue

# -- the order -------------------------------------------------------------------------------------


def test_a_copy_is_synced_then_marked_then_seen_then_synced_then_delivered() -> None:
    world = Delivering()
    world.mail()
    world.rest()
    [name] = world.new()
    size = len(BLOCK) + 18
    assert name == f"1000000000.Q1R0.0.mx.example.com,S={size}"
    assert world.disk.read(f"{MAILDIR}/new/{name}") == BLOCK + b"Subject: x\n\nhello\n"
    order = [told for told in world.steps if not told.startswith(("mkdir", "sync_directory cur"))]
    assert order[order.index("commit Accepted"):] == [
        "commit Accepted",
        f"create tmp/{name}",
        f"write tmp/{name}",
        f"sync_file tmp/{name}",
        "sync_directory tmp",
        "commit Staged",
        f"rename tmp/{name} -> {MAILDIR}/new/{name}",
        "sync_directory new",
        "commit Finished",
    ]  # fmt: skip
    assert world.outcome == ("delivered", "did 0+0+1")


def test_nothing_goes_on_before_what_it_stands_on() -> None:
    """Each round by hand: no step is taken in the one before it."""
    world = Delivering()
    world.mail()
    steps = [world.syncs.step, world.commit, world.syncs.step, world.commit]
    for number, step in enumerate(steps, 1):
        assert world.trace.told("outcome") == []
        assert (world.disk.exists(f"{MAILDIR}/new") and world.new() != []) == (number > 2)
        step()
    assert len(world.trace.told("outcome")) == 1


def test_a_failed_sync_defers_and_the_copy_is_never_seen() -> None:
    world = Delivering()
    world.mail()
    world.disk.fail(Kind.SYNC_FILE, "/tmp/")
    world.rest()
    assert world.outcome[0] == "deferred"
    assert world.outcome[1] == (
        f"Temporary error on maildir delivery. (#4.3.0) {MAILDIR}: Input/output error"
    )
    assert world.new() == []
    world.pass_time(102.0)
    world.rest()
    assert len(world.new()) == 1


def test_a_sync_of_new_that_failed_is_made_up_for_without_a_second_copy() -> None:
    world = Delivering()
    world.mail()
    world.syncs.step()
    world.commit()
    world.disk.fail(Kind.SYNC_DIRECTORY, "/new")
    world.rest()
    assert world.outcome[0] == "deferred"
    [name] = world.new()
    world.disk.rename(f"{MAILDIR}/new/{name}", f"{MAILDIR}/cur/{name}:2,S")  # a reader
    world.steps.clear()
    world.pass_time(102.0)
    world.rest()
    assert world.outcome[0] == "delivered"
    assert world.new() == []
    assert "sync_directory cur" in world.steps


@pytest.mark.parametrize("before", ["its sync", "its mark", "its rename"])
def test_a_copy_that_somebody_removed_is_written_again(before) -> None:
    """By a mark, gone from tmp/ would mean published: nobody has seen this one."""
    world = Delivering()
    world.mail()
    if before != "its sync":
        world.syncs.step()
    if before == "its rename":
        world.disk.watch = lambda told: remove(world) if told.kind is Kind.RENAME else None
    else:
        remove(world)
    world.rest()
    assert world.outcome[0] == "deferred"
    world.disk.watch = None
    world.pass_time(102.0)
    world.rest()
    assert world.outcome[0] == "delivered"
    assert len(world.new()) == 1


def remove(world: Delivering) -> None:
    for name in world.disk.names(f"{MAILDIR}/tmp"):
        world.disk.unlink(f"{MAILDIR}/tmp/{name}")


def test_a_user_who_goes_takes_no_other_mail_along() -> None:
    world = Delivering()
    world.mail()
    other = QueuedRecipient(0, "bob@example.com", Channel.LOCAL, "bob@example.com")
    world.foresight.knows("bob@example.com", Deliver("/mail/bob/Maildir", RULE))
    message = QueuedMessage(QueueId(2), START, "eve@example.net", 2, b"x\n")
    world.send.accept(message, (other,), lambda _: None)
    world.commit()
    remove(world)
    world.disk.rename(MAILDIR, "/removed")
    world.rest()
    assert [(told.id, told.verdict) for told in world.trace.told("delivery")] == [
        (ONE, "deferred"), (2, "delivered"),
    ]  # fmt: skip


def test_a_full_disk_defers_with_the_disks_own_words() -> None:
    world = Delivering()
    world.disk.fail(Kind.CREATE, "/tmp/", errno.ENOSPC)
    world.mail()
    world.rest()
    assert world.outcome == (
        "deferred",
        f"Temporary error on maildir delivery. (#4.3.0) {MAILDIR}: No space left on device",
    )


# -- what a crash left -----------------------------------------------------------------------------

NAME = "999999990.Q1R0.0.mx.example.com,S=5"
HERE = {"tmp": f"{MAILDIR}/tmp/{NAME}", "new": f"{MAILDIR}/new/{NAME}",
        "cur": f"{MAILDIR}/cur/{NAME}:2,S"}  # fmt: skip


@pytest.mark.parametrize(
    ("boot", "age", "there", "copies"),
    [
        ("this boot", 10.0, "tmp", 1),  # not yet published
        ("this boot", 10.0, "new", 1),  # published, the mark was lost
        ("this boot", 10.0, "cur", 1),  # ... and read
        ("this boot", 10.0, "", 0),  # ... and deleted: not again
        ("another boot", 10.0, "tmp", 1),
        ("another boot", 10.0, "cur", 1),
        ("another boot", 10.0, "", 1),  # the rename was lost with the power: again
        ("this boot", 90_000.0, "", 1),  # somebody cleaned tmp/
    ],
)
def test_a_staged_copy_is_brought_to_its_one_end(boot, age, there, copies) -> None:
    store = BrittleQueue()
    message = QueuedMessage(ONE, START, "eve@example.net", 5, b"hello")
    store.apply([Accepted(message, (TO_ALICE,))])
    store.apply([Staged(ONE, Step(0, 0, MAILDIR, NAME, boot, START - age))])
    world = Prepared(store, there)
    world.rest()
    found = [n for folder in HERE for n in world.disk.names(f"{MAILDIR}/{folder}")]
    assert len(found) == copies
    assert world.disk.names(f"{MAILDIR}/tmp") == []
    assert [record.verdict for record in world.trace.told("outcome")] == ["delivered"]
    assert store.staged() == []


@pytest.mark.parametrize(("boot", "age"), [("another boot", 10.0), ("this boot", 90_000.0)])
def test_a_copy_that_is_published_late_is_marked_anew_before(boot, age) -> None:
    """Killed before its mark, and its reader deletes it: by the old mark it would come again."""
    store = BrittleQueue()
    store.apply([Accepted(QueuedMessage(ONE, START, "", 5, b"hello"), (TO_ALICE,))])
    store.apply([Staged(ONE, Step(0, 0, MAILDIR, NAME, boot, START - age))])
    world = Prepared(store, "tmp")
    while world.new() == []:
        world.threads.run()
        world.commit()
    assert [(step.boot, step.at) for _, step in store.staged()] == [("this boot", START)]


class Prepared(Delivering):
    """A world that finds a copy in one of the folders of the Maildir."""

    def __init__(self, store: BrittleQueue, there: str) -> None:
        self._there = there
        super().__init__(store)

    def start(self) -> Any:
        for folder in HERE:
            self.disk.make_directories(f"{MAILDIR}/{folder}")
        if self._there:
            self.disk.write_new(HERE[self._there], (b"hello",))
        found = super().start()
        self.foresight.known.clear()
        return found


# -- other ends ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "verdict", "text"),
    [
        (
            Fail("no such user (#5.1.1)", "5.1.1", Foreseen.ABSENT, RULE),
            "failed",
            "no such user (#5.1.1)",
        ),
        (Defer("mend the line", RULE), "deferred", "mend the line"),
        (Discard("delete", RULE), "delivered", "delete\ndid 0+0+1"),
    ],
)
def test_a_plan_without_a_copy_ends_at_once(plan, verdict, text) -> None:
    world = Delivering()
    world.plan(plan)
    world.mail()
    world.rest()
    assert world.outcome == (verdict, text)
    assert world.trace.told("delivery")[-1].rule == RULE
    assert not world.disk.exists(MAILDIR)


@pytest.mark.parametrize("body", [b"\nhello\n", None])
def test_a_mail_that_was_here_before_fails_and_is_not_stored(body) -> None:
    world = Delivering()
    head = delivered_to(ALICE)
    if body is None:
        world.send.spool.begin(ONE, (head + LARGE,))
    world.mail(None if body is None else head + body)
    world.rest()
    assert world.outcome[0] == "failed"
    assert "looping" in world.outcome[1]
    assert not world.disk.exists(MAILDIR)


def test_a_line_that_only_looks_like_ours_is_no_loop() -> None:
    world = Delivering()
    world.mail(b"Delivered-To: alice@example.com.example.net\n\nDelivered-To: alice@example.com\n")
    world.rest()
    assert world.outcome[0] == "delivered"


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (AccountsUnavailable("no answer"),
         "Sorry, I got a temporary database error (#4.3.2): no answer"),
        (ZeroDivisionError("ours"), "Sorry, something is wrong here: ZeroDivisionError('ours')"),
    ],
)  # fmt: skip
def test_a_look_up_that_fails_defers(failure, text) -> None:
    world = Delivering()
    world.foresight.known.clear()
    world.foresight.failure = failure
    world.mail()
    world.rest()
    assert world.outcome[0] == "deferred"
    assert world.outcome[1].startswith(text)


# -- large bodies ----------------------------------------------------------------------------------


def test_what_nobody_thought_of_defers_its_own_mail_alone() -> None:
    world = Delivering()
    odd: Any = "text where octets belong"
    world.mail(odd)
    assert world.send.running == 1
    world.rest()
    assert world.outcome[0] == "deferred"
    assert world.outcome[1].startswith("Sorry, something is wrong here: TypeError(")
    assert world.send.running == 0


def test_a_large_body_with_the_foreseen_lines_is_linked_and_not_copied() -> None:
    world = Delivering()
    world.send.spool.begin(ONE, (BLOCK, LARGE))
    used = world.disk.used
    world.mail(None, offset=len(BLOCK))
    world.rest()
    assert world.outcome[0] == "delivered"
    [name] = world.new()
    assert world.disk.read(f"{MAILDIR}/new/{name}") == BLOCK + LARGE
    assert world.disk.used == used
    assert world.disk.links(f"{MAILDIR}/new/{name}") == 2


@pytest.mark.parametrize("lines", [b"", b"x" * len(BLOCK)], ids=["none", "others"])
def test_a_large_body_with_other_lines_in_front_is_copied_without_them(lines) -> None:
    world = Delivering()
    world.send.spool.begin(ONE, (lines, LARGE))
    world.mail(None, offset=len(lines))
    world.rest()
    [name] = world.new()
    assert world.disk.read(f"{MAILDIR}/new/{name}") == BLOCK + LARGE


def test_a_large_body_on_another_file_system_is_copied() -> None:
    world = Delivering()
    world.send.spool.begin(ONE, (BLOCK, LARGE))
    world.disk.fail(Kind.LINK, error=errno.EXDEV)
    world.mail(None, offset=len(BLOCK))
    world.rest()
    [name] = world.new()
    assert world.disk.read(f"{MAILDIR}/new/{name}") == BLOCK + LARGE


def test_a_large_body_that_ends_early_is_never_published() -> None:
    world = Delivering()
    world.send.spool.begin(ONE, (LARGE[:-500],))
    world.mail(None)
    world.rest()
    assert world.outcome[0] == "deferred"
    assert (world.new(), world.disk.names(f"{MAILDIR}/tmp")) == ([], [])
