"""The supervisor with workers that do as the test says; it runs in a process of its own."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from indimail.app import supervise
from indimail.app.channel import Changed, Channel, Configured, Done, Invalidate, Ready, Stale
from indimail.app.supervise import Plan, Supervisor
from indimail.mail.errors import ConfigErrors, Mistake

PATIENCE = 10.0
Messages = Iterator[object]


def snapshot(generation: int = 0) -> Any:
    return SimpleNamespace(generation=generation, process=SimpleNamespace(drain=0.2))


def broken(_running: object) -> None:
    raise ConfigErrors([Mistake("control/me", 1, "'a b'", "a host name")])


class Supervised:
    """A running supervisor: what it and its workers noted, and its control socket."""

    def __init__(self, pid: int, notes: int, control: str) -> None:
        self.pid = pid
        self._notes = notes
        self._unread = ""
        self._control = control

    def note(self) -> str:
        """Return the next thing that was noted."""
        while "\n" not in self._unread:
            self._unread += os.read(self._notes, 4096).decode() or "(the end)\n"
        line, _, self._unread = self._unread.partition("\n")
        return line

    def notes(self, count: int) -> list[str]:
        return sorted(self.note() for _ in range(count))

    def ask(self, request: bytes) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(self._control)
            sock.sendall(request + b"\n")
            answer: dict[str, Any] = json.loads(sock.makefile().readline())
            return answer

    def workers(self) -> dict[str, int]:
        found: dict[str, int] = self.ask(b'{"op": "status"}')["workers"]
        return found

    def end(self) -> int:
        os.kill(self.pid, signal.SIGTERM)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@contextmanager
def supervised(
    tmp_path: Any, work: Callable[[int, Channel, Callable[[str], None]], None], workers: int = 2,
    reload: Callable[[Any], Any] = lambda _: None,
) -> Iterator[Supervised]:  # fmt: skip
    """Fork a supervisor; `work` gets its number, its channel, and what to note with."""
    path = f"{tmp_path}/control.sock"
    read, write = os.pipe()
    with socket.socket(socket.AF_UNIX) as control:
        control.bind(path)
        control.listen()
        pid = os.fork()
        if pid == 0:
            code = 99
            try:
                note = lambda text: os.write(write, f"{text}\n".encode()) and None  # noqa: E731
                supervise.LOG.warning = lambda text, *given: note(text % given)  # type: ignore
                plan = Plan(
                    workers, snapshot(), reload, control,
                    ready=lambda: note("ready"), stopping=lambda: note("stopping"),
                    stopped=lambda: note("stopped"), reopen_logs=lambda: note("reopened"),
                    idle=lambda: None,
                )  # fmt: skip
                code = Supervisor(
                    plan, lambda number, channel, *_: work(number, channel, note)
                ).run()
            finally:
                os._exit(code)
    os.close(write)
    running = Supervised(pid, read, path)
    try:
        yield running
    finally:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass  # the test ended it
        os.close(read)


def messages(channel: Channel) -> Messages:
    """Yield what the supervisor says until it is gone."""
    while True:
        try:
            yield from channel.receive()
        except EOFError:
            return
        time.sleep(0.002)


def obedient(number: int, channel: Channel, note: Callable[[str], None]) -> None:
    """Accept, do what is asked, and end when told to."""
    channel.send(Ready())
    for message in messages(channel):
        match message:
            case Invalidate(token, name, domain):
                note(f"{number} forgets {name}@{domain}")
                channel.send(Done(token))
            case Configured(generation, octets):
                note(f"{number} has {generation} {'new' if octets else 'as before'}")


def test_it_is_ready_once_every_worker_is_and_says_so_once(tmp_path: Any) -> None:
    def work(number: int, channel: Channel, note: Callable[[str], None]) -> None:
        if number == 1:
            time.sleep(0.1)
            note("the last is ready")
        obedient(number, channel, note)

    with supervised(tmp_path, work, workers=3) as running:
        assert [running.note(), running.note()] == ["the last is ready", "ready"]
        os.kill(running.workers()["0"], signal.SIGKILL)
        while len(running.workers()) < 3:
            time.sleep(0.01)
        assert running.end() == 0
        assert [running.note() for _ in range(3)] == ["stopping", "stopped", "(the end)"]


def test_a_worker_that_fails_at_once_is_not_started_in_a_loop(tmp_path: Any) -> None:
    def work(number: int, _channel: Channel, note: Callable[[str], None]) -> None:
        note(f"started {time.monotonic()}")
        raise SystemExit(3)

    with supervised(tmp_path, work, workers=1) as running:
        times = [float(running.note().split()[1]) for _ in range(3)]
    assert times[2] - times[0] > 1.9 * supervise.RESTART_PAUSE


def test_an_account_is_forgotten_by_all_before_the_command_is_told(tmp_path: Any) -> None:
    with supervised(tmp_path, obedient) as running:
        assert running.note() == "ready"
        asked = b'{"op": "invalidate", "name": "alice", "domain": "example.com"}'
        assert running.ask(asked) == {"ok": True}
        assert running.notes(2) == [f"{n} forgets alice@example.com" for n in (0, 1)]


def test_a_worker_that_dies_meanwhile_has_forgotten_too(tmp_path: Any) -> None:
    def work(number: int, channel: Channel, note: Callable[[str], None]) -> None:
        channel.send(Ready())
        for message in messages(channel):
            if isinstance(message, Invalidate) and number == 1:
                os._exit(9)
            if isinstance(message, Invalidate):
                channel.send(Done(message.token))

    with supervised(tmp_path, work) as running:
        assert running.note() == "ready"
        assert running.ask(b'{"op": "invalidate"}') == {"ok": True}


def test_a_command_is_told_when_a_worker_does_not_confirm(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "CONFIRMED_WITHIN", 0.1)

    def deaf(_number: int, channel: Channel, _note: Callable[[str], None]) -> None:
        channel.send(Ready())
        for _ in messages(channel):
            pass

    with supervised(tmp_path, deaf) as running:
        assert running.note() == "ready"
        assert running.ask(b'{"op": "invalidate"}') == {"ok": False}


@pytest.mark.parametrize(
    "request_", [b"", b"no json", b"[]", b"7", b'{"op": "dance"}', b'{"op": {}}', b"\xff\xfe"]
)
def test_what_is_no_request_is_answered_and_ends_nothing(tmp_path: Any, request_: bytes) -> None:
    with supervised(tmp_path, obedient) as running:
        answer = running.ask(request_)
        assert answer["ok"] is False
        assert answer["error"]
        assert len(running.workers()) == 2


def test_one_reading_is_for_all_workers_and_who_asked_is_told_that_it_is_over(
    tmp_path: Any,
) -> None:
    def asks(number: int, channel: Channel, note: Callable[[str], None]) -> None:
        if number == 0:
            channel.send(Stale())
        obedient(number, channel, note)

    def once(running: Any) -> Any:
        return snapshot(1) if running.generation == 0 else None

    with supervised(tmp_path, asks, reload=once) as running:
        said = running.notes(4)
        assert said[:2] == ["0 has 1 as before", "0 has 1 new"]
        assert said[2] == "1 has 1 new"


def test_an_account_that_a_delivery_changed_is_forgotten_by_all_workers(tmp_path: Any) -> None:
    def delivers(number: int, channel: Channel, note: Callable[[str], None]) -> None:
        channel.send(Ready())
        for message in messages(channel):
            if isinstance(message, Invalidate):
                note(f"{number} forgets {message.name}@{message.domain}")
                channel.send(Done(message.token))
                if message.name == "bob" and number == 0:
                    channel.send(Changed("alice", "example.com"))

    with supervised(tmp_path, delivers) as running:
        assert running.note() == "ready"
        asked = b'{"op": "invalidate", "name": "bob", "domain": "example.com"}'
        assert running.ask(asked) == {"ok": True}
        both = [f"{n} forgets {name}@example.com" for n in (0, 1) for name in ("alice", "bob")]
        assert running.notes(4) == both


def test_a_broken_file_keeps_the_old_configuration_and_is_named(tmp_path: Any) -> None:
    with supervised(tmp_path, obedient, reload=broken) as running:
        assert running.note() == "ready"
        assert running.ask(b'{"op": "reload"}') == {"ok": False}
        told = "configuration not changed: control/me:1: found 'a b', expected a host name"
        assert running.note() == told
        os.kill(running.pid, signal.SIGHUP)
        assert running.note() == told


def test_a_worker_that_does_not_end_is_killed_after_the_grace(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "LAST_COMMITS", 0.1)

    def stubborn(_number: int, channel: Channel, _note: Callable[[str], None]) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        channel.send(Ready())
        time.sleep(PATIENCE)

    with supervised(tmp_path, stubborn) as running:
        assert running.note() == "ready"
        pids = running.workers().values()
        begun = time.monotonic()
        assert running.end() == 0
        assert time.monotonic() - begun < PATIENCE / 2
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
