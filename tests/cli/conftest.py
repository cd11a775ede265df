"""An instance that also another uid reaches, where root runs the tests."""

import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest

from cli.accounts_commands import Terminal


@pytest.fixture
def folder() -> Iterator[str]:
    # Not tmp_path: only root could pass it.
    path = tempfile.mkdtemp(prefix="indimail-test-")
    os.chmod(path, 0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def terminal(
    folder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Terminal:
    monkeypatch.delenv("INDIMAIL_ROOT", raising=False)
    run = Terminal(f"{folder}/i", capsys, monkeypatch)
    assert run("init", "--me", "mx.example.org").code == 0
    return run
