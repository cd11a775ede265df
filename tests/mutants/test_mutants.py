"""Who asks for syncs and locks, and the short form of `make mutants`."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from mutants import __main__ as kit
from mutants.mutation import orders, removals, sync_calls
from mutants.orders import ORDERS

SOURCE = Path(__file__).resolve().parent.parent.parent / "src"
# Who asks the disk for durability: each place is a promise, and a mutant.
PROMISES = {
    "control/files.py",
    "durable/batch.py",
    "durable/disk.py",
    "mailbox/maildir.py",
    "manage/backup/archive.py",
    "manage/backup/manifest.py",
    "manage/backup/restore.py",
    "manage/change.py",
    "manage/file_writes.py",
    "manage/importing/maildirs.py",
    "manage/layout.py",
    "manage/trees.py",
    "queue/spool.py",
    "queue/submission.py",
    "serve/adopt.py",
    "trace/write.py",
}


def files() -> dict[str, ast.AST]:
    paths = sorted((SOURCE / "indimail").rglob("*.py"))
    names = {str(path.relative_to(SOURCE / "indimail")): path for path in paths}
    return {
        name: ast.parse(path.read_text())
        for name, path in names.items()
        if not name.startswith("testing/")
    }


def test_who_asks_the_disk_for_durability_is_written_down() -> None:
    port = {"sync_file", "sync_directory", "sync_filesystem", "sync_above"}
    askers = {
        name
        for name, tree in files().items()
        for call in sync_calls(tree)
        if ast.unparse(call.func).rpartition(".")[2] in port
    }
    assert askers == PROMISES


def test_every_lock_that_is_taken_has_an_order() -> None:
    takers = Counter(
        f"indimail/{name}"
        for name, tree in files().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"DirectoryLock.take", "DirectoryLock.wait"}
    )
    broken = Counter(order.file for order in ORDERS if "lock" in order.old.lower())
    assert takers - broken == Counter()


def test_a_removal_leaves_everything_else() -> None:
    text = "def f(disk):\n    disk.sync_file('ü'); g(); return disk.sync_directory(\n        '/')\n"
    place = SOURCE / "indimail" / "durable" / "disk.py"
    assert all(mutant.text != place.read_text() for mutant in removals(SOURCE))
    tree = ast.parse(text)
    assert [call.lineno for call in sync_calls(tree)] == [2, 2]


def test_the_mutants_that_are_written_down_fit_the_code() -> None:
    assert len(orders(SOURCE)) > 20
    assert len(removals(SOURCE)) > 30


def test_every_mutant_has_tests() -> None:
    for mutant in removals(SOURCE) + orders(SOURCE):
        assert kit.tests_of(mutant.file) != [], mutant


@pytest.mark.slow
def test_a_few_mutants_are_killed(capsys: pytest.CaptureFixture[str]) -> None:
    assert kit.main(["--quick"]) == 0
    assert capsys.readouterr().out.endswith("survived 0\n")
