"""A full instance, made once, and put back for each test."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout

import pytest

from cli.accounts_commands import Terminal
from cli.backups.kit import fill


class Silent:
    """Captures nothing: the fixture of pytest is that of one test."""

    out = err = ""

    def readouterr(self) -> "Silent":
        return self


@pytest.fixture(scope="session")
def pattern() -> Iterator[str]:
    """A directory with a full instance, made once, and its copy."""
    folder = tempfile.mkdtemp(prefix="indimail-test-")
    os.chmod(folder, 0o711)  # not a tmp_path: only root could pass it
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(None), redirect_stderr(None):
        patch.delenv("INDIMAIL_ROOT", raising=False)
        terminal = Terminal(f"{folder}/i", Silent(), patch)  # type: ignore[arg-type]
        terminal("init", "--me", "mx.example.org")
        fill(terminal)
    subprocess.run(["cp", "-a", folder, f"{folder}.kept"], check=True)
    yield folder
    shutil.rmtree(folder)
    shutil.rmtree(f"{folder}.kept")


@pytest.fixture
def full(
    pattern: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Terminal:
    """The full instance as it was made, alone in its directory."""
    monkeypatch.delenv("INDIMAIL_ROOT", raising=False)
    for name in os.listdir(pattern):
        path = os.path.join(pattern, name)
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    subprocess.run(["cp", "-a", f"{pattern}.kept/.", pattern], check=True)
    return Terminal(f"{pattern}/i", capsys, monkeypatch)


@pytest.fixture
def kept(pattern: str) -> str:
    return f"{pattern}/backup"


@pytest.fixture
def new(pattern: str, full: Terminal, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch) -> Terminal:  # fmt: skip
    return Terminal(f"{pattern}/new", capsys, monkeypatch)
