import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count, product
from pathlib import Path

import pytest

from indimail.durable.batch import FileSyncs, SyncMode, Unsynced
from indimail.durable.disk import Disk, SystemDisk
from indimail.mail.errors import MailboxUnwritable, QueueUnwritable
from indimail.mailbox.maildir import (
    DAY,
    Settlement,
    date_folder,
    file_name,
    is_staged,
    is_sticky,
    publish,
    recovery,
    settle,
    stage,
    stage_by_link,
    stage_pieces,
    sync_new,
    was_published,
    withdraw,
)
from indimail.testing.disk import Crash, Names, PowerCut, SimulatedDisk

DISK = SystemDisk()
NAME = file_name(1_800_000_000, 77, 2, 0, "mx.example.com", 10)
PARTS = (b"12345", b"67890")


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "home" / "Maildir")


class FailingDisk(SystemDisk):
    """Fails with an error number, after the octets are written."""

    def __init__(self, number: int, calls: tuple[str, ...]) -> None:
        self._number = number
        self._calls = calls

    def write_new(self, path: str, parts: Sequence[bytes], mode: int = 0o600) -> None:
        super().write_new(path, parts, mode)
        self._fail("write_new")

    def link(self, source: str, target: str) -> None:
        self._fail("link")
        super().link(source, target)

    def _fail(self, call: str) -> None:
        if call in self._calls:
            raise OSError(self._number, os.strerror(self._number))


@pytest.mark.parametrize(
    ("me", "name"),
    [
        ("mx.example.com", "1800000000.Q77R2.0.mx.example.com,S=10"),
        ("a/b:c", r"1800000000.Q77R2.0.a\057b\072c,S=10"),
    ],
)
def test_a_name_tells_id_recipient_step_host_and_size(me: str, name: str) -> None:
    assert file_name(1_800_000_000, 77, 2, 0, me, 10) == name


def test_a_copy_is_staged_then_published(folder: str) -> None:
    assert stage(DISK, folder, NAME, PARTS) == Unsynced(
        (f"{folder}/tmp/{NAME}",), (f"{folder}/tmp",)
    )
    assert is_staged(DISK, folder, NAME)
    assert not was_published(DISK, folder, NAME)

    assert publish(DISK, folder, NAME) == Unsynced((), (f"{folder}/new",))
    assert not is_staged(DISK, folder, NAME)
    assert was_published(DISK, folder, NAME)
    stored = Path(folder, "new", NAME)
    assert stored.read_bytes() == b"1234567890"
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600


def test_a_missing_maildir_is_created_whole_and_its_names_are_synced(folder: str) -> None:
    synced = []

    class Watching(SystemDisk):
        def sync_directory(self, path: str) -> None:
            synced.append(path)

    stage(Watching(), folder, NAME, PARTS)
    assert sorted(os.listdir(folder)) == ["cur", "new", "tmp"]
    assert stat.S_IMODE(Path(folder, "cur").stat().st_mode) & ~0o750 == 0
    home = os.path.dirname(folder)
    assert synced == [os.path.dirname(home), home, folder, folder, folder]


@pytest.mark.parametrize("gone", ["cur", "new", "tmp"])
def test_a_missing_part_does_not_stop_a_delivery(folder: str, gone: str) -> None:
    stage(DISK, folder, "first,S=1", (b"1",))
    publish(DISK, folder, "first,S=1")
    for left in Path(folder, gone).iterdir():
        left.unlink()
    Path(folder, gone).rmdir()
    stage(DISK, folder, NAME, PARTS)
    publish(DISK, folder, NAME)
    assert was_published(DISK, folder, NAME)


def test_what_an_attempt_left_is_written_again(folder: str) -> None:
    stage(DISK, folder, NAME, (b"12",))
    stage(DISK, folder, NAME, PARTS)
    publish(DISK, folder, NAME)
    assert was_published(DISK, folder, NAME)


def test_a_large_copy_comes_in_pieces(folder: str) -> None:
    stage_pieces(DISK, folder, NAME, iter([b"123", b"4567", b"890"]))
    assert Path(folder, "tmp", NAME).read_bytes() == b"1234567890"


