"""An instance that can be put back, commands that are killed, and what is left of it all."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib import import_module
from typing import cast

from indimail.cli.main import CommandModule, Parser
from indimail.manage.change import FAIL_AFTER

UNCOUNTED = {"change.lock", "indimail.db"}  # who waited last; the database is told by its rows


class Scene:
    """The instance `folder`/i; `said` is what the last command printed."""

    def __init__(self, folder: str) -> None:
        self.root = f"{folder}/i"
        self.said = ""
        self._kept = f"{folder}/kept"
        self._output = f"{folder}/output"

    def keep(self) -> None:
        """Take the instance as it is for what `put_back` brings back."""
        subprocess.run(["cp", "-a", self.root, self._kept], check=True)

    def put_back(self) -> None:
        shutil.rmtree(self.root)
        subprocess.run(["cp", "-a", self._kept, self.root], check=True)

    def state(self) -> list[str]:
        """Return every name with its kind, mode and contents, and every row without its times."""
        lines = [*_files(self.root), *_rows(f"{self.root}/db/indimail.db")]
        return sorted(re.sub(r"\b[0-9]{10}\.B", "TIME.B", line) for line in lines)

    def run(self, name: str, *arguments: str, fail_after: int = 0, **variables: str) -> int:
        """Run a command in a process of its own; return its exit code, or -9 where it was killed."""
        module = cast(CommandModule, import_module(f"indimail.cli.{name}"))
        import_module("indimail.accounts.sql")
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                os.environ.update({**variables, FAIL_AFTER: str(fail_after)})
                code = self._child(module, name, [*arguments, "--root", self.root])
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with open(self._output) as file:
            self.said = file.read()
        return code

    def _child(self, module: CommandModule, name: str, arguments: list[str]) -> int:
        with open(os.devnull) as nothing, open(self._output, "w") as output:
            os.chmod(self._output, 0o666)
            sys.stdin, sys.stdout, sys.stderr = nothing, output, output
            os.dup2(output.fileno(), 1)  # also for a hook
            parser = Parser(prog=name)
            module.add_arguments(parser)
            return module.run(parser.parse_args(arguments))


def _files(root: str) -> list[str]:
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
    return sorted(found)


def _rows(path: str) -> list[str]:
    found = []
    with closing(sqlite3.connect(path)) as db:
        tables = db.execute("select name from sqlite_master where type='table'").fetchall()
        for (table,) in tables:
            columns = [row[1] for row in db.execute(f"pragma table_info('{table}')")]
            wanted = ", ".join(f'"{name}"' for name in columns if name != "timestamp")
            rows = db.execute(f'select {wanted} from "{table}"')
            found += [f"{table} {row!r}" for row in rows]
    return sorted(found)
