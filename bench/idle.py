"""Memory: of the idle server, and of each of two thousand idle connections.

measure_idle(server)  -> {"idle_mib": 71.2, "session_kib": 11.3, ...}
"""

import contextlib
import resource
import socket

from bench.cost import memory
from bench.load import wait_until_quiet
from bench.server import BenchError, Server

SESSIONS = 2000
MIB = 1024 * 1024


def measure_idle(server: Server, sessions: int = SESSIONS) -> dict[str, float]:
    """Open sessions that greeted and then say nothing; PSS of all processes, before and with them."""
    _allow_files(sessions + 100)
    wait_until_quiet(server)
    before = memory(server.pid)
    with contextlib.ExitStack() as stack:
        for _ in range(sessions):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 30))
            _expect(client, b"220")
            client.sendall(b"EHLO idle.example.net\r\n")
            _expect(client, b"250")
        wait_until_quiet(server)
        during = memory(server.pid)
    return {
        "sessions": sessions,
        "idle_mib": before / MIB,
        "with_sessions_mib": during / MIB,
        "session_kib": (during - before) / sessions / 1024,
    }


def _expect(client: socket.socket, code: bytes) -> None:
    """Read one whole reply."""
    reply = b""
    while not (reply.endswith(b"\n") and reply.splitlines()[-1][3:4] == b" "):
        more = client.recv(4096)
        if not more:
            raise BenchError(f"idle session: closed after {reply!r}")
        reply += more
    if not reply.startswith(code):
        raise BenchError(f"idle session: {reply!r}")


def _allow_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
