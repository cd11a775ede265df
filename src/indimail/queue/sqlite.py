"""The queue in one SQLite database: `QUEUE_BASE/queue<N>/queue.db`.

    store = SqliteQueue.open("/var/indimail/queue/queue1/queue.db")
    store.apply([Accepted(message, recipients)])

WAL with ``synchronous=FULL``: COMMIT writes the changed pages once, in sequence, and syncs once;
when `apply` returns, its batch is on disk.  This connection is the only one that writes or
checkpoints; `reader` opens those that look (qread, explain, the scheduler's own reads).

The library is apsw's own SQLite: 3.7.0 to 3.51.2 can lose commits of a WAL database that has two
connections, so an older one is refused.  No connection may live across a fork.

A recipient's row outlives its delivery until `Traced`; the message's row goes with the last one.
Fresh recipients have ``due = 0`` and are in no index: the fast path pays for none.

Source: DESIGN 4; sqlite.org "Write-Ahead Logging", "PRAGMA synchronous".
"""

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, Self

import apsw
import msgspec

from indimail.mail.channel import Channel
from indimail.mail.dsn import Dsn
from indimail.mail.errors import QueueFull, QueueUnwritable
from indimail.mail.ids import QueueId
from indimail.mail.outcome import Delivered, Outcome, Peer
from indimail.queue.port import (
    Accepted,
    Change,
    Counts,
    Due,
    Finished,
    MessageStatus,
    Postponed,
    QueuedMessage,
    QueuedRecipient,
    RecipientStatus,
    Reported,
    Staged,
    State,
    Step,
    Stepped,
    Traced,
)

SCHEMA_VERSION: Final = 3
OLDEST_SQLITE: Final = (3, 51, 3)
CHECKPOINT_PAGES: Final = 8000  # 33 MB of WAL: a mail delivered at once is gone before it is copied
SPARE_PAGES: Final = 300  # what one batch may write above that
FRAME: Final = 4096 + 24  # a page in the log

SCHEMA: Final = """
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
    rule TEXT NOT NULL, at REAL NOT NULL, owed TEXT NOT NULL DEFAULT '',
    delayed INTEGER NOT NULL DEFAULT 0, peer TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (id, number)
) WITHOUT ROWID;
CREATE INDEX recipient_due ON recipient (channel, due, id, number)
    WHERE state = 'waiting' AND due > 0;
CREATE TABLE step (
    id INTEGER NOT NULL, number INTEGER NOT NULL, step INTEGER NOT NULL, place TEXT NOT NULL,
    name TEXT NOT NULL, boot TEXT NOT NULL, at REAL NOT NULL,
    last INTEGER NOT NULL DEFAULT 1, done INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (id, number, step)
) WITHOUT ROWID;
"""
# What makes a database of the version before; the newest is what SCHEMA makes.
MIGRATIONS: Final = {
    1: """
ALTER TABLE recipient ADD COLUMN owed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE step RENAME COLUMN folder TO place;
ALTER TABLE step ADD COLUMN last INTEGER NOT NULL DEFAULT 1;
ALTER TABLE step ADD COLUMN done INTEGER NOT NULL DEFAULT 0;
""",
    2: """
ALTER TABLE recipient RENAME COLUMN owed TO is_owed;
ALTER TABLE recipient ADD COLUMN owed TEXT NOT NULL DEFAULT '';
ALTER TABLE recipient ADD COLUMN delayed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE recipient ADD COLUMN peer TEXT NOT NULL DEFAULT '';
UPDATE recipient SET owed = 'failed' WHERE is_owed;
ALTER TABLE recipient DROP COLUMN is_owed;
""",
}

# One statement carries the changes of one kind of a whole batch: a statement costs a hand-over of
# the interpreter's lock, a row in it does not.  Bodies are bound, all else travels as JSON.
INSERT_MESSAGE: Final = "INSERT INTO message VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"
INSERT_RECIPIENTS: Final = """
INSERT INTO recipient SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5,
    value->>6, value->>7, value->>8, value->>9, 'waiting', '', '', 0, '', value->>10, ''
    FROM json_each(?)"""
INSERT_STEPS: Final = """
INSERT OR REPLACE INTO step SELECT value->>0, value->>1, value->>2, value->>3, value->>4,
    value->>5, value->>6, value->>7, value->>8 FROM json_each(?)"""
