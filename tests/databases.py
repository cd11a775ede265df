"""Databases on the real servers, each made for one test and dropped with it.

    with database("mariadb") as url: ...      # 'mysql://indimail_test_1f...:...@127.0.0.1:3306/...'
    with admin("mariadb") as ask: ask("SELECT 1")      # as who may do everything
    Database("sqlite", url).ask("SELECT 1")            # a look beside the adapter

It is made as docs/operating.md says, for a user of its name, with a password that has to be quoted
in a URL.  A test whose server is not there is skipped, and says how to have it.
"""

import contextlib
import functools
import os
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pymysql
import pytest
from sqlalchemy import create_engine, inspect, text

from indimail.accounts.engines import normal
from indimail.accounts.sql import SqlAccounts
from support import MISSING, STOPPED, packages

OPERATING = Path(__file__).resolve().parent.parent / "docs" / "operating.md"
PASSWORD = "geheim:/@?#%s"
NAMES = {"mariadb": "MariaDB", "postgresql": "PostgreSQL"}
PORTS = {"mariadb": 3306, "postgresql": 5432}
PROGRAMS = {"mariadb": "mariadbd", "postgresql": "pg_ctlcluster"}
Ask = Callable[[str], list[tuple[Any, ...]]]


def _mariadb(**where: Any) -> Any:
    return pymysql.connect(user="root", autocommit=True, connect_timeout=3, **where)


def _postgresql(**where: Any) -> Any:
    return psycopg.connect(dbname="postgres", autocommit=True, connect_timeout=3, **where)


# As root of the machine over the socket, or where everybody on the machine is trusted.
WAYS: dict[str, list[Callable[[], Any]]] = {
    "mariadb": [
        functools.partial(_mariadb, unix_socket="/run/mysqld/mysqld.sock"),
        functools.partial(_mariadb, host="127.0.0.1"),
    ],
    "postgresql": [
        functools.partial(_postgresql, host="/var/run/postgresql"),
        functools.partial(_postgresql, host="127.0.0.1"),
        functools.partial(_postgresql, host="127.0.0.1", user="postgres"),
    ],
}


@contextlib.contextmanager
def admin(kind: str) -> Iterator[Ask]:
    """Connect as who may make databases; skip the test where there is no server."""
    connection = _connected(kind)

    def ask(statement: str) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    try:
        yield ask
    finally:
        connection.close()


def _connected(kind: str) -> Any:
    for way in WAYS[kind]:
        with contextlib.suppress(pymysql.Error, psycopg.Error):
            return way()
    package = packages()[PROGRAMS[kind]]
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/bin"])
    if shutil.which(PROGRAMS[kind], path=path) is None:
        pytest.skip(f"no {NAMES[kind]}: {MISSING}{package}")
    pytest.skip(f"no {NAMES[kind]}: {STOPPED}{kind}, and a role in it (CONTRIBUTING.md)")


@contextlib.contextmanager
def database(kind: str) -> Iterator[str]:
    """Make an empty database of a user of its own; drop both at the end."""
    name = f"indimail_test_{secrets.token_hex(6)}"
    with admin(kind) as ask:
        for statement in _made(kind, name):
            ask(statement)
        try:
            port = PORTS[kind]
            yield f"{kind}://{name}:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/{name}"
        finally:
            for statement in _dropped(kind, name):
                ask(statement)


def _made(kind: str, name: str) -> list[str]:
    """Return the statements that operators are told, with other names."""
    told = OPERATING.read_text().partition(f"-- {NAMES[kind]}\n")[2]
    lines = takewhile(lambda line: line.endswith(";"), told.splitlines())
    return [
        re.sub(r"\bindimail\b", name, line).replace("a-long-password", PASSWORD).rstrip(";")
        for line in lines
    ]


def _dropped(kind: str, name: str) -> list[str]:
    if kind == "mariadb":
        return [f"DROP DATABASE IF EXISTS {name}", f"DROP USER {name}@'%'"]
    return [f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"DROP ROLE {name}"]


def name_of(url: str) -> str:
    """Return the database's name."""
    return url.rpartition("/")[2]


def through(url: str, port: int) -> str:
    """Return the address of the same database behind another port."""
    before, _, name = url.rpartition("/")
    return f"{before.rpartition(':')[0]}:{port}/{name}"


class Database:
    """A database, and a look at it beside the adapter."""

    def __init__(self, kind: str, url: str) -> None:
        self.kind = kind
        self.url = url
        self._engine = create_engine(normal(url))
        self._opened: list[SqlAccounts] = []

    def accounts(self) -> SqlAccounts:
        self._opened.append(SqlAccounts(self.url))
        return self._opened[-1]

    def ask(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements; return the rows of the last one."""
        with self._engine.begin() as db:
            results = [db.execute(text(statement)) for statement in statements]
            return [tuple(row) for row in results[-1]] if results[-1].returns_rows else []

    @property
    def tables(self) -> set[str]:
        return set(inspect(self._engine).get_table_names())

    def indexes(self, table: str) -> set[str]:
        return {str(index["name"]) for index in inspect(self._engine).get_indexes(table)}

    def wipe(self) -> None:
        """Drop every table, and the copies."""
        for table in (
            self.tables if self.kind == "sqlite" else filter(None, [", ".join(self.tables)])
        ):
            self.ask(f"drop table {table}")
        if self.kind == "sqlite":
            path = Path(self.url.removeprefix("sqlite:///"))
            for copy in path.parent.glob(f"{path.name}.*"):
                copy.unlink()

    def close(self) -> None:
        for accounts in self._opened:
            accounts.close()
        self._engine.dispose()


def at_once(work: Callable[[], object], count: int) -> None:
    """Run it on some threads, and raise what went wrong on any."""
    failures: list[Exception] = []

    def run() -> None:
        try:
            work()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


SERVERS = [pytest.param(kind, marks=pytest.mark.interop) for kind in NAMES]
