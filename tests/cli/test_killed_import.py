"""An import that is killed, at any write of a change and while mail is copied, and run again."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from random import Random

import pytest

import indimail.cli.takeover  # noqa: F401 - so that each process of a command finds it
from crash.stage import Stage, folder_in_memory
from importing_trees import MD5, VpopmailTree, dump

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("SEED") or Random().randrange(1_000_000))
SOME = 4  # kills beside the first and the last


@pytest.fixture(scope="module")
def kept() -> Iterator[tuple[Stage, VpopmailTree]]:
    """An instance, and a vpopmail with two domains, an alias domain, control files and mail."""
    with folder_in_memory() as folder:
        stage = Stage(folder)
        assert stage.run("init", "--me", "mx.example.org") == 0
        stage.keep()
        old = VpopmailTree(f"{folder}/old")
        furnish(old)
        yield stage, old


def furnish(old: VpopmailTree) -> None:
    for domain in ("example.com", "example.org"):
        here = old.domain(domain, [
            f"{name}:{MD5}:0:0:{name}:{{home}}/{name}:50M" for name in ("postmaster", "alice", "bob")
        ])  # fmt: skip
        old.write(f"{here}/.qmail-sales", "&alice@example.com\n", 0o600)
        old.write(f"{here}/alice/.qmail", f"{old.HOME}/domains/{domain}/alice/Maildir/\n", 0o600)
        old.write(f"{here}/.qmailadmin-limits", "maxpopaccounts: 10\n")
        for number in range(40):
            old.put_mail(f"{here}/alice", f"{number}.M1.old:2,S", f"mail {number}\n" * 50, "cur")
    home = f"{old.HOME}/domains/example.com"
    old.entry(f"+example.net-:example.com:89:89:{home}:-::", "example.net:example.net")
    old.entry("=joe:joe:1001:1001:/home/joe:::", "lists.example:joe-lists")
    old.write("qmail/control/databytes", "5000\n")
    old.write("qmail/alias/.qmail-postmaster", "&alice@example.com\n")
    old.write("vpopmail/etc/tcp.smtp", '127.:allow,RELAYCLIENT=""\n')


@pytest.fixture
def stage(kept: tuple[Stage, VpopmailTree]) -> Stage:
    kept[0].put_back()
    return kept[0]


@pytest.fixture
def command(kept: tuple[Stage, VpopmailTree]) -> list[str]:
    return ["vpopmail", "--from", kept[1].home, "--config", kept[1].qmail]


def at_hand(stage: Stage) -> Callable[[], None]:
    """Return what brings the instance back as it is now."""
    kept = f"{stage.root}.now"
    shutil.rmtree(kept, ignore_errors=True)
    subprocess.run(["cp", "-a", stage.root, kept], check=True)

    def bring_back() -> None:
        shutil.rmtree(stage.root)
        subprocess.run(["cp", "-a", kept, stage.root], check=True)

    return bring_back


def state(stage: Stage) -> list[str]:
    """Return what is there, without what a copy that was cut short leaves in tmp/."""
    return [line for line in stage.state() if "/Maildir/tmp/" not in line]


# What is here already, so that the change behind it comes next, and how many kills there are in
# that: behind each write, the list's keeping and its removal.
CHANGES = {
    "the first domain": ([], 37),
    "control files": (["--domain=example.com", "--domain=example.org"], 10),
}


@pytest.mark.parametrize(("first", "last"), CHANGES.values(), ids=CHANGES)
def test_killed_after_any_write_and_run_again_is_as_undisturbed(
    stage: Stage, command: list[str], kept: tuple[Stage, VpopmailTree], first: list[str], last: int
) -> None:
    before = dump(kept[1].folder)
    assert not first or stage.run("import", *command, *first) == 0, stage.said
    started = at_hand(stage)
    assert stage.run("import", *command) == 1, stage.said
    undisturbed = state(stage)
    for number in sorted({1, last, *Random(SEED).sample(range(2, last), SOME)}):
        started()
        assert stage.run("import", *command, fail_after=number) == -9, (number, stage.said)
        assert stage.run("import", *command) == 1, stage.said
        assert state(stage) == undisturbed, f"killed after {number}, SEED={SEED}"
    started()
    assert stage.run("import", *command, fail_after=last + 1) == 1, stage.said
    assert dump(kept[1].folder) == before


def test_killed_at_any_time_by_somebody_else_and_run_again_is_as_undisturbed(
    stage: Stage, command: list[str], kept: tuple[Stage, VpopmailTree]
) -> None:
    before, chance, killed = dump(kept[1].folder), Random(SEED), 0
    environ = {**os.environ, "TMPDIR": os.path.dirname(stage.root)}  # it leaves some there
    argv = [sys.executable, "-m", "indimail.cli.main", "import", *command, "--root", stage.root]

    def begun() -> subprocess.Popen[bytes]:
        nowhere = subprocess.DEVNULL
        return subprocess.Popen(argv, env=environ, stdout=nowhere, stderr=nowhere)

    started = time.monotonic()
    assert begun().wait() == 1
    took, undisturbed = time.monotonic() - started, state(stage)
    stage.put_back()
    for _ in range(6):
        process = begun()
        time.sleep(took * (0.3 + 0.6 * chance.random()))  # most of the rest is Python's start
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert killed, f"SEED={SEED}"
    assert stage.run("import", *command) == 1, stage.said
    assert state(stage) == undisturbed
    assert dump(kept[1].folder) == before
