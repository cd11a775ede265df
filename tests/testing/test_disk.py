"""The simulated disk forgets, tears, fills up, fails and crashes, and does so the same way again."""

import errno
from contextlib import suppress

import pytest

from indimail.durable.disk import Disk, SystemDisk
from indimail.testing.disk import (
    Crash,
    Kind,
    Names,
    Operation,
    PowerCut,
    SimulatedDisk,
    until_the_crash,
)

A, B, C = b"a" * 512, b"b" * 512, b"c" * 512


def disk_with_folders(seed=None, **how) -> SimulatedDisk:
    disk = SimulatedDisk(seed, **how)
    disk.make_directories("/mail/tmp")
    disk.make_directories("/mail/new")
    return disk


def deliver(disk: Disk, *, contents=True, name=True) -> None:
    """Write a file as a Maildir delivery does, with both its syncs or without one."""
    disk.write_new("/mail/new/1", (b"From: ana\n", b"\nhello\n"))
    if contents:
        disk.sync_file("/mail/new/1")
    if name:
        disk.sync_directory("/mail/new")


# -- forgetting ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("syncs", "found"),
    [
        ({}, {"/mail/new/1": b"From: ana\n\nhello\n"}),
        ({"contents": False}, {"/mail/new/1": b""}),
        ({"name": False}, {}),
    ],
    ids=["both syncs", "no sync_file", "no sync_directory"],
)
def test_a_power_cut_forgets_what_was_not_synced_contents_and_names_apart(syncs, found) -> None:
    disk = disk_with_folders()
    deliver(disk, **syncs)
    disk.cut_power()
    assert disk.restart().contents() == found


def test_a_kill_forgets_nothing_and_the_power_may_go_after_it() -> None:
    disk = disk_with_folders()
    deliver(disk, contents=False, name=False)
    disk.kill()
    alive = disk.restart()
    assert alive.contents() == {"/mail/new/1": b"From: ana\n\nhello\n"}
    assert alive.survivor().contents() == {}
    alive.sync_file("/mail/new/1")
    alive.sync_directory("/mail/new")
    assert alive.survivor().contents() == {"/mail/new/1": b"From: ana\n\nhello\n"}


def test_sync_filesystem_covers_names_and_contents() -> None:
    disk = disk_with_folders()
    deliver(disk, contents=False, name=False)
    disk.rename("/mail/new/1", "/mail/tmp/1")
    disk.sync_filesystem("/mail")
    assert disk.survivor().contents() == {"/mail/tmp/1": b"From: ana\n\nhello\n"}


def test_what_survived_one_power_cut_survives_the_next() -> None:
    disk = disk_with_folders()
    deliver(disk)
    assert disk.survivor().survivor().contents() == {"/mail/new/1": b"From: ana\n\nhello\n"}


def test_after_a_kill_a_sync_of_the_file_system_covers_what_was_written_before_it() -> None:
    disk = disk_with_folders()
    deliver(disk, contents=False, name=False)
    alive = disk.survivor(Crash.KILL)
    alive.sync_filesystem("/mail")
    assert alive.survivor().contents() == {"/mail/new/1": b"From: ana\n\nhello\n"}


def test_a_folder_whose_own_name_is_lost_takes_its_files_along() -> None:
    disk = SimulatedDisk()
    disk.fail(Kind.SYNC_DIRECTORY, "/")
    with pytest.raises(OSError, match="Input/output error"):
        disk.make_directories("/queue")
    disk.write_new("/queue/1", (b"x",))
    disk.sync_file("/queue/1")
    disk.sync_directory("/queue")
    assert disk.survivor().names("/") == []


def test_an_unsynced_unlink_comes_back_with_what_was_synced() -> None:
    disk = disk_with_folders()
    deliver(disk)
    disk.append("/mail/new/1", (b"more",))
    disk.unlink("/mail/new/1")
    assert disk.contents() == {}
    assert disk.survivor().contents() == {"/mail/new/1": b"From: ana\n\nhello\n"}


def survivors(disk: SimulatedDisk, seeds=range(60)) -> set[tuple[str, ...]]:
    return {tuple(sorted(disk.survivor(seed=seed).contents())) for seed in seeds}


def test_an_unsynced_rename_leaves_the_old_name_or_the_new_one() -> None:
    disk = disk_with_folders()
    disk.write_new("/mail/tmp/1", (b"x",))
    disk.sync_file("/mail/tmp/1")
    disk.sync_directory("/mail/tmp")
    disk.rename("/mail/tmp/1", "/mail/new/1")
    assert survivors(disk) == {("/mail/tmp/1",), ("/mail/new/1",)}


