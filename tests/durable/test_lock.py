"""One owner per directory, told by the kernel."""

import os
import threading
from pathlib import Path

from indimail.durable.lock import DirectoryLock


def test_a_directory_has_one_owner_until_it_is_given_up(tmp_path: Path) -> None:
    first = DirectoryLock.take(str(tmp_path))
    assert first is not None
    assert DirectoryLock.take(str(tmp_path)) is None
    first.release()
    second = DirectoryLock.take(str(tmp_path))
    assert second is not None
    second.release()


def test_who_waits_gets_it_when_it_is_given_up(tmp_path: Path) -> None:
    owner = DirectoryLock.take(str(tmp_path))
    assert owner is not None
    got = threading.Event()

    def wait() -> None:
        DirectoryLock.wait(str(tmp_path)).release()
        got.set()

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    assert not got.wait(0.05)
    owner.release()
    assert got.wait(5)
    waiting.join()


def test_a_lock_goes_with_its_process(tmp_path: Path) -> None:
    """Nothing stale is left of an owner that was killed."""
    child = os.fork()
    if child == 0:
        DirectoryLock.take(str(tmp_path))
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    lock = DirectoryLock.take(str(tmp_path))
    assert lock is not None
    lock.release()
