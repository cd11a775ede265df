"""The writer: nothing is lost that was covered, the disk stays bounded, mail never waits."""

import errno
import logging
from collections.abc import Sequence

import pytest

from indimail.mail.events import Event, Record
from indimail.testing.disk import Crash, Kind, PowerCut, SimulatedDisk
from indimail.trace import write
from indimail.trace.segment import decode, segments
from indimail.trace.write import DAY, TraceWriter

FIRST = 1_795_477_000.0


def record(number: int, time: float = FIRST) -> Record:
    return Record(number, time, Event.OUTCOME, "delivered", "did 1+0+0/")


def ids(disk: SimulatedDisk) -> list[int]:
    """The ids that a reader finds, in the order of segments and lines."""
    lines = [
        line
        for segment in segments("/trace", disk)
        for line in disk.read(segment.path).split(b"\n")
    ]
    return [found.id for found in map(decode, lines) if found]


def writer(disk: SimulatedDisk, **settings: float) -> TraceWriter:
    return TraceWriter("/trace", 1, disk, **settings)  # type: ignore[arg-type]


def test_what_was_flushed_is_seen_by_readers_and_survives_a_kill() -> None:
    disk = SimulatedDisk()
    trace = writer(disk)
    trace.add(record(1))
    assert ids(disk) == []
    trace.flush()
    assert ids(disk) == [1]
    assert ids(disk.survivor(Crash.KILL)) == [1]


def test_what_sync_covers_survives_a_power_cut_and_later_records_may_not() -> None:
    disk = SimulatedDisk()
    trace = writer(disk)
    trace.add(record(1))
    trace.add(record(2))
    assert trace.sync() == trace.added == 2
    trace.add(record(3))
    trace.flush()
    assert ids(disk) == [1, 2, 3]
    assert ids(disk.survivor()) == [1, 2]


def test_what_sync_covers_survives_where_the_folder_was_made_and_its_name_not_synced() -> None:
    disk = SimulatedDisk()
    disk.fail(Kind.SYNC_DIRECTORY, "/")  # the name of the folder, as it is made
    trace = writer(disk)
    trace.add(record(1))
    assert trace.sync() == 0
    assert trace.sync() == 1
    assert ids(disk.survivor()) == [1]


def test_a_line_that_a_crash_tore_does_not_swallow_what_is_recorded_again() -> None:
    """The same outcome comes first after each crash, so it leads to the same segment."""
    disk = SimulatedDisk()
    before = writer(disk)
    before.add(record(1))
    before.flush()
    [segment] = segments("/trace", disk)
    disk.append(segment.path, (b'{"id":"2","time":1795477',))
    disk.kill()
    disk = disk.restart()
    again = writer(disk)
    for number in (1, 2):
        again.add(record(number))
    again.sync()
    assert ids(disk) == [1, 1, 2]


def test_add_does_no_io_and_keeps_the_order_over_many_batches() -> None:
    disk = SimulatedDisk()
    trace = writer(disk)
    for number in range(1000):
        trace.add(record(number))
    assert disk.operations == 0
    trace.flush()
    assert ids(disk) == list(range(1000))


def test_every_crash_leaves_what_was_covered() -> None:
    def run(disk: SimulatedDisk) -> int:
        """Return the number that the last sync before the crash covered."""
        trace = writer(disk, max_segment=300)
        covered = 0
        try:
            for number in range(1, 9):
                trace.add(record(number))
                covered = trace.sync()
        except PowerCut:
            return covered
        return covered

    whole = SimulatedDisk()
    assert run(whole) == 8
    for seed in (None, 1, 2):
        for operation in range(1, whole.operations + 1):
            disk = SimulatedDisk(seed)
            disk.crash_at(operation, torn=seed is not None)
            covered = run(disk)
            found = ids(disk.restart())
            assert found[:covered] == list(range(1, covered + 1)), (seed, operation)


def test_a_torn_last_line_is_passed_over() -> None:
    disk = SimulatedDisk()
    trace = writer(disk)
    trace.add(record(1))
    trace.flush()
    disk.append(segments("/trace", disk)[0].path, (b'{"id":"2","time":17',))
    assert ids(disk) == [1]


