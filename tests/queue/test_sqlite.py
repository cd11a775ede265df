"""What the port's suite cannot ask of every adapter: SQLite on a disk that fails and forgets."""

from collections.abc import Iterator

import apsw
import pytest

from indimail.mail.channel import Channel
from indimail.mail.errors import QueueFull, QueueUnwritable
from indimail.mail.ids import QueueId
from indimail.queue.port import Accepted, QueuedMessage, QueuedRecipient
from indimail.queue.sqlite import SqliteQueue, SqliteReader, require_sqlite
from indimail.testing.disk import Crash, Kind, SimulatedDisk
from indimail.testing.vfs import SimulatedVfs

PATH = "/queue1/queue.db"


@pytest.fixture
def disk(simulated_disk: SimulatedDisk) -> SimulatedDisk:
    simulated_disk.make_directories("/queue1")
    return simulated_disk


@pytest.fixture
def vfs(disk: SimulatedDisk) -> Iterator[str]:
    with SimulatedVfs(disk) as opened:
        yield opened.name


def mail(number: int) -> Accepted:
    recipient = QueuedRecipient(0, "ana@example.com", Channel.LOCAL, "ana")
    return Accepted(QueuedMessage(QueueId(number), 1.0, "", 5, b"hello"), (recipient,))


def kept(disk: SimulatedDisk) -> list[int]:
    """Return the ids that the next boot finds."""
    with SimulatedVfs(disk.survivor(Crash.POWER)) as vfs:
        store = SqliteQueue.open(PATH, vfs.name)
        found = [status.message.id for status in store.status()]
        store.close()
    return [int(id_) for id_ in found]


def test_what_was_applied_survives_a_power_cut(disk: SimulatedDisk, vfs: str) -> None:
    store = SqliteQueue.open(PATH, vfs)
    for number in (1, 2, 3):
        store.apply([mail(number)])
        assert kept(disk) == list(range(1, number + 1))


def test_the_log_is_written_ahead_and_synced_fully(vfs: str) -> None:
    SqliteQueue.open(PATH, vfs).close()
    db = apsw.Connection(PATH, vfs=vfs)
    assert db.pragma("journal_mode") == "wal"


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside a reader"])
def test_a_queue_opened_again_after_a_failed_sync_loses_nothing(
    disk: SimulatedDisk, vfs: str, beside: bool
) -> None:
    """Octets that a failed sync lost must not lie under those of later commits."""
    store = SqliteQueue.open(PATH, vfs)
    store.apply([mail(1)])
    reader = SqliteReader.open(PATH, vfs) if beside else None
    assert reader is None or reader.largest_id() == 1
    disk.fail(Kind.SYNC_FILE, "wal")
    with pytest.raises(QueueUnwritable):
        store.apply([mail(2)])
    store.close()
    store = SqliteQueue.open(PATH, vfs)
    store.apply([mail(3)])
    assert {1, 3} <= set(kept(disk))


def test_octets_that_a_failed_sync_lost_do_not_lie_under_later_commits(
    disk: SimulatedDisk,
) -> None:
    """The server is killed after the failure: the next one finds in the cache what no disk has."""
    with SimulatedVfs(disk) as vfs:
        store = SqliteQueue.open(PATH, vfs.name)
        store.apply([mail(1)])
        disk.fail(Kind.SYNC_FILE, "wal")
        with pytest.raises(QueueUnwritable):
            store.apply([mail(2)])
        disk.kill()
    disk = disk.restart()
    with SimulatedVfs(disk) as vfs:
        store = SqliteQueue.open(PATH, vfs.name)
        store.apply([mail(3)])
        assert {1, 3} <= set(kept(disk))


def test_a_full_disk_is_told_from_a_broken_one(disk: SimulatedDisk, vfs: str) -> None:
    store = SqliteQueue.open(PATH, vfs)
    disk.capacity = disk.used
    with pytest.raises(QueueFull):
        store.apply([mail(1)])
    disk.capacity = 1 << 30
    store.apply([mail(2)])
    assert kept(disk) == [2]


def test_a_newer_schema_is_refused_and_left_alone(disk: SimulatedDisk, vfs: str) -> None:
    store = SqliteQueue.open(PATH, vfs)
    store.close()
    db = apsw.Connection(PATH, vfs=vfs)
    db.pragma("user_version", 99)
    db.close()
    with pytest.raises(QueueUnwritable, match="schema version 99 is newer"):
        SqliteQueue.open(PATH, vfs)


@pytest.mark.parametrize("version", ["3.7.0", "3.40.1", "3.51.2"])
def test_an_sqlite_that_can_lose_commits_is_refused(
    version: str, vfs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(QueueUnwritable, match="can lose commits"):
        require_sqlite(version)
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: version)
    with pytest.raises(QueueUnwritable, match="can lose commits"):
        SqliteQueue.open(PATH, vfs)
