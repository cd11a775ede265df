"""The version of the schema: made, adopted, brought up to date, or refused.

    bring_up_to_date(engine)      # at the first question of a process; nearly always one look

The version is that of the newest of alembic's revisions (`accounts.revisions`) that the tables
have, and stands in its table `alembic_version`.  Without that table

- nothing is there: all revisions run;
- `indimail_schema` is there, our version from before alembic: it is carried over;
- a SQLite file has tables: it is ours, of the first version, from before there were versions;
- a server has tables: they are IndiMail's.  What is missing is made beside them, and they stay as
  they are, also where a revision of ours would have made an index more.

Before the first revision that changes tables they are copied (`dialect.keep_copy`).  One process
does this at a time.  MariaDB commits each statement: whatever was cut short is ended by the next
one, so a version is written whole, and after what it says.

A table that is missing later, for somebody dropped it, is made again (`make_tables`).

Sources: spec/cluster-users.md 1.1 (tables are made at first use); alembic.sqlalchemy.org, "Building
an Up to Date Database from Scratch"; docs/adr/0029.
"""

import logging
import os
import stat
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Engine, column, inspect, select, table
from sqlalchemy.exc import DBAPIError

from indimail.accounts import dialect
from indimail.accounts.engines import PATIENCE, make_engine
from indimail.accounts.tables import METADATA
from indimail.mail.errors import AccountsUnavailable

if TYPE_CHECKING:
    from alembic.script import Script, ScriptDirectory

LOG: Final = logging.getLogger("indimail.accounts")
VERSION: Final = "0007"
OLDEST: Final = "0001"

_VERSIONS: Final = table("alembic_version", column("version_num"))
_BEFORE: Final = table("indimail_schema", column("version"))
_FOLDER: Final = os.path.join(os.path.dirname(__file__), "revisions")


def bring_up_to_date(engine: Engine) -> None:
    """Make the tables what this program knows.

    Raises AccountsUnavailable for a newer schema, which is not touched.
    """
    with engine.connect() as db:
        if _is_current(db):
            return
    make_tables(engine)


def make_tables(engine: Engine) -> None:
    """Make what is missing, and bring up to date what is older.

    Raises as `bring_up_to_date`, and where another process is at it and takes its time.
    """
    patient = make_engine(engine.url, PATIENCE, kept=False)
    try:
        with patient.execution_options(writes=True).begin() as db, dialect.alone(db):
            _make_tables(db)
    finally:
        patient.dispose()


def load_where_unreadable() -> None:
    """Import now what a process may not be able to read when it is no longer root's.

    What all may read is imported when it is needed, which is nearly never, for that takes long.
    """
    folders = [Path(_FOLDER), *Path(_FOLDER).parents]
    is_open = all(folder.stat().st_mode & stat.S_IXOTH for folder in folders)
    if os.geteuid() == 0 and not is_open:
        load()


def load() -> None:
    """Import what makes tables, for who is about to make them as another user."""
    import alembic.operations  # noqa: PLC0415
    import alembic.runtime.migration  # noqa: F401, PLC0415

    _revisions()


def _is_current(db: Connection) -> bool:
    try:
        return _version(db) == VERSION
    except DBAPIError as error:
        if dialect.is_missing_table(error):
            return False
        raise


def written_version(db: Connection) -> str:
    """Return the version that is written down; '': not even the first.

    Raises DBAPIError where nothing can be written down, for there is no such table.
    """
    return max(db.execute(select(_VERSIONS.c.version_num)).scalars(), default="")


def _version(db: Connection) -> str:
    version = written_version(db)
    _refuse_newer(version)
    return version


def _refuse_newer(version: str) -> None:
    if version > VERSION:
        raise AccountsUnavailable(
            f"schema version {version} is newer than {VERSION}; nothing was changed"
        )


def _make_tables(db: Connection) -> None:
    from alembic.operations import Operations  # noqa: PLC0415 - slow to import
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415

    there = set(inspect(db).get_table_names())
    known = sorted(METADATA.tables.keys() & there)
    if _VERSIONS.name not in there and known:
        _inherit(db, there)
        there = set(inspect(db).get_table_names())
    if _BEFORE.name in there:
        db.exec_driver_sql(f"DROP TABLE {_BEFORE.name}")
    context = MigrationContext.configure(db)
    directory, revisions = _revisions()
    if _VERSIONS.name not in there:
        context.stamp(directory, "base")  # the tables that come are ours, also after a crash
    version = _version(db)
    missing = [revision for revision in revisions if revision.revision > version]
    if version and missing:
        dialect.keep_copy(db, known, version)
    if version or known:
        _make_missing(db, there)  # before the revisions: with the last one nothing is missing
    with Operations.context(context):
        for revision in missing:
            revision.module.upgrade()
            context.stamp(directory, revision.revision)
    if version and missing:
        LOG.info("schema of the accounts: %s is now %s, after a copy", version, VERSION)


def _inherit(db: Connection, there: Collection[str]) -> None:
    """Write down the version of tables that came without one."""
    if _BEFORE.name in there:
        number = db.execute(select(_BEFORE.c.version)).scalar() or 1
        version = f"{number:04}"
        _refuse_newer(version)
    elif dialect.is_indimails(db):
        version = VERSION
        _make_missing(db, there)  # first: once there is a version, all is there
    else:
        version = OLDEST
    _write_version(db, version)


def _make_missing(db: Connection, there: Collection[str]) -> None:
    for missing in METADATA.sorted_tables:
        if missing.name not in there:
            dialect.create_whole(db, missing)


def _write_version(db: Connection, version: str) -> None:
    """Make alembic's table, which has its name only when its row is in it."""
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 - slow to import

    unfinished = f"{_VERSIONS.name}_unfinished"
    db.exec_driver_sql(f"DROP TABLE IF EXISTS {unfinished}")
    context = MigrationContext.configure(db, opts={"version_table": unfinished})
    context.stamp(_revisions()[0], version)
    db.exec_driver_sql(f"ALTER TABLE {unfinished} RENAME TO {_VERSIONS.name}")


@cache
def _revisions() -> "tuple[ScriptDirectory, list[Script]]":
    """Return alembic's directory of the revisions, and them from the first to the last."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - slow to import

    directory = ScriptDirectory(_FOLDER, version_locations=[_FOLDER])
    return directory, list(directory.walk_revisions())[::-1]
