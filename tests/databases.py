"""Databases on the real servers, each made for one test and dropped with it.

    with database("mariadb") as url: ...      # 'mysql://indimail_test_1f...:...@127.0.0.1:3306/...'
    with admin("mariadb") as ask: ask("SELECT 1")      # as who may do everything

It is made as docs/operating.md says, for a user of its name, with a password that has to be quoted
in a URL.  A test whose server is not there is skipped, and says how to have it.
"""

import contextlib
import functools
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pymysql
import pytest

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


SERVERS = [pytest.param(kind, marks=pytest.mark.interop) for kind in NAMES]
