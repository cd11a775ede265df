"""A hundred thousand users in each database: mail to a hundred of them, and to one after another.

    measure_users(folder, rounds, messages=1.0, both=True)  -> {"users": 100000, "runs": [...]}

*warm*: the mails go to a hundred users, as in the other scenarios.  *cold*: each mail goes to a user
that no mail went to before, so nothing is known of it; the server itself is warm.  The rows are put into
the database by the hundred; homes are made for those who get mail.

Postfix has the same users in its `hash:` map, the fastest it ships with; its rate stands beside all
three, for it does not depend on our database.  Each instance lives through all rounds, started
anew for each run.  The CPU time is that of the mail server's processes alone, not the database's.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from bench.databases import DATABASES, database
from bench.load import Batch, plan, send
from bench.ours import HOST, PASSWORD, Ours
from bench.postfix import Postfix
from bench.scenarios import SCENARIOS, Scenario
from bench.server import DOMAIN, USERS, BenchError, Server
from indimail.accounts.layout import bucket_after, home
from indimail.accounts.port import Account
from indimail.accounts.sql import SqlAccounts, sqlite_url

MANY = 100_000
LOADS = ("1k-10", "1k-1")
FEWER = 2  # so many times fewer mails than the scenario of that name: each has a home of its own
BATCH = 500


@dataclass(frozen=True, slots=True)
class Load:
    """A scenario of a round, to users that are known or not."""

    round: int
    scenario: Scenario
    is_cold: bool

    @property
    def batches(self) -> list[list[Batch]]:
        """What is sent, by process."""
        batches = plan(self.scenario)
        if not self.is_cold:
            return batches
        return [
            [
                Batch(
                    f"r{self.round}s{self.scenario.sessions}p{number}",
                    sum(batch.messages for batch in process),
                    process[0].sessions,
                    is_numbered=True,
                )
            ]
            for number, process in enumerate(batches)
        ]


def loads(rounds: int, quickly: int) -> list[Load]:
    """Return what is sent in all rounds."""
    chosen = [scenario for scenario in SCENARIOS if scenario.name in LOADS]
    return [
        Load(number, replace(scenario, messages=scenario.messages // FEWER // quickly), is_cold)
        for number in range(1, rounds + 1)
        for scenario in chosen
        for is_cold in (False, True)
    ]


@dataclass(slots=True)
class OursWithMany(Ours):
    """Our server on one database."""

    url: str = ""
    everybody: tuple[str, ...] = ()

    def build(self) -> None:
        if not os.path.isdir(self.root):
            given = ("--database", "-") if self.url else ()
            self.run("indimail", "init", "--me", HOST, *given, given=f"{self.url}\n".encode())
            self.run("vadddomain", DOMAIN, given=PASSWORD)
            self.run("vadduser", "-d", f"pattern@{DOMAIN}", given=PASSWORD)
            accounts = SqlAccounts(self.url or sqlite_url(f"{self.root}/db/indimail.db"))
            pattern = accounts.find("pattern", DOMAIN)
            if pattern is None:
                raise BenchError(f"{self.name}: no row of pattern@{DOMAIN}")
            self._add_all(accounts, pattern)
            accounts.close()

    def _add_all(self, accounts: SqlAccounts, pattern: Account) -> None:
        rows = list(self._rows(pattern))
        for start in range(0, len(rows), BATCH):
            accounts.add_users(rows[start : start + BATCH], int(time.time()))
        owner = os.stat(pattern.directory)
        with_mail = set(self.mailboxes)
        for row in rows:
            if row.name in with_mail:
                copy_home(pattern.directory, row.directory, owner.st_uid, owner.st_gid)
                self._new[row.name] = os.path.join(row.directory, "Maildir", "new")

    def _rows(self, pattern: Account) -> Iterator[Account]:
        base = os.path.join(self.root, "mail")
        bucket = ""
        for number, name in enumerate(self.everybody, 1):
            bucket = bucket_after(number, bucket, 100)
            directory = home(base, name, DOMAIN, bucket)
            yield replace(pattern, name=name, directory=directory)

    def differences(self) -> list[str]:
        return [f"{len(self.everybody):,} rows in the user database, which init --database named"]


def copy_home(source: str, target: str, uid: int, gid: int) -> None:
    """Copy a new home as `vadduser -d` makes one, with its owner."""
    shutil.copytree(source, target)
    for parent, _, names in os.walk(target):
        os.chown(parent, uid, gid)
        for name in names:
            os.chown(os.path.join(parent, name), uid, gid)
    path = target
    while os.stat(path := os.path.dirname(path)).st_uid != uid:
        os.chown(path, uid, gid)


def names_of(everything: list[Load]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return who gets mail, and everybody."""
    cold = [batch for load in everything if load.is_cold for p in load.batches for batch in p]
    with_mail = [*USERS, *(user for batch in cold for user in batch.users)]
    others = (f"somebody{number:06}" for number in range(MANY))
    everybody = [*with_mail, *others][: max(MANY, len(with_mail))]
    return tuple(with_mail), tuple(everybody)


def measure_users(
    folder: str, rounds: int, quickly: int, sides: tuple[bool, bool]
) -> dict[str, Any]:
    """Measure each load on each server, interleaved; `sides`: ours, Postfix."""
    everything = loads(rounds, quickly)
    with_mail, everybody = names_of(everything)
    found: dict[str, Any] = {"users": len(everybody), "rounds": rounds, "runs": []}
    with ExitStack() as stack:
        servers: dict[str, Server] = {}
        for kind in DATABASES if sides[0] else ():
            url = stack.enter_context(database(kind))
            place = os.path.join(folder, f"users-{kind}")
            servers[kind] = OursWithMany(place, mailboxes=with_mail, url=url, everybody=everybody)
        if sides[1]:
            place = os.path.join(folder, "users-postfix")
            servers["Postfix"] = Postfix(place, mailboxes=with_mail, everybody=everybody)
        for server in servers.values():
            os.makedirs(server.folder, mode=0o711, exist_ok=True)
            server.build()
        for load in everything:
            order = list(servers) if load.round % 2 else list(servers)[::-1]
            for kind in order:
                found["runs"].append(_run(kind, servers[kind], load))
    return found


def _run(kind: str, server: Server, load: Load) -> dict[str, Any]:
    os.sync()
    with server:
        run = send(server, load.scenario, load.batches)
    cache = "cold" if load.is_cold else "warm"
    rate, cpu = run.rate, run.cpu_per_mail
    print(
        f"{load.round} {load.scenario.name:6} {cache} {kind:10} {rate:7,.0f}/s {cpu * 1e6:6,.0f} us"
    )
    return {
        "round": load.round,
        "scenario": load.scenario.name,
        "cache": cache,
        "server": kind,
        "messages": run.messages,
        "rate": rate,
        "cpu_per_mail": cpu,
    }
