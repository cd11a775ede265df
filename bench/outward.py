"""Mail for the next host: SMTP in, SMTP out, ours and Postfix by turns.

    measure_outward(folder, rounds, fewer, sides, wanted)  -> (runs, differences)

The load is smtp-source, as in the other scenarios; only *destinations* has a sender of its own, for
each of its mails goes to a domain of its own, routed to a loopback address of its own.  A mail is
finished when the next host said 250 behind its end.  The CPU time is the mail server's, not the next
host's.

Each mail is counted at the next host, none twice; at the end some hundred go to a sink that writes
them down, and are compared octet by octet.
"""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from bench.cost import memory
from bench.load import (
    GIVE_UP,
    SENDER,
    Batch,
    Run,
    body,
    message_id,
    run_all,
    share,
    told,
    wait_until_quiet,
)
from bench.nexthop import DiscardingPostfix, LogReader, Sink, Taken
from bench.ours import Ours
from bench.postfix import Postfix
from bench.scenarios import KIB, Scenario
from bench.server import BenchError, Server

NEXT = "next.example"  # the domain of the next host
ALLOWED = '127.:allow,RELAYCLIENT=""\n'
DESTINATIONS = 1000
WHOLE = 200  # mails that are compared


def destination(number: int) -> tuple[str, str]:
    """Return a domain of its own and the loopback address it is routed to."""
    return f"d{number:04}.example", f"127.1.{number // 250}.{number % 250 + 1}"


@dataclass(slots=True)
class OursOut(Ours):
    """Ours as a relay for this machine; `hop` is the port of the next host."""

    hop: int = 0

    def _init(self) -> None:
        self.run("indimail", "init", "--me", "bench.example.org")

    def build(self) -> None:
        Ours.build(self)
        routes = [f":127.0.0.1:{self.hop}"]
        routes += [f"{d}:{a}:{self.hop}" for d, a in map(destination, range(DESTINATIONS))]
        for name, text in (
            ("tcp/tcp.smtp", ALLOWED),
            ("control/smtproutes", "\n".join(routes) + "\n"),
        ):
            with open(os.path.join(self.root, name), "w", encoding="ascii") as file:
                file.write(text)

    def differences(self) -> list[str]:
        return [
            "tcp/tcp.smtp: 127. may relay (as Postfix's mynetworks has it)",
            "control/smtproutes: the next host, and one for each of 1,000 domains",
        ]


@dataclass(slots=True)
class PostfixOut(Postfix):
    """Postfix as a relay for this machine; `hop` is the port of the next host."""

    hop: int = 0

    def build(self) -> None:
        Postfix.build(self)
        path = self._in("etc/transport")
        with open(path, "w", encoding="ascii") as file:
            for domain, address in map(destination, range(DESTINATIONS)):
                file.write(f"{domain} smtp:[{address}]:{self.hop}\n")
        subprocess.run(["postmap", "-c", self._in("etc"), f"hash:{path}"], check=True)

    def _settings(self) -> list[tuple[str, str, str]]:
        return [
            *Postfix._settings(self),
            ("relayhost", f"[127.0.0.1]:{self.hop}", "the next host"),
            ("transport_maps", f"hash:{self.folder}/etc/transport", "1,000 destinations"),
            ("smtp_tls_security_level", "may", "TLS where it is offered, as ours does"),
        ]


