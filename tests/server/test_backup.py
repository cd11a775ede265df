"""A backup of a server under load, restored elsewhere: every mail that was accepted is delivered."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from live import ALICE, BOB, Instance, Server, place, until

pytestmark = pytest.mark.slow

LARGE = "x" * 70 + "\r\n"
TOKEN = re.compile(rb"token-(\d+-\d+)-")


class Load:
    """Clients that send without a pause to speak of, and know what was accepted when."""

    def __init__(self, server: Server, clients: int = 2) -> None:
        self._server = server
        self._stop = threading.Event()
        self.accepted: list[str] = []  # appended to once the 250 was read
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self, client: int) -> None:
        with self._server.connect() as talk, suppress(OSError, AssertionError):
            talk.say("EHLO client.example")
            number = 0
            while not self._stop.is_set():
                number += 1
                token = f"{client}-{number}"
                size = 3000 if number % 10 == 0 else 1  # 216 kB: a body of its own file
                text = f"Subject: token-{token}-\r\n\r\n" + LARGE * size
                talk.mail((ALICE, BOB)[number % 2], text)
                self.accepted.append(token)
                self._stop.wait(0.01)  # other tests run on this machine

    def wait_for(self, number: int) -> None:
        until(lambda: len(self.accepted) >= number)


def tokens(instance: Instance) -> list[str]:
    """Return the tokens of all mails in the Maildirs."""
    found = []
    for user in ("alice", "bob"):
        for part in ("new", "cur"):
            for path in Path(instance.maildir(user), part).iterdir():
                with open(path, "rb") as file:
                    match = TOKEN.search(file.read(4000))
                    assert match is not None, path
                    found.append(match[1].decode())
    return found


def is_drained(instance: Instance) -> bool:
    """Tell whether nothing waits."""
    return json.loads(instance.run("qmail-qread", "--json").stdout) == []


@pytest.fixture
def spot() -> Iterator[str]:
    with place() as folder:
        yield folder


def restored(instance: Instance, spot: str) -> Instance:
    """Restore a backup, while the instance it was made of is not there any more."""
    os.rename(instance.root, f"{spot}/gone")
    new = Instance(f"{spot}/new")
    new.run("restore", f"{spot}/backup")
    return new


@pytest.mark.parametrize("held", [False, True], ids=["flowing", "held"])
def test_no_accepted_mail_is_missing_after_a_restore(
    instance: Instance, spot: str, held: bool
) -> None:
    if held:
        instance.write("control/holdlocal", "1\n")
    with instance.serve() as server, Load(server) as load:
        load.wait_for(100)
        assert instance.run("doctor").stdout == "nothing found\n"
        before = set(load.accepted)
        instance.run("backup", "--mail", f"{spot}/backup")
        during = set(load.accepted) - before
        load.wait_for(len(load.accepted) + 20)
    assert during
    new = restored(instance, spot)
    if held:
        os.unlink(new.path("control/holdlocal"))
    with new.serve():
        until(lambda: is_drained(new), seconds=60)
    found = tokens(new)
    assert before - set(found) == set()
    if held:
        assert len(found) == len(set(found))  # nothing was delivered before, so nothing is twice
    assert new.run("doctor").stdout == "nothing found\n"


def test_a_backup_that_is_killed_harms_nobody_and_is_none(instance: Instance, spot: str) -> None:
    command = [sys.executable, "-m", "indimail.cli.main"]
    environment = {**os.environ, "INDIMAIL_ROOT": instance.root}
    with instance.serve() as server, Load(server) as load:
        load.wait_for(50)
        for number, seconds in enumerate((0.35, 0.45, 0.6)):
            folder = f"{spot}/backup{number}"
            process = subprocess.Popen([*command, "backup", "--mail", folder], env=environment)
            time.sleep(seconds)  # somewhere in the middle
            process.send_signal(signal.SIGKILL)
            process.wait()
            if os.path.exists(folder) and not os.path.exists(f"{folder}/manifest.json"):
                new = Instance(f"{spot}/new")
                told = new.run("restore", folder, code=65)
                assert f"{folder}: no backup: it was not ended" in told.stderr
                assert not os.path.exists(new.root)
        load.wait_for(len(load.accepted) + 50)
        server.send()
        assert instance.run("doctor", code=None).stdout == "nothing found\n"
