"""Send a scenario's mails with smtp-source and find each of them in its Maildir.

    run = send(server, scenario)     # run.seconds, run.cpu_seconds, run.files

smtp-source (Postfix's own load generator) speaks without pipelining, a command at a time.  With
`-d` a connection is kept for the next mail; without, each mail has its own.  A process sends to
one user at a time and then to the next; processes run side by side, ten sessions each.

A run ends when the last mail has its name in `new/`: that is the newest change of the `new`
folders, read once the count is complete, so nothing is polled while the load runs.  CPU time is
read after the server is quiet again.

Raises `BenchError` unless every mail is there once, whole, octet by octet.
"""

import os
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from bench.cost import memory
from bench.scenarios import Scenario
from bench.server import DOMAIN, FANS, USERS, BenchError, Server

SENDER = "load@example.net"
SESSIONS_PER_PROCESS = 10
MAILS_PER_CONNECTION = 20  # at least: so that connecting is no part of the cost
GIVE_UP = 120.0  # seconds after the last 250 for the last mail to arrive
QUIET = 0.02  # of a CPU, over half a second: what a server without work may use


@dataclass(frozen=True, slots=True)
class Run:
    """What one run measured; seconds and octets, and deliveries: a mail for each recipient."""

    messages: int
    seconds: float
    accept_seconds: float
    cpu_seconds: float
    memory: int
    files: tuple[str, ...]

    @property
    def rate(self) -> float:
        return self.messages / self.seconds

    @property
    def cpu_per_mail(self) -> float:
        return self.cpu_seconds / self.messages

    def result(self, number: int, scenario: Scenario, server: str, clock: str) -> dict[str, Any]:
        """Return the entry of results.json; `clock`: where the CPU time is from."""
        return {
            "round": number,
            "scenario": scenario.name,
            "server": server,
            "messages": self.messages,
            "seconds": self.seconds,
            "rate": self.rate,
            "accept_rate": self.messages / self.accept_seconds,
            "cpu_per_mail": self.cpu_per_mail,
            "cpu_from": clock,
            "memory": self.memory,
        }


def told(result: dict[str, Any]) -> str:
    """Return a line about a run."""
    return (
        f"{result['round']} {result['scenario']:16} {result['server']:9}"
        f" {result['rate']:7,.0f}/s {result['cpu_per_mail'] * 1e6:7,.0f} us a mail"
    )


@dataclass(frozen=True, slots=True)
class Batch:
    """One call of smtp-source: so many mails for one user, or all fans, over so many sessions.

    `is_numbered`: each mail has a user of its own, `1user`, `2user` and so on.
    """

    user: str
    messages: int
    sessions: int
    recipients: int = 1
    is_numbered: bool = False
    domain: str = DOMAIN

    @property
    def users(self) -> tuple[str, ...]:
        """Who gets the mails: each of them all, but for numbered ones."""
        if self.is_numbered:
            return tuple(f"{number}{self.user}" for number in range(1, self.messages + 1))
        return (self.user,) if self.recipients == 1 else FANS[: self.recipients]