POSTPONE: Final = """
UPDATE recipient SET attempts = attempts + 1, due = new.due, text = new.text, rule = new.rule,
    at = new.at, peer = new.peer, delayed = delayed OR new.owed <> '',
    owed = CASE new.owed WHEN '' THEN recipient.owed ELSE new.owed END
    FROM (SELECT value->>0 AS id, value->>1 AS number, value->>2 AS due, value->>3 AS text,
          value->>4 AS rule, value->>5 AS at, value->>6 AS owed, value->>7 AS peer
          FROM json_each(?)) AS new
    WHERE recipient.id = new.id AND recipient.number = new.number AND state = 'waiting'"""
FINISH: Final = """
UPDATE recipient SET state = new.state, text = new.text, rule = new.rule, at = new.at,
    owed = new.owed, peer = new.peer
    FROM (SELECT value->>0 AS id, value->>1 AS number, value->>2 AS state, value->>3 AS text,
          value->>4 AS rule, value->>5 AS at, value->>6 AS owed, value->>7 AS peer
          FROM json_each(?)) AS new
    WHERE recipient.id = new.id AND recipient.number = new.number AND recipient.state = 'waiting'"""
IS_WAITING: Final = "SELECT 1 FROM recipient WHERE id = ? AND number = ? AND state = 'waiting'"
SETTLE: Final = """
UPDATE recipient SET owed = ''
    WHERE (id, number, owed) IN (SELECT value->>0, value->>1, value->>2 FROM json_each(?))"""
DELETE_STEPS: Final = """
DELETE FROM step WHERE (id, number) IN (SELECT value->>0, value->>1 FROM json_each(?))"""
FORGET_RECIPIENTS: Final = """
DELETE FROM recipient WHERE (id, number) IN (SELECT value->>0, value->>1 FROM json_each(?))
    AND state <> 'waiting' AND owed = ''"""
FORGET_MESSAGES: Final = """
DELETE FROM message WHERE id IN (SELECT value->>0 FROM json_each(?))
    AND NOT EXISTS (SELECT 1 FROM recipient WHERE recipient.id = message.id)"""
_ENCODER: Final = msgspec.json.Encoder()
MESSAGE_COLUMNS: Final = (
    "id, born, reverse_path, size, start, eight_bit, smtputf8, auth, ret, envid, uid, source"
)
RECIPIENT_COLUMNS: Final = (
    "number, address, channel, target, route, notify, orcpt, attempts, due, state, text, rule, at,"
    " delayed, owed, peer"
)
STEP_COLUMNS: Final = "number, step, place, name, boot, at, last, done"


