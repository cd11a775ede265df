"""What the port's suite cannot ask of every adapter: SQLite on a disk that fails and forgets."""

import errno
import gc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import apsw
import pytest

from indimail.mail.channel import Channel
from indimail.mail.dsn import Dsn
from indimail.mail.errors import QueueFull, QueueUnwritable
from indimail.mail.ids import QueueId
from indimail.queue.port import Accepted, QueuedMessage, QueuedRecipient, Reported, Step
from indimail.queue.sqlite import FRAME, SqliteQueue, SqliteReader, require_sqlite
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


def test_a_batch_is_written_ahead_and_synced_once(disk: SimulatedDisk, vfs: str) -> None:
    store = SqliteQueue.open(PATH, vfs)
    store.apply([mail(1)])  # the log has its head now
    before = len(disk.history)
    store.apply([mail(number) for number in range(2, 12)])
    operations = disk.history[before:]
    assert {operation.path for operation in operations} == {f"{PATH}-wal"}
    assert [o.kind for o in operations if o.kind is not Kind.WRITE] == [Kind.SYNC_FILE]
    assert operations[-1].kind is Kind.SYNC_FILE
    assert apsw.Connection(PATH, vfs=vfs).pragma("journal_mode") == "wal"


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


def test_a_reserved_log_keeps_its_size_under_commits_and_survives(
    disk: SimulatedDisk, vfs: str
) -> None:
    store = SqliteQueue.open(PATH, vfs)
    store.reserve_log(pages=50)
    size = disk.size(f"{PATH}-wal")
    assert size == 60 * FRAME  # in pieces of thirty
    for number in (1, 2, 3):
        store.apply([mail(number)])
        assert kept(disk) == list(range(1, number + 1))
    assert disk.size(f"{PATH}-wal") == size


def test_a_log_with_commits_is_left_as_it_is(disk: SimulatedDisk, vfs: str) -> None:
    store = SqliteQueue.open(PATH, vfs)
    store.apply([mail(1)])
    store.reserve_log(pages=50)
    store.close()
    assert kept(disk) == [1]


@pytest.mark.slow
def test_a_queue_whose_log_cannot_be_emptied_is_not_opened(tmp_path: Path) -> None:
    """Its log may hold what no disk has: nothing may be appended behind that."""
    path = str(tmp_path / "queue.db")
    store = SqliteQueue.open(path)
    store.apply([mail(1)])
    reader = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    with reader:
        reader.execute("SELECT * FROM message").fetchall()
        with pytest.raises(QueueUnwritable, match="in the middle of reading"):
            SqliteQueue.open(path)
    SqliteQueue.open(path).close()


def test_a_log_is_reserved_through_the_system_as_well(tmp_path: Path) -> None:
    """Its own VFS silently takes no more than 128 KiB at once."""
    store = SqliteQueue.open(str(tmp_path / "queue.db"))
    store.reserve_log(pages=100)
    assert (tmp_path / "queue.db-wal").stat().st_size == 120 * FRAME
    store.close()


def test_a_log_for_which_there_is_no_room_stays_empty(disk: SimulatedDisk, vfs: str) -> None:
    store = SqliteQueue.open(PATH, vfs)
    disk.capacity = disk.used + 40 * FRAME
    store.reserve_log(pages=50)
    assert disk.size(f"{PATH}-wal") == 0
    store.apply([mail(1)])
    assert kept(disk) == [1]


def test_a_full_disk_is_told_from_a_broken_one(disk: SimulatedDisk, vfs: str) -> None:
    store = SqliteQueue.open(PATH, vfs)
    disk.capacity = disk.used
    with pytest.raises(QueueFull):
        store.apply([mail(1)])
    disk.capacity = 1 << 30
    store.apply([mail(2)])
    assert kept(disk) == [2]


