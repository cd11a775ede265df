"""Is a queue's database whole?  Looked at beside its owner or without one, never changed.

    with QueueFile.open("/var/indimail/queue/queue1/queue.db") as file:
        file.version, file.faults(), file.spooled()

Raises `QueueUnwritable` for what does not open.
Source: sqlite.org "PRAGMA quick_check".  Not here: what waits in it (`queue.sqlite.SqliteReader`).
"""

from types import TracebackType
from typing import Any, Self

import apsw

from indimail.mail.errors import QueueUnwritable
from indimail.mail.ids import QueueId
from indimail.queue.sqlite import SCHEMA_VERSION as SCHEMA_VERSION  # noqa: PLC0414 - to compare with

LINES = 10  # of a check's report: a broken file may have very many


class QueueFile:
    """A read-only connection; it never checkpoints."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    @classmethod
    def open(cls, path: str) -> Self:
        """Open for reading."""
        try:
            db = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
            db.set_busy_timeout(2000)
            db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        except apsw.Error as error:
            raise QueueUnwritable(f"{path}: {error}") from error
        return cls(db)

    @property
    def version(self) -> int:
        """The version of its schema; 0: it has none yet."""
        return int(self._read("PRAGMA user_version")[0][0])

    def faults(self) -> list[str]:
        """Return what a check of all pages finds; nothing where all is well."""
        found = [str(row[0]) for row in self._read(f"PRAGMA quick_check({LINES})")]
        return [line for line in found if line != "ok"]

    def spooled(self) -> list[QueueId]:
        """Return the messages whose body is a file."""
        rows = self._read("SELECT id FROM message WHERE body IS NULL ORDER BY id")
        return [QueueId(int(row[0])) for row in rows]

    def staged(self) -> list[str]:
        """Return the names of copies that are staged and not done."""
        return [str(row[0]) for row in self._read("SELECT name FROM step WHERE NOT done")]

    def has(self, queue_id: QueueId) -> bool:
        """Tell whether a message is there."""
        return bool(self._read("SELECT 1 FROM message WHERE id = ?", queue_id))

    def _read(self, query: str, *values: int) -> list[tuple[Any, ...]]:
        try:
            return list(self._db.execute(query, values))
        except apsw.Error as error:
            raise QueueUnwritable(f"queue database: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._db.close()
