"""Batches of syncs: everything is durable when `run` returns, whichever way was taken."""

import errno
import itertools
from pathlib import Path

import pytest

from indimail.durable.batch import EACH, ENOUGH, PENANCE, SLOW, FileSyncs, SyncMode, Unsynced
from indimail.durable.disk import SystemDisk
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


def test_after_a_slow_one_a_while_goes_file_by_file() -> None:
    disk, clock = SimulatedDisk(), FakeClock()
    syncs = FileSyncs(disk, clock.steady)
    disk.watch = lambda _: clock.advance(2 * SLOW)
    syncs.run(written(disk, ENOUGH, "a"))
    disk.watch = None
    disk.history.clear()
    syncs.run(written(disk, ENOUGH, "b"))
    assert Kind.SYNC_FILESYSTEM not in kinds(disk)
    clock.advance(PENANCE / 60)
    syncs.run(written(disk, ENOUGH, "c"))
    assert Kind.SYNC_FILESYSTEM in kinds(disk)


def test_each_slow_one_that_follows_doubles_the_while_and_a_quick_one_ends_it() -> None:
    disk, clock = SimulatedDisk(), FakeClock()
    syncs = FileSyncs(disk, clock.steady)

    names = itertools.count()

    def while_after(slow: bool) -> float:
        """Return for how long it goes file by file after one syncfs."""
        batch = written(disk, ENOUGH, f"batch{next(names)}")
        disk.watch = (lambda _: clock.advance(2 * SLOW)) if slow else None
        syncs.run(batch)
        disk.watch, began = None, clock.steady()
        while not syncs.may_sync_at_once:
            clock.advance(0.25)
        return clock.steady() - began

    whiles = [round(while_after(slow=True)) for _ in range(8)]
    assert whiles == [1, 2, 4, 8, 16, 32, PENANCE, PENANCE]
    assert while_after(slow=False) == 0
    assert round(while_after(slow=True)) == 1


def test_a_large_batch_may_take_its_time() -> None:
    disk, clock = SimulatedDisk(), FakeClock()
    syncs = FileSyncs(disk, clock.steady)
    disk.watch = lambda _: clock.advance(2 * SLOW)
    syncs.run(written(disk, int(2 * SLOW / EACH), "a"))
    disk.watch = None
    disk.history.clear()
    syncs.run(written(disk, ENOUGH, "b"))
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


def removed(disk: SimulatedDisk, folder: str) -> None:
    """Take a folder away, as who removes a user does."""
    for name in disk.names(folder):
        disk.unlink(f"{folder}/{name}")
    disk.rename(folder, f"/removed{folder.replace('/', '-')}")


@pytest.mark.parametrize("mode", [SyncMode.AUTO, SyncMode.EACH, SyncMode.FILESYSTEM])
@pytest.mark.parametrize("number", [2, ENOUGH])
@pytest.mark.parametrize("gone", [0, 1])
def test_a_folder_that_is_gone_fails_its_own_items_alone(
    mode: SyncMode, number: int, gone: int
) -> None:
    disk = SimulatedDisk()
    batch = written(disk, number)
    removed(disk, batch[gone].folders[0])
    failed = FileSyncs(disk, FakeClock().steady, mode).run(batch)
    assert [*failed] == [gone]
    assert isinstance(failed[gone], FileNotFoundError)
    kept = disk.survivor(Crash.POWER).contents()
    assert [*kept] == [item.files[0] for item in batch if item is not batch[gone]]


def test_a_file_that_is_gone_fails_its_own_item_alone() -> None:
    disk = SimulatedDisk()
    disk.make_directories("/mail/alice/tmp")
    names = [f"/mail/alice/tmp/{name}" for name in ("one", "two", "three")]
    for name in names:
        disk.write_new(name, (b"content",))
    disk.unlink(names[1])
    batch = [Unsynced((name,), ("/mail/alice/tmp",)) for name in names]
    assert [*FileSyncs(disk, FakeClock().steady).run(batch)] == [1]
    assert [*disk.survivor(Crash.POWER).contents()] == [names[0], names[2]]


def test_a_folder_that_may_not_be_opened_fails_its_own_items_alone() -> None:
    disk = SimulatedDisk()
    batch = written(disk, 2)
    disk.fail(Kind.SYNC_DIRECTORY, "/user0/tmp", errno.EACCES)
    assert [*FileSyncs(disk, FakeClock().steady).run(batch)] == [0]


@pytest.mark.parametrize("mode", [SyncMode.EACH, SyncMode.FILESYSTEM])
def test_a_folder_that_comes_back_is_made_sure_again(mode: SyncMode) -> None:
    """What was known of its name and of those above was of the one that is gone."""
    disk = SimulatedDisk()
    syncs = FileSyncs(disk, FakeClock().steady, mode)
    syncs.run(written(disk, 1))
    removed(disk, "/mail/user0/tmp")
    assert [*syncs.run([Unsynced((), ("/mail/user0/tmp",))])] == [0]
    disk.rename("/removed-mail-user0-tmp", "/mail/user0/tmp")
    disk.write_new("/mail/user0/tmp/file", (b"again",))
    syncs.run([Unsynced(("/mail/user0/tmp/file",), ("/mail/user0/tmp",))])
    assert disk.survivor(Crash.POWER).contents() == {"/mail/user0/tmp/file": b"again"}


@pytest.mark.parametrize("mode", SyncMode)
def test_the_machines_own_disk_tells_what_is_gone(mode: SyncMode, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "file").write_bytes(b"x")
    here = Unsynced((str(tmp_path / "here" / "file"),), (str(tmp_path / "here"),))
    gone = Unsynced((str(tmp_path / "gone" / "file"),), (str(tmp_path / "gone"),))
    assert [*FileSyncs(SystemDisk(), FakeClock().steady, mode).run([gone, here])] == [0]
