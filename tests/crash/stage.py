"""An instance that can be put back, commands that are killed on it, and what is left of it all.

    stage = Stage("/dev/shm/x")
    stage.run("init"); stage.run("vadddomain", "example.com", "secret"); stage.keep()
    stage.run("vdeldomain", "example.com", fail_after=3)    -> -9
    stage.state(); stage.put_back()

A process that is killed loses nothing that it wrote, so it does not matter that memory holds it all.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# What a command imports as late as it can, so that each of its processes finds it.
import scramp.utils  # noqa: F401

from indimail.accounts.sql import sqlite_url
from indimail.cli.main import load, make_parser
from indimail.control.toml import first_text
from indimail.manage.change import FAIL_AFTER

from .rows import Kept, Rows, told

# Who waited last; the database is told by its rows, and is named where it is chosen.
UNCOUNTED = {"change.lock", "indimail.db", "indimail.toml"}
MEMORY = Path("/dev/shm")
AT_ONCE = 10


@contextmanager
def folder_in_memory() -> Iterator[str]:
    """Make a folder that also other uids may pass, in memory where there is a place for it."""
    place = str(MEMORY) if os.access(MEMORY, os.W_OK) else None
    path = tempfile.mkdtemp(prefix="indimail-test-", dir=place)
    os.chmod(path, 0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path)


class Stage:
    """The instance `folder`/i; `said` is what the last command printed."""

    def __init__(self, folder: str) -> None:
        self.root = f"{folder}/i"
        self.said = ""
        self._kept_files = f"{folder}/kept"
        self._kept_rows: Kept = {}
        self._output = f"{folder}/output"
        self._started = 0
        self._rows = Rows(sqlite_url(f"{self.root}/db/indimail.db"))
        self._is_on_server = False

    def keep(self) -> None:
        """Take the instance as it is for what `put_back` brings back."""
        shutil.rmtree(self._kept_files, ignore_errors=True)
        subprocess.run(["cp", "-a", self.root, self._kept_files], check=True)
        self._kept_rows = self._rows.all()

    def put_back(self) -> None:
        shutil.rmtree(self.root)
        subprocess.run(["cp", "-a", self._kept_files, self.root], check=True)
        if self._is_on_server:
            self._rows.put_back(self._kept_rows)

    def move_to(self, url: str) -> None:
        """Let the accounts be in another database, which is empty, and keep that."""
        self._rows, self._is_on_server = self._rows.copy_to(url), True
        Path(self.root, "indimail.toml").write_text(first_text(url))
        os.unlink(f"{self.root}/db/indimail.db")
        self.keep()

    def state(self) -> list[str]:
        """Return every name with its kind, mode and contents, and every row without its times."""
        lines = [*files_of(self.root), *told(self._rows.all())]
        return sorted(re.sub(r"\b[0-9]{10}\.B", "TIME.B", line) for line in lines)

    def run(self, name: str, *arguments: str, fail_after: int = 0, **variables: str) -> int:
        """Run a command in a process of its own; return its exit code, or -9 where it was killed."""
        started = self.start(name, *arguments, fail_after=fail_after, **variables)
        code = started.wait()
        self.said = started.said
        return code

    def start(self, name: str, *arguments: str, fail_after: int = 0, **variables: str) -> "Started":
        """Start a command in a process of its own."""
        load(name)  # here, so that each process has it
        sys.stdout.flush()
        self._started += 1
        output = f"{self._output}{self._started % AT_ONCE}"
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                os.environ.update({**variables, FAIL_AFTER: str(fail_after)})
                code = _child(output, name, [*arguments, "--root", self.root])
            except SystemExit as end:  # of argparse
                code = int(end.code or 0)
            finally:
                os._exit(code)
        return Started(pid, output)


@dataclass
class Started:
    """A command's process; `said` is what it printed, once it has ended."""

    pid: int
    output: str
    said: str = ""

    def wait(self) -> int:
        """Return its exit code, or -9 where it was killed."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        with open(self.output) as file:
            self.said = file.read()
        return code


def _child(output: str, name: str, arguments: list[str]) -> int:
    with open(os.devnull) as nothing, open(output, "w") as printed:
        os.chmod(output, 0o666)
        sys.stdin, sys.stdout, sys.stderr = nothing, printed, printed
        os.dup2(printed.fileno(), 1)  # also for a hook
        return load(name).run(make_parser(name, name).parse_args(arguments))


def files_of(root: str) -> list[str]:
    """Return every name with its kind, mode and contents."""
    found = []
    for folder, folders, names in os.walk(root):
        for name in folders + names:
            path = os.path.join(folder, name)
            kept = os.lstat(path)
            if name in UNCOUNTED:
                continue
            what = ""
            if os.path.islink(path):
                what = os.readlink(path)
            elif os.path.isfile(path):
                with open(path, "rb") as file:
                    what = repr(file.read())
            found.append(f"{path} {kept.st_mode:o} {kept.st_uid} {what}")
    return found