class SqliteReader:
    """A connection that only looks, in short transactions, beside the owner or without one."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._db = connection

    @classmethod
    def open(cls, path: str, vfs: str | None = None) -> Self:
        """Open for reading; never checkpoints, also not when it closes."""
        with _translated():
            db = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY, vfs=vfs)
            with _closed_on_failure(db):
                db.set_busy_timeout(2000)
                db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            return cls(db)

    def message(self, queue_id: QueueId) -> MessageStatus | None:
        """Return a message with its body."""
        with _translated():
            for row in self._db.execute(
                f"SELECT {MESSAGE_COLUMNS}, body FROM message WHERE id = ?",  # noqa: S608
                (queue_id,),
            ):
                return MessageStatus(_message(row[:-1], row[-1]), self._recipients(queue_id))
        return None

    def due(
        self,
        channel: Channel,
        before: float,
        after: tuple[float, int, int],
        limit: int,
        without: Collection[str] = (),
    ) -> list[Due]:
        """Return waiting recipients with ``due <= before``, ordered by (due, id, number)."""
        found: list[Due] = []
        left_out = " AND target NOT IN (SELECT value FROM json_each(?))" if without else ""
        targets = (msgspec.json.encode(list(without)).decode(),) if without else ()
        with _translated():
            if after[0] <= 0:
                found = self._due_at_once(channel, after, limit, left_out, targets)
                after = (0.0, 0, 0)
            if len(found) < limit:
                found += [
                    Due(QueueId(id_), number, channel, due)
                    for due, id_, number in self._db.execute(
                        "SELECT due, id, number FROM recipient WHERE channel = ?"  # noqa: S608
                        " AND state = 'waiting' AND due > 0"
                        f" AND due <= ? AND (due, id, number) > (?, ?, ?){left_out}"
                        " ORDER BY due, id, number LIMIT ?",
                        (channel.value, before, *after, *targets, limit - len(found)),
                    )
                ]
        return found

    def _due_at_once(
        self, channel: Channel, after: tuple[float, int, int], limit: int, left_out: str,
        targets: tuple[str, ...],
    ) -> list[Due]:  # fmt: skip
        """Return recipients never tried: they are in no index, so this walks the table."""
        start = (0, -1) if after[0] < 0 else after[1:]
        return [
            Due(QueueId(id_), number, channel, 0.0)
            for id_, number in self._db.execute(
                "SELECT id, number FROM recipient WHERE (id, number) > (?, ?)"  # noqa: S608
                f" AND channel = ? AND state = 'waiting' AND due = 0{left_out}"
                " ORDER BY id, number LIMIT ?",
                (*start, channel.value, *targets, limit),
            )
        ]

    def staged(self) -> list[tuple[QueueId, Step]]:
        """Return every step that is staged and not done."""
        with _translated():
            rows = self._db.execute(
                f"SELECT id, {STEP_COLUMNS} FROM step WHERE NOT done ORDER BY id, number, step"  # noqa: S608
            )
            return [(QueueId(id_), _step(row)) for id_, *row in rows]

    def steps(self, queue_id: QueueId) -> list[Step]:
        """Return the steps, staged or done, of a message's recipients that wait, in order."""
        with _translated():
            rows = self._db.execute(
                f"SELECT {STEP_COLUMNS} FROM step WHERE id = ? ORDER BY number, step",  # noqa: S608
                (queue_id,),
            )
            return [_step(row) for row in rows]

    def untraced(self) -> list[QueueId]:
        """Return ids with finished recipients whose rows are still here."""
        with _translated():
            return [
                QueueId(id_)
                for (id_,) in self._db.execute(
                    "SELECT DISTINCT id FROM recipient WHERE state <> 'waiting' ORDER BY id"
                )
            ]

    def owed(self) -> list[QueueId]:
        """Return ids with recipients of whom the sender is owed a report."""
        with _translated():
            rows = self._db.execute(
                "SELECT DISTINCT id FROM recipient WHERE owed <> '' ORDER BY id"
            )
            return [QueueId(id_) for (id_,) in rows]

    def adopted(self) -> set[str]:
        """Return the `source` of every message that came from a spool file."""
        with _translated():
            rows = self._db.execute("SELECT source FROM message WHERE source <> ''")
            return {source for (source,) in rows}

    def status(self) -> Iterator[MessageStatus]:
        """Walk all messages in id order, without bodies, a page of 500 per transaction."""
        last = 0
        while True:
            with _translated():
                rows = self._db.execute(
                    f"SELECT {MESSAGE_COLUMNS} FROM message WHERE id > ?"  # noqa: S608
                    " ORDER BY id LIMIT 500",
                    (last,),
                ).fetchall()
                page = [
                    MessageStatus(_message(row, None), self._recipients(row[0])) for row in rows
                ]
            if not page:
                return
            yield from page
            last = page[-1].message.id

    def counts(self) -> Counts:
        """Count what waits."""
        with _translated():
            row: tuple[Any, ...] | None = self._db.execute(
                "SELECT count(DISTINCT id), coalesce(sum(channel = 'local'), 0),"
                " coalesce(sum(channel = 'remote'), 0) FROM recipient WHERE state = 'waiting'"
            ).fetchone()
            return Counts(*(row or (0, 0, 0)))

    def largest_id(self) -> int:
        """Return the largest id that is still known, 0 for none."""
        with _translated():
            return int(self._db.execute("SELECT coalesce(max(id), 0) FROM message").get)

    def close(self) -> None:
        """Let go of the file."""
        with _translated():
            self._db.close()

    def _recipients(self, queue_id: object) -> tuple[RecipientStatus, ...]:
        rows = self._db.execute(
            f"SELECT {RECIPIENT_COLUMNS} FROM recipient WHERE id = ? ORDER BY number",  # noqa: S608
            (queue_id,),
        )
        return tuple(_status(row) for row in rows)


