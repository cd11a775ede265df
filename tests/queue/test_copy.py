"""Copies of queues in use: of one moment, whole, and nothing of what was accepted is missing."""

import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from indimail.mail.channel import Channel
from indimail.mail.errors import QueueUnwritable
from indimail.mail.ids import QueueId
from indimail.mail.outcome import Delivered
from indimail.mail.verdict import Rule
from indimail.queue.copy import Copied, Moment, check, drop, settle
from indimail.queue.port import (
    Accepted,
    Finished,
    QueuedMessage,
    QueuedRecipient,
    Staged,
    Step,
    Traced,
)
from indimail.queue.sqlite import SqliteQueue, SqliteReader


def mail(number: int, body: bytes | None = b"hello") -> Accepted:
    recipient = QueuedRecipient(0, "ana@example.com", Channel.LOCAL, "ana")
    return Accepted(QueuedMessage(QueueId(number), 1.0, "", 5, body), (recipient,))


def ended(number: int) -> list[Finished | Traced]:
    """Return the end of a mail: delivered, told, forgotten."""
    return [
        Finished(QueueId(number), 0, Delivered("done", Rule("x")), 2.0),
        Traced(((QueueId(number), 0),)),
    ]


@pytest.fixture
def queues(tmp_path: Path) -> Iterator[dict[str, SqliteQueue]]:
    paths = [str(tmp_path / name) for name in ("one.db", "two.db")]
    opened = {path: SqliteQueue.open(path) for path in paths}
    yield opened
    for queue in opened.values():
        queue.close()


def ids(path: str) -> list[int]:
    reader = SqliteReader.open(path)
    found = [int(status.message.id) for status in reader.status()]
    reader.close()
    return found


def test_a_copy_is_of_the_moment_it_was_pinned(
    queues: dict[str, SqliteQueue], tmp_path: Path
) -> None:
    (path, queue), target = next(iter(queues.items())), str(tmp_path / "copy.db")
    queue.apply([mail(1), mail(2, None), mail(3)])
    with Moment.of([path]) as moment:
        queue.apply([mail(4), *ended(1)])
        assert moment.copy(path, target) == Copied(3, 3, (QueueId(2),))
    assert ids(target) == [1, 2, 3]
    assert ids(path) == [2, 3, 4]
    assert {found.name for found in tmp_path.glob("copy.db*")} == {"copy.db"}


def test_nothing_of_a_mail_that_is_gone_is_in_a_copy(
    queues: dict[str, SqliteQueue], tmp_path: Path
) -> None:
    (path, queue), target = next(iter(queues.items())), tmp_path / "copy.db"
    queue.apply([mail(1, b"a secret of mail one" * 900), mail(2)])
    queue.apply(ended(1))
    with Moment.of([path]) as moment:
        moment.copy(path, str(target))
    assert b"a secret of mail one" not in target.read_bytes()


def test_a_mail_that_a_delivery_put_into_another_queue_is_not_lost_between_the_two(
    queues: dict[str, SqliteQueue], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mail 1 of `late` becomes mail 9 of `early` just when `early` was pinned and `late` was not."""
    early, late = queues
    queues[late].apply([mail(1)])
    from indimail.queue import copy

    pinned, pin = [], copy._pin

    def pin_and_deliver(db: apsw.Connection) -> None:
        pin(db)
        pinned.append(db)
        if len(pinned) == 1:
            queues[early].apply([mail(9)])
            queues[late].apply(ended(1))

    monkeypatch.setattr(copy, "_pin", pin_and_deliver)
    with Moment.of([early, late]) as moment:
        told = (
            moment.copy(early, str(tmp_path / "early")),
            moment.copy(late, str(tmp_path / "late")),
        )
    assert len(pinned) == 4
    assert told == (Copied(1, 1, (), late=1), Copied(0, 0, ()))
    assert ids(str(tmp_path / "early")) == [9]


def test_no_mail_is_missing_from_copies_of_a_queue_that_is_written(
    queues: dict[str, SqliteQueue], tmp_path: Path
) -> None:
    (path, queue) = next(iter(queues.items()))
    stop = threading.Event()
    accepted, gone = [0], [0]

    def write() -> None:
        for number in range(1, 4000):
            queue.apply([mail(number, b"x" * 5000)])
            accepted[0] = number
            if number % 3 == 0:
                queue.apply(ended(number // 3))
                gone[0] = number // 3
            if stop.is_set():
                return

    writer = threading.Thread(target=write)
    writer.start()
    for number in range(8):
        before = accepted[0]
        with Moment.of([path]) as moment:
            done = gone[0] + 1
            target = str(tmp_path / f"copy{number}")
            moment.copy(path, target)
        assert check(target).messages == len(found := ids(target))
        assert set(range(done + 1, before + 1)) <= set(found)
    stop.set()
    writer.join()


def test_mails_that_ended_meanwhile_are_dropped(
    queues: dict[str, SqliteQueue], tmp_path: Path
) -> None:
    (path, queue), target = next(iter(queues.items())), str(tmp_path / "copy.db")
    queue.apply([mail(1, None), mail(2, None)])
    with Moment.of([path]) as moment:
        moment.copy(path, target)
    assert drop(target, [QueueId(1)]) == Copied(1, 1, (QueueId(2),))
    assert ids(target) == [2]


def test_a_copy_becomes_a_queue_of_another_place_and_boot(
    queues: dict[str, SqliteQueue], tmp_path: Path
) -> None:
    (path, queue), target = next(iter(queues.items())), str(tmp_path / "copy.db")
    staged = Step(0, 0, "/old/ana/Maildir", "1.Q1R0.0.mx", "this boot", 1.0)
    made = Step(0, 1, "|/old/bin/count", "", "this boot", 1.0, done=True)
    queue.apply([mail(1), Staged(QueueId(1), staged), Staged(QueueId(1), made)])
    with Moment.of([path]) as moment:
        moment.copy(path, target)
    settle(target, lambda text: text.replace("/old", "/new"))
    restored = SqliteQueue.open(target)
    assert restored.steps(QueueId(1)) == [
        Step(0, 0, "/new/ana/Maildir", "1.Q1R0.0.mx", "", 1.0),
        Step(0, 1, "|/new/bin/count", "", "this boot", 1.0, done=True),
    ]
    restored.close()


def test_a_copy_that_is_not_whole_is_refused(
    queues: dict[str, SqliteQueue], tmp_path: Path
) -> None:
    (path, queue), target = next(iter(queues.items())), tmp_path / "copy.db"
    queue.apply([mail(number, b"x" * 3000) for number in range(1, 100)])
    with Moment.of([path]) as moment:
        moment.copy(path, str(target))
    assert check(str(target)).messages == 99
    octets = bytearray(target.read_bytes())
    octets[40_960:49_152] = b"\xff" * 8192
    target.write_bytes(octets)
    with pytest.raises(QueueUnwritable):
        check(str(target))
    with pytest.raises(QueueUnwritable, match="no such file"):
        check(str(tmp_path / "none"))


def test_a_queue_that_was_never_opened_is_copied_empty(tmp_path: Path) -> None:
    path, target = str(tmp_path / "queue.db"), str(tmp_path / "copy.db")
    apsw.Connection(path).close()
    Path(path).touch()
    with Moment.of([path]) as moment:
        assert moment.copy(path, target) == Copied(0, 0, ())
    settle(target, str)
    assert check(target) == Copied(0, 0, ())
