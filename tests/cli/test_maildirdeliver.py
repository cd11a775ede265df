"""What maildirdeliver promises of the disk; how it is used stands in test_program_lines.py."""

import pytest

from indimail.cli import maildirdeliver
from indimail.mail.errors import MailboxUnwritable
from indimail.mailbox.maildir import file_name
from indimail.testing.disk import Kind, SimulatedDisk

MAIL = b"Subject: hello\n\nhello\n"


@pytest.mark.parametrize("error", [122, 28, 5])  # EDQUOT, ENOSPC, EIO
def test_a_full_quota_is_for_good_and_all_else_for_now(error: int) -> None:
    end = maildirdeliver.ended(OSError(error, "why"))
    assert end.code == (100 if error == 122 else 111)
    assert ("(#5.2.2)" if error == 122 else "(#4.3.0) why") in str(end)


def test_a_copy_that_is_told_stored_survives_a_power_cut() -> None:
    name = file_name(1_800_000_000, 77, 2, 0, "mx.example.com", len(MAIL))
    disk = SimulatedDisk()
    for part in ("tmp", "new", "cur"):
        disk.make_directories(f"/home/Maildir/{part}")
    maildirdeliver.store_copy(disk, "/home/Maildir", name, iter([MAIL]))
    for seed in [None, *range(20)]:
        after = disk.survivor(seed=seed)
        assert after.contents() == {f"/home/Maildir/new/{name}": MAIL}


@pytest.mark.parametrize("kind", [Kind.SYNC_FILE, Kind.SYNC_DIRECTORY, Kind.RENAME])
def test_a_copy_that_failed_leaves_nothing(kind: Kind) -> None:
    name = file_name(1_800_000_000, 77, 2, 0, "mx.example.com", len(MAIL))
    disk = SimulatedDisk()
    for part in ("tmp", "new", "cur"):
        disk.make_directories(f"/home/Maildir/{part}")
    disk.fail(kind)
    with pytest.raises((OSError, MailboxUnwritable)):
        maildirdeliver.store_copy(disk, "/home/Maildir", name, iter([MAIL]))
    assert disk.contents() == {}
