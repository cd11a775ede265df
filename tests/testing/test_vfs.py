"""SQLite on the simulated disk: the engine that is shipped, on a disk that can end anywhere."""

import gc

import apsw
import pytest

from indimail.testing.disk import Crash, Kind, PowerCut, SimulatedDisk, until_the_crash
from indimail.testing.vfs import SimulatedVfs

DATABASE = "/queue/queue.db"


def fresh_disk(seed=None, **how) -> SimulatedDisk:
    disk = SimulatedDisk(seed, **how)
    disk.make_directories("/queue")
    return disk


def connect(vfs: SimulatedVfs, synchronous="FULL", mode="wal") -> apsw.Connection:
    connection = apsw.Connection(DATABASE, vfs=vfs.name)
    assert connection.pragma("journal_mode", mode) == mode
    connection.pragma("synchronous", synchronous)
    return connection


def insert(connection: apsw.Connection, *numbers: int) -> None:
    """Commit each number in a transaction of its own."""
    connection.execute("CREATE TABLE IF NOT EXISTS mail (number INTEGER PRIMARY KEY, body BLOB)")
    for number in numbers:
        connection.execute("INSERT INTO mail VALUES (?, randomblob(3000))", (number,))


def numbers_on(disk: SimulatedDisk) -> list[int]:
    """Open as the next boot does, check the whole database, and read it."""
    with SimulatedVfs(disk) as vfs:
        connection = connect(vfs)
        assert connection.pragma("integrity_check") == "ok"
        connection.execute("CREATE TABLE IF NOT EXISTS mail (number INTEGER PRIMARY KEY, body)")
        found = [number for (number,) in connection.execute("SELECT number FROM mail")]
        connection.close()
        return found


def test_the_journal_mode_is_wal_and_its_files_are_on_the_disk() -> None:
    disk = fresh_disk()
    with SimulatedVfs(disk) as vfs:
        connection = connect(vfs)
        insert(connection, 1)
        assert sorted(disk.names("/queue")) == ["queue.db", "queue.db-wal"]
        connection.close()
        assert disk.names("/queue") == ["queue.db"]


@pytest.mark.parametrize("seed", [None, *range(8)])
@pytest.mark.parametrize(("mode", "synchronous"), [("wal", "FULL"), ("delete", "EXTRA")])
def test_a_commit_survives_a_power_cut(mode, synchronous, seed) -> None:
    disk = fresh_disk(seed)
    with SimulatedVfs(disk) as vfs:
        connection = connect(vfs, synchronous, mode)
        insert(connection, 1, 2, 3)
        connection.execute("BEGIN")
        insert(connection, 4)
        disk.cut_power()
    assert numbers_on(disk.restart()) == [1, 2, 3]


def test_with_a_rollback_journal_full_synchronous_is_not_enough() -> None:
    """The journal's removal is not synced: it comes back, and takes the last commit along."""
    disk = fresh_disk()
    with SimulatedVfs(disk) as vfs:
        connection = connect(vfs, "FULL", "delete")
        insert(connection, 1, 2)
        assert disk.history[-1].kind is Kind.UNLINK
        disk.cut_power()
    assert numbers_on(disk.restart()) == [1]


def test_without_synchronous_commits_are_lost() -> None:
    """The simulation has teeth: what SQLite does not sync is forgotten."""
    disk = fresh_disk()
    with SimulatedVfs(disk) as vfs:
        connection = connect(vfs)
        insert(connection, 1)
        connection.pragma("synchronous", "OFF")
        insert(connection, 2, 3)
        disk.cut_power()
    assert numbers_on(disk.restart()) == [1]


def test_normal_synchronous_loses_commits_too_and_a_kill_none() -> None:
    disk = fresh_disk()
    with SimulatedVfs(disk) as vfs:
        connection = connect(vfs, synchronous="NORMAL")
        insert(connection, 1, 2, 3)
        assert numbers_on(disk.survivor(Crash.POWER)) == []
        assert numbers_on(disk.survivor(Crash.KILL)) == [1, 2, 3]


