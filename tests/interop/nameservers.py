"""NSD with zones of ours, and Unbound that asks it, on free ports of this machine.

    with Nsd(folder, {"example": ZONE}) as nsd, Unbound(folder, nsd, ["example"]) as unbound:
        unbound.server            # Server('127.0.0.1', 40001)
        nsd.write("example", ...)  # and have it read

Unbound keeps nothing, so that what our cache does is seen.
"""

import os
import signal
import socket
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

import dns.exception
import dns.flags
import dns.message
import dns.query

from indimail.net.dns import Server
from live import until
from support import needs

SOA = "$ORIGIN {zone}.\n$TTL 300\n@ IN SOA ns root {serial} 3600 600 86400 120\n@ IN NS ns\n"


class Daemon:
    """A name server in the foreground; ended with its `with`."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self.command = command
        self._log = folder / f"{Path(command[0]).name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, server: Server) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        until(lambda: responds(server), say=self._log.read_text)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)
            self.process = None


def responds(server: Server) -> bool:
    """Whether a server says anything at all."""
    query = dns.message.make_query("responds.example", "A")
    try:
        dns.query.udp(query, server.address, timeout=0.2, port=server.port)
    except (dns.exception.DNSException, OSError):
        return False
    return True


def free_port() -> int:
    """Return a port that is free for UDP and TCP; NSD and Unbound take none by themselves."""
    for _ in range(50):
        with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            try:
                tcp.bind(udp.getsockname())
            except OSError:
                continue
            return int(udp.getsockname()[1])
    raise AssertionError("no free port")


class Nsd:
    """Authoritative, and unwilling to look further."""

    def __init__(self, folder: Path, zones: Mapping[str, str], broken: Iterable[str] = ()) -> None:
        """`broken` zones are configured and have no file: SERVFAIL."""
        self.server = Server("127.0.0.1", free_port())
        self._folder = folder
        self._serial = 0
        for zone, text in zones.items():
            self._put(zone, text)
        conf = folder / "nsd.conf"
        conf.write_text(
            f"server:\n ip-address: 127.0.0.1@{self.server.port}\n username: \"\"\n"
            f" chroot: \"\"\n zonesdir: {folder}\n database: \"\"\n pidfile: {folder}/nsd.pid\n"
            f" xfrdfile: {folder}/xfrd\n zonelistfile: {folder}/zones\n cookie-secret-file: \"\"\n"
            f" xfrdir: {folder}\n server-count: 1\n"
            "remote-control:\n control-enable: no\n"
            + "".join(f"zone:\n name: {zone}\n zonefile: {zone}.zone\n" for zone in (*zones, *broken))
        )  # fmt: skip
        self.daemon = Daemon([needs("nsd"), "-d", "-c", str(conf)], folder)

    def write(self, zone: str, text: str) -> None:
        """Change a zone, and wait until it is served."""
        self._put(zone, text)
        changed = self._serial
        assert self.daemon.process is not None
        self.daemon.signal(signal.SIGHUP)
        until(lambda: self._serial_of(zone) == changed)

    def _put(self, zone: str, text: str) -> None:
        self._serial += 1
        path = self._folder / f"{zone}.zone"
        path.write_text(SOA.format(zone=zone, serial=self._serial) + text)
        os.utime(path, (self._serial, self._serial))  # NSD looks at the seconds alone

    def _serial_of(self, zone: str) -> int:
        query = dns.message.make_query(zone, "SOA")
        try:
            found = dns.query.udp(query, "127.0.0.1", timeout=1, port=self.server.port)
        except (dns.exception.DNSException, OSError):
            return -1
        return found.answer[0][0].serial if found.answer else -1

    def __enter__(self) -> Self:
        self.daemon.start(self.server)
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.signal(signal.SIGTERM)  # it ends its children
        assert self.daemon.process is not None
        self.daemon.process.wait(20)


class Unbound:
    """Recursive: it asks NSD for some zones, and nobody for others."""

    def __init__(self, folder: Path, nsd: Nsd, zones: Iterable[str]) -> None:
        self.server = Server("127.0.0.1", free_port())
        conf = folder / "unbound.conf"
        stubs = "".join(
            f"stub-zone:\n name: {zone}\n stub-addr: 127.0.0.1@{nsd.server.port}\n"
            for zone in zones
        )
        conf.write_text(
            f"server:\n interface: 127.0.0.1\n port: {self.server.port}\n directory: {folder}\n"
            " chroot: \"\"\n username: \"\"\n pidfile: \"\"\n use-syslog: no\n logfile: \"\"\n"
            " module-config: iterator\n do-not-query-localhost: no\n do-ip6: no\n"
            " num-threads: 1\n cache-max-ttl: 0\n cache-max-negative-ttl: 0\n infra-host-ttl: 0\n"
            f" qname-minimisation: no\n target-fetch-policy: \"0 0 0 0 0\"\n{stubs}"
            "remote-control:\n control-enable: no\n"
        )  # fmt: skip
        self.daemon = Daemon([needs("unbound"), "-d", "-c", str(conf)], folder)

    def __enter__(self) -> Self:
        self.daemon.start(self.server)
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.stop()
