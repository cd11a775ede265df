"""Mails that come to a mailbox again: spec/delivery.md 5.5 (6)."""

from collections.abc import Callable
from typing import Any

import pytest

from indimail.delivery.duplicate import DISCARDING
from indimail.delivery.plan import Deliver
from indimail.mail.errors import QueueUnwritable
from indimail.mail.ids import QueueId
from indimail.queue.port import QueuedMessage
from indimail.serve.duplicates import PATIENCE
from indimail.serve.snapshot import LocalSettings
from indimail.testing.clock import START
from indimail.testing.disk import Kind, Operation
from serve.delivering import ALICE, MAILDIR, RULE, TO_ALICE, Delivering

FILE = f"{MAILDIR}/dupmd5"


class Mailbox(Delivering):
    """Alice's Maildir, where duplicates are discarded."""

    def __init__(self, limit: str | None = "NOQUOTA", interval: int = 900) -> None:
        self.limit = limit
        self.number = 0
        super().__init__()
        self.local_settings = LocalSettings(duplicates=interval)
        for part in ("cur", "new", "tmp"):
            self.disk.make_directories(f"{MAILDIR}/{part}")

    def start(self) -> Any:
        found = super().start()
        self.plan(Deliver(MAILDIR, RULE, ALICE, limit=self.limit), virtual=True)
        return found

    def accept(self, word: str = "x", octets: int = 10) -> None:
        """Accept a mail whose Message-ID has this word; nothing more happens yet."""
        self.number += 1
        lines = f"Received: {self.number}\nMessage-ID: <{word}@example.com>\n\n"
        body = lines.encode() + b"x" * octets + b"\n"
        message = QueuedMessage(QueueId(self.number), START, "eve@example.net", len(body), body)
        self.send.accept(message, (TO_ALICE,), lambda _: None)
        self.commit()

    def take(self, *words: str) -> list[str]:
        """Deliver mails one after the other; return the copies that there are then."""
        for word in words:
            self.accept(word)
            self.rest()
        return self.new()


def test_a_mail_that_is_there_is_discarded_and_the_mail_that_it_repeats_is_told() -> None:
    world = Mailbox()
    assert len(world.take("a", "b", "a")) == 2
    assert world.outcome == ("delivered", f"{DISCARDING}\nthe same as mail 1\ndid 0+0+1")


def test_after_the_interval_it_is_delivered_again() -> None:
    world = Mailbox(interval=60)
    world.take("a")
    world.clock.advance(61)
    assert len(world.take("a")) == 2


def test_it_is_marked_once_its_copy_is_in_new_for_good() -> None:
    world = Mailbox()
    world.take("a")
    rename = next(n for n, step in enumerate(world.steps) if step.startswith("rename"))
    synced = world.steps.index("sync_directory new", rename)
    assert synced < world.steps.index(f"{Kind.WRITE} dupmd5")


def not_stored(world: Mailbox) -> None:
    world.disk.fail(Kind.SYNC_FILE, "/tmp/")
    world.accept("a")


def taken_away_before_its_rename(world: Mailbox) -> None:
    world.accept("a")
    world.threads.run()
    world.syncs.step()
    [name] = world.disk.names(f"{MAILDIR}/tmp")
    world.disk.unlink(f"{MAILDIR}/tmp/{name}")


@pytest.mark.parametrize("come_to_nothing", [not_stored, taken_away_before_its_rename])
def test_a_copy_that_did_not_come_is_no_mail_that_is_there(
    come_to_nothing: Callable[[Mailbox], None],
) -> None:
    world = Mailbox()
    come_to_nothing(world)
    world.rest()
    assert world.outcome[0] == "deferred"
    assert world.new() == []
    world.retry()
    assert world.outcome == ("delivered", "did 0+0+1")
    assert len(world.new()) == 1


def test_a_mail_that_does_not_fit_is_no_mail_that_is_there() -> None:
    world = Mailbox("2000")
    for _ in range(2):
        world.accept("a", 3000)
        world.rest()
        assert world.outcome[0] == "failed"
    assert not world.disk.exists(FILE)


def test_of_mails_at_once_one_is_delivered() -> None:
    world = Mailbox()
    for _ in range(3):
        world.accept()
    world.rest()
    assert len(world.new()) == 1
    texts = [record.text for record in world.trace.told("delivery")]
    assert sum(text.startswith(DISCARDING) for text in texts) == 2


def test_nobody_waits_for_long() -> None:
    world = Mailbox()
    world.accept()
    world.accept()
    world.threads.run()  # the first one is on its way, and its sync does not come
    world.clock.advance(PATIENCE)
    world.delivery.duplicates.tick()
    world.rest()
    assert len(world.new()) == 2


def test_who_waited_when_the_queue_was_closed_keeps_the_next_attempts_waiting_no_longer() -> None:
    world = Mailbox()
    world.accept()
    world.accept()
    world.threads.run()
    world.syncs.step()
    world.store.failure = QueueUnwritable("no disk")
    world.commit()  # the mark of the first copy: nothing that runs now is heard any longer
    world.store.failure = None
    world.pass_time(PATIENCE)
    world.delivery.duplicates.tick()
    world.rest()
    assert len(world.new()) == 1
    assert world.store.counts().messages == 0


def test_where_marks_cannot_be_read_or_written_all_mail_is_delivered() -> None:
    world = Mailbox()
    world.disk.make_directories(FILE)
    assert len(world.take("a", "a")) == 2


@pytest.mark.parametrize("given", [{"interval": 0}, {"limit": None}])
def test_where_it_is_off_and_in_lines_of_qmail_local_nothing_is_looked_at(given: Any) -> None:
    world = Mailbox(**given)
    looked: list[Operation] = []
    world.disk.watch = looked.append
    assert len(world.take("a", "a")) == 2
    assert not [operation for operation in looked if operation.path == FILE]
    assert not world.disk.exists(FILE)
