"""Batches of syncs: everything is durable when `run` returns, whichever way was taken."""

import errno

import pytest

from indimail.durable.batch import ENOUGH, PENANCE, SLOW, FileSyncs, SyncMode, Unsynced
from indimail.testing.clock import FakeClock
from indimail.testing.disk import Crash, Kind, SimulatedDisk


def written(disk: SimulatedDisk, number: int, part: str = "tmp") -> list[Unsynced]:
    """Write files in folders of their own; make no name or content sure."""
    batch = []
    for n in range(number):
        folder = f"/mail/user{n}/{part}"
        disk.make_directories(folder)
        disk.write_new(f"{folder}/file", (b"content",))
        batch.append(Unsynced((f"{folder}/file",), (folder,)))
    return batch


def kinds(disk: SimulatedDisk) -> set[Kind]:
    syncs = {Kind.SYNC_FILE, Kind.SYNC_DIRECTORY, Kind.SYNC_FILESYSTEM}
    return {operation.kind for operation in disk.history} & syncs


@pytest.mark.parametrize("mode", SyncMode)
@pytest.mark.parametrize("number", [1, ENOUGH])
def test_a_batch_survives_a_power_cut(mode: SyncMode, number: int) -> None:
    disk = SimulatedDisk()
    batch = written(disk, number)
    FileSyncs(disk, FakeClock().steady, mode).run(batch)
    kept = disk.survivor(Crash.POWER).contents()
    assert [kept[file] for item in batch for file in item.files] == [b"content"] * number


@pytest.mark.parametrize(
    ("mode", "number", "one_sync"),
    [
        (SyncMode.AUTO, 1, False),
        (SyncMode.AUTO, ENOUGH, True),
        (SyncMode.EACH, ENOUGH, False),
        (SyncMode.FILESYSTEM, 1, True),
    ],
)
def test_many_are_synced_at_once(mode: SyncMode, number: int, one_sync: bool) -> None:
    disk = SimulatedDisk()
    batch = written(disk, number)
    disk.history.clear()
    FileSyncs(disk, FakeClock().steady, mode).run(batch)
    assert kinds(disk) == (
        {Kind.SYNC_FILESYSTEM} if one_sync else {Kind.SYNC_FILE, Kind.SYNC_DIRECTORY}
    )


def test_after_a_slow_one_a_minute_goes_file_by_file() -> None:
    disk, clock = SimulatedDisk(), FakeClock()
    syncs = FileSyncs(disk, clock.steady)
    disk.watch = lambda _: clock.advance(2 * SLOW)
    syncs.run(written(disk, ENOUGH, "a"))
    disk.watch = None
    disk.history.clear()
    syncs.run(written(disk, ENOUGH, "b"))
    assert Kind.SYNC_FILESYSTEM not in kinds(disk)
    clock.advance(PENANCE)
    syncs.run(written(disk, ENOUGH, "c"))
    assert Kind.SYNC_FILESYSTEM in kinds(disk)


@pytest.mark.parametrize("number", [1, ENOUGH])
def test_a_failed_sync_is_told(number: int) -> None:
    disk = SimulatedDisk()
    batch = written(disk, number)
    kind = Kind.SYNC_FILE if number == 1 else Kind.SYNC_FILESYSTEM
    disk.fail(kind, error=errno.EIO)
    with pytest.raises(OSError, match="Input/output error"):
        FileSyncs(disk, FakeClock().steady).run(batch)


@pytest.mark.parametrize("mode", [SyncMode.AUTO, SyncMode.FILESYSTEM])
def test_folders_that_a_killed_process_made_are_made_sure_too(mode: SyncMode) -> None:
    """That a folder is there does not prove that its name is on disk."""
    disk = SimulatedDisk()
    disk.crash_at(2, Crash.KILL)  # /mail is made, and its name not synced
    with pytest.raises(BaseException, match="before"):
        disk.make_directories("/mail")
    disk = disk.restart()
    batch = written(disk, 1)
    FileSyncs(disk, FakeClock().steady, mode).run(batch)
    assert disk.survivor(Crash.POWER).contents() == {"/mail/user0/tmp/file": b"content"}


@pytest.mark.parametrize("mode", [SyncMode.AUTO, SyncMode.FILESYSTEM])
def test_what_another_batchs_failed_sync_lost_is_not_taken_for_durable(mode: SyncMode) -> None:
    """A syncfs that fails has tried the files of the next batch too, and the next tells nothing."""
    disk, clock = SimulatedDisk(), FakeClock()
    syncs = FileSyncs(disk, clock.steady, mode)
    first, second = written(disk, ENOUGH, "a"), written(disk, ENOUGH, "b")
    disk.fail(Kind.SYNC_FILESYSTEM)
    with pytest.raises(OSError, match="Input/output error"):
        syncs.run(first)
    with pytest.raises(OSError, match="Input/output error"):
        syncs.run(second)
