"""A real server in a directory of its own, started, spoken to and ended by a test.

    instance.write("tcp/tcp.smtp", '127.:allow,RELAYCLIENT=""\n')
    with instance.serve() as server, server.connect() as talk:
        talk.say("EHLO client.example"), talk.say("QUIT")
    instance.mails("bob"), instance.explain("--to", BOB)

Commands run as programs of their own, as an operator starts them.  Every wait ends: `until` raises
AssertionError with what the server said.  A server is ended with its test; only processes that a
test started are ended.  Started by root, the instance is given to an unprivileged uid by `init`.

Not here: fixtures (conftest.py beside the tests).
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from glob import glob
from typing import Self, TypeVar

HOST = "mx.example.com"
DOMAIN = "example.com"
ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"
STRANGER = "stranger@elsewhere.example"
PASSWORD = "not-a-secret-1"
PATIENCE = 20.0  # seconds; what takes longer is broken, also on a busy machine
T = TypeVar("T")


def until(probe: Callable[[], T], seconds: float = PATIENCE, say: Callable[[], str] = str) -> T:
    """Return the probe's first true answer."""
    end = time.monotonic() + seconds
    while not (answer := probe()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s\n{say()[-3000:]}"
        time.sleep(0.01)
    return answer


class Instance:
    """A directory with the domain example.com, and the users alice and bob in it."""

    def __init__(self, root: str) -> None:
        self.root = root

    @classmethod
    def make(cls, root: str, *init: str) -> Self:
        """Make it with the commands that an operator uses, in one process: that is faster."""
        commands = [["init", "--me", HOST, *init], ["vadddomain", DOMAIN], ["vadduser", ALICE],
                    ["vadduser", BOB]]  # fmt: skip
        text = (
            "from indimail.cli.main import run_command\n"
            f"for name, *arguments in {commands}:\n"
            "    assert run_command(name, arguments, name) == 0, name\n"
        )
        subprocess.run(
            [sys.executable, "-c", text],
            input=f"{PASSWORD}\n" * 3,
            stdout=subprocess.DEVNULL,
            text=True,
            timeout=PATIENCE,
            env=_environment(root, {}),
            check=True,
        )
        instance = cls(root)
        instance.variables(PENALTY=0)  # a refusal comes at once
        instance.name_servers("127.0.0.1:1")  # nobody is there: no mail leaves this machine
        return instance

    def run(
        self, *command: str, given: str = "", code: int | None = 0, **environ: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run `indimail COMMAND ...`; its exit code has to be `code`, None: may be any."""
        done = subprocess.run(
            [sys.executable, "-m", "indimail.cli.main", *command],
            input=f"{given}\n",
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=_environment(self.root, environ),
            check=False,
        )
        assert code in (done.returncode, None), f"{command}: exit {done.returncode}\n{done.stderr}"
        return done

    def path(self, name: str) -> str:
        """Return the path of a file of the instance."""
        return os.path.join(self.root, name)

    def read(self, name: str) -> str:
        """Return a file's text; nothing where there is none yet."""
        try:
            with open(self.path(name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def write(self, name: str, text: str) -> None:
        """Write a file as an editor does, for the instance's owner."""
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        if os.geteuid() == 0:
            owner = os.stat(self.root)
            os.chown(path, owner.st_uid, owner.st_gid)

    def run_as_owner(self, *command: str) -> None:
        """Run a program of the system as who owns the instance."""
        owner = os.stat(self.root)
        who = {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}
        subprocess.run(command, check=True, timeout=PATIENCE, **who)  # type: ignore[call-overload]

    def variables(self, **given: str | int) -> None:
        """Add to [variables] of indimail.toml."""
        lines = "".join(f'{name} = "{value}"\n' for name, value in given.items())
        text = self.read("indimail.toml").replace("[variables]\n", f"[variables]\n{lines}")
        self.write("indimail.toml", text)

    def name_servers(self, *servers: str) -> None:
        """Set those that are asked for the hosts of other domains."""
        toml = re.sub(r"(?m)^#?servers = .*", f"servers = {json.dumps(servers)}",
                      self.read("indimail.toml"))  # fmt: skip
        self.write("indimail.toml", toml)

    def maildir(self, user: str) -> str:
        """Return a user's Maildir."""
        (found,) = glob(self.path(f"mail/*/{DOMAIN}/{user}/Maildir"))
        return found

    def mails(self, user: str) -> list[bytes]:
        """Return what is in a user's Maildir, oldest first."""
        new = f"{self.maildir(user)}/new"
        paths = sorted((os.path.join(new, name) for name in os.listdir(new)), key=os.path.getmtime)
        return [_octets(path) for path in paths]

    def explain(self, *arguments: str) -> "list[dict[str, str]]":
        """Return the records of `indimail explain --json`, once there are some."""
        return until(lambda: self._explained(*arguments))

    def ended(self, queue_id: str) -> "list[dict[str, str]]":
        """Return a mail's records once it came to an end.

        An outcome is in the queue's row a moment before the trace is written: a delivery is not.
        """

        def told() -> "list[dict[str, str]]":
            records = self._explained(queue_id)
            return records if {"delivery", "outcome"} <= {r["event"] for r in records} else []

        return until(told)

    def steps(self, queue_id: str, count: int) -> "list[dict[str, str]]":
        """Return a mail's records of steps, once there are so many."""

        def told() -> "list[dict[str, str]]":
            found = [r for r in self._explained(queue_id) if r["event"] == "step"]
            return found if len(found) >= count else []

        return until(told)

    def delivery(self, queue_id: str, verdict: str) -> "dict[str, str]":
        """Return the record of a delivery that ended so, once the trace has it.

        Until it has, a mail that waits is told of as the queue knows it: without attempts and steps.
        """

        def told() -> "list[dict[str, str]]":
            records = self._explained(queue_id)
            if all(record["event"] != "attempt" for record in records):
                return []
            found = [record for record in records if record["event"] == "delivery"]
            return [record for record in found if record["verdict"] == verdict]

        return until(told, say=lambda: str(self._explained(queue_id)))[-1]

    def _explained(self, *arguments: str) -> "list[dict[str, str]]":
        done = self.run("explain", *arguments, "--json", code=None)
        found: list[dict[str, str]] = json.loads(done.stdout or "[]")
        return found

    def serve(
        self, *listen: str, workers: int = 2, environ: dict[str, str] | None = None,
        files: tuple[int, int] | None = None, as_owner: bool = False,
    ) -> "Server":  # fmt: skip
        """Start a server, and wait until all workers accept."""
        server = self.start(
            *listen, workers=workers, environ=environ, files=files, as_owner=as_owner
        )
        try:
            server.wait_until_ready()
        except BaseException:
            server.kill()
            raise
        return server

    def start(
        self, *listen: str, workers: int = 2, environ: dict[str, str] | None = None,
        files: tuple[int, int] | None = None, as_owner: bool = False,
    ) -> "Server":  # fmt: skip
        """Start a server, and wait for nothing.

        `files` are its RLIMIT_NOFILE, soft and hard; `as_owner`: started by who owns the instance.
        """
        listeners = [f"--listen={name}" for name in listen or ("smtp=127.0.0.1:0",)]
        command = [sys.executable, "-m", "indimail.cli.main", "serve", f"--workers={workers}"]
        owner = os.stat(self.root).st_uid
        if as_owner and os.geteuid() != owner:
            command = [
                "setpriv",
                f"--reuid={owner}",
                f"--regid={owner}",
                "--clear-groups",
                *command,
            ]
        if files is not None:
            command = ["prlimit", f"--nofile={files[0]}:{files[1]}", *command]
        output = f"{self.root}.output"
        with open(output, "ab") as file:
            process = subprocess.Popen(
                [*command, *listeners],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=_environment(self.root, environ or {}),
                start_new_session=True,  # so that all of it, and nothing else, can be killed
            )
        return Server(self, process, output)


class Server:
    """A running `indimail serve`."""

    def __init__(self, instance: Instance, process: "subprocess.Popen[bytes]", output: str) -> None:
        self.instance = instance
        self.process = process
        self._output = output
        self._from = os.path.getsize(output)
        self._talks: list[Talk] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for talk in self._talks:
            talk.close()
        if self.process.poll() is None and kind is None:
            assert self.stop() == 0, self.output
        else:
            self.kill()

    @property
    def output(self) -> str:
        """What it wrote on stderr."""
        with open(self._output, encoding="utf-8", errors="replace") as file:
            file.seek(self._from)
            return file.read()

    def says(self, text: str) -> str:
        """Return what it wrote, once the text is in it."""
        return until(lambda: text in self.output and self.output, say=lambda: self.output)

    def wait_until_ready(self) -> None:
        """Wait until run/listeners.json is there."""

        def is_ready() -> bool:
            assert self.process.poll() is None, f"exit {self.process.returncode}\n{self.output}"
            return str(self.process.pid) in self.instance.read("run/serve.pid") and bool(
                self.listeners
            )

        until(is_ready, say=lambda: self.output)

    @property
    def listeners(self) -> dict[str, tuple[str, int]]:
        """Return run/listeners.json; empty where there is none."""
        text = self.instance.read("run/listeners.json")
        return {name: (host, port) for name, (host, port) in json.loads(text or "{}").items()}

    @property
    def address(self) -> tuple[str, int]:
        """Where smtp is."""
        return self.listeners["smtp"]

    def connect(self, name: str = "smtp", host: str = "") -> "Talk":
        """Open a conversation and read the greeting; it ends with the server at the latest."""
        address = self.listeners[name]
        talk = Talk(socket.create_connection((host or address[0], address[1]), PATIENCE))
        self._talks.append(talk)
        return talk

    def on_each_worker(self) -> "list[Talk]":
        """Return a conversation with each worker."""
        wanted, talks = len(self.workers), dict[int, Talk]()
        while len(talks) < wanted:  # they share connections evenly, but not strictly in turn
            talk = self.connect()
            talks.setdefault(talk.worker, talk)
        return list(talks.values())

    @property
    def workers(self) -> list[int]:
        """Process ids of the workers, as the control socket tells them."""
        return [int(pid) for pid in self.status()["workers"].values()]  # type: ignore[attr-defined]

    def status(self) -> dict[str, object]:
        """Ask the supervisor."""
        return self.ask({"op": "status"})

    def ask(self, request: dict[str, str]) -> dict[str, object]:
        """Send a request to the control socket."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(self.instance.path("run/control.sock"))
            sock.sendall(json.dumps(request).encode() + b"\n")
            answer: dict[str, object] = json.loads(sock.makefile().readline())
            return answer

    def send(self, recipient: str = BOB, body: str = "Hello", sender: str = STRANGER) -> str:
        """Send one mail over a connection of its own; return its id."""
        with self.connect() as talk:
            return talk.mail(recipient, f"Subject: a test\r\n\r\n{body}\r\n", sender)

    def signal(self, kind: signal.Signals) -> None:
        """Send a signal to the supervisor."""
        self.process.send_signal(kind)

    def stop(self) -> int:
        """End it as its operator would; return the exit code."""
        self.process.terminate()
        return self.process.wait(40)

    def kill(self) -> None:
        """End what is left of it at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Talk:
    """An SMTP conversation by hand."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._file = sock.makefile("rb")
        self.greeting = self.reply()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Go away without a word."""
        self._file.close()
        self.sock.close()

    def reply(self) -> str:
        """Return the next reply, its lines joined; empty at the end of the connection."""
        lines = []
        while line := self._file.readline().decode():
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                break
        return "\n".join(lines)

    def say(self, command: str) -> str:
        """Send a command; return the reply."""
        self.sock.sendall(f"{command}\r\n".encode())
        return self.reply()

    @property
    def worker(self) -> int:
        """The number of the worker, from 1: it is in the ids that it gives (`mail.ids`)."""
        return int(queue_id(self.say("WHO"))) % 1024

    def send(self, octets: bytes) -> None:
        """Send octets as they are."""
        self.sock.sendall(octets)

    def mail(self, recipient: str, text: str, sender: str = STRANGER) -> str:
        """Send a mail; return its id."""
        self.offer(recipient, sender)
        assert self.say("DATA").startswith("354 ")
        answer = self.say(f"{text}.")
        assert answer.startswith("250 2.0.0 ok "), answer
        return queue_id(answer)

    def offer(self, recipient: str, sender: str = STRANGER) -> None:
        """Begin a transaction that is accepted up to RCPT."""
        assert self.say(f"MAIL FROM:<{sender}>").startswith("250 ")
        answer = self.say(f"RCPT TO:<{recipient}>")
        assert answer.startswith("250 "), answer

    def recipient(self, address: str) -> str:
        """Return what RCPT gets in a new transaction."""
        assert self.say(f"MAIL FROM:<{STRANGER}>").startswith("250 ")
        return self.say(f"RCPT TO:<{address}>")

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Do the handshake; what was said before does not count any more."""
        self._file.close()
        self.sock = context.wrap_socket(self.sock, server_hostname=HOST)
        self._file = self.sock.makefile("rb")


def queue_id(reply: str) -> str:
    """Return the id that stands in a reply."""
    found = re.search(r"(?:qp |\[id )(\d{16,19})", reply)
    assert found, reply
    return found[1]


def our_lines(stored: bytes, sent: bytes) -> list[str]:
    """Return the names of the header lines before what was sent, which has to end the mail."""
    assert stored.endswith(sent), f"{stored!r}\ndoes not end with\n{sent!r}"
    head = stored[: len(stored) - len(sent)].decode()
    return [
        line.partition(":")[0] for line in head.splitlines() if not line.startswith((" ", "\t"))
    ]


@contextlib.contextmanager
def place() -> Iterator[str]:
    """Give a directory that an unprivileged uid can pass (pytest's are closed to others)."""
    path = tempfile.mkdtemp(prefix="indimail-live-", dir="/var/tmp")
    os.chmod(path, 0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def copied(pattern: str, root: str) -> Instance:
    """Put a copy of an instance where it was made: its user database has absolute paths."""
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(["cp", "-a", pattern, root], check=True)
    return Instance(root)


def alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _environment(root: str, given: dict[str, str]) -> dict[str, str]:
    plain = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**plain, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "INDIMAIL_ROOT": root, **given}  # fmt: skip


def _octets(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