class SqliteQueue(SqliteReader):
    """The owner's connection: the only one that writes and checkpoints."""

    @classmethod
    def open(cls, path: str, vfs: str | None = None) -> Self:
        """Create or open a queue's database; the caller holds the queue's lock.

        Raises `QueueUnwritable` for a database of a newer version or one that does not open.
        """
        require_sqlite(apsw.sqlite_lib_version())
        with _translated():
            db = apsw.Connection(path, vfs=vfs)
            with _closed_on_failure(db):
                _prepare(db, path)
        return cls(db)

    def reserve_log(self, pages: int = CHECKPOINT_PAGES + SPARE_PAGES) -> None:
        """Fill the empty log with zeros: a commit then syncs octets, and no new size with them.

        SQLite takes such a log for an empty one and writes over it.  Where there is no room for
        it, it stays empty.
        """
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_WAL
        chunk = bytes(FRAME * min(pages, 30))  # SQLite takes up to 128 KiB at once
        with _translated():
            log = apsw.VFSFile(self._db.open_vfs, self._db.filename_wal, [flags, 0])
            try:
                if log.xFileSize():  # commits may be in it
                    return
                for offset in range(0, FRAME * pages, len(chunk)):
                    log.xWrite(chunk, offset)
            except apsw.FullError:
                log.xTruncate(0)
            finally:
                log.xClose()

    def apply(self, changes: Sequence[Change]) -> None:
        """Make a batch true, durably, all or nothing.

        Commit point: COMMIT returns after the WAL with the whole batch is synced.
        """
        with _translated():
            run = self._db.cursor()
            run.execute("BEGIN IMMEDIATE")
            try:
                _write(run, changes)
                run.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    run.execute("ROLLBACK")
                raise


def _prepare(db: apsw.Connection, path: str) -> None:
    db.set_busy_timeout(2000)
    if db.pragma("journal_mode", "wal") != "wal":
        raise QueueUnwritable(f"{path}: no write-ahead log on this file system")
    db.pragma("synchronous", "FULL")
    db.pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
    _migrate(db, path)
    # After a failed sync and a kill the log in the cache may hold what no disk has, and what is
    # appended behind that would be lost with it: begin with an empty log.
    if db.pragma("wal_checkpoint", "TRUNCATE")[0]:
        raise QueueUnwritable(f"{path}: another process is in the middle of reading it")


@contextmanager
def _closed_on_failure(db: apsw.Connection) -> Iterator[None]:
    """Close at once what does not open whole: forgotten, it would write when nobody expects it."""
    try:
        yield
    except BaseException:
        db.close()
        raise


def require_sqlite(version: str) -> None:
    """Refuse an SQLite that can lose commits (DESIGN 4)."""
    if tuple(map(int, version.split("."))) < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise QueueUnwritable(f"SQLite {version} can lose commits: {oldest} or newer is needed")


def _write(run: apsw.Cursor, changes: Sequence[Change]) -> None:
    """Write a batch, kind by kind."""
    accepted = [c for c in changes if type(c) is Accepted]
    if accepted:
        _accept(run, accepted)
        if len(accepted) == len(changes):
            return
    if steps := [(c.id, *_step_row(c.step)) for c in changes if isinstance(c, Staged | Stepped)]:
        run.execute(INSERT_STEPS, (_json(steps),))
    if postponed := [
        (c.id, c.number, c.due, _storable(c.text), _storable(c.rule), c.at, c.owed or "", _peer(c))
        for c in changes
        if type(c) is Postponed
    ]:
        run.execute(POSTPONE, (_json(postponed),))
    if finished := [c for c in changes if type(c) is Finished]:
        _accept(run, [f for c in finished if c.forwards and _waits(run, c) for f in c.forwards])
        rows = _json([_finished_row(c) for c in finished])
        run.execute(FINISH, (rows,))
        run.execute(DELETE_STEPS, (rows,))
    if reported := [c for c in changes if type(c) is Reported]:
        _accept(run, [c.report for c in reported if c.report is not None])
        run.execute(SETTLE, (_json([(c.id, *debt) for c in reported for debt in c.debts]),))
    if traced := [key for c in changes if type(c) is Traced for key in c.outcomes]:
        keys = _json(traced)
        run.execute(FORGET_RECIPIENTS, (keys,))
        run.execute(FORGET_MESSAGES, (keys,))


