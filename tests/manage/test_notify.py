"""Telling the running server of a change."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from indimail.manage import notify as module
from indimail.manage.notify import AccountChanged, Answer, ControlsChanged, notify

ALICE = AccountChanged("alice", "example.com")


@contextmanager
def server(path: str, answer: bytes) -> Iterator[list[bytes]]:
    """Take one connection, keep its first line, answer."""
    heard: list[bytes] = []

    def serve() -> None:
        peer, _ = listener.accept()
        with peer, peer.makefile("rb") as lines:
            heard.append(lines.readline())
            peer.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield heard
        thread.join()


@pytest.mark.parametrize(("change", "line"), [
    (ALICE, b'{"op": "invalidate", "name": "alice", "domain": "example.com"}\n'),
    (ControlsChanged(), b'{"op": "reload"}\n'),
])  # fmt: skip
def test_a_change_is_one_line_and_its_confirmation_another(
    tmp_path: Path, change: AccountChanged | ControlsChanged, line: bytes
) -> None:
    path = str(tmp_path / "s")
    with server(path, b'{"ok": true}\n') as heard:
        assert notify(path, change) is Answer.CONFIRMED
    assert heard == [line]


@pytest.mark.parametrize("answer", [b"", b'{"ok": false}\n', b"garbage\n", b"[]\n", b"\xff\n"])
def test_anything_else_is_no_confirmation(tmp_path: Path, answer: bytes) -> None:
    path = str(tmp_path / "s")
    with server(path, answer):
        assert notify(path, ALICE) is Answer.UNCONFIRMED


def test_nobody_runs(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    assert notify(path, ALICE) is Answer.NOBODY_RUNS
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    assert notify(path, ALICE) is Answer.NOBODY_RUNS


def test_a_server_that_does_not_answer_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        assert notify(path, ALICE) is Answer.UNCONFIRMED
