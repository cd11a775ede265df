"""The history of the tables, as alembic's revisions: one file for each change, in their order.

A new one is a file `v0008_what.py` with `revision`, `down_revision` and `upgrade`, the change in
`accounts.tables`, and `VERSION` in `accounts.schema`; a test compares the three.

It adds tables, indexes and columns with a default, and does nothing where that is done: MariaDB
commits each statement, so a revision that was cut short runs again.  It names what it makes with
its own words, never those of `accounts.tables`, which change.  There is no way back but the copy.

Not here: what runs them, and when (`accounts.schema`).
"""

from typing import Any

from alembic import op
from sqlalchemy import Column, func, inspect

from indimail.accounts.dialect import TABLE_OPTIONS, TIMESTAMP, TimeOfChange


def make_table(name: str, *parts: Any) -> None:  # noqa: ANN401 - columns and constraints
    """Make a table with its time of the last change, where it is missing."""
    changed: Column[object] = Column(
        "timestamp",
        TIMESTAMP,
        nullable=False,
        server_default=TimeOfChange(),
        onupdate=func.current_timestamp(),
    )
    op.create_table(name, *parts, changed, if_not_exists=True, **TABLE_OPTIONS)


def make_index(name: str, table: str, column: str) -> None:
    """Make an index where it is missing; MySQL has no IF NOT EXISTS for one."""
    if name not in {index["name"] for index in inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, [column])