def _accept(run: apsw.Cursor, accepted: Sequence[Accepted]) -> None:
    if accepted:
        run.executemany(INSERT_MESSAGE, (_message_row(c.message) for c in accepted))
        rows = [_recipient_row(c, r) for c in accepted for r in c.recipients]
        run.execute(INSERT_RECIPIENTS, (_json(rows),))


def _waits(run: apsw.Cursor, c: Finished) -> bool:
    return run.execute(IS_WAITING, (c.id, c.number)).fetchone() is not None


def _storable(text: str) -> str:
    """Return text without undecodable octets: one bad byte of a file must not stop a batch."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _json(rows: Sequence[object]) -> str:
    """Return rows as `json_each` takes them; numbers keep all 63 bits."""
    return _ENCODER.encode(rows).decode()


def _message_row(m: QueuedMessage) -> tuple[object, ...]:
    return (
        m.id, m.born, m.reverse_path, m.size, m.offset, m.eight_bit, m.smtputf8,
        m.auth, m.ret, m.envid, m.uid, m.source, m.body,
    )  # fmt: skip


def _recipient_row(c: Accepted, r: QueuedRecipient) -> tuple[object, ...]:
    return (
        c.message.id, r.number, r.address, r.channel.value, r.target, r.route, r.notify, r.orcpt,
        r.attempts, r.due, r.delayed,
    )  # fmt: skip


def _step_row(s: Step) -> tuple[object, ...]:
    return (s.number, s.step, s.place, s.name, s.boot, s.at, s.last, s.done)


def _step(row: Sequence[Any]) -> Step:
    *columns, last, done = row
    return Step(*(*columns, bool(last), bool(done)))


def _status(row: Sequence[Any]) -> RecipientStatus:
    number, address, channel, target, route, notify, orcpt, attempts, due = row[:9]
    state, text, rule, at, delayed, owed, peer = row[9:]
    return RecipientStatus(
        QueuedRecipient(
            number, address, Channel(channel), target, route, notify, orcpt, attempts, due,
            bool(delayed),
        ),
        State(state), text, rule, at, Dsn(owed) if owed else None,
        msgspec.json.decode(peer, type=Peer) if peer else None,
    )  # fmt: skip


def _finished_row(c: Finished) -> tuple[object, ...]:
    state = State.DELIVERED if isinstance(c.outcome, Delivered) else State.FAILED
    text, rule = _storable(c.outcome.text), _storable(str(c.outcome.rule))
    peer = _peer(c.outcome)
    return (c.id, c.number, state.value, text, rule, c.at, c.owed or "", peer)


def _peer(told: Outcome | Postponed) -> Peer | str:
    """Return the other server, for a column that has it as JSON; its words are any octets."""
    return told.peer or ""


def _message(row: Sequence[Any], body: Any) -> QueuedMessage:  # noqa: ANN401  as SQLite has it
    id_, born, reverse_path, size, start, eight_bit, smtputf8, auth, ret, envid, uid, source = row
    return QueuedMessage(
        id_, born, reverse_path, size, body, start, bool(eight_bit), bool(smtputf8),
        auth, ret, envid, uid, source,
    )  # fmt: skip


def _migrate(db: apsw.Connection, path: str) -> None:
    """Bring a database to this version, after a copy; each step is one transaction."""
    version = db.pragma("user_version")
    if version > SCHEMA_VERSION:
        raise QueueUnwritable(
            f"{path}: schema version {version} is newer than {SCHEMA_VERSION}; nothing was changed"
        )
    if version == 0:
        with db:
            db.execute(SCHEMA)
            db.pragma("user_version", SCHEMA_VERSION)
        return
    if version < SCHEMA_VERSION:
        copy = f"{path}.version{version}"
        with suppress(FileNotFoundError):  # a crash may have left it half written
            os.unlink(copy)
        db.execute("VACUUM INTO ?", (copy,))
    while version < SCHEMA_VERSION:
        with db:
            db.execute(MIGRATIONS[version])
            version += 1
            db.pragma("user_version", version)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the library's errors into ours, once."""
    try:
        yield
    except apsw.FullError as error:
        raise QueueFull(f"queue database: {error}") from error
    except apsw.Error as error:
        raise QueueUnwritable(f"queue database: {error}") from error


def database_of(directory: str) -> str:
    """Return the path of a queue directory's database."""
    return os.path.join(directory, "queue.db")
