"""Two commands at once on one domain: one waits, then finds what the other made, or says who is at work.

The first one waits in the middle of its writes, for the confirmation of a server, until the other
has come to the lock.
"""

import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from crash.commands import COMMANDS, filled, furnished
from crash.stage import Stage, Started
from indimail.manage import notify, site
from live import until

pytestmark = pytest.mark.slow  # each runs commands: too much for `make fast`

# It tells the server of an alias domain that goes, while the domain itself is still there.
FIRST = ["vdeldomain", "example.com"]


LONGEST = 60  # seconds, on a busy machine


class Server:
    """A server that takes its time before it confirms a change."""

    def __init__(self, path: str) -> None:
        self.is_told = threading.Event()
        self.may_confirm = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(path)
        self._socket.listen()
        os.chmod(path, 0o666)
        self._path = path
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            peer, _ = self._socket.accept()
            with peer:
                if not peer.recv(1000):
                    return
                self.is_told.set()
                self.may_confirm.wait(LONGEST)
                peer.sendall(b'{"ok": true}\n')

    def end(self) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(self._path)
            last.shutdown(socket.SHUT_WR)
            self._thread.join()
        self._socket.close()
        os.unlink(self._path)


@pytest.fixture(scope="module")
def kept() -> Iterator[Stage]:
    with furnished() as stage:
        yield stage


@pytest.fixture
def stage(kept: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(notify, "PATIENCE", LONGEST)
    monkeypatch.setattr(site, "PATIENCE", LONGEST)
    kept.put_back()
    return kept


def is_waiting(command: Started) -> bool:
    """Tell whether a process has the lock's file open, to wait for it, or has ended."""
    for _ in range(2):  # once it may only have looked
        if os.waitid(os.P_PID, command.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            return True
        names = []
        for number in os.listdir(f"/proc/{command.pid}/fd"):
            with suppress(FileNotFoundError):  # closed meanwhile
                names.append(os.readlink(f"/proc/{command.pid}/fd/{number}"))
        if not any(name.endswith("/change.lock") for name in names):
            return False
        threading.Event().wait(0.02)
    return True


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_who_waits_finds_what_the_other_made(stage: Stage, command: list[str]) -> None:
    """The end is that of one after the other: no row, no file of a domain that is gone."""
    command = filled(stage, command)
    assert stage.run(*FIRST) == 0
    wanted = (stage.run(*command) == 0, stage.state())
    stage.put_back()
    server = Server(f"{stage.root}/run/control.sock")
    try:
        first = stage.start(*FIRST)
        assert server.is_told.wait(LONGEST)
        second = stage.start(*command)
        until(lambda: is_waiting(second), LONGEST)
        server.may_confirm.set()
        assert (first.wait(), first.said) == (0, "")
        code = second.wait()
    finally:
        server.may_confirm.set()
        server.end()
    assert (code == 0, stage.state()) == wanted, second.said


def test_who_waited_long_enough_says_who_is_at_work_and_changes_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(f"{stage.root}/run/control.sock")
    try:
        first = stage.start(*FIRST)
        assert server.is_told.wait(LONGEST)
        before = stage.state()
        monkeypatch.setattr(site, "PATIENCE", 0.1)
        assert stage.run("vdeluser", "bob@example.com") == 75
        assert stage.state() == before
        server.may_confirm.set()
        assert first.wait() == 0
    finally:
        server.may_confirm.set()
        server.end()
    who = rf"vdeldomain example\.com \(process {first.pid}\)"
    assert re.fullmatch(rf"vdeluser: {who} is at work; waited 0 seconds\n", stage.said)
