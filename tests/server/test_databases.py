"""A server whose accounts are in MariaDB or PostgreSQL, and what happens while they are not there."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from glob import glob
from pathlib import Path

import pytest

from databases import NAMES, PORTS, database, through
from live import BOB, DOMAIN, Instance, Server, place, until
from tcp_proxy import Proxy

pytestmark = [pytest.mark.slow, pytest.mark.interop]


class Remote:
    """An instance with its accounts behind a proxy."""

    def __init__(self, instance: Instance, proxy: Proxy) -> None:
        self.instance = instance
        self.proxy = proxy


@pytest.fixture(params=NAMES)
def remote(request: pytest.FixtureRequest) -> Iterator[Remote]:
    with database(request.param) as url, Proxy(PORTS[request.param]) as proxy, place() as folder:
        instance = Instance.make(f"{folder}/i", "--database", through(url, proxy.port))
        yield Remote(instance, proxy)


def everything_written(instance: Instance) -> str:
    """Return the log, and all text below the trace and log folders."""
    found = glob(f"{instance.root}/trace/**", recursive=True)
    files = [path for path in [*found, f"{instance.root}.output"] if os.path.isfile(path)]
    return "".join(Path(path).read_text(errors="replace") for path in files)


def test_mail_comes_and_changes_are_in_force_at_once(remote: Remote) -> None:
    instance = remote.instance
    assert not os.path.exists(instance.path("db/indimail.db"))
    with instance.serve() as server:
        instance.ended(server.send())
        assert len(instance.mails("bob")) == 1
        talks, carol = server.on_each_worker(), f"carol@{DOMAIN}"
        for command, address, before, after in (
            (["vadduser", carol, "secret-1"], carol, "550 5.1.1", "250 2.1.5"),
            (["valias", "-i", f"&{BOB}", f"sales@{DOMAIN}"], f"sales@{DOMAIN}", "550 5.1.1", "250 2.1.5"),
            (["valias", "-d", f"&{BOB}", f"sales@{DOMAIN}"], f"sales@{DOMAIN}", "250 2.1.5", "550 5.1.1"),
            (["vmoduser", "-n", BOB], BOB, "250 2.1.5", "550 5.2.1"),
        ):  # fmt: skip
            assert {talk.recipient(address)[:9] for talk in talks} == {before}, command
            instance.run(*command)
            assert {talk.recipient(address)[:9] for talk in talks} == {after}, command


def says_451(server: Server) -> None:
    """Wait until what the workers remember has expired."""
    for talk in server.on_each_worker():
        until(lambda talk=talk: talk.recipient(BOB).startswith("451 4.3.2 "))  # type: ignore[misc]


@pytest.mark.parametrize("remote", ["mariadb"], indirect=True)
def test_a_database_that_is_down_defers_mail_and_heals_by_itself(remote: Remote) -> None:
    """Mail that was accepted before waits, and so does who comes meanwhile."""
    instance = remote.instance
    instance.write("control/holdlocal", "1\n")
    with instance.serve() as server:
        number = server.send()
        remote.proxy.stop()
        says_451(server)
        instance.write("control/holdlocal", "0\n")
        (delivery,) = until(
            lambda: [r for r in instance.explain(number) if r["event"] == "delivery"]
        )
        assert delivery["verdict"] == "deferred"
        assert instance.mails("bob") == []
        remote.proxy.start()
        for talk in server.on_each_worker():
            assert until(lambda talk=talk: talk.recipient(BOB)).startswith("250 ")  # type: ignore[misc]
        instance.ended(server.send())
    for path in glob(instance.path("queue/queue*/queue.db")):  # the next try is now
        with contextlib.closing(sqlite3.connect(path)) as db, db:
            db.execute("update recipient set due = 1000 where due > 1000")
    with instance.serve():
        until(lambda: len(instance.mails("bob")) == 2)
    assert "geheim" not in everything_written(instance)


# The waits of each driver are in accounts/test_outage.py.
@pytest.mark.parametrize("remote", ["postgresql"], indirect=True)
def test_a_silent_database_keeps_no_client_for_long(remote: Remote) -> None:
    with remote.instance.serve() as server:
        talks = [server.connect() for _ in range(8)]
        remote.proxy.silence()
        says_451(server)
        for talk in talks:
            assert talk.recipient(BOB).startswith("451 4.3.2 ")
        remote.proxy.stop()
        remote.proxy.start()
        until(lambda: server.connect().recipient(BOB).startswith("250 "))


def test_a_server_starts_without_its_database(remote: Remote) -> None:
    remote.proxy.stop()
    with remote.instance.serve() as server, server.connect() as talk:
        assert talk.recipient(BOB).startswith("451 4.3.2 ")
        remote.proxy.start()
        assert until(lambda: talk.recipient(BOB).startswith("250 "))
