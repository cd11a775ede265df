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
from indimail.app.channel import (
    Changed,
    Channel,
    Configured,
    Done,
    Invalidate,
    Listening,
    Ready,
    Spawn,
    Stale,
)
from indimail.app.supervise import Plan, Supervisor
from indimail.mail.errors import ConfigErrors, Mistake
from indimail.net.local import bind_local, connect_local, peer
from indimail.serve.prctl import die_with_parent

PATIENCE = 10.0
Messages = Iterator[object]


def snapshot(generation: int = 0) -> Any:
    return SimpleNamespace(generation=generation, process=SimpleNamespace(drain=0.2))


class Nobody:
    """Other users, of whom there are none."""

    def refusal(self, uid: int, gid: int) -> str:
        return f"no {uid} and {gid}"

    def bind(self, uid: int, gid: int) -> Any:
        raise AssertionError

    def serve(self, *_: object) -> None:
        raise AssertionError


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
    reload: Callable[[Any], Any] = lambda _: None, homes: Any = None,
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
                    idle=lambda: None, homes=homes or Nobody(),
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


@pytest.mark.slow
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


class Others(Nobody):
    """Other users, each with a process that listens, and ends when the test says."""

    def __init__(self, folder: Any) -> None:
        self._folder = folder

    def refusal(self, uid: int, gid: int) -> str:
        return "nothing is delivered as root" if not uid else ""

    def bind(self, uid: int, gid: int) -> Any:
        path = f"{self._folder}/{uid}-{gid}.sock"
        return path, bind_local(path, 0o600)

    def serve(self, uid: int, gid: int, *sockets: Any) -> None:
        listener, ready = sockets
        if uid == 66:
            raise PermissionError("no such user")
        die_with_parent(os.getppid())
        listener.listen()
        ready.send(b"\0")
        listener.setblocking(True)
        listener.accept()
        if uid == 5:
            time.sleep(PATIENCE)


def asking(*asked: Spawn) -> Callable[..., None]:
    """Return a worker that asks for processes, and notes what it is told of them."""

    def work(number: int, channel: Channel, note: Callable[[str], None]) -> None:
        channel.send(Ready())
        for question in asked:
            channel.send(question)
        for message in messages(channel):
            if isinstance(message, Listening):
                where = os.path.basename(message.path)
                note(f"{number}: {message.uid} {where or message.error}")
                if where and message.uid == 7:
                    with socket.socket(socket.AF_UNIX) as sock:
                        sock.connect(message.path)
                    time.sleep(0.1)
                    channel.send(Spawn(8, 8))

    return work


def test_workers_are_told_where_the_process_of_a_user_listens(tmp_path: Any) -> None:
    work = asking(Spawn(5, 50), Spawn(0, 0), Spawn(5, 50))
    with supervised(tmp_path, work, homes=Others(tmp_path)) as running:
        said = running.notes(7)
        told = [f"{n}: {text}" for n in (0, 1) for text in (
            "0 nothing is delivered as root", "5 5-50.sock", "5 5-50.sock")]  # fmt: skip
        assert said == sorted([*told, "ready"])
        assert running.end() == 0


def test_each_user_has_a_process(tmp_path: Any) -> None:
    with supervised(tmp_path, asking(Spawn(7, 7)), 1, homes=Others(tmp_path)) as running:
        assert running.notes(3) == ["0: 7 7-7.sock", "0: 8 8-8.sock", "ready"]
        with connect_local(f"{tmp_path}/8-8.sock"):
            pass
        assert running.end() == 0


def test_a_process_that_does_not_come_so_far_is_told_and_not_tried_at_once(tmp_path: Any) -> None:
    work = asking(Spawn(66, 66))
    with supervised(tmp_path, work, 1, homes=Others(tmp_path)) as running:
        ended = "0: 66 its delivering process ended as it was started"
        assert running.notes(2) == [ended, "ready"]


def test_a_process_that_hangs_is_ended_and_another_takes_its_place(tmp_path: Any) -> None:
    def work(number: int, channel: Channel, note: Callable[[str], None]) -> None:
        channel.send(Ready())
        channel.send(Spawn(5, 5))
        for message in messages(channel):
            if isinstance(message, Listening) and message.path:
                with connect_local(message.path) as sock:
                    pid = peer(sock).pid
                    channel.send(Spawn(5, 5, pid))  # it hangs, we say
                    channel.send(Spawn(5, 5))
                    note(f"had {pid}")

    with supervised(tmp_path, work, 1, homes=Others(tmp_path)) as running:
        first, second = (next(n for n in iter(running.note, "") if n != "ready") for _ in "12")
        assert first != second
        end = time.monotonic() + PATIENCE
        while os.path.exists(f"/proc/{first.removeprefix('had ')}"):
            assert time.monotonic() < end
            time.sleep(0.01)
