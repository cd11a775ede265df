"""The next host of the outward scenarios: smtp-sink, or a Postfix with TLS that discards all.

    with Sink() as hop:
        begun = hop.count
        ...
        last = hop.wait(begun + 8000, 120.0)        # when the last of them was taken, in seconds

Both tell of each message as they take it (250 behind its end): smtp-sink with its counters, Postfix
in its log, a line of cleanup(8) each.  A thread reads what they say, so that nothing is asked while
the load runs.
"""

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from bench.postfix import Postfix
from bench.server import BenchError, free_port

MESSAGES = re.compile(rb"mesg=(\d+)")
TAKEN = re.compile(rb"postfix/cleanup\[\d+\]: \w+: message-id=")
ENCRYPTED = re.compile(rb"TLS connection established from")
LOOK_EVERY = 0.005  # seconds between two looks at a log
# The certificate of the next host: opportunistic TLS does not ask who signed it.
CERTIFICATE = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
               "-subj", "/CN=next.example")  # fmt: skip
DISCARDING = (
    ("mydestination", "", "all mail is discarded"),
    ("default_transport", "discard:", "all mail is discarded"),
    ("smtpd_tls_cert_file", "{folder}/etc/cert.pem", "TLS is offered"),
    ("smtpd_tls_key_file", "{folder}/etc/key.pem", "TLS is offered"),
    ("smtpd_tls_security_level", "may", "TLS is offered"),
    ("smtpd_tls_loglevel", "1", "so that TLS can be seen"),
)


class Taken:
    """How many messages were taken, and when the last of them was."""

    def __init__(self) -> None:
        self.count = 0
        self._at = 0.0
        self._changed = threading.Condition()

    def note(self, count: int) -> None:
        """Note that so many were taken by now."""
        with self._changed:
            if count > self.count:
                self.count, self._at = count, time.time()
                self._changed.notify_all()

    def wait(self, count: int, patience: float) -> float:
        """Return when that many had been taken; `BenchError` where fewer or more came."""
        with self._changed:
            self._changed.wait_for(lambda: self.count >= count, patience)
            if self.count != count:
                raise BenchError(f"next host: {self.count} messages, {count} were expected")
            return self._at


class Sink(Taken):
    """smtp-sink on every loopback address."""

    def __init__(self, dump: str = "") -> None:
        """`dump`: a folder to write each mail to, for a look at it; not in a timed run."""
        super().__init__()
        self.port = free_port()
        self._dump = ["-d", os.path.join(dump, "mail.")] if dump else []
        self._process: subprocess.Popen[bytes] | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        command = [
            "smtp-sink",
            "-u",
            "root",
            "-c",
            "-m",
            "4000",
            *self._dump,
            f":{self.port}",
            "4000",
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while said := os.read(self._process.stdout.fileno(), 65536):
            for count in MESSAGES.findall(said)[-1:]:
                self.note(int(count))


@dataclass(slots=True)
class DiscardingPostfix(Postfix):
    """A second Postfix: it offers TLS and throws away what it took."""

    name = "next host"

    def build(self) -> None:
        Postfix.build(self)
        files = ["-keyout", self._in("etc/key.pem"), "-out", self._in("etc/cert.pem")]
        subprocess.run([*CERTIFICATE, *files], check=True, capture_output=True)

    def _settings(self) -> list[tuple[str, str, str]]:
        added = [(name, value.format(folder=self.folder), why) for name, value, why in DISCARDING]
        return [*Postfix._settings(self), *added]

    @contextmanager
    def taken(self) -> Iterator["LogReader"]:
        """Follow its log as long as the block lasts."""
        reader = LogReader(self._in("log"), self.port)
        try:
            yield reader
        finally:
            reader.close()


class LogReader(Taken):
    """Counts what a Postfix says in its log."""

    def __init__(self, path: str, port: int) -> None:
        """Begin at the beginning of the log."""
        super().__init__()
        self.port = port
        self.encrypted = 0  # connections
        self._path = path
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop reading."""
        self._ended.set()
        self._thread.join()

    def _read(self) -> None:
        count, rest = 0, b""
        with open(self._path, "rb") as log:
            while not self._ended.wait(LOOK_EVERY):
                lines, newline, rest_now = (rest + log.read()).rpartition(b"\n")
                rest = rest_now
                if newline:
                    count += len(TAKEN.findall(lines))
                    self.encrypted += len(ENCRYPTED.findall(lines))
                    self.note(count)
