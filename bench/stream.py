"""Ten mails of 100 MB at once, half by DATA and half by BDAT, and a NOOP beside them.

    measure_stream(server)  -> {"pss_rise_mib": 12.0, "noop_p99_ms": 8.1, ...}

Bodies are streamed, so memory must not follow their size, and other sessions go on.
"""

import os
import socket
import statistics
import threading
import time

from bench.cost import memory
from bench.idle import MIB, _expect
from bench.load import SENDER, _wait, wait_until_quiet
from bench.server import DOMAIN, USERS, BenchError, Server

MAILS = 10
OCTETS = 100_000_000
LINE = b"The body of a large mail, as long as a line of text is in most of them, or so.\r\n"
PIECE = LINE * (MIB // len(LINE))


def measure_stream(server: Server, octets: int = OCTETS) -> dict[str, float]:
    """Send them all, sampling PSS and the time of a NOOP; then see that they arrived whole."""
    users = USERS[:MAILS]
    before = {user: len(os.listdir(server.new(user))) for user in users}
    wait_until_quiet(server)
    base = memory(server.pid)
    failures: list[str] = []
    pieces = -(-octets // len(PIECE))
    threads = [
        threading.Thread(target=_send, args=(server.port, user, pieces, number % 2, failures))
        for number, user in enumerate(users)
    ]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    peak, pauses = base, []
    with socket.create_connection(("127.0.0.1", server.port), 30) as client:
        _expect(client, b"220")
        next_sample = 0.0
        while any(thread.is_alive() for thread in threads):
            start = time.monotonic()
            client.sendall(b"NOOP\r\n")
            _expect(client, b"250")
            pauses.append(time.monotonic() - start)
            if start > next_sample:
                peak = max(peak, memory(server.pid))
                next_sample = start + 0.25
            time.sleep(0.01)
    if failures:
        raise BenchError(f"stream: {failures[0]}")
    _wait(server, {user: before[user] + 1 for user in users})
    _check(server, pieces * len(LINE[:-2] + b"\n") * (len(PIECE) // len(LINE)))
    return {
        "mails": MAILS,
        "octets": pieces * len(PIECE),
        "seconds": time.monotonic() - begun,
        "pss_rise_mib": (peak - base) / MIB,
        "noop_p99_ms": statistics.quantiles(pauses, n=100)[98] * 1000,
        "noops": len(pauses),
    }


def _send(port: int, user: str, pieces: int, chunked: int, failures: list[str]) -> None:
    try:
        with socket.create_connection(("127.0.0.1", port), 300) as client:
            _expect(client, b"220")
            for line in ("EHLO large.example.net", f"MAIL FROM:<{SENDER}>"):
                client.sendall(f"{line}\r\n".encode())
                _expect(client, b"250")
            client.sendall(f"RCPT TO:<{user}@{DOMAIN}>\r\n".encode())
            _expect(client, b"250")
            (_bdat if chunked else _data)(client, pieces)
            client.sendall(b"QUIT\r\n")
    except (OSError, BenchError) as error:
        failures.append(f"{user}: {error}")


def _data(client: socket.socket, pieces: int) -> None:
    client.sendall(b"DATA\r\n")
    _expect(client, b"354")
    client.sendall(b"Subject: large\r\n\r\n")
    for _ in range(pieces):
        client.sendall(PIECE)
    client.sendall(b".\r\n")
    _expect(client, b"250")


def _bdat(client: socket.socket, pieces: int) -> None:
    header = b"Subject: large\r\n\r\n"
    client.sendall(b"BDAT %d\r\n%s" % (len(header), header))
    _expect(client, b"250")
    for _ in range(pieces):
        client.sendall(b"BDAT %d\r\n" % len(PIECE))
        client.sendall(PIECE)
        _expect(client, b"250")
    client.sendall(b"BDAT 0 LAST\r\n")
    _expect(client, b"250")


def _check(server: Server, least: int) -> None:
    """See that every large mail is in its Maildir with all of its octets."""
    for user in USERS[:MAILS]:
        sizes = [entry.stat().st_size for entry in os.scandir(server.new(user))]
        if max(sizes) < least:
            raise BenchError(f"stream: {user}: {max(sizes)} octets arrived of {least}")