VERSION_1 = """
CREATE TABLE message (
    id INTEGER PRIMARY KEY, born REAL NOT NULL, reverse_path TEXT NOT NULL, size INTEGER NOT NULL,
    start INTEGER NOT NULL, eight_bit INTEGER NOT NULL, smtputf8 INTEGER NOT NULL,
    auth TEXT NOT NULL, ret TEXT NOT NULL, envid TEXT NOT NULL, uid INTEGER NOT NULL,
    source TEXT NOT NULL, body BLOB
);
CREATE TABLE recipient (
    id INTEGER NOT NULL, number INTEGER NOT NULL, address TEXT NOT NULL, channel TEXT NOT NULL,
    target TEXT NOT NULL, route TEXT NOT NULL, notify TEXT NOT NULL, orcpt TEXT NOT NULL,
    attempts INTEGER NOT NULL, due REAL NOT NULL, state TEXT NOT NULL, text TEXT NOT NULL,
    rule TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (id, number)
) WITHOUT ROWID;
CREATE INDEX recipient_due ON recipient (channel, due, id, number)
    WHERE state = 'waiting' AND due > 0;
CREATE TABLE step (
    id INTEGER NOT NULL, number INTEGER NOT NULL, step INTEGER NOT NULL, folder TEXT NOT NULL,
    name TEXT NOT NULL, boot TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (id, number, step)
) WITHOUT ROWID;
INSERT INTO message VALUES (1024, 1.5, 'eve@example.net', 5, 0, 0, 0, '', '', '', 0, '', 'hello');
INSERT INTO recipient VALUES (1024, 0, 'ana@example.com', 'local', 'ana', '', '', '', 1, 9.0,
    'waiting', 'later', 'x:1', 0);
INSERT INTO step VALUES (1024, 0, 0, '/home/Maildir', 'NAME,S=5', 'boot', 3.0);
PRAGMA user_version = 1;
"""
VERSION_2 = """
ALTER TABLE recipient ADD COLUMN owed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE step RENAME COLUMN folder TO place;
ALTER TABLE step ADD COLUMN last INTEGER NOT NULL DEFAULT 1;
ALTER TABLE step ADD COLUMN done INTEGER NOT NULL DEFAULT 0;
INSERT INTO recipient VALUES (1024, 1, 'bo@example.com', 'local', 'bo', '', '', '', 1, 9.0,
    'failed', 'no', 'x:1', 3.0, 1);
PRAGMA user_version = 2;
"""


@pytest.mark.parametrize("crashed", [False, True], ids=["at once", "after a copy half made"])
def test_a_queue_of_the_version_before_is_migrated_after_a_copy(
    tmp_path: Path, crashed: bool
) -> None:
    path, copy = tmp_path / "queue.db", tmp_path / "queue.db.version1"
    db = apsw.Connection(str(path))
    db.execute(VERSION_1)
    db.close()
    if crashed:
        copy.write_bytes(b"half")
    store = SqliteQueue.open(str(path))
    [status] = store.status()
    assert (status.message.reverse_path, status.recipients[0].text) == ("eve@example.net", "later")
    assert store.staged() == [(1024, Step(0, 0, "/home/Maildir", "NAME,S=5", "boot", 3.0))]
    store.close()
    SqliteQueue.open(str(path)).close()
    kept = apsw.Connection(str(copy))
    assert kept.pragma("user_version") == 1
    kept.close()


def test_a_bounce_that_the_version_before_owed_is_owed(tmp_path: Path) -> None:
    path = str(tmp_path / "queue.db")
    db = apsw.Connection(path)
    db.execute(VERSION_1 + VERSION_2)
    db.close()
    store = SqliteQueue.open(path)
    [status] = store.status()
    assert [row.owed for row in status.recipients] == [None, Dsn.FAILED]
    assert store.owed() == [1024]
    store.apply([Reported(QueueId(1024), ((1, Dsn.FAILED),), None), mail(1)])
    assert store.owed() == []


def test_a_migrated_queue_has_the_columns_of_a_new_one(tmp_path: Path) -> None:
    columns = []
    for name, script in (("old.db", VERSION_1 + VERSION_2), ("new.db", "")):
        db = apsw.Connection(str(tmp_path / name))
        db.execute(script)
        db.close()
        SqliteQueue.open(str(tmp_path / name)).close()
        db = apsw.Connection(str(tmp_path / name))
        columns.append([db.pragma(f"table_info({table})") for table in ("recipient", "step")])
        db.close()
    assert columns[0] == columns[1]


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


def test_what_fails_to_open_is_closed_before_the_failure_is_told() -> None:
    """A connection that is forgotten writes when nobody expects it, and tells nobody what it met."""
    failures = 0
    for number in range(1, 60):
        disk = SimulatedDisk()
        disk.make_directories("/queue1")
        disk.fail_at(len(disk.history) + number, errno.EIO)
        with SimulatedVfs(disk) as vfs:
            try:
                store = SqliteQueue.open(PATH, vfs.name)
            except QueueUnwritable as failure:
                before = len(disk.history)
                failure.__traceback__ = None  # it held the connection
                failure.__context__ = failure.__cause__ = None
                gc.collect()
                assert len(disk.history) == before, number
                failures += 1
            else:
                with suppress(QueueUnwritable):
                    store.close()
    assert failures > 10