def test_a_source_that_ends_early_leaves_nothing(folder: str) -> None:
    with pytest.raises(MailboxUnwritable):
        stage_pieces(DISK, folder, NAME, iter([b"123"]))
    assert not is_staged(DISK, folder, NAME)


def test_a_source_that_fails_leaves_nothing(folder: str) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"123"
        raise QueueUnwritable("gone")

    with pytest.raises(QueueUnwritable):
        stage_pieces(DISK, folder, NAME, pieces())
    assert not is_staged(DISK, folder, NAME)


def test_a_spooled_copy_is_linked_not_written(folder: str, tmp_path: Path) -> None:
    source = tmp_path / "77"
    source.write_bytes(b"1234567890")
    for _ in range(2):  # a link that an attempt left is replaced
        assert stage_by_link(DISK, str(source), folder, NAME) == Unsynced((), (f"{folder}/tmp",))
    publish(DISK, folder, NAME)
    assert Path(folder, "new", NAME).samefile(source)


def test_another_file_system_asks_for_a_copy(folder: str, tmp_path: Path) -> None:
    source = tmp_path / "77"
    source.write_bytes(b"1234567890")
    disk = FailingDisk(errno.EXDEV, ("link",))
    assert stage_by_link(disk, str(source), folder, NAME) is None


def test_a_full_disk_is_temporary_and_leaves_nothing(folder: str) -> None:
    with pytest.raises(MailboxUnwritable, match="No space left") as raised:
        stage(FailingDisk(errno.ENOSPC, ("write_new",)), folder, NAME, PARTS)
    assert str(raised.value).startswith("Temporary error on maildir delivery. (#4.3.0) ")
    assert os.listdir(f"{folder}/tmp") == []


def test_a_sticky_maildir_is_told_from_a_plain_and_a_missing_one(folder: str) -> None:
    assert not is_sticky(DISK, folder)
    os.makedirs(folder, 0o750)
    assert not is_sticky(DISK, folder)
    os.chmod(folder, 0o1750)
    assert is_sticky(DISK, folder)


def test_publishing_what_is_not_there_is_temporary(folder: str) -> None:
    with pytest.raises(MailboxUnwritable):
        publish(DISK, folder, NAME)
    assert not os.path.exists(folder)


def test_a_withdrawn_copy_is_gone(folder: str) -> None:
    stage(DISK, folder, NAME, PARTS)
    withdraw(DISK, folder, NAME)
    withdraw(DISK, folder, NAME)
    assert not is_staged(DISK, folder, NAME)


@pytest.mark.parametrize(
    ("found", "octets", "seen"),
    [
        (f"new/{NAME}", 10, True),
        (f"cur/{NAME}", 10, True),
        (f"cur/{NAME}:2,", 10, True),
        (f"cur/{NAME}:2,FS", 10, True),
        (f"cur/{NAME}:2,S", 9, False),
        (f"new/{NAME}", 0, False),
        (f"cur/{NAME}0:2,S", 10, False),
        (f"tmp/{NAME}", 10, False),
    ],
)
def test_a_reader_may_have_filed_it(folder: str, found: str, octets: int, seen: bool) -> None:
    for part in ("cur", "new", "tmp"):
        os.makedirs(f"{folder}/{part}")
    Path(folder, found).write_bytes(b"x" * octets)
    assert was_published(DISK, folder, NAME) is seen


def test_a_maildir_that_is_gone_has_not_seen_it(folder: str) -> None:
    assert not was_published(DISK, folder, NAME)


# same boot, in tmp/, seen, age -> what to do
TRUTH = {
    (True, True, True, 0.0): "done",
    (True, True, True, DAY + 1): "done",
    (True, True, False, 0.0): "publish",
    (True, True, False, DAY + 1): "publish",
    (True, False, True, 0.0): "done",
    (True, False, True, DAY + 1): "done",
    (True, False, False, 0.0): "done",  # published; the reader moved or deleted it
    (True, False, False, DAY + 1): "again",
    (False, True, True, 0.0): "done",
    (False, True, True, DAY + 1): "done",
    (False, True, False, 0.0): "publish",
    (False, True, False, DAY + 1): "publish",
    (False, False, True, 0.0): "done",
    (False, False, True, DAY + 1): "done",
    (False, False, False, 0.0): "again",
    (False, False, False, DAY + 1): "again",
}


