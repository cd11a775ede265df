"""What the supervisor waits for: no worker is forked, each is the other end of its channel."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from indimail.app.channel import Channel, Done, Invalidate, Ready
from indimail.app.supervise import Plan, Supervisor, Worker


class Supervised:
    """A supervisor with two workers, and what a command hears of it."""

    def __init__(self) -> None:
        self.told: list[str] = []
        snapshot: Any = object()
        self._control = socket.socket()
        plan = Plan(
            2, snapshot, reload=lambda _: None, control=self._control,
            ready=lambda: self.told.append("ready"), stopped=lambda: None,
            reopen_logs=lambda: None, idle=lambda: None,
        )  # fmt: skip
        self._supervisor = Supervisor(plan, lambda *_: None)
        self._seen: list[Worker] = []
        self.workers: list[Channel] = []
        for number in range(2):
            ours, theirs = Channel.pair()
            worker = Worker(number, 0, ours, 0.0)
            self._supervisor._workers[number] = worker
            self._seen.append(worker)
            self.workers.append(theirs)
        self._command, self._client = socket.socketpair()

    def say(self, number: int, message: Ready | Done) -> None:
        self.workers[number].send(message)
        self._supervisor._on_worker(self._seen[number])

    def ask(self, **request: str) -> None:
        self._supervisor._on_request(self._client, request)

    @property
    def answer(self) -> dict[str, bool] | None:
        self._command.setblocking(False)
        try:
            found: dict[str, bool] = json.loads(self._command.recv(1000))
        except BlockingIOError:
            return None
        return found

    def close(self) -> None:
        for end in (*self.workers, *(w.channel for w in self._seen), self._command, self._client):
            end.close()
        self._control.close()


@pytest.fixture
def supervised() -> Iterator[Supervised]:
    made = Supervised()
    yield made
    made.close()


def test_it_is_ready_once_when_all_workers_accept(supervised: Supervised) -> None:
    supervised.say(0, Ready())
    assert supervised.told == []
    supervised.say(1, Ready())
    supervised.say(1, Ready())  # another in its place
    assert supervised.told == ["ready"]


def test_a_change_is_answered_when_every_worker_that_accepts_has_made_it(
    supervised: Supervised,
) -> None:
    for number in range(2):
        supervised.say(number, Ready())
    supervised.ask(op="invalidate", name="bob", domain="example.com")
    heard = [worker.receive() for worker in supervised.workers]
    assert heard == [[Invalidate(1, "bob", "example.com")]] * 2
    assert supervised.answer is None
    supervised.say(1, Done(1))
    assert supervised.answer is None
    supervised.say(0, Done(1))
    assert supervised.answer == {"ok": True}


def test_who_does_not_accept_yet_is_told_and_not_waited_for(supervised: Supervised) -> None:
    supervised.say(0, Ready())
    supervised.ask(op="invalidate", name="", domain="")
    assert supervised.workers[1].receive() == [Invalidate(1, "", "")]
    supervised.say(0, Done(1))
    assert supervised.answer == {"ok": True}
