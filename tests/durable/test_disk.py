"""The system's disk asks the kernel for what the promises need: which file, which call."""

import ctypes
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from indimail.durable import disk as durable_disk
from indimail.durable.disk import SystemDisk, sync_above, sync_descriptor
from indimail.testing.disk import Crash, SimulatedDisk

DISK = SystemDisk()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Collect ``call path`` of every sync that reaches the kernel."""
    calls: list[str] = []

    def noted(call: str, fd: int) -> int:
        calls.append(f"{call} {os.readlink(f'/proc/self/fd/{fd}')}")
        return 0

    class Libc:
        def syncfs(self, fd: int) -> int:
            return noted("syncfs", fd)

    monkeypatch.setattr(os, "fsync", lambda fd: noted("fsync", fd))
    monkeypatch.setattr(durable_disk, "_libc", Libc())
    yield calls


def test_each_sync_reaches_the_kernel_with_its_file(tmp_path: Path, synced: list[str]) -> None:
    file = str(tmp_path / "file")
    DISK.write_new(file, (b"one", b"two"))
    DISK.sync_file(file)
    DISK.sync_directory(str(tmp_path))
    DISK.sync_filesystem(file)
    with open(file, "rb") as opened:
        sync_descriptor(opened.fileno())
    assert synced == [
        f"fsync {file}", f"fsync {tmp_path}", f"syncfs {file}", f"fsync {file}",
    ]  # fmt: skip


def test_new_folders_are_synced_up_to_the_first_that_was_there(
    tmp_path: Path, synced: list[str]
) -> None:
    DISK.make_directories(str(tmp_path / "a" / "b"))
    assert synced == [f"fsync {tmp_path}", f"fsync {tmp_path}/a"]


def test_a_failed_syncfs_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Libc:
        def syncfs(self, fd: int) -> int:
            ctypes.set_errno(errno.EIO)
            return -1

    monkeypatch.setattr(durable_disk, "_libc", Libc())
    with pytest.raises(OSError, match="Input/output error"):
        DISK.sync_filesystem(str(tmp_path))


def test_the_names_above_a_folder_are_made_sure_also_where_it_was_there() -> None:
    """Who made it may have been killed before the sync."""
    disk = SimulatedDisk()
    disk.crash_at(2, Crash.KILL)
    with pytest.raises(BaseException, match="before"):
        disk.make_directories("/queue")
    disk = disk.restart()
    disk.make_directories("/queue")  # it is there
    sync_above(disk, "/queue")
    assert disk.survivor(Crash.POWER).exists("/queue")


def test_short_writes_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.writev
    monkeypatch.setattr(os, "writev", lambda fd, parts: whole(fd, [b"".join(parts)[:3]]))
    DISK.write_new(str(tmp_path / "file"), (b"12345", b"67890"))
    assert (tmp_path / "file").read_bytes() == b"1234567890"
