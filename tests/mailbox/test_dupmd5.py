"""The file dupmd5: spec/delivery.md 1.1, 5.5 (6)."""

import errno

import pytest

from indimail.mail.errors import MailboxUnwritable
from indimail.mailbox.dupmd5 import LONGEST, Mark, add_mark, find_mark
from indimail.testing.disk import SimulatedDisk

MAILDIR = "/home/Maildir"
FILE = f"{MAILDIR}/dupmd5"
A, B = "a" * 32, "b" * 32
NOW = 1_790_000_000


@pytest.fixture
def disk() -> SimulatedDisk:
    disk = SimulatedDisk()
    disk.make_directories(f"{MAILDIR}/tmp")
    return disk


def test_a_mark_is_found_for_as_long_as_the_interval(disk: SimulatedDisk) -> None:
    add_mark(disk, MAILDIR, Mark(A, NOW, "7"), 900)
    add_mark(disk, MAILDIR, Mark(B, NOW + 1, "8"), 900)
    assert find_mark(disk, MAILDIR, A, NOW + 900, 900) == Mark(A, NOW, "7")
    assert find_mark(disk, MAILDIR, A, NOW + 901, 900) is None
    assert find_mark(disk, MAILDIR, A, NOW - 1, 900) is None  # the clock was set back
    assert disk.read(FILE).decode() == f"{NOW} {A} 7\n{NOW + 1} {B} 8\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{NOW} {A}\n", Mark(A, NOW)),  # IndiMail's own
        (f"{NOW} {A} 7\n{NOW + 5} {A} 8\n", Mark(A, NOW + 5, "8")),
        (f"{NOW} {A[:20]}", None),
        (f"{NOW} {A[:20]}{NOW} {A} 7\n", None),  # a line that a crash cut off, and the next one
        (f"{NOW} {A} ../x\n", None),
        (f"{NOW} {A.upper()}\n", None),
        ("\n\0\n", None),
    ],
)
def test_lines_that_are_understood_count(disk: SimulatedDisk, text: str, found: object) -> None:
    disk.write_new(FILE, (text.encode(),))
    assert find_mark(disk, MAILDIR, A, NOW + 60, 900) == found


def test_old_marks_go_when_there_are_many(disk: SimulatedDisk) -> None:
    line = f"{NOW} {B} 1\n".encode()
    disk.write_new(FILE, (line * (2 * LONGEST // len(line) + 1),))
    add_mark(disk, MAILDIR, Mark(A, NOW + 1000, "7"), 900)
    assert disk.read(FILE).decode() == f"{NOW + 1000} {A} 7\n"
    assert disk.names(f"{MAILDIR}/tmp") == []


def test_a_file_that_fails_is_told_and_leaves_nothing(disk: SimulatedDisk) -> None:
    disk.write_new(FILE, (b"x" * 2 * LONGEST,))
    disk.fail_at(len(disk.history) + 3, errno.EIO)
    with pytest.raises(MailboxUnwritable):
        add_mark(disk, MAILDIR, Mark(A, NOW, "7"), 900)
    assert disk.names(f"{MAILDIR}/tmp") == []
