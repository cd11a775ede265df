"""Is the user database there, of a version that is known, and whole?  Looked at, never changed.

    look("sqlite:////var/indimail/db/indimail.db")      -> Health(version="0003", ...)

Another use of a database brings its schema up to date (`accounts.schema`); this does not.

Raises `AccountsUnavailable` where it does not answer, or is not there.
Not here: what the rows say of one another.
"""

import os
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from indimail.accounts import dialect, engines
from indimail.accounts.schema import VERSION as VERSION  # noqa: PLC0414 - to compare with
from indimail.accounts.schema import written_version
from indimail.accounts.tables import METADATA
from indimail.mail.errors import AccountsUnavailable
from indimail.mail.secret import mask

LINES: Final = 10  # of a check's report: a broken file may have very many


@dataclass(frozen=True, slots=True)
class Health:
    """`version` is that of the schema, empty where none is written down; `missing` tables."""

    version: str
    missing: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


def look(url: str) -> Health:
    """Look at a database."""
    made = engines.normal(url)
    is_file = made.get_backend_name() == "sqlite"
    if is_file and not os.path.isfile(str(made.database)):
        raise AccountsUnavailable(f"{mask(url)}: no such file")
    try:
        engine = engines.make_engine(made, engines.PATIENCE, kept=False)
        try:
            with engine.connect() as db:
                missing = METADATA.tables.keys() - set(inspect(db).get_table_names())
                faults = _faults(db) if is_file else ()
                return Health(_version(db), tuple(sorted(missing)), faults)
        finally:
            engine.dispose()
    except (SQLAlchemyError, OSError) as error:
        raise AccountsUnavailable(f"{mask(url)}: {dialect.reason(error)}") from error


def _version(db: Connection) -> str:
    try:
        return written_version(db)
    except DBAPIError as error:
        if dialect.is_missing_table(error):
            return ""
        raise


def _faults(db: Connection) -> tuple[str, ...]:
    """Check the pages of a file; a server looks after its own."""
    lines = (str(row[0]) for row in db.exec_driver_sql(f"PRAGMA quick_check({LINES})"))
    return tuple(line for line in lines if line != "ok")
