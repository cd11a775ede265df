"""DNS as a port, and which servers to ask.

    answer = await dns.look_up("example.com", Type.MX)
    parse_server("127.0.0.1:5353"), parse_server("[::1]")     -> Server('127.0.0.1', 5353), ...
    ResolvConf("/etc/resolv.conf", clock).servers()           -> what the file says now

Adapters: `net.resolver` (dnspython), `net.dnscache` (in front of another one) and
`indimail.testing.dns` (zones in memory).

Source: resolv.conf(5): lines ``nameserver ADDRESS``, three at most; none means 127.0.0.1.
"""

import os
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from indimail.mail.clock import Clock
from indimail.mail.dns import Answer, Type
from indimail.mail.ip import ip_of, literal

PORT: Final = 53
MOST: Final = 3  # servers of resolv.conf, as in the C library
AGAIN: Final = 10.0  # seconds between two looks at the file
EXPECTED: Final = "IP, IP:PORT or [IPV6]:PORT"


class Dns(Protocol):
    """Who answers questions."""

    async def look_up(self, name: str, kind: Type) -> Answer:
        """Return an answer, also where there is none (`Found.FAILED`): raises nothing.

        `name` is absolute, whether it ends with a dot or not, of A-labels in either case.
        """


class Server(NamedTuple):
    """Whom to ask."""

    address: str
    port: int = PORT

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


def parse_server(text: str) -> Server:
    """Read a server's address.  Raises ValueError."""
    address, port = text, str(PORT)
    if ip_of(text) is None and literal(text) is None:
        address, _, port = text.rpartition(":")
    if address.startswith("[") or address.count(":") == 0:
        address = literal(address) or address
    ip = ip_of(address)
    if ip is None or not port.isascii() or not port.isdecimal() or not 0 < int(port) <= 65_535:
        raise ValueError(text)
    return Server(ip, int(port))


def parse_resolv_conf(text: str) -> tuple[Server, ...]:
    """Return the name servers of a resolv.conf."""
    words = [line.split() for line in text.splitlines()]
    named = [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]
    # A scope (fe80::1%eth0) is kept: the address is of no use without it.
    found = [Server(text) for text in named if ip_of(text.partition("%")[0])]
    return tuple(found[:MOST]) or (Server("127.0.0.1"),)


class ResolvConf:
    """A resolv.conf that may change while we run."""

    def __init__(self, path: str, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._look_at = 0.0
        self._changed = -1
        self._servers = parse_resolv_conf("")

    def servers(self) -> Sequence[Server]:
        """Return the servers; a file that cannot be read leaves those known so far."""
        now = self._clock.steady()
        if now >= self._look_at:
            self._look_at = now + AGAIN
            try:
                changed = os.stat(self._path).st_mtime_ns
                if changed != self._changed:
                    with open(self._path, encoding="utf-8", errors="replace") as file:
                        self._servers = parse_resolv_conf(file.read())
                    self._changed = changed
            except OSError:
                pass
        return self._servers