def plan(scenario: Scenario, users: tuple[str, ...] = USERS) -> list[list[Batch]]:
    """Divide a scenario into processes, and each process's mails among users of its own."""
    if scenario.recipients > 1:
        return [[Batch(FANS[0], scenario.messages, scenario.sessions, scenario.recipients)]]
    processes = max(1, min(scenario.sessions, max(2, scenario.sessions // SESSIONS_PER_PROCESS)))
    sessions = share(scenario.sessions, processes)
    messages = share(scenario.messages, processes)
    every = len(users) // processes
    batches = []
    for number in range(processes):
        mine = users[number * every : (number + 1) * every]
        waves = messages[number] // (MAILS_PER_CONNECTION * sessions[number])
        waves = max(1, min(waves, len(mine)))
        parts = zip(mine, share(messages[number], waves), strict=False)
        batches.append([Batch(user, part, sessions[number]) for user, part in parts])
    return batches


def share(total: int, among: int) -> list[int]:
    """Divide a number into parts that differ by one at most."""
    return [total // among + (number < total % among) for number in range(among)]


def send(server: Server, scenario: Scenario, batches: list[list[Batch]] | None = None) -> Run:
    """Warm up, send everything, wait for the last mail, check all of them."""
    warm_up(server, scenario)
    batches = batches or plan(scenario)
    wanted = Counter[str]()
    for batch in (batch for process in batches for batch in process):
        wanted.update(dict.fromkeys(batch.users, 1 if batch.is_numbered else batch.messages))
    before = {user: set(os.listdir(server.new(user))) for user in wanted}
    cpu = server.clock.seconds(server.pid)
    begun = time.time()  # the clock of file times
    run_all(server.port, batches, scenario)
    accepted = time.time()
    _wait(server, {user: len(before[user]) + wanted[user] for user in wanted})
    last = max(os.stat(server.new(user)).st_mtime for user in wanted)
    wait_until_quiet(server)
    cpu = server.clock.seconds(server.pid) - cpu
    files = check(server, before, wanted, scenario.octets)
    return Run(
        messages=scenario.messages * scenario.recipients,
        seconds=last - begun,
        accept_seconds=accepted - begun,
        cpu_seconds=cpu,
        memory=memory(server.pid),
        files=tuple(files),
    )


def warm_up(server: Server, scenario: Scenario) -> None:
    """Let both servers start what they start on demand; these mails are not counted."""
    small = Scenario(
        "warm-up",
        scenario.sessions,
        scenario.octets,
        messages=max(100 // scenario.recipients, 2 * scenario.sessions),
        rate=0.0,
        recipients=scenario.recipients,
    )
    batches = plan(small)
    users = [(user, batch.messages) for p in batches for batch in p for user in batch.users]
    have = {user: len(os.listdir(server.new(user))) for user, _ in users}
    run_all(server.port, batches, small)
    for user, messages in users:
        have[user] += messages
    _wait(server, have)
    wait_until_quiet(server)


def run_all(port: int, batches: list[list[Batch]], scenario: Scenario) -> None:
    """Run smtp-source for each batch, the processes side by side; return when all said 250."""
    failures: list[str] = []
    threads = [
        threading.Thread(target=_run_process, args=(port, process, scenario, failures))
        for process in batches
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise BenchError(f"smtp-source: {failures[0]}")


def _run_process(port: int, batches: list[Batch], scenario: Scenario, failures: list[str]) -> None:
    for batch in batches:
        keep = [] if scenario.connection_per_mail else ["-d"]
        counts = ["-s", str(batch.sessions), "-m", str(batch.messages), "-l", str(scenario.octets)]
        to = ["-t", f"{batch.user}@{batch.domain}", "-r", str(batch.recipients)]
        addresses = ["-f", SENDER, *to, "-M", "load.example.net"]
        keep += ["-N"] if batch.is_numbered else []
        command = ["smtp-source", *keep, *counts, *addresses, f"127.0.0.1:{port}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or done.stderr:
            failures.append(done.stderr.strip() or f"exit {done.returncode}")
            return


def _wait(server: Server, counts: dict[str, int]) -> None:
    """Return when each user has at least so many mails."""
    end = time.monotonic() + GIVE_UP
    missing = list(counts)
    while time.monotonic() < end:
        while missing and len(os.listdir(server.new(missing[-1]))) >= counts[missing[-1]]:
            missing.pop()
        if not missing:
            return
        time.sleep(0.05)
    raise BenchError(f"{server.name}: mails missing after {GIVE_UP:.0f} s, as for {missing[-1]}")


def wait_until_quiet(server: Server) -> None:
    """Return when the server has used next to no CPU for half a second."""
    for _ in range(60):
        before = server.clock.seconds(server.pid)
        time.sleep(0.5)
        if server.clock.seconds(server.pid) - before <= QUIET * 0.5 + 0.01:
            return


def body(octets: int) -> bytes:
    """Return the body that smtp-source makes, as it stands in a file (line ends LF)."""
    lines = [b"%dX" % (i // 80 % 10) + b"X" * 76 + b"\n" for i in range(80, octets, 80)]
    return b"".join(lines) + b"X" * (octets - 80 * len(lines)) + b"\n"


def check(
    server: Server, before: dict[str, set[str]], wanted: Counter[str], octets: int
) -> list[str]:
    """Return the new files; raise unless each mail is there once and whole."""
    end = b"\n\n" + body(octets)
    files = []
    for user, count in wanted.items():
        names = set(os.listdir(server.new(user))) - before[user]
        if len(names) != count:
            raise BenchError(f"{server.name}: {user}: {len(names)} mails, {count} were sent")
        ids = set()
        for name in names:
            path = os.path.join(server.new(user), name)
            with open(path, "rb") as file:
                content = file.read()
            if not content.endswith(end):
                raise BenchError(f"{server.name}: {path}: not whole")
            ids.add(message_id(content))
            files.append(path)
        if len(ids) != len(names):
            raise BenchError(f"{server.name}: {user}: {len(names) - len(ids)} mails twice")
    return files


def message_id(content: bytes) -> bytes:
    """Return a mail's Message-ID field."""
    header = content.partition(b"\n\n")[0].lower()
    return header.partition(b"\nmessage-id:")[2].partition(b"\n")[0].strip()