def test_with_independent_names_an_unsynced_rename_may_leave_both_or_none() -> None:
    disk = disk_with_folders(names=Names.INDEPENDENT)
    disk.write_new("/mail/tmp/1", (b"x",))
    disk.sync_directory("/mail/tmp")
    disk.rename("/mail/tmp/1", "/mail/new/1")
    one, other = "/mail/tmp/1", "/mail/new/1"
    assert survivors(disk) == {(), (one,), (other,), (other, one)}
    disk.sync_directory("/mail/new")
    assert survivors(disk) == {(other,), (other, one)}


def test_a_rename_is_kept_by_a_sync_of_either_folder() -> None:
    for folder in ("/mail/tmp", "/mail/new"):
        disk = disk_with_folders()
        disk.write_new("/mail/tmp/1", (b"x",))
        disk.rename("/mail/tmp/1", "/mail/new/1")
        disk.sync_directory(folder)
        assert survivors(disk) == {("/mail/new/1",)}


def test_a_removal_that_is_kept_does_not_bring_the_name_before_it_back() -> None:
    disk = disk_with_folders()
    disk.write_new("/mail/tmp/1", (b"x",))
    disk.rename("/mail/tmp/1", "/mail/new/1")
    disk.unlink("/mail/new/1")
    disk.sync_directory("/mail/new")
    assert survivors(disk) == {()}


def test_a_removal_that_was_synced_is_final() -> None:
    for sync in ("sync_directory", "sync_filesystem"):
        disk = disk_with_folders()
        deliver(disk, contents=False, name=False)
        getattr(disk, sync)("/mail/new")
        disk.unlink("/mail/new/1")
        disk.sync_directory("/mail/new")
        assert survivors(disk) == {()}


def test_links_are_names_of_one_file() -> None:
    disk = disk_with_folders(capacity=100)
    deliver(disk)
    disk.link("/mail/new/1", "/mail/tmp/2")
    assert (disk.links("/mail/new/1"), disk.used) == (2, 17)
    disk.sync_directory("/mail/tmp")
    again = disk.survivor()
    assert (again.links("/mail/tmp/2"), again.used) == (2, 17)
    again.append("/mail/tmp/2", (b"!",))
    assert again.read("/mail/new/1") == b"From: ana\n\nhello\n!"
    again.unlink("/mail/new/1")
    assert (again.links("/mail/tmp/2"), again.used) == (1, 18)
    again.unlink("/mail/tmp/2")
    assert again.used == 0


# -- tearing ---------------------------------------------------------------------------------------


def test_unsynced_contents_may_be_lost_torn_scattered_zeros_or_whole() -> None:
    disk = disk_with_folders()
    disk.write_new("/mail/new/1", (A,))
    disk.sync_file("/mail/new/1")
    disk.sync_directory("/mail/new")
    disk.append("/mail/new/1", (B, C))
    found = {disk.survivor(seed=seed).contents()["/mail/new/1"] for seed in range(80)}
    zeros = bytes(512)
    assert found == {A, A + B, A + B + C, A + zeros + C, A + zeros + zeros}


def test_a_write_is_torn_where_a_sector_of_the_file_begins() -> None:
    disk = disk_with_folders()
    disk.write_new("/mail/new/1", (b"." * 500,))
    disk.sync_filesystem("/")
    disk.append("/mail/new/1", (b"+" * 600,))
    found = {len(disk.survivor(seed=seed).contents()["/mail/new/1"]) for seed in range(80)}
    assert found == {500, 512, 1024, 1100}


def test_what_was_synced_is_never_torn() -> None:
    disk = disk_with_folders()
    deliver(disk)
    before = disk.contents()
    assert all(disk.survivor(seed=seed).contents() == before for seed in range(20))


def test_a_seed_draws_the_same_again_and_another_seed_something_else() -> None:
    def world(seed: int) -> dict[str, bytes]:
        disk = disk_with_folders(seed)
        for number in range(8):
            disk.write_new(f"/mail/new/{number}", (A, B, C))
            if number % 3 == 0:
                disk.rename(f"/mail/new/{number}", f"/mail/tmp/{number}")
        disk.cut_power()
        return disk.restart().contents()

    assert world(1) == world(1)
    assert len({str(world(seed)) for seed in range(5)}) == 5


# -- crashing --------------------------------------------------------------------------------------


def test_operations_are_counted_and_named() -> None:
    disk = SimulatedDisk()
    disk.make_directories("/mail")
    disk.write_new("/mail/1", (b"x",))
    disk.sync_file("/mail/1")
    disk.append("/mail/1", (b"y",))
    disk.link("/mail/1", "/mail/2")
    disk.rename("/mail/2", "/mail/3")
    disk.read("/mail/3")
    disk.unlink("/mail/3")
    disk.sync_filesystem("/mail")
    assert disk.history == [
        Operation(1, Kind.MKDIR, "/mail"),
        Operation(2, Kind.SYNC_DIRECTORY, "/"),
        Operation(3, Kind.CREATE, "/mail/1"),
        Operation(4, Kind.WRITE, "/mail/1"),
        Operation(5, Kind.SYNC_FILE, "/mail/1"),
        Operation(6, Kind.WRITE, "/mail/1"),
        Operation(7, Kind.LINK, "/mail/1 -> /mail/2"),
        Operation(8, Kind.RENAME, "/mail/2 -> /mail/3"),
        Operation(9, Kind.UNLINK, "/mail/3"),
        Operation(10, Kind.SYNC_FILESYSTEM, "/mail"),
    ]