@pytest.mark.parametrize(("case", "expected"), TRUTH.items())
def test_what_a_crash_left_to_do(case: tuple[bool, bool, bool, float], expected: str) -> None:
    same_boot, tmp_there, seen, age = case
    found = settle(same_boot=same_boot, tmp_there=tmp_there, seen=seen, staged_age=age)
    assert found == expected


def test_the_truth_table_is_whole() -> None:
    flags = (True, False)
    assert set(TRUTH) == set(product(flags, flags, flags, (0.0, DAY + 1)))


def test_recovery_looks_at_the_disk(folder: str) -> None:
    def found() -> Settlement:
        return recovery(DISK, folder, NAME, same_boot=False, staged_age=1.0)

    assert found() is Settlement.AGAIN
    stage(DISK, folder, NAME, PARTS)
    assert found() is Settlement.PUBLISH
    publish(DISK, folder, NAME)
    assert found() is Settlement.DONE
    os.unlink(f"{folder}/new/{NAME}")
    assert found() is Settlement.AGAIN
    assert recovery(DISK, folder, NAME, same_boot=True, staged_age=1.0) is Settlement.DONE


def test_a_maildir_that_its_owner_removed_needs_no_sync(folder: str) -> None:
    sync_new(DISK, folder)
    assert not os.path.exists(folder)


# -- crashes ------------------------------------------------------------------------------------

HOME = "/mail/A2E/alice/Maildir"


def deliver(disk: Disk, marks: list[str], boot: str) -> None:
    """Do what is left; `marks` is the queue, which never forgets: the boot that staged it."""
    syncs = FileSyncs(disk, lambda: 0.0, SyncMode.EACH)
    todo = Settlement.AGAIN
    if marks:
        todo = recovery(disk, HOME, NAME, same_boot=marks[-1] == boot, staged_age=1.0)
    if todo is Settlement.AGAIN:
        syncs.run([stage(disk, HOME, NAME, PARTS)])
        marks.append(boot)
    if todo is not Settlement.DONE:
        syncs.run([publish(disk, HOME, NAME)])
    else:
        sync_new(disk, HOME)


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
@pytest.mark.parametrize("names", Names)
@pytest.mark.parametrize("kind", Crash)
def test_a_crash_anywhere_leaves_one_whole_copy(
    kind: Crash, names: Names, seed: int | None
) -> None:
    """Crash before each operation, settle in the next life, and cut the power once more."""
    for number in count(1):
        disk, marks = SimulatedDisk(seed, names=names), list[str]()
        disk.crash_at(number, kind)
        with suppress(PowerCut):
            deliver(disk, marks, disk.boot)
        if not disk.crashed:
            break
        disk = disk.restart()
        deliver(disk, marks, disk.boot)
        found = disk.survivor().contents()
        copies = [found[path] for path in found if "/tmp/" not in path]
        assert copies == [b"".join(PARTS)], f"operation {number}"
    assert number > 10


@pytest.mark.parametrize("taken", ["filed", "deleted"])
def test_a_killed_server_does_not_repeat_what_a_reader_took(taken: str) -> None:
    disk = SimulatedDisk()
    stage(disk, HOME, NAME, PARTS)
    publish(disk, HOME, NAME)
    if taken == "filed":
        disk.rename(f"{HOME}/new/{NAME}", f"{HOME}/elsewhere")
    else:
        disk.unlink(f"{HOME}/new/{NAME}")
    disk.kill()
    after = disk.restart()
    deliver(after, [disk.boot], after.boot)
    assert len(after.contents()) == (1 if taken == "filed" else 0)


@pytest.mark.parametrize(
    ("dateformat", "folder"),
    [
        ("%Y", "/m/.2001"), ("%b-%Y", "/m/.Sep-2001"), (".%Y.%m\n", "/m/.2001.09"), ("", "/m"),
        ("..", "/m"), ("../%Y", "/m"), ("%Y/%m", "/m"), ("a..b", "/m"), ("%Y.", "/m"),
        ("x" * 201, "/m"), ("a\nb", "/m"), ("a\0b", "/m"), ("\udcff", "/m"),
    ],
)  # fmt: skip
def test_the_folder_of_a_day(dateformat: str, folder: str) -> None:
    assert date_folder("/m", dateformat, 1_000_000_000.0) == folder
