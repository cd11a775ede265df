"""Our server, made with the commands that an operator uses: init, vadddomain, vadduser, serve.

    with Ours("/var/tmp/bench/ours") as server: ...

A hundred and fifty `vadduser` are most of a minute, so the first instance built in a place is kept as it
was before its first start, and each later one is a copy *at the same path* (the user database
holds the homes' paths): `put_away` moves a used one aside first.  Nothing of the settings is
changed but the listener.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field

from bench.server import DOMAIN, BenchError, Server

COMMANDS = os.path.dirname(sys.executable)
HOST = "bench.example.org"
PASSWORD = b"not-a-secret-1\n"


@dataclass(slots=True)
class Ours(Server):
    """An instance under `folder`/root."""

    listeners: tuple[str, ...] = ("smtp",)
    _new: dict[str, str] = field(default_factory=dict)

    name = "IndiMail"

    @property
    def root(self) -> str:
        return os.path.join(self.folder, "root")

    def build(self) -> None:
        pattern = f"{self.folder}.pattern"
        if not os.path.isdir(pattern):
            self._init()
            _copy(self.folder, pattern)
        elif not os.path.isdir(self.root):
            shutil.rmtree(self.folder)
            _copy(pattern, self.folder)
        for parent, folders, _ in os.walk(os.path.join(self.root, "mail")):
            if "Maildir" in folders:
                self._new[os.path.basename(parent)] = os.path.join(parent, "Maildir", "new")
                folders.clear()
        missing = set(self.mailboxes) - self._new.keys()
        if missing:
            raise BenchError(
                f"{self.name}: no Maildir under {self.root}/mail for {sorted(missing)}"
            )

    def _init(self) -> None:
        self.run("indimail", "init", "--me", HOST)
        self.run("vadddomain", DOMAIN, given=PASSWORD)
        for user in self.mailboxes:
            self.run("vadduser", f"{user}@{DOMAIN}", given=PASSWORD)
        self._ask_nobody()

    def _ask_nobody(self) -> None:
        """Name a name server that is not there: no mail leaves this machine."""
        path = os.path.join(self.root, "indimail.toml")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("#servers = [", 'servers = ["127.0.0.1:1"] # [', 1))

    def run(self, command: str, *arguments: str, given: bytes = b"") -> bytes:
        """Run one of our commands on this instance and return what it printed."""
        whole = [os.path.join(COMMANDS, command), *arguments]
        environment = {**os.environ, "INDIMAIL_ROOT": self.root}
        done = subprocess.run(whole, input=given, capture_output=True, env=environment, check=False)
        if done.returncode:
            raise BenchError(f"{' '.join(whole)}: exit {done.returncode}: {done.stderr.decode()}")
        return done.stdout

    def command(self) -> list[str]:
        serve = os.path.join(COMMANDS, "indimail")
        listeners = [
            word for name in self.listeners for word in ("--listen", f"{name}=127.0.0.1:0")
        ]
        return [serve, "serve", "--root", self.root, *listeners]

    def find_port(self) -> int:
        return self.port_of("smtp")

    def port_of(self, listener: str) -> int:
        """Return where a listener is; 0: not yet anywhere."""
        try:
            with open(os.path.join(self.root, "run", "listeners.json"), encoding="utf-8") as file:
                return int(json.load(file)[listener][1])
        except (OSError, ValueError, KeyError):
            return 0

    def new(self, user: str) -> str:
        return self._new[user]

    def differences(self) -> list[str]:
        return [
            f"indimail init --me {HOST}, vadddomain {DOMAIN}, vadduser for {len(self.mailboxes)} users",
            "indimail serve --listen smtp=127.0.0.1:0 (loopback only), [dns] servers without one that"
            " is there, so that no mail leaves the machine; all else as init made it",
        ]

    def put_away(self) -> str:
        """Move the stopped instance aside, so that the next is new, and return its new root."""
        number = 1
        while os.path.exists(f"{self.folder}.used-{number}"):
            number += 1
        os.rename(self.folder, f"{self.folder}.used-{number}")
        return os.path.join(f"{self.folder}.used-{number}", "root")


def _copy(source: str, target: str) -> None:
    """Copy with owners and modes."""
    subprocess.run(["cp", "-a", source, target], check=True)
