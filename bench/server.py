"""What the benchmark wants of a server, and how it starts and ends one.

    with Postfix(folder, USERS) as server:
        send(server.port, ...)

A server lives in a folder of its own, fresh for each run; every user has a Maildir that exists
before the first mail.  The process tree is started in a control group where there is one, so that
its CPU time is whole (see bench.cost).
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self, TypeVar

from bench.cost import CpuClock

DOMAIN = "example.com"
USERS = tuple(f"user{number:02}" for number in range(100))
# Whom smtp-source names with -r 50 -t fan@example.com.
FANS = ("fan", *(f"{number}fan" for number in range(2, 51)))
MAILBOXES = USERS + FANS
T = TypeVar("T")
PATIENCE = 60.0  # seconds to start or to stop


class BenchError(Exception):
    """A run that cannot be counted: it ends the benchmark with a reason."""


@dataclass(slots=True)
class Server:
    """A started server: its port, the `new` folder of each user, and its process tree."""

    folder: str
    mailboxes: tuple[str, ...] = MAILBOXES
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    clock: CpuClock = field(default_factory=CpuClock)
    ready_seconds: float = 0.0

    name = "server"

    def build(self) -> None:
        """Make the instance in its folder."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """Return what starts the server in the foreground."""
        raise NotImplementedError

    def find_port(self) -> int:
        """Return the port once it is known, else 0."""
        raise NotImplementedError

    def new(self, user: str) -> str:
        """Return the folder where a user's new mails appear."""
        raise NotImplementedError

    def differences(self) -> list[str]:
        """Return the settings that are not as shipped, a line each with the reason."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        os.makedirs(self.folder, mode=0o711, exist_ok=True)
        self.build()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self, wrapper: tuple[str, ...] = ()) -> None:
        """Start, and wait until it greets; `wrapper` is put in front of the command (strace)."""
        begun = time.monotonic()
        with open(os.path.join(self.folder, "output"), "ab") as output:
            self.process = subprocess.Popen(
                [*self.clock.wrapper(), *wrapper, *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            self.port = wait_for(self.find_port, f"{self.name}: no port", self.alive)
            wait_for(self._greets, f"{self.name}: no greeting", self.alive)
        except BaseException as error:
            self.stop()
            if isinstance(error, BenchError):
                raise BenchError(f"{error}, see {output.name}") from None
            raise
        self.ready_seconds = time.monotonic() - begun

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def _greets(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as client:
                return client.recv(100).startswith(b"220")
        except OSError:
            return False

    def stop(self) -> None:
        """End it as its operator would; what is left of its process group after that is killed."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)  # a session of its own: ours alone
            self.process.wait()
            raise BenchError(f"{self.name}: did not stop in {PATIENCE:.0f} s") from None
        finally:
            self.process = None
            self.clock.close()


def wait_for(probe: Callable[[], T], complaint: str, alive: Callable[[], bool]) -> T:
    """Return the probe's first true answer."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        answer = probe()
        if answer:
            return answer
        if not alive():
            break
        time.sleep(0.01)
    raise BenchError(complaint)


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
