"""The version of the schema: made, adopted, brought up to date, or refused.

    bring_up_to_date(engine)      # at the first question of a process; nearly always one look

The version stands in the table `indimail_schema`.  Without it:

- nothing is there: the tables are made, and are of the newest version;
- a SQLite file has tables: it is ours, of version 1, from before there were versions;
- a server has tables: they are IndiMail's.  What is missing is made beside them, and they stay as
  they are, also where a newer version of ours would have an index more.

A step of `STEPS` leads to the next version.  It may add tables, indexes and columns with a default,
and does nothing where that is done already: MariaDB commits in the middle.  Before the first one
the tables are copied (`dialect.keep_copy`).

Source: spec/cluster-users.md 1.1 (tables are made at first use); docs/adr/0026.
"""

import logging
from collections.abc import Callable, Collection
from typing import Final

from sqlalchemy import Connection, Engine, delete, insert, inspect, select

from indimail.accounts import dialect
from indimail.accounts.tables import ALIAS_LINES, METADATA, SCHEMA
from indimail.mail.errors import AccountsUnavailable

LOG: Final = logging.getLogger("indimail.accounts")
VERSION: Final = 2
OLDEST: Final = 1


def _index_alias_lines(db: Connection) -> None:
    """Who forwards to a user is asked when the user goes."""
    ALIAS_LINES.create(db, checkfirst=True)


STEPS: Final[dict[int, Callable[[Connection], None]]] = {1: _index_alias_lines}


def bring_up_to_date(engine: Engine) -> None:
    """Make the tables what this program knows.

    Raises AccountsUnavailable for a newer schema, which is not touched.
    """
    with engine.connect() as db:
        if _is_current(db):
            return
    # Looks before it writes: at a start many ask at once, and writers wait for each other.
    patient = dialect.make_engine(engine.url, dialect.PATIENCE, kept=False)
    try:
        with patient.execution_options(writes=True).begin() as db, dialect.alone(db):
            _bring_up_to_date(db)
    finally:
        patient.dispose()


def _is_current(db: Connection) -> bool:
    there = set(inspect(db).get_table_names())
    return _version(db, there) == VERSION and METADATA.tables.keys() <= there


def _bring_up_to_date(db: Connection) -> None:
    there = set(inspect(db).get_table_names())
    known = METADATA.tables.keys() & there
    version = _version(db, there) or _unversioned(db, known)
    if version < VERSION:
        dialect.keep_copy(db, sorted(known), version)
    METADATA.create_all(db)
    for step in range(version, VERSION):
        STEPS[step](db)
    db.execute(delete(SCHEMA))
    db.execute(insert(SCHEMA).values(version=VERSION))
    if version < VERSION:
        LOG.info("schema of the accounts: %d is now %d, after a copy", version, VERSION)


def _version(db: Connection, there: Collection[str]) -> int:
    """Return the version that is written down; 0: none is.  A newer one is refused."""
    if SCHEMA.name not in there:
        return 0
    version = db.execute(select(SCHEMA.c.version)).scalar() or 0
    if version > VERSION:
        raise AccountsUnavailable(
            f"schema version {version} is newer than {VERSION}; nothing was changed"
        )
    return version


def _unversioned(db: Connection, known: Collection[str]) -> int:
    return OLDEST if known and not dialect.is_indimails(db) else VERSION