def measure_outward(
    folder: str, rounds: int, fewer: int, sides: tuple[bool, bool], wanted: Iterable[Scenario]
) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    """Return the runs, as `bench.run` has them, and what is not as shipped.

    `sides`: whether ours and Postfix are measured; `fewer`: divides the mails (--quick).
    """
    bench = _Outward(folder)
    wanted = [replace(each, messages=each.messages // fewer) for each in wanted]
    with Sink() as sink, bench.discarding(any(each.tls for each in wanted)) as discarding:
        for number in range(1, rounds + 1):
            for scenario in wanted:
                hop = discarding if scenario.tls else sink
                assert hop is not None
                for server in bench.servers(number, hop.port, sides):
                    bench.run_one(number, scenario, server, hop)
    if sides[0]:
        bench.compare()
    return bench.runs, bench.differences


class _Outward:
    """One call of `measure_outward`."""

    def __init__(self, folder: str) -> None:
        self.runs: list[dict[str, Any]] = []
        self.differences: dict[str, list[str]] = {}
        self._folder = folder
        self._instances = 0

    @contextmanager
    def discarding(self, is_wanted: bool) -> Iterator[LogReader | None]:
        """The next host with TLS, where a scenario wants one."""
        if not is_wanted:
            yield None
            return
        with DiscardingPostfix(self._in("next"), mailboxes=()) as host, host.taken() as taken:
            yield taken

    def servers(self, turn: int, hop: int, sides: tuple[bool, bool]) -> list[Server]:
        """Return the servers of a round, in folders of their own, the other first every second time."""
        self._instances += 1
        chosen: list[Server] = []
        if sides[0]:
            chosen.append(OursOut(self._in(f"ours-{self._instances}"), (), hop=hop))
        if sides[1]:
            chosen.append(PostfixOut(self._in(f"postfix-{self._instances}"), (), hop=hop))
        return chosen if turn % 2 else chosen[::-1]

    def run_one(self, number: int, scenario: Scenario, server: Server, hop: Taken) -> None:
        """One scenario on one server; the disk is at rest before it."""
        os.sync()
        with server:
            run = send_out(server, scenario, hop)
            self.differences.setdefault(server.name, server.differences())
            clock = server.clock.source
        self.runs.append(run.result(number, scenario, server.name, clock))
        print(told(self.runs[-1]), flush=True)

    def compare(self) -> None:
        """Send some more to a sink that writes them down: each is there once, whole."""
        dump = self._in("dump")
        os.makedirs(dump)
        scenario = Scenario("whole", 10, 10 * KIB, WHOLE, rate=0.0)
        with Sink(dump) as sink, OursOut(self._in("whole"), (), hop=sink.port) as server:
            run_all(server.port, outward_plan(scenario), scenario)
            sink.wait(WHOLE, GIVE_UP)
        ids = set()
        for name in os.listdir(dump):
            with open(os.path.join(dump, name), "rb") as file:
                content = file.read()
            if not content.rstrip(b"\n").endswith(b"\n\n" + body(scenario.octets).rstrip(b"\n")):
                raise BenchError(f"{dump}/{name}: not whole")
            ids.add(message_id(content))
        if len(ids) != WHOLE or len(os.listdir(dump)) != WHOLE:
            raise BenchError(f"{dump}: {len(ids)} mails, {WHOLE} were sent")

    def _in(self, name: str) -> str:
        return os.path.join(self._folder, f"outward-{name}")


def send_out(server: Server, scenario: Scenario, hop: Taken) -> Run:
    """Warm up, send everything, wait until the next host has taken the last."""
    few = max(100 // scenario.recipients, 2 * scenario.sessions)
    warm_up = replace(scenario, messages=few, destinations=1)
    begin = hop.count
    run_all(server.port, outward_plan(warm_up), warm_up)
    hop.wait(begin + few, GIVE_UP)
    wait_until_quiet(server)
    cpu = server.clock.seconds(server.pid)
    begun = time.time()
    if scenario.destinations > 1:
        scatter(server.port, scenario)
    else:
        run_all(server.port, outward_plan(scenario), scenario)
    accepted = time.time()
    last = hop.wait(begin + few + scenario.messages, GIVE_UP)
    wait_until_quiet(server)
    cpu = server.clock.seconds(server.pid) - cpu
    hop.wait(begin + few + scenario.messages, 0.0)  # none came twice meanwhile
    if isinstance(hop, LogReader) and not hop.encrypted:
        raise BenchError(f"{server.name}: no connection to the next host was encrypted")
    return Run(
        messages=scenario.messages * scenario.recipients,
        seconds=last - begun,
        accept_seconds=accepted - begun,
        cpu_seconds=cpu,
        memory=memory(server.pid),
        files=(),
    )


def outward_plan(scenario: Scenario) -> list[list[Batch]]:
    """Divide a scenario into processes of smtp-source: one batch each."""
    processes = max(2, scenario.sessions // 10)
    parts = zip(
        share(scenario.messages, processes), share(scenario.sessions, processes), strict=True
    )
    return [
        [Batch(f"p{number}", messages, sessions, scenario.recipients, domain=NEXT)]
        for number, (messages, sessions) in enumerate(parts)
    ]


def scatter(port: int, scenario: Scenario) -> None:
    """Send a mail to each destination, some connections at a time."""
    failures: list[str] = []
    threads = []
    for first in range(scenario.sessions):
        numbers = range(first, scenario.messages, scenario.sessions)
        threads.append(threading.Thread(target=_scatter, args=(port, numbers, scenario, failures)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise BenchError(f"destinations: {failures[0]}")


def _scatter(port: int, numbers: Iterable[int], scenario: Scenario, failures: list[str]) -> None:
    """One connection: command by command, as smtp-source speaks."""
    text = (
        b"Subject: one of many\r\n\r\n" + body(scenario.octets).replace(b"\n", b"\r\n") + b".\r\n"
    )
    with (
        socket.create_connection(("127.0.0.1", port)) as connection,
        connection.makefile("rb") as replies,
    ):
        replies.readline()
        said = [b"HELO load.example.net\r\n"]
        for number in numbers:
            to = f"user@{destination(number)[0]}".encode()
            said += [b"MAIL FROM:<%s>\r\n" % SENDER.encode(), b"RCPT TO:<%s>\r\n" % to, b"DATA\r\n"]
            said.append(text)
        for line in [*said, b"QUIT\r\n"]:
            connection.sendall(line)
            reply = replies.readline()
            if reply[:1] not in b"23":
                failures.append(repr(reply))
                return
