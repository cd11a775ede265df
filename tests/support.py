"""What tests share: the programs nobody here wrote, and how a test asks for them.

    swaks = needs("swaks")            # the path; else this test is skipped, and says how to have it
    needs_perl("Net::SSLeay")         # the same for a module of Perl
    needs_root()
    JOE = uid_of_nobody()         # a user of the system for this run of the tests alone
    @in_loop                      # a test that waits
    async def test_...

A skip made here begins with its Debian package, so that the last line of a run can name all of
them in one command (see conftest.py).  Packages and programs stand in requirements/debian.txt.
"""

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import cache, wraps
from pathlib import Path
from typing import ParamSpec

import pytest

_LIST = Path(__file__).resolve().parent.parent / "requirements" / "debian.txt"
# Programs of the system administrator are not on everybody's PATH.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
MISSING = "needs the Debian package "
STOPPED = "needs the running service "
ROOT = "needs root"


P = ParamSpec("P")


def in_loop(test: Callable[P, Coroutine[object, object, None]]) -> Callable[P, None]:
    """Run a test in an event loop of its own."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


def packages() -> dict[str, str]:
    """Return program or module -> Debian package, from requirements/debian.txt."""
    found = {}
    for line in _LIST.read_text().splitlines():
        package, *programs = line.partition("#")[0].split() or [""]
        found.update(dict.fromkeys(programs, package))
    return found


def needs(program: str) -> str:
    """Return a program's path; skip the test where it is not installed."""
    package = packages()[program]  # a KeyError: put it into requirements/debian.txt
    path = shutil.which(program, path=_PATH)
    if path is None:
        pytest.skip(f"{MISSING}{package} ({program})")
    return path


def needs_perl(module: str) -> None:
    """Skip the test where Perl has no such module."""
    package = packages()[module]
    found = subprocess.run([needs("perl"), f"-M{module}", "-e1"], capture_output=True, check=False)
    if found.returncode:
        pytest.skip(f"{MISSING}{package} ({module})")


def needs_root() -> None:
    """Skip the test for anybody but root."""
    if os.geteuid() != 0:
        pytest.skip(ROOT)


@cache
def uid_of_nobody() -> int:
    """Return a uid that no user has, and no other run of the tests on this machine, until the end."""
    for uid in range(61_000, 62_000):
        with suppress(KeyError):
            pwd.getpwuid(uid)
            continue
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(f"\0indimail-tests-{uid}")  # gone with the process, whichever way it ends
        except OSError:
            lock.close()
            continue
        _KEPT.append(lock)
        return uid
    raise AssertionError("every uid is taken")


_KEPT: list[socket.socket] = []
