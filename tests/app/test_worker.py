"""Which queues a worker owns, how long it waits for a lock, and on which processor it runs."""

import asyncio
import os
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from indimail.app import worker as module
from indimail.app.worker import _keep_to_a_processor, _Worker, own_directories
from indimail.mail.clock import SystemClock
from indimail.queue.sqlite import SqliteQueue, database_of
from indimail.serve.snapshot import QueueSettings
from serve.desk import SEND


def snapshot(base: str, queuedir: str = "", named: Iterable[str] = ()) -> Any:
    queue = QueueSettings(base, 1, 2, queuedir, 0, SEND)
    sessions = {name: SimpleNamespace(queuedir=name) for name in named}
    return SimpleNamespace(queue=queue, sessions=sessions, process=SimpleNamespace(drain=30.0))


def worker() -> _Worker:
    parts: Any = SimpleNamespace(
        config=SimpleNamespace(current=snapshot("/i/queue")), clock=SystemClock(),
        trace=None, aside=None, spool_files=SimpleNamespace(remove=None),
    )  # fmt: skip
    unused: Any = None
    return _Worker(parts, [], unused, unused, unused)


def leave_queue(path: str) -> str:
    """Make what a server with more queues left behind."""
    os.makedirs(path)
    SqliteQueue.open(database_of(path)).close()
    return path


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_every_queue_has_one_owner_also_those_beyond_the_count(tmp_path, workers: int) -> None:
    base = str(tmp_path)
    left = [leave_queue(f"{base}/queue{n}") for n in (2, 7, 11)]
    elsewhere = f"{base}/elsewhere/queue1"
    owned = [
        directory
        for number in range(workers)
        for directory in own_directories(snapshot(base, named=[elsewhere]), number, workers)
    ]
    assert sorted(owned) == sorted({f"{base}/queue1", f"{base}/queue2", elsewhere, *left})


def test_as_many_queues_as_workers_give_one_to_each_whatever_else_is_there(tmp_path) -> None:
    for n in (3, 5, 8):
        leave_queue(f"{tmp_path}/queue{n}")
    firsts = [own_directories(snapshot(str(tmp_path)), number, 2)[0] for number in range(2)]
    assert firsts == [f"{tmp_path}/queue1", f"{tmp_path}/queue2"]


def test_a_queue_that_is_named_later_moves_no_other(tmp_path) -> None:
    for name in ("queue3", "queue5", "a", "b"):
        leave_queue(f"{tmp_path}/{name}")
    before, after = (
        [own_directories(snapshot(str(tmp_path), named=named), n, 3) for n in range(3)]
        for named in ([], ["/srv/special"])
    )
    assert [[d for d in owned if d != "/srv/special"] for owned in after] == before
    assert sum(owned.count("/srv/special") for owned in after) == 1


def test_a_queue_named_for_all_mail_stands_for_the_counted_ones(tmp_path) -> None:
    left = leave_queue(f"{tmp_path}/queue2")
    owned = own_directories(snapshot(str(tmp_path), queuedir="/elsewhere/queue9"), 0, 1)
    assert owned == ["/elsewhere/queue9", left]


def test_a_lock_is_waited_for_until_patience_or_the_server_ends(monkeypatch) -> None:
    monkeypatch.setattr(module, "LOCK_PATIENCE", 0.001)

    async def waited() -> list[bool]:
        one = worker()
        answers = iter([False, False, True])
        found = [await one._locked(lambda: next(answers))]
        found.append(await one._locked(lambda: False, patience=0.01))
        one._end(0)
        found.append(await one._locked(lambda: False))
        return found

    assert asyncio.run(waited()) == [True, False, False]


def test_the_end_of_the_supervisor_shortens_the_grace_and_nothing_lengthens_it() -> None:
    one = worker()
    one._end(0.5)
    one._end(30.0)
    assert (one._grace, one._ending.is_set()) == (0.5, True)


def test_workers_keep_to_a_processor_only_where_each_can_have_one(monkeypatch) -> None:
    kept: list[object] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5, 2})
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, processors: kept.append(processors))
    for number in range(2):
        _keep_to_a_processor(number, 2)
    assert kept == [{2}, {5}]
    for workers in (1, 3, 4):
        _keep_to_a_processor(0, workers)
    assert kept == [{2}, {5}]