def test_a_reader_beside_the_writer_sees_what_was_committed() -> None:
    disk = fresh_disk()
    with SimulatedVfs(disk) as vfs:
        writer = connect(vfs)
        insert(writer, 1)
        reader = apsw.Connection(DATABASE, flags=apsw.SQLITE_OPEN_READONLY, vfs=vfs.name)
        count = "SELECT count(*) FROM mail"
        assert reader.execute(count).get == 1
        writer.execute("BEGIN IMMEDIATE")
        insert(writer, 2)
        assert reader.execute(count).get == 1
        writer.execute("COMMIT")
        assert reader.execute(count).get == 2
        with pytest.raises(apsw.ReadOnlyError):
            reader.execute("DELETE FROM mail")
        second = connect(vfs)
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(apsw.BusyError):
            second.execute("BEGIN IMMEDIATE")


@pytest.mark.parametrize("kind", Crash)
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_every_crash_of_a_run_with_checkpoints_leaves_each_commit_that_returned(seed, kind) -> None:
    """Before each operation, and in the middle of each write: WAL and database both torn."""
    number, crashes, torn = 0, 0, False
    while True:
        disk = fresh_disk(seed)
        if not torn:
            number += 1
        disk.crash_at(disk.operations + number, kind, torn=torn)
        committed: list[int] = []
        with SimulatedVfs(disk) as vfs:
            with until_the_crash(disk):
                connection = connect(vfs)
                connection.pragma("wal_autocheckpoint", 4)
                for mail in range(6):
                    insert(connection, mail)
                    committed.append(mail)
                connection.close()
            if not disk.crashed:
                break
        crashes += 1
        torn = not torn and disk.history[-1].kind is Kind.WRITE
        found = numbers_on(disk.restart())
        assert found in (committed, [*committed, len(committed)]), disk.history[-1]
    assert crashes > 60


def test_a_power_cut_comes_out_of_execute_as_itself_and_the_connection_ends_silently() -> None:
    """No handler of ours or of apsw's swallows it, and nothing is written on closing."""
    disk = fresh_disk()
    with SimulatedVfs(disk) as vfs:
        connection = connect(vfs)
        insert(connection, 1)
        disk.crash_at(disk.operations + 1)
        with pytest.raises(PowerCut, match=r"before Operation.*queue\.db-wal"):
            insert(connection, 2)
        with pytest.raises((PowerCut, apsw.Error)):
            insert(connection, 2)
        with pytest.raises(PowerCut):
            connect(vfs)
        operations = disk.operations
        connection.close()
        assert disk.operations == operations


def test_a_connection_of_a_dead_world_may_be_forgotten(recwarn) -> None:
    disk = fresh_disk()
    with SimulatedVfs(disk) as vfs:
        connection = connect(vfs)
        insert(connection, 1)
        connection.execute("BEGIN")
        insert(connection, 2)
        disk.cut_power()
        del connection
        gc.collect()
    assert numbers_on(disk.restart()) == [1]
    assert not recwarn.list


def test_a_full_disk_and_a_failed_one_have_sqlites_names() -> None:
    disk = fresh_disk()
    with SimulatedVfs(disk) as vfs:
        connection = connect(vfs)
        insert(connection, 1)
        disk.capacity = disk.used + 1000
        with pytest.raises(apsw.FullError):
            insert(connection, 2)
        disk.capacity = 1 << 40
        insert(connection, 2)
        disk.fail(Kind.SYNC_FILE, "-wal")
        with pytest.raises(apsw.IOError) as failed:
            insert(connection, 3)
        assert failed.value.extendedresult == apsw.SQLITE_IOERR_FSYNC
        disk.cut_power()
    assert numbers_on(disk.restart()) == [1, 2]


def test_the_same_run_makes_the_same_operations() -> None:
    def run():
        disk = fresh_disk()
        with SimulatedVfs(disk) as vfs:
            connection = connect(vfs)
            insert(connection, 1, 2, 3)
            connection.close()
        return disk.history

    assert run() == run()
