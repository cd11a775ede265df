"""`qmail-cdb`: control files as data bases."""

from pathlib import Path

import pytest

from cli.accounts_commands import Ran, Terminal
from crash.stage import Stage, folder_in_memory
from indimail.control.cdb import read_cdb

pytestmark = pytest.mark.slow


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    with folder_in_memory() as folder:
        scene = Stage(folder)
        assert scene.run("init", "--me", "mx.example.org") == 0
        yield Terminal(scene.root, capsys, monkeypatch)


def compiled(terminal: Terminal, text: str, *options: str) -> Ran:
    Path(terminal.root, "control/relaymailfrom").write_text(text)
    return terminal("qmail_cdb", *options, "relaymailfrom")


def keys(terminal: Terminal) -> list[bytes]:
    path = f"{terminal.root}/control/relaymailfrom.cdb"
    return [key for key, _ in read_cdb(path, path).items()]


def test_the_lines_of_a_control_file_are_its_keys(terminal: Terminal) -> None:
    text = "# senders\nJoe@Domain1.com\n\n  @domain2.com\njoe@domain1.com\n"
    assert compiled(terminal, text) == Ran(0, "", "")
    assert keys(terminal) == [b"joe@domain1.com", b"@domain2.com"]
    assert terminal("relaycheck").code == 3  # what the server reads is what was written


def test_the_text_is_moved_where_that_is_wanted(terminal: Terminal) -> None:
    assert compiled(terminal, "@domain2.com\n", "-m").code == 0
    control = Path(terminal.root, "control")
    assert (control / "relaymailfrom.bak").read_text() == "@domain2.com\n"
    assert not (control / "relaymailfrom").exists()
    assert keys(terminal) == [b"@domain2.com"]


def test_what_is_no_control_file_is_told(terminal: Terminal) -> None:
    assert terminal("qmail_cdb", "nothing").err == "qmail-cdb: control/nothing: no such file\n"
    assert terminal("qmail_cdb", "../tcp/tcp.smtp").code == 64
    compiled(terminal, "@domain2.com\n")
    Path(terminal.root, "control/relaymailfrom").write_bytes(b"\xff\n")
    assert terminal("qmail_cdb", "relaymailfrom").code == 78
    assert keys(terminal) == [b"@domain2.com"]
