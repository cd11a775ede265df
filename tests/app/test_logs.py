"""Where log lines go: stamps, files that others move away, processes that share one."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from indimail.app.logs import LogLines, Stamp, log_file, set_up_logging, stamp_text


@pytest.mark.parametrize(
    ("stamp", "now", "text"),
    [
        (Stamp.NONE, 0.0, ""),
        # TAI64: 2^62 + 10 seconds at the epoch, as multilog counts
        (Stamp.TAI64N, 0.0, "@400000000000000a00000000 "),
        (Stamp.TAI64N, 1.5, "@400000000000000b1dcd6500 "),
        (Stamp.ISO, 1_795_477_000.123, "2026-11-23T23:36:40.123Z "),
    ],
)
def test_a_stamp(stamp: Stamp, now: float, text: str) -> None:
    assert stamp_text(stamp, now) == text


def test_lines_gather_until_they_are_flushed_and_warnings_take_them_along(tmp_path: Path) -> None:
    file = tmp_path / "send.log"
    lines = LogLines(str(file), stamp=Stamp.NONE)
    lines.add("one")
    assert file.read_text() == ""
    lines.flush()
    assert file.read_text() == "one\n"
    lines.add("two")
    lines.urgent("warn: three")
    assert file.read_text() == "one\ntwo\nwarn: three\n"
    lines.close()


def test_a_file_is_stamped_with_the_time_of_each_line(tmp_path: Path) -> None:
    times = iter([10.0, 10.0005, 10.5])
    lines = LogLines(str(tmp_path / "log"), clock=lambda: next(times))
    for line in ("a", "b", "c"):
        lines.add(line)
    lines.close()
    first, later = stamp_text(Stamp.TAI64N, 10.0), stamp_text(Stamp.TAI64N, 10.5)
    assert (tmp_path / "log").read_text() == f"{first}a\n{first}b\n{later}c\n"


def test_stderr_has_no_stamp() -> None:
    read_end, write_end = os.pipe()
    lines = LogLines(fd=write_end)
    lines.urgent("alert: x")
    assert os.read(read_end, 100) == b"alert: x\n"
    os.close(read_end)
    os.close(write_end)


def test_after_a_rename_reopen_goes_on_in_a_new_file(tmp_path: Path) -> None:
    file, old = tmp_path / "log", tmp_path / "log.1"
    lines = LogLines(str(file), stamp=Stamp.NONE)
    lines.add("before")
    file.rename(old)
    lines.reopen()
    lines.add("after")
    lines.close()
    assert (old.read_text(), file.read_text()) == ("before\n", "after\n")


def test_a_reopen_that_fails_keeps_the_old_file(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    lines = LogLines(str(folder / "a"), stamp=Stamp.NONE)
    folder.rename(tmp_path / "moved")
    with pytest.raises(FileNotFoundError):
        lines.reopen()
    lines.add("kept")
    lines.close()
    assert (tmp_path / "moved" / "a").read_text() == "kept\n"


def test_two_processes_share_a_file_by_whole_lines(tmp_path: Path) -> None:
    file = tmp_path / "log"
    one, two = (LogLines(str(file), stamp=Stamp.NONE) for _ in range(2))
    for number in range(50):
        one.add(f"one {number} " + "x" * 500)
        two.add(f"two {number} " + "y" * 500)
        (one if number % 3 else two).flush()
    one.close()
    two.close()
    found = file.read_text().splitlines()
    assert len(found) == 100
    assert {len(line.split(" ")[2]) for line in found} == {500}


def test_a_pipe_gets_pieces_that_are_written_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    read_end, write_end = os.pipe()
    lines = LogLines(fd=write_end)
    for length in (3000, 2000, 5000, 10):
        lines.add("x" * length)
    write = os.write

    def remember(fd: int, octets: bytes) -> int:
        written.append(bytes(octets))
        return write(fd, octets)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", remember)
        lines.flush()
    assert [len(piece) for piece in written] == [3001, 2001, 5001, 11]
    os.close(read_end)
    os.close(write_end)


def test_a_log_that_cannot_be_written_loses_lines_and_nothing_else() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    lines = LogLines(fd=write_end)
    lines.urgent("alert: nobody reads this")
    assert lines.dropped == 1
    os.close(write_end)


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger()
    before = logger.handlers[:], logger.level, logging.raiseExceptions
    yield logger
    logger.handlers[:], logger.level, logging.raiseExceptions = before


def test_records_of_the_library_become_lines(
    root_logger: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = LogLines()
    set_up_logging(lines)
    logger = logging.getLogger("indimail.trace.write")
    logger.debug("not shown")
    logger.info("started\nforged")
    assert capfd.readouterr().err == ""
    logger.warning("disk %s", "full")
    assert capfd.readouterr().err == "info: started\ninfo: forged\nwarn: disk full\n"
    logger.error("disk gone")
    assert capfd.readouterr().err == "alert: disk gone\n"


def test_a_log_has_a_place_in_the_instance() -> None:
    assert log_file("/var/indimail", "delivery") == "/var/indimail/log/delivery.log"