def test_a_crash_comes_before_each_operation_in_turn() -> None:
    """The walk of a delivery: each line is what a kill before that operation leaves."""
    found = []
    whole = SimulatedDisk()
    whole.make_directories("/mail/new")
    first = whole.operations + 1
    deliver(whole)
    for number in range(first, whole.operations + 1):
        disk = SimulatedDisk()
        disk.crash_at(number, Crash.KILL)
        with pytest.raises(PowerCut):
            disk.make_directories("/mail/new")
            deliver(disk)
        found.append((whole.history[number - 1].kind, disk.restart().contents()))
    assert found == [
        (Kind.CREATE, {}),
        (Kind.WRITE, {"/mail/new/1": b""}),
        (Kind.SYNC_FILE, {"/mail/new/1": b"From: ana\n\nhello\n"}),
        (Kind.SYNC_DIRECTORY, {"/mail/new/1": b"From: ana\n\nhello\n"}),
    ]


def test_a_crash_in_the_middle_of_a_write_leaves_its_beginning() -> None:
    found = set()
    for seed in range(40):
        disk = SimulatedDisk(seed)
        disk.crash_at(2, Crash.KILL, torn=True)
        with pytest.raises(PowerCut, match="in the middle of"):
            disk.write_new("/1", (A, B, C))
        found.add(disk.restart().contents()["/1"])
    assert found == {b"", A, A + B}


def test_after_the_crash_nothing_works_until_the_restart() -> None:
    disk = disk_with_folders()
    deliver(disk)
    disk.cut_power()
    for operation in (
        lambda: disk.write_new("/mail/new/2", (b"x",)),
        lambda: disk.append("/mail/new/1", (b"x",)),
        lambda: disk.read("/mail/new/1"),
        lambda: disk.size("/mail/new/1"),
        lambda: disk.exists("/mail/new/1"),
        lambda: disk.link("/mail/new/1", "/mail/new/2"),
        lambda: disk.rename("/mail/new/1", "/mail/new/2"),
        lambda: disk.unlink("/mail/new/1"),
        lambda: disk.make_directories("/x"),
        lambda: disk.names("/mail"),
        lambda: disk.sync_file("/mail/new/1"),
        lambda: disk.sync_directory("/mail/new"),
        lambda: disk.sync_filesystem("/mail"),
        lambda: disk.free("/mail"),
    ):
        with pytest.raises(PowerCut):
            operation()
    after = disk.restart()
    after.unlink("/mail/new/1")
    assert (disk.crashed, after.crashed) == (Crash.POWER, None)


def test_a_program_does_not_catch_a_power_cut_as_an_error_of_its_own() -> None:
    disk = SimulatedDisk()
    disk.crash_at(1)
    with pytest.raises(PowerCut), suppress(Exception):
        disk.write_new("/1", (b"x",))


def test_what_a_dead_world_still_raises_is_swallowed_and_nothing_before_that() -> None:
    disk = SimulatedDisk()
    with pytest.raises(ValueError, match="a bug"), until_the_crash(disk):
        raise ValueError("a bug")
    with until_the_crash(disk):
        disk.cut_power()
        try:
            disk.write_new("/1", (b"x",))
        finally:
            raise ValueError("could not clean up")


def test_a_world_that_lives_has_no_restart() -> None:
    with pytest.raises(RuntimeError, match="nothing crashed"):
        SimulatedDisk().restart()


def test_the_boot_id_changes_with_the_power_only() -> None:
    disk = SimulatedDisk()
    assert disk.survivor(Crash.KILL).boot == disk.boot
    assert disk.survivor(Crash.POWER).boot != disk.boot


def test_a_watcher_sees_each_operation_before_it_happens() -> None:
    """One run visits every crash: what each would leave is asked while the world goes on."""
    disk = disk_with_folders()
    left = []
    disk.watch = lambda operation: left.append((operation.kind, disk.survivor().contents()))
    deliver(disk)
    disk.watch = None
    assert left == [
        (Kind.CREATE, {}),
        (Kind.WRITE, {}),
        (Kind.SYNC_FILE, {}),
        (Kind.SYNC_DIRECTORY, {}),
    ]
    assert disk.survivor().contents() == {"/mail/new/1": b"From: ana\n\nhello\n"}