def test_a_segment_ends_by_size_and_after_a_day() -> None:
    disk = SimulatedDisk()
    trace = writer(disk, max_segment=80)
    for number, time in ((1, 10.0), (2, 11.0), (3, 12.0)):
        trace.add(record(number, time))
        trace.flush()
    assert [s.first for s in segments("/trace", disk)] == [10.0, 11.0, 12.0]
    trace = writer(disk)
    for number, time in ((4, 20.0), (5, 20.0 + DAY - 1), (6, 20.0 + DAY)):
        trace.add(record(number, time))
        trace.flush()
    assert [s.first for s in segments("/trace", disk)][3:] == [20.0, 20.0 + DAY]


def test_the_oldest_go_by_total_size_but_no_writers_newest() -> None:
    disk = SimulatedDisk()
    other = TraceWriter("/trace", 2, disk)
    other.add(record(100, 5.0))
    other.sync()
    trace = writer(disk, max_segment=80, max_total_octets=400)
    for number in range(1, 9):
        trace.add(record(number, 10.0 + number))
        trace.sync()
    found = segments("/trace", disk)
    assert [(s.giver, s.first) for s in found] == [(2, 5.0), (1, 16.0), (1, 17.0), (1, 18.0)]
    assert ids(disk) == [100, 6, 7, 8]


def test_a_segment_goes_when_all_in_it_is_too_old() -> None:
    disk = SimulatedDisk()
    trace = writer(disk, max_age_days=2)
    for number, day in ((1, 0.0), (2, 1.0), (3, 3.0), (4, 4.0)):
        trace.add(record(number, FIRST + day * DAY))
        trace.sync()
    assert ids(disk) == [2, 3, 4]


def test_a_disk_that_is_full_for_a_while_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    disk = SimulatedDisk()
    trace = writer(disk)
    trace.add(record(1))
    trace.sync()
    disk.fail(Kind.WRITE, "/trace", errno.ENOSPC, times=3)
    for number in (2, 3, 4):
        trace.add(record(number))
        trace.flush()
    assert trace.sync() == 4
    assert ids(disk) == [1, 2, 3, 4]
    assert trace.dropped == 0
    assert [(r.levelno, r.message) for r in caplog.records] == [
        (logging.ERROR, "trace: /trace: No space left on device; mail goes on without"),
        (logging.WARNING, "trace: /trace: written again, dropped 0"),
    ]


class ShortDisk(SimulatedDisk):
    """Writes half of what it is first given, then says that it is full."""

    is_short = True

    def append(self, path: str, parts: Sequence[bytes], mode: int = 0o600) -> None:
        if not self.is_short:
            return super().append(path, parts, mode)
        self.is_short = False
        whole = b"".join(parts)
        super().append(path, (whole[: len(whole) // 2],), mode)
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_write_that_stopped_in_a_line_costs_no_record() -> None:
    disk = ShortDisk()
    trace = writer(disk)
    trace.add(record(1))
    trace.flush()
    trace.flush()
    assert ids(disk) == [1]


def test_a_disk_that_stays_full_drops_the_oldest_and_counts_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(write, "BACKLOG", 200)
    disk = SimulatedDisk(capacity=1000)
    trace = writer(disk, min_free=2000)
    for number in range(1, 11):
        trace.add(record(number))
        trace.flush()
    assert (trace.dropped, ids(disk)) == (8, [])
    assert trace.sync() == 8  # what is dropped is covered: the queue need not wait for it
    disk.capacity = 10_000
    assert trace.sync() == 10
    assert ids(disk) == [9, 10]


def test_after_a_failed_sync_the_records_are_written_again() -> None:
    disk = SimulatedDisk()
    trace = writer(disk)
    trace.add(record(1))
    assert trace.sync() == 1
    trace.add(record(2, FIRST + 1))
    disk.fail(Kind.SYNC_FILE, "/trace", errno.EIO)
    assert trace.sync() == 1
    assert trace.sync() == 2
    assert ids(disk.survivor()) == [1, 2]


def test_close_makes_everything_durable() -> None:
    disk = SimulatedDisk()
    trace = writer(disk)
    trace.add(record(1))
    trace.close()
    assert ids(disk.survivor()) == [1]
