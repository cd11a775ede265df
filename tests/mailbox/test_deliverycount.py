"""The file deliveryCount: spec/delivery.md 5.6."""

import errno
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.mail.errors import MailboxUnwritable
from indimail.mailbox.deliverycount import DAYS, read_day, write_day
from indimail.testing.disk import Kind, SimulatedDisk

MAILDIR = "/home/alice/Maildir"
FILE = f"{MAILDIR}/deliveryCount"
NOON = time.mktime((2026, 11, 24, 12, 0, 0, 0, 0, -1))
DAY = 86_400


@pytest.fixture
def disk() -> SimulatedDisk:
    made = SimulatedDisk()
    made.make_directories(f"{MAILDIR}/tmp")
    return made


def test_the_last_line_is_written_anew_on_the_same_day(disk: SimulatedDisk) -> None:
    assert read_day(disk, MAILDIR, NOON) == (0, 0)
    write_day(disk, MAILDIR, NOON - DAY, 7, 700)
    write_day(disk, MAILDIR, NOON, 1, 100)
    write_day(disk, MAILDIR, NOON + 3661, 2, 300)
    assert disk.read(FILE) == b"23-11-2026:12:00:00 7 700\n24-11-2026:13:01:01 2 300\n"
    assert read_day(disk, MAILDIR, NOON) == (2, 300)
    assert read_day(disk, MAILDIR, NOON + DAY) == (0, 0)
    assert disk.names(f"{MAILDIR}/tmp") == []


def test_a_year_is_kept(disk: SimulatedDisk) -> None:
    lines = "".join(f"01-01-2020:00:00:00 {number} 1\n" for number in range(5 * DAYS))
    disk.write_new(FILE, (lines.encode(),))
    write_day(disk, MAILDIR, NOON, 1, 1)
    kept = disk.read(FILE).decode().splitlines()
    assert len(kept) == DAYS
    assert kept[-2:] == [f"01-01-2020:00:00:00 {5 * DAYS - 1} 1", "24-11-2026:12:00:00 1 1"]


@pytest.mark.fuzz
@given(st.binary() | st.text("0123456789-: \n", max_size=60).map(str.encode))
def test_any_file_is_read(text: bytes) -> None:
    disk = SimulatedDisk()
    disk.make_directories(f"{MAILDIR}/tmp")
    disk.write_new(FILE, (text,))
    assert min(read_day(disk, MAILDIR, NOON)) >= 0
    write_day(disk, MAILDIR, NOON, 3, 4)
    assert read_day(disk, MAILDIR, NOON) == (3, 4)


def test_a_maildir_that_is_not_made_yet_is_not_counted(disk: SimulatedDisk) -> None:
    write_day(disk, "/home/bob/Maildir", NOON, 1, 1)
    assert read_day(disk, "/home/bob/Maildir", NOON) == (0, 0)


@pytest.mark.parametrize("kind", [Kind.WRITE, Kind.RENAME, Kind.READ])
def test_a_disk_error_is_a_temporary_failure_and_leaves_the_file(
    disk: SimulatedDisk, kind: Kind
) -> None:
    write_day(disk, MAILDIR, NOON, 1, 100)
    disk.fail(kind, "deliveryCount", errno.ENOSPC)
    with pytest.raises(MailboxUnwritable, match=r"\(#4\.3\.0\)"):
        write_day(disk, MAILDIR, NOON, 2, 300)
    assert read_day(disk, MAILDIR, NOON) == (1, 100)
    assert disk.names(f"{MAILDIR}/tmp") == []
