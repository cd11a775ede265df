"""Queues: what is told of a database, of its bodies and of what was left."""

import os
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from indimail.mail.channel import Channel
from indimail.mail.ids import QueueId
from indimail.queue.port import Accepted, QueuedMessage, QueuedRecipient, Staged, Step
from indimail.queue.sqlite import SCHEMA_VERSION, SqliteQueue
from manage.doctor.clinic import NOW, Clinic

LARGE, SMALL = QueueId(1001), QueueId(1002)
QUEUE = "queue/queue1"


def mail(queue_id: QueueId, body: bytes | None) -> Accepted:
    message = QueuedMessage(queue_id, NOW, "eve@example.net", 5, body)
    recipient = QueuedRecipient(0, "alice@example.com", Channel.LOCAL, "example.com-alice@x")
    return Accepted(message, (recipient,))


@pytest.fixture
def queue(clinic: Clinic) -> SqliteQueue:
    """An empty queue, open as its owner has it."""
    clinic.path(QUEUE).mkdir(mode=0o700)
    (clinic.path(QUEUE) / "mess").mkdir(mode=0o700)
    store = SqliteQueue.open(str(clinic.path(QUEUE) / "queue.db"))
    clinic.own()
    return store


def test_a_queue_with_mail_is_no_fault(clinic: Clinic, queue: SqliteQueue) -> None:
    queue.apply([mail(LARGE, None), mail(SMALL, b"hello")])
    clinic.write(f"{QUEUE}/mess/{LARGE}", "hello", 0o600)
    os.utime(clinic.path(f"{QUEUE}/mess/{LARGE}"), (0, 0))
    assert clinic.told() == []


def test_a_body_that_is_missing_is_told(clinic: Clinic, queue: SqliteQueue) -> None:
    queue.apply([mail(LARGE, None), mail(SMALL, b"hello")])
    assert clinic.told() == [
        f"no-body {QUEUE}/mess/{LARGE}: found no file, expected the body of mail {LARGE}"
    ]


def test_a_file_without_a_row_is_told_once_it_is_old(clinic: Clinic, queue: SqliteQueue) -> None:
    path = clinic.write(f"{QUEUE}/mess/{LARGE}", "hello", 0o600)
    assert clinic.told() == []
    os.utime(path, (NOW - 90_000, NOW - 90_000))
    assert clinic.told() == [
        f"left {QUEUE}/mess/{LARGE}: found a file, expected a row of the queue for it; it goes when "
        "the queue is opened again"
    ]


def test_a_copy_that_a_queue_will_go_on_with_is_not_left(
    clinic: Clinic, queue: SqliteQueue
) -> None:
    maildir = f"{clinic.home()}/Maildir"
    path = clinic.write(f"mail/A2E/example.com/alice/Maildir/tmp/1.Q{SMALL}R0.0.mx", "x", 0o600)
    os.utime(path, (NOW - 200_000, NOW - 200_000))
    assert [line.split()[0] for line in clinic.told()] == ["left"]
    step = Step(0, 0, maildir, path.name, "boot", NOW)
    queue.apply([mail(SMALL, b"hello"), Staged(SMALL, step)])
    assert clinic.told() == []


@pytest.mark.parametrize(("version", "expected"), [
    (1, ": the next start brings it up to date, after a copy"), (9, ", or a newer server"),
])  # fmt: skip
def test_another_schema_is_told(
    clinic: Clinic, queue: SqliteQueue, version: int, expected: str
) -> None:
    queue.close()
    with closing(apsw.Connection(str(clinic.path(f"{QUEUE}/queue.db")))) as db:
        db.pragma("user_version", version)
    assert clinic.told() == [
        f"schema {QUEUE}/queue.db: found schema version {version},"
        f" expected {SCHEMA_VERSION}{expected}"
    ]


def test_a_database_that_is_not_whole_is_told(clinic: Clinic, queue: SqliteQueue) -> None:
    queue.apply([mail(QueueId(n), b"x" * 3000) for n in range(1, 200)])
    queue.close()
    path = clinic.path(f"{QUEUE}/queue.db")
    octets = bytearray(path.read_bytes())
    octets[40_960:49_152] = b"\xff" * 8192
    path.write_bytes(octets)
    told = clinic.told()
    assert told
    assert all(line.startswith(f"queue {QUEUE}/queue.db: found ") for line in told)


def test_what_is_no_database_is_told(clinic: Clinic) -> None:
    clinic.path(QUEUE).mkdir(mode=0o700)
    clinic.write(f"{QUEUE}/queue.db", b"no database at all " * 500, 0o600)
    (told,) = clinic.told()
    assert told.startswith(f"queue {QUEUE}/queue.db: found queue database: ")


def test_a_queue_is_not_changed_by_looking(clinic: Clinic, queue: SqliteQueue) -> None:
    queue.apply([mail(SMALL, b"hello")])
    path = Path(clinic.path(QUEUE), "queue.db")
    before = (path.read_bytes(), Path(f"{path}-wal").read_bytes())
    clinic.examine()
    assert (path.read_bytes(), Path(f"{path}-wal").read_bytes()) == before
