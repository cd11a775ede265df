"""What a worker chooses among its parts: the queue of a mail, and the certificate of a handshake."""

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme

from indimail.app.build import Parts
from indimail.app.configuration import load
from indimail.app.follow import Follower
from indimail.app.instance import Instance
from indimail.app.logs import LogLines
from indimail.app.means import Place
from indimail.app.reading import Overrides
from indimail.mail.channel import Channel
from indimail.mail.errors import QueueFull, QueueUnwritable
from indimail.mail.ids import QueueId
from indimail.net.connections import ConnectionTable
from indimail.net.recent import RecentTable
from indimail.queue.port import Accepted, QueuedMessage, QueuedRecipient
from indimail.queue.sqlite import SqliteQueue, database_of
from indimail.serve.handover import HandOver

Worker = Callable[..., Parts]


@pytest.fixture
def worker(tmp_path) -> Iterator[Worker]:
    """Make the parts of a worker of an instance."""
    for name in ("control", "certs", "db", "queue", "run", "trace"):
        (tmp_path / name).mkdir()
    (tmp_path / "control/me").write_text("mx.example.com\n")
    instance, made = Instance(str(tmp_path)), list[tuple[Parts, Any]]()

    def make(number: int = 0, **environ: str) -> Parts:
        overrides = Overrides(("smtp=127.0.0.1:0",), workers=2)
        snapshot = load(instance, environ, overrides)
        channel: Any = None
        loop = asyncio.new_event_loop()
        lines = LogLines(f"{tmp_path}/log")
        place = Place(
            instance,
            lines,
            2,
            os.geteuid(),
            RecentTable(2, 900.0),
            RecentTable(2, 900.0),
            b"secret",
        )
        follower = Follower(snapshot, channel, lambda: False)
        parts = Parts(place, number, ConnectionTable(2), follower, loop, channel, ())
        made.append((parts, loop))
        return made[-1][0]

    yield make
    for parts, loop in made:
        parts.close()
        parts.queues.handing_over.close()
        parts.lines.close()
        loop.close()


def open_queues(parts: Parts, *names: str) -> list[bool]:
    base = parts.config.current.queue.base
    return [parts.queues.open(os.path.join(base, name)) for name in names]


def chosen(parts: Parts, queue: str = "") -> str:
    return getattr(parts.queues.find(queue), "name", "")


def test_queues_of_a_worker_take_turns(worker: Worker) -> None:
    parts = worker(QUEUE_COUNT="3")
    assert open_queues(parts, "queue1", "queue2", "queue3") == [True] * 3
    assert sorted(chosen(parts) for _ in range(6)) == sorted(["queue1", "queue2", "queue3"] * 2)


def test_a_queue_beyond_the_count_is_worked_off_and_takes_nothing_unless_it_is_named(
    worker: Worker,
) -> None:
    parts = worker(QUEUE_COUNT="1")
    open_queues(parts, "queue1", "queue7")
    assert {chosen(parts) for _ in range(4)} == {"queue1"}
    assert chosen(parts, "queue7") == "queue7"


def test_a_queue_of_one_client_takes_nobody_else_s_mail_whatever_its_name(
    worker: Worker, tmp_path
) -> None:
    parts = worker(QUEUE_COUNT="1")
    special = f"{tmp_path}/special/queue1"
    parts.queues.open(special)
    assert isinstance(parts.queues.find(), QueueUnwritable)
    assert chosen(parts, special) == "queue1"


def test_without_a_queue_mail_is_for_later(worker: Worker) -> None:
    parts = worker()
    assert isinstance(parts.queues.find(), QueueUnwritable)
    open_queues(parts, "queue1")
    assert isinstance(parts.queues.find("queue9"), QueueUnwritable)


def test_a_full_disk_takes_no_mail(worker: Worker) -> None:
    parts = worker(MIN_FREE=str(2**53))
    open_queues(parts, "queue1")
    found = parts.queues.find()
    assert isinstance(found, QueueFull)
    assert "queue1: less than" in str(found)


def test_a_queue_has_one_owner_and_who_has_none_hands_over_to_it(worker: Worker) -> None:
    owner, other = worker(0), worker(1)
    assert open_queues(owner, "queue1") == [True]
    assert open_queues(other, "queue1") == [False]
    assert isinstance(other.queues.find(), HandOver)
    assert isinstance(other.queues.find("queue1"), HandOver)
    assert isinstance(other.queues.find(own=True), QueueUnwritable)
    assert chosen(owner) == "queue1"


def test_two_workers_of_one_number_would_give_the_same_ids(worker: Worker) -> None:
    one, other, twin = worker(0), worker(1), worker(0)
    assert [one.take_number(), other.take_number(), twin.take_number()] == [True, True, False]


def test_no_id_is_given_again_after_the_clock_was_set_back(worker: Worker) -> None:
    """A queue that is opened has mails with ids of a time to come."""
    parts = worker()
    directory = os.path.join(parts.config.current.queue.base, "queue1")
    os.makedirs(directory)
    store, known = SqliteQueue.open(database_of(directory)), QueueId(2**62)
    recipient = QueuedRecipient(0, "ana@example.com", Channel.REMOTE, "example.com", due=2e9)
    store.apply([Accepted(QueuedMessage(known, 1.0, "", 5, b"hello"), (recipient,))])
    store.close()
    assert parts.queues.open(directory)
    assert parts._means.ids.next(now_us=1) > known


def test_a_certificate_is_followed_and_a_broken_one_keeps_the_old(
    worker: Worker, tmp_path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "certs/servercert.pem"

    def write(octets: bytes, age: int) -> None:
        path.write_bytes(octets)
        os.utime(path, ns=(age, age))

    certificates = [
        trustme.CA().issue_cert("mx.example.com").private_key_and_cert_chain_pem.bytes()
        for _ in range(2)
    ]
    write(certificates[0], 1)
    parts = worker()
    first = parts.certificate.context()
    assert first is not None
    assert parts.certificate.context() is first
    write(certificates[1], 2)
    second = parts.certificate.context()
    assert second not in (None, first)
    write(b"junk", 3)
    assert [parts.certificate.context(), parts.certificate.context()] == [second, second]
    path.unlink()
    assert parts.certificate.context() is second
    (told,) = caplog.messages
    assert told.startswith("certificate not changed: certs/servercert.pem: found no certificate")


def test_without_a_certificate_there_is_no_tls(worker: Worker) -> None:
    assert worker().certificate.context() is None
