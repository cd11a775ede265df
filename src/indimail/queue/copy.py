"""A copy of queues that are in use, of one moment, without making their owners wait.

    with Moment.of(["/.../queue1/queue.db", "/.../queue2/queue.db"]) as moment:
        copied = moment.copy("/.../queue1/queue.db", "/backup/.../queue.db")
    copied.spooled                      # mails whose body is a file: copy those now
    drop(target, gone)                  # mails that ended meanwhile, body and all
    settle(target, moved)               # in a new place: what the rows say of paths, and of a boot

Every queue is pinned: a read-only transaction keeps on seeing it as it was.  All are pinned one
after the other within milliseconds, and then all once more.  The first pins tell the state of each
mail; a mail that only the second ones see is taken from there.  So a mail that a program of a
delivery put into another queue is in the copy, or the delivery that made it is (docs/adr/0032): the
delivery is marked after the other queue has the mail.

Raises `QueueUnwritable`.
Sources: sqlite.org/backup.html, sqlite.org/isolation.html.  Not here: bodies in files, where the
copies go (`manage.backup`).
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import apsw

from indimail.mail.errors import QueueUnwritable
from indimail.mail.ids import QueueId

TABLES: Final = ("message", "recipient", "step")
AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Copied:
    """What is in a copy: mails, recipients that wait, mails whose body is a file, mails come late."""

    messages: int
    waiting: int
    spooled: tuple[QueueId, ...]
    late: int = 0


class Moment:
    """All queues as they were."""

    def __init__(
        self, first: dict[str, apsw.Connection], again: dict[str, apsw.Connection]
    ) -> None:
        self._first = first
        self._again = again

    @classmethod
    def of(cls, paths: Sequence[str]) -> Self:
        """Pin the databases."""
        with _translated(), ExitStack() as stack:
            # Opened before the first is pinned: what takes time is done then.
            opened = [{path: _opened(path) for path in paths} for _ in range(2)]
            for connections in opened:
                for db in connections.values():
                    stack.callback(db.close)
            for connections in opened:
                for db in connections.values():
                    _pin(db)
            stack.pop_all()
            return cls(*opened)

    def copy(self, path: str, target: str) -> Copied:
        """Copy a queue into a new file, which has no log beside it."""
        with _translated():
            db = apsw.Connection(target)
            try:
                db.pragma("synchronous", "OFF")  # the whole backup is synced at its end
                with db.backup("main", self._first[path], "main") as backup:
                    backup.step(-1)
                db.pragma("journal_mode", "OFF")
                if not db.pragma("user_version"):
                    return Copied(0, 0, ())
                late = _add_late(self._again[path], db)
                db.execute("VACUUM")  # bodies of mails that are gone lie in its free pages
                return _counted(db, late)
            finally:
                db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for db in (*self._first.values(), *self._again.values()):
            db.close()


def _opened(path: str) -> apsw.Connection:
    db = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    db.set_busy_timeout(2000)
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    return db


def _pin(db: apsw.Connection) -> None:
    db.execute("BEGIN")
    db.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # the first read is what pins


def _add_late(again: apsw.Connection, db: apsw.Connection) -> int:
    """Take the mails that came between the two pins."""
    known = {row[0] for row in db.execute("SELECT id FROM message")}
    late = [row for row in again.execute("SELECT id FROM message") if row[0] not in known]
    for key in late:
        for table in TABLES:
            for row in again.execute(f"SELECT * FROM {table} WHERE id = ?", key):  # noqa: S608
                places = ", ".join("?" * len(row))
                db.execute(f"INSERT INTO {table} VALUES ({places})", row)  # noqa: S608
    return len(late)


def _counted(db: apsw.Connection, late: int = 0) -> Copied:
    waiting = db.execute("SELECT count(*) FROM recipient WHERE state = 'waiting'").get
    spooled = db.execute("SELECT id FROM message WHERE body IS NULL ORDER BY id")
    ids = tuple(QueueId(row[0]) for row in spooled)
    return Copied(int(db.execute("SELECT count(*) FROM message").get), int(waiting), ids, late)


def drop(path: str, ids: Iterable[QueueId]) -> Copied:
    """Take mails out of a copy; return what is left in it."""
    with _changed(path) as db:
        for queue_id in ids:
            for table in TABLES:
                db.execute(f"DELETE FROM {table} WHERE id = ?", (queue_id,))  # noqa: S608
        return _counted(db)


def settle(path: str, moved: Callable[[str], str]) -> None:
    """Let a copy be a queue of another place: `moved` changes a text that may hold paths.

    What was staged was staged by another boot, whatever this one's name is: its file in tmp/ is no
    part of a backup, and not to be taken for published because it is not there.
    """
    with _changed(path) as db:
        if not db.pragma("user_version"):
            return
        places = db.execute("SELECT DISTINCT place FROM step").fetchall()
        for place in (str(row[0]) for row in places):
            if (new := moved(place)) != place:
                db.execute("UPDATE step SET place = ? WHERE place = ?", (new, place))
        db.execute("UPDATE step SET boot = '' WHERE NOT done")


def check(path: str) -> Copied:
    """Return what is in a copy that is whole; raise QueueUnwritable for one that is not."""
    with _changed(path) as db:
        faults = [row[0] for row in db.execute("PRAGMA quick_check(1)") if row[0] != "ok"]
        if faults:
            raise QueueUnwritable(f"{path}: {faults[0]}")
        return _counted(db) if db.pragma("user_version") else Copied(0, 0, ())


@contextmanager
def _changed(path: str) -> Iterator[apsw.Connection]:
    """Open a copy; one transaction, and no log or journal beside it afterwards."""
    if not os.path.exists(path):
        raise QueueUnwritable(f"{path}: no such file")
    with _translated():
        db = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            db.pragma("journal_mode", "MEMORY")
            db.pragma("synchronous", "OFF")
            with db:
                yield db
        finally:
            db.close()
            with suppress(FileNotFoundError):
                os.unlink(f"{path}-journal")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        raise QueueUnwritable(f"queue database: {error}") from error
