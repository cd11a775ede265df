"""An empty database on each server of this machine, for the time of a measurement.

    with database("MariaDB") as url: ...          # 'mysql://indimail_bench_1f...:...@127.0.0.1/...'

It is made as docs/operating.md tells operators to, by root over the server's socket, for a user of
its own; both go at the end.  SQLite has its file in the instance, and the URL is empty.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pymysql

from bench.server import BenchError

DATABASES = ("SQLite", "MariaDB", "PostgreSQL")
Do = Callable[[str], object]


@contextmanager
def database(kind: str) -> Iterator[str]:
    """Make one and drop it; raise where its server is not there, or root is nobody to it."""
    name, password = f"indimail_bench_{secrets.token_hex(4)}", secrets.token_hex(16)
    match kind:
        case "MariaDB":
            made = (
                f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
                f"CREATE USER {name}@'%' IDENTIFIED BY '{password}'",
                f"GRANT ALL ON {name}.* TO {name}@'%'",
            )
            dropped = (f"DROP DATABASE IF EXISTS {name}", f"DROP USER IF EXISTS {name}@'%'")
            scheme = "mysql"
        case "PostgreSQL":
            made = (
                f"CREATE ROLE {name} LOGIN PASSWORD '{password}'",
                f"CREATE DATABASE {name} OWNER {name} TEMPLATE template0 ENCODING 'UTF8'",
            )
            dropped = (
                f"DROP DATABASE IF EXISTS {name} WITH (FORCE)",
                f"DROP ROLE IF EXISTS {name}",
            )
            scheme = "postgresql"
        case _:
            yield ""
            return
    with _admin(kind) as do:
        try:
            for statement in made:
                do(statement)
            yield f"{scheme}://{name}:{password}@127.0.0.1/{name}"
        finally:
            for statement in dropped:
                do(statement)


@contextmanager
def _admin(kind: str) -> Iterator[Do]:
    try:
        if kind == "MariaDB":
            socket = "/run/mysqld/mysqld.sock"
            with pymysql.connect(user="root", unix_socket=socket, autocommit=True) as mariadb:
                yield mariadb.cursor().execute
        else:
            with psycopg.connect(dbname="postgres", autocommit=True) as postgresql:
                yield postgresql.execute
    except (pymysql.OperationalError, psycopg.OperationalError) as error:
        raise BenchError(f"{kind}: {error} (see CONTRIBUTING.md)") from None
