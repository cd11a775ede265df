import errno

import pytest

from indimail.mail.errors import QueueFull, QueueUnwritable
from indimail.mail.ids import QueueId
from indimail.queue.spool import READ_SIZE, Spool
from indimail.testing.disk import Crash, Kind, SimulatedDisk

QUEUE = "/var/queue/queue1"
SEVEN = QueueId(7)


def stored(spool: Spool, offset: int = 0) -> bytes:
    return b"".join(spool.read(SEVEN, offset))


def test_a_body_is_read_back_from_its_offset_in_pieces() -> None:
    spool = Spool(SimulatedDisk(), QUEUE)
    spool.begin(SEVEN, (b"Delivered-To: x\n", b"a" * READ_SIZE))
    spool.add(SEVEN, (b"b", b"c"))
    assert stored(spool, 16) == b"a" * READ_SIZE + b"bc"
    assert [len(piece) for piece in spool.read(SEVEN, 16)] == [READ_SIZE, 2]


def test_a_sealed_body_survives_a_power_cut_with_its_name_and_its_folders() -> None:
    disk = SimulatedDisk()
    spool = Spool(disk, QUEUE)
    spool.begin(SEVEN, (b"one ",))
    spool.add(SEVEN, (b"two",))
    assert spool.path(SEVEN) not in disk.survivor(Crash.POWER).contents()
    spool.seal(SEVEN)
    assert disk.survivor(Crash.POWER).contents() == {f"{QUEUE}/mess/7": b"one two"}


def test_a_seal_that_fails_raises() -> None:
    for kind in (Kind.SYNC_FILE, Kind.SYNC_DIRECTORY):
        disk = SimulatedDisk()
        spool = Spool(disk, QUEUE)
        spool.begin(SEVEN, (b"x",))
        disk.fail(kind)
        with pytest.raises(QueueUnwritable):
            spool.seal(SEVEN)


@pytest.mark.parametrize(
    ("error", "ours"),
    [(errno.ENOSPC, QueueFull), (errno.EDQUOT, QueueFull), (errno.EIO, QueueUnwritable)],
)
def test_the_disks_errors_are_told_as_ours(error, ours) -> None:
    disk = SimulatedDisk()
    spool = Spool(disk, QUEUE)
    disk.fail(Kind.CREATE, error=error)
    with pytest.raises(ours):
        spool.begin(SEVEN, (b"x",))


def test_a_body_that_meets_the_reserve_is_refused_while_it_comes() -> None:
    disk = SimulatedDisk()
    disk.capacity = 1000
    reserve = 600
    spool = Spool(disk, QUEUE, lambda: reserve)
    spool.begin(SEVEN, (b"x" * 300,))
    spool.add(SEVEN, (b"x" * 200,))
    with pytest.raises(QueueFull):
        spool.add(SEVEN, (b"x",))
    with pytest.raises(QueueFull):
        spool.begin(QueueId(8), (b"x",))
    assert disk.names(f"{QUEUE}/mess") == ["7"]
    reserve = 0
    spool.add(SEVEN, (b"x",))


def test_discarding_removes_and_a_missing_file_is_fine() -> None:
    disk = SimulatedDisk()
    spool = Spool(disk, QUEUE)
    spool.begin(SEVEN, (b"x",))
    spool.discard(SEVEN)
    spool.discard(SEVEN)
    assert disk.names(f"{QUEUE}/mess") == []


def test_a_sweep_removes_what_no_row_knows() -> None:
    disk = SimulatedDisk()
    spool = Spool(disk, QUEUE)
    for name in ("7", "8", "core", "9x"):
        disk.write_new(f"{QUEUE}/mess/{name}", (b"x",))
    assert spool.sweep({SEVEN}) == 3
    assert disk.names(f"{QUEUE}/mess") == ["7"]


def test_a_sweep_leaves_a_folder_that_is_not_ours() -> None:
    disk = SimulatedDisk()
    spool = Spool(disk, QUEUE)
    disk.make_directories(f"{QUEUE}/mess/lost+found")
    disk.write_new(f"{QUEUE}/mess/8", (b"x",))
    assert spool.sweep({SEVEN}) == 1
    assert disk.names(f"{QUEUE}/mess") == ["lost+found"]


def test_a_folder_that_was_made_before_a_crash_is_made_sure() -> None:
    disk = SimulatedDisk()
    disk.crash_at(2, Crash.KILL)
    with pytest.raises(BaseException, match="before"):
        Spool(disk, QUEUE)
    disk = disk.restart()
    spool = Spool(disk, QUEUE)
    spool.begin(SEVEN, (b"x",))
    spool.seal(SEVEN)
    assert disk.survivor(Crash.POWER).contents() == {f"{QUEUE}/mess/7": b"x"}
