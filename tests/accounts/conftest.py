"""The databases that every promise of the SQL adapter is tried on."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from databases import SERVERS, Database, database
from indimail.accounts.sql import sqlite_url


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A file of SQLite."""
    return str(tmp_path / "indimail.db")


@pytest.fixture(params=["sqlite", *SERVERS])
def db(request: pytest.FixtureRequest, path: str) -> Iterator[Database]:
    made = contextlib.nullcontext(sqlite_url(path))
    with made if request.param == "sqlite" else database(request.param) as url:
        opened = Database(request.param, url)
        yield opened
        opened.close()
