import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indimail.delivery.program import Ended, Limits
from indimail.mail.errors import MailError, Temporary
from indimail.serve import prctl
from indimail.serve import programs as module
from indimail.serve.descendants import below
from indimail.serve.guard import Task
from indimail.serve.programs import Programs


class Running:
    """Programs of a user, and what was told of them."""

    def __init__(self, root: Path) -> None:
        self.loop = asyncio.SelectorEventLoop()
        self.programs = Programs(self.loop)
        self.root = root
        self.ended: dict[str, Ended | MailError] = {}

    def run(
        self, name: str, command: str, home: str = "home", at_once: int = 4
    ) -> Callable[[], None]:
        folder = self.root / home
        folder.mkdir(exist_ok=True)
        limits = Limits(at_once=at_once)
        task = Task(command, str(folder), {"PATH": os.environ["PATH"]}, (), limits, b"")
        return self.programs.run(task, lambda result: self.ended.update({name: result}))

    def until(self, probe: Callable[[], object]) -> None:
        end = time.monotonic() + 10

        async def wait() -> None:
            while not probe():
                assert time.monotonic() < end
                await asyncio.sleep(0.002)

        self.loop.run_until_complete(wait())


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path)
    yield made
    assert not below(os.getpid())
    made.loop.close()


def test_a_home_has_no_more_than_its_share_and_others_go_on(running: Running) -> None:
    ends = [running.run(f"hang{number}", "sleep 1000") for number in range(3)]
    running.run("other", "exit 7", "another home")
    running.until(lambda: running.ended)
    assert running.ended == {"other": Ended(7)}
    guards = [seen for seen in below(os.getpid()).values() if seen.parent == os.getpid()]
    assert len(guards) == 1
    for end in reversed(ends):
        end()
    running.until(lambda: not running.programs._running)
    assert running.ended == {"other": Ended(7)}


def test_who_waits_has_its_turn_when_another_ends(running: Running) -> None:
    for number in range(6):
        running.run(f"{number}", f"exit {number}", at_once=1)
    running.until(lambda: len(running.ended) == 6)
    assert list(running.ended) == ["0", "1", "2", "3", "4", "5"]


def test_who_waits_for_too_long_is_deferred(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = running.run("hang", "sleep 1000", at_once=1)
    monkeypatch.setattr(module, "PATIENCE", -1.0)
    running.run("late", "exit 0", at_once=1)
    running.programs.tick()
    assert isinstance(running.ended["late"], Temporary)
    end()
    running.until(lambda: not running.programs._running)


@pytest.fixture
def adopting() -> Iterator[None]:
    """Be who adopts orphans, as qmail-lspawn is."""
    prctl.adopt_orphans()
    yield
    prctl._prctl(prctl._SET_CHILD_SUBREAPER, 0)


@pytest.mark.usefixtures("adopting")
def test_what_a_killed_guard_leaves_is_ended(running: Running) -> None:
    running.run("x", "sleep 1000; exit 0")
    running.until(lambda: any(seen.parent != os.getpid() for seen in below(os.getpid()).values()))
    [program] = running.programs._running
    os.kill(program.guard, 9)
    running.until(lambda: running.ended)
    assert isinstance(running.ended["x"], Temporary)
    running.until(lambda: running.programs.tick() or not below(os.getpid()))