# -- filling up and failing ------------------------------------------------------------------------


def test_a_full_disk_takes_what_fits_and_gives_room_back() -> None:
    disk = SimulatedDisk(capacity=1000)
    disk.write_new("/1", (A,))
    assert disk.free("/") == 488
    with pytest.raises(OSError) as full:
        disk.append("/1", (B,))
    assert full.value.errno == errno.ENOSPC
    assert disk.read("/1") == A + b"b" * 488
    disk.unlink("/1")
    assert disk.free("/") == 1000


def test_an_operation_fails_by_its_number_or_its_kind_and_path() -> None:
    disk = disk_with_folders()
    disk.fail_at(disk.operations + 2)
    with pytest.raises(OSError, match=r"Input/output error.*'/mail/new/1'"):
        disk.write_new("/mail/new/1", (b"x",))
    assert disk.read("/mail/new/1") == b""
    disk.fail(Kind.READ, "new/1", errno.EACCES)
    with pytest.raises(PermissionError):
        disk.read("/mail/new/1")
    assert disk.read("/mail/new/1") == b""


@pytest.mark.parametrize("kind", [Kind.SYNC_FILE, Kind.SYNC_FILESYSTEM])
def test_a_failed_sync_is_not_mended_by_the_next_one(kind: Kind) -> None:
    disk = disk_with_folders()
    disk.write_new("/mail/new/1", (b"lost",))
    disk.sync_directory("/mail/new")
    disk.fail(kind)
    sync = disk.sync_file if kind is Kind.SYNC_FILE else disk.sync_filesystem
    with pytest.raises(OSError, match="Input/output error"):
        sync("/mail/new/1")
    sync("/mail/new/1")
    assert disk.read("/mail/new/1") == b"lost"
    assert disk.survivor().contents() == {"/mail/new/1": b""}


# -- like the machine's ----------------------------------------------------------------------------

SCRIPT = [
    ("write_new", "mail/1", (b"one", b"two")),
    ("write_new", "mail/1", (b"again",)),
    ("write_new", "nowhere/1", (b"x",)),
    ("write_new", "mail/1/2", (b"x",)),
    ("append", "mail/1", (b"three",)),
    ("append", "mail/2", (b"", b"new")),
    ("append", "nowhere/2", (b"x",)),
    ("read", "mail/1"),
    ("read", "mail/1", 3, 5),
    ("read", "mail/1", 100),
    ("read", "mail/3"),
    ("read", "mail"),
    ("size", "mail/1"),
    ("size", "mail/3"),
    ("mode", "mail/1"),
    ("mode", "mail"),
    ("mode", "mail/3"),
    ("exists", "mail/1"),
    ("device", "mail/3"),
    ("exists", "mail"),
    ("exists", "nowhere/1"),
    ("exists", "mail/1/2"),
    ("link", "mail/1", "mail/4"),
    ("link", "mail/1", "mail/2"),
    ("link", "mail/3", "mail/5"),
    ("rename", "mail/1", "mail/4"),
    ("rename", "mail/2", "mail/4"),
    ("rename", "mail/3", "mail/5"),
    ("rename", "mail/4", "nowhere/4"),
    ("unlink", "mail/4"),
    ("unlink", "mail/4"),
    ("unlink", "mail"),
    ("make_directories", "mail/a/b/c"),
    ("make_directories", "mail/a"),
    ("make_directories", "mail/1/x"),
    ("rename", "mail/1", "mail/a"),
    ("append", "mail/a/b/f", (b"f",)),
    ("rename", "mail/a/b", "mail/b"),
    ("read", "mail/b/f"),
    ("read", "mail/a/b/f"),
    ("names", "mail/a"),
    ("names", "nowhere"),
    ("names", "mail/1"),
    ("sync_file", "mail/1"),
    ("sync_file", "mail/3"),
    ("sync_directory", "mail"),
    ("sync_directory", "mail/1"),
    ("sync_directory", "nowhere"),
    ("sync_filesystem", "mail"),
]


def play(disk: Disk, root: str) -> list[object]:
    disk.make_directories(f"{root}/mail")
    answers: list[object] = []
    for operation, *arguments in SCRIPT:
        paths = 2 if operation in {"link", "rename"} else 1
        full = [f"{root}/{path}" for path in arguments[:paths]]
        try:
            answer = getattr(disk, operation)(*full, *arguments[paths:])
        except OSError as error:
            answer = errno.errorcode[error.errno or 0]
        answers.append((operation, *arguments, answer))
    return [*answers, sorted(disk.names(f"{root}/mail"))]


def test_it_answers_like_the_machines_disk(tmp_path) -> None:
    assert play(SimulatedDisk(), "") == play(SystemDisk(), str(tmp_path))
