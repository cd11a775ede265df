from pathlib import Path

import pytest

from indimail.durable.lock import DirectoryLock
from indimail.mailbox.answered import answered, key_of, note_answer

NOW = 1_800_000_000.5
WEEK = 604_800


def keys(directory: Path, now: float = NOW) -> list[str]:
    with answered(str(directory), now, WEEK) as found:
        return sorted(found)


def test_an_answer_is_an_empty_file_with_process_time_and_sender(tmp_path: Path) -> None:
    path = Path(note_answer(str(tmp_path), "Bob/x@example.org", NOW, 7))
    assert path == tmp_path / "7.1800000000.bob:x@example.org"
    assert path.read_bytes() == b""
    assert keys(tmp_path) == [key_of("BOB/X@example.org")]


@pytest.mark.parametrize(
    "sender", ["a" * 300 + "@example.org", "ü" * 300 + "@example.org", "../x@y"]
)
def test_any_sender_has_a_name(tmp_path: Path, sender: str) -> None:
    note_answer(str(tmp_path), sender, NOW, 7)
    assert keys(tmp_path) == [key_of(sender)]


def test_old_answers_go_and_what_is_something_else_stays(tmp_path: Path) -> None:
    for name in ("notes", "7.x.bob@example.org", "7.1.", ".7.1.bob"):
        (tmp_path / name).touch()
    note_answer(str(tmp_path), "old@example.org", NOW - WEEK - 1, 7)
    note_answer(str(tmp_path), "new@example.org", NOW - WEEK + 1, 7)
    assert keys(tmp_path) == ["new@example.org"]
    assert len(list(tmp_path.iterdir())) == 5


def test_two_mails_at_once_are_seen_one_after_the_other(tmp_path: Path) -> None:
    with answered(str(tmp_path), NOW, WEEK):
        assert DirectoryLock.take(str(tmp_path)) is None
    lock = DirectoryLock.take(str(tmp_path))
    assert lock is not None
    lock.release()
