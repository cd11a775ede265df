"""`make mutants`: every mutant must make a test fail.

    python -m tests.mutants
    python -m tests.mutants --quick            # a few, chosen by --seed
    python -m tests.mutants --only serve/local

The tests run on a copy of the sources in var/mutants, two mutants at a time.  What fails, or does
not end, has to pass without the mutant, else it found nothing.  Last line:
``mutants N killed N survived N``; a survivor exits 1.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from random import Random
from typing import Final

from .mutation import Mutant, orders, removals

ROOT: Final = Path(__file__).resolve().parent.parent.parent
AT_ONCE: Final = 2
LIMIT: Final = 300.0  # seconds for the tests of one mutant
QUICK: Final = 4
# On the way of a mail: what these get wrong, a crash may show.
MAIL: Final = ("durable", "queue", "mailbox", "trace", "serve")
# What only a whole server shows.
SERVER: Final = {
    "app/build.py": ["tests/server/test_locks.py"],
    "app/queues.py": [
        "tests/app/test_build.py",
        "tests/server/test_locks.py",
        "tests/server/test_queue.py",
    ],
    "cli/change.py": ["tests/cli/test_commands_at_once.py", "tests/cli/test_killed_commands.py"],
    "cli/vmoduser.py": ["tests/cli/test_killed_commands.py"],
    "cli/serve.py": ["tests/server/test_start.py", "tests/server/test_ending.py"],
}
FAILED: Final = re.compile(r"^(?:FAILED|ERROR) ([^\s[]+)", re.M)  # without its parameters


@dataclass(frozen=True)
class Found:
    """What became of a mutant: the test that failed, or nothing."""

    mutant: Mutant
    test: str
    seconds: float

    def __str__(self) -> str:
        end = f"killed by {self.test}" if self.test else "SURVIVED"
        return f"{self.mutant}: {end} ({self.seconds:.0f} s)"


class Tree:
    """A copy of the sources, in which one file at a time is another."""

    _time = int(time.time())
    _times = threading.Lock()

    def __init__(self, place: Path) -> None:
        self.source = place / "src"
        shutil.copytree(ROOT / "src", self.source, ignore=shutil.ignore_patterns("__pycache__"))

    def test(self, mutant: Mutant, tests: Sequence[str]) -> str:
        """Return the first test that fails for the mutant, and for it alone."""
        whole = self._swap(mutant.file, mutant.text)
        try:
            failed = self._run(tests)
        finally:
            self._swap(mutant.file, whole)
        if failed and self._run([failed] if "::" in failed else tests):
            print(f"{mutant}: {failed} fails without it too", flush=True)
            return ""
        return failed

    def _swap(self, file: str, text: str) -> str:
        path = self.source / file
        old = path.read_text()
        path.write_text(text)
        with self._times:  # no compiled file is taken for that of another mutant
            Tree._time -= 2
            os.utime(path, (Tree._time, Tree._time))
        return old

    def _run(self, tests: Sequence[str]) -> str:
        """Run tests; return the first that failed."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=no", *tests]
        environment = {**os.environ, "PYTHONPATH": str(self.source), "PYTHONHASHSEED": "0"}
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True,
                timeout=LIMIT, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"the limit of {LIMIT:.0f} s"
        if done.returncode == 0:
            return ""
        failed = FAILED.search(done.stdout)
        return failed[1] if failed else f"pytest, exit {done.returncode}: {done.stdout[-300:]}"


def tests_of(file: str) -> list[str]:
    """Return the files to run for a mutant, the likeliest to fail first."""
    package, module = Path(file).parts[1], Path(file).stem
    folder = "/".join(Path(file).parts[1:-1])
    wanted = SERVER.get(file.removeprefix("indimail/"), [])
    wanted = [f"tests/{folder}/test_{module}.py", *wanted, f"tests/{folder}", f"tests/{package}"]
    if package in MAIL:
        wanted += ["tests/durable", "tests/mailbox", "tests/ports/test_queue.py", "tests/queue"]
        wanted += ["tests/crash", "tests/serve", "tests/trace/test_write.py"]
    # One by one: a folder beside a file of it would be taken in its own order.
    return list(dict.fromkeys(file for path in wanted for file in _files(path)))


def _files(path: str) -> list[str]:
    if path.endswith(".py"):
        return [path] if (ROOT / path).exists() else []
    return sorted(str(file.relative_to(ROOT)) for file in (ROOT / path).glob("test_*.py"))


def run(mutants: Sequence[Mutant]) -> list[Found]:
    """Test them all, and tell each as it ends."""
    (ROOT / "var").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mutants-", dir=ROOT / "var") as place:
        trees: SimpleQueue[Tree] = SimpleQueue()
        for number in range(AT_ONCE):
            trees.put(Tree(Path(place, str(number))))

        def one(mutant: Mutant) -> Found:
            started, tree = time.monotonic(), trees.get()
            try:
                found = Found(
                    mutant, tree.test(mutant, tests_of(mutant.file)), time.monotonic() - started
                )
            finally:
                trees.put(tree)
            print(found, flush=True)
            return found

        with ThreadPoolExecutor(AT_ONCE) as threads:
            return list(threads.map(one, mutants))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"test {QUICK} of them")
    parser.add_argument("--seed", type=int, default=1, help="chooses those of --quick")
    parser.add_argument("--only", default="", metavar="PART", help="those whose line has this")
    parser.add_argument("--list", action="store_true", help="name them and test none")
    given = parser.parse_args(arguments)
    source = ROOT / "src"
    mutants = [m for m in removals(source) + orders(source) if given.only in str(m)]
    if given.quick:
        mutants = Random(given.seed).sample(mutants, min(QUICK, len(mutants)))
    if not mutants:
        parser.error(f"--only {given.only}: no mutant's line has that")
    if given.list:
        print(*mutants, sep="\n")
        return 0
    found = run(mutants)
    survived = [one for one in found if not one.test]
    print(f"mutants {len(found)} killed {len(found) - len(survived)} survived {len(survived)}")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
