"""What a login costs, the first and the next, and what others feel of fifty at once.

    measure_logins(server)  -> {"first_ms": 31.0, "again_ms": 0.3, "noop_p99_ms": 12.0, ...}

Fifty clients log in with PLAIN or SCRAM-SHA-256, each as a user of its own, over and over, each time with a
new connection and TLS; a NOOP is said beside them all the while.  The first login of a user is hashed
(argon2id); one within the same seconds is not, and is what `again_ms` has: AUTH alone, of one idle client.
"""

import os
import smtplib
import socket
import ssl
import statistics
import subprocess
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection

from scramp import ScramClient

from bench.idle import _expect
from bench.nexthop import CERTIFICATE
from bench.ours import PASSWORD, Ours
from bench.server import DOMAIN, USERS, BenchError

CLIENTS = 50
SECONDS = 10.0
WORD = PASSWORD.decode().strip()


def measure_logins(server: Ours, seconds: float = SECONDS) -> dict[str, float]:
    """Start a server with a certificate and the port of submission, and log in for some seconds."""
    os.makedirs(server.folder, mode=0o711, exist_ok=True)
    server.build()
    certify(server)
    server.listeners = ("smtp", "submission")
    server.start()
    try:
        return _measure(server, server.port_of("submission"), seconds)
    finally:
        server.stop()


def certify(server: Ours) -> None:
    """Give the instance a certificate that nobody has to trust."""
    path = os.path.join(server.root, "certs", "servercert.pem")
    subprocess.run(
        [*CERTIFICATE, "-keyout", f"{path}.key", "-out", path], check=True, capture_output=True
    )
    with open(path, "a", encoding="ascii") as file, open(f"{path}.key", encoding="ascii") as key:
        file.write(key.read())
    owner = os.stat(server.root)
    os.chown(path, owner.st_uid, owner.st_gid)


def _measure(server: Ours, port: int, seconds: float) -> dict[str, float]:
    first, again = _one_client(port, f"{USERS[CLIENTS]}@{DOMAIN}")
    quiet_until = time.monotonic() + seconds / 4
    alone = _noops(server, lambda: time.monotonic() < quiet_until)
    here, there = Pipe(duplex=False)
    clients = Process(
        target=_all_clients, args=(port, seconds, there)
    )  # not in our interpreter's way
    clients.start()
    pauses = _noops(server, clients.is_alive)
    done, failures = here.recv()
    if failures:
        raise BenchError(f"logins: {failures[0]}")
    return {
        "clients": CLIENTS,
        "logins": done,
        "logins_a_second": done / seconds,
        "first_ms": first * 1000,
        "again_ms": again * 1000,
        "noop_alone_p99_ms": statistics.quantiles(alone, n=100)[98] * 1000,
        "noop_p50_ms": statistics.median(pauses) * 1000,
        "noop_p99_ms": statistics.quantiles(pauses, n=100)[98] * 1000,
        "noops": len(pauses),
    }


def _all_clients(port: int, seconds: float, told: Connection) -> None:
    """Log in with all clients, and tell how often they did and what failed."""
    done: list[int] = []
    failures: list[str] = []
    end = time.monotonic() + seconds
    threads = [
        threading.Thread(target=_log_in, args=(port, number, end, done, failures))
        for number in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.send((len(done), failures))


def _noops(server: Ours, go_on: Callable[[], bool]) -> list[float]:
    """Say NOOP on one connection, and return how long each answer took."""
    pauses = []
    with socket.create_connection(("127.0.0.1", server.port), 30) as client:
        _expect(client, b"220")
        while go_on():
            start = time.monotonic()
            client.sendall(b"NOOP\r\n")
            _expect(client, b"250")
            pauses.append(time.monotonic() - start)
            time.sleep(0.01)
    return pauses


def _connected(port: int) -> smtplib.SMTP:
    client = smtplib.SMTP("127.0.0.1", port, "bench.example.net", 60)
    client.starttls(context=ssl._create_unverified_context())
    client.ehlo()
    return client


def _one_client(port: int, user: str) -> tuple[float, float]:
    """Return how long the first AUTH of a user takes, and the median of those after it."""
    times = []
    for _ in range(10):
        with _connected(port) as client:
            start = time.monotonic()
            _plain(client, user)
            times.append(time.monotonic() - start)
    return times[0], statistics.median(times[1:])


def _log_in(port: int, number: int, end: float, done: list[int], failures: list[str]) -> None:
    user = f"{USERS[number]}@{DOMAIN}"
    try:
        while time.monotonic() < end:
            with _connected(port) as client:
                (_scram if number % 2 else _plain)(client, user)
            done.append(number)
    except (OSError, smtplib.SMTPException, BenchError) as error:
        failures.append(f"{user}: {error}")


def _plain(client: smtplib.SMTP, user: str) -> None:
    said = b64encode(f"\0{user}\0{WORD}".encode()).decode()
    _want(client.docmd("AUTH", f"PLAIN {said}"), 235)


def _scram(client: smtplib.SMTP, user: str) -> None:
    peer = ScramClient(["SCRAM-SHA-256"], user, WORD)
    first = b64encode(peer.get_client_first().encode()).decode()
    peer.set_server_first(_want(client.docmd("AUTH", f"SCRAM-SHA-256 {first}"), 334))
    final = b64encode(peer.get_client_final().encode()).decode()
    peer.set_server_final(_want(client.docmd(final), 334))
    _want(client.docmd(""), 235)


def _want(answer: tuple[int, bytes], code: int) -> str:
    if answer[0] != code:
        raise BenchError(f"{answer[0]} {answer[1].decode()}")
    return b64decode(answer[1]).decode() if code == 334 else ""
