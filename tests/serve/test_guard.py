"""Real commands of real .qmail lines, each under its guard; every wait has an end."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from indimail.delivery.program import REPORT, Ended, Limits
from indimail.mail.errors import MailError, Temporary
from indimail.serve.descendants import below, tasks_of
from indimail.serve.guard import Task, read_envdirs, read_result, start

pytestmark = pytest.mark.slow

PATIENCE = 10.0
MAIL = b"Subject: x\n\nhello\n"
Run = Callable[..., Ended | MailError]


def result(task: Task) -> Ended | MailError:
    """Start a program and wait for what its guard says."""
    pid, end = start(task)
    end.settimeout(PATIENCE)
    try:
        said = b"".join(iter(lambda: end.recv(65_536), b""))
    finally:
        end.close()
        os.waitpid(pid, 0)
    return read_result(said)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command in a home; the limits are given by name."""

    def made(command: str, octets: bytes = MAIL, **given: Any) -> Ended | MailError:
        fields = {"environment": {"PATH": os.environ["PATH"]}, "envdirs": ()}
        fields |= {name: given.pop(name) for name in ("environment", "envdirs") if name in given}
        more = {name: given.pop(name) for name in ("offset", "home") if name in given}
        more["file"] = given.pop("descriptor", -1)
        tasks = given.pop("tasks", tasks_of(os.getuid()) + 200)
        return result(
            Task(
                command,
                more.pop("home", str(tmp_path)),
                limits=Limits(**given),
                octets=octets,
                tasks=tasks,
                **fields,
                **more,
            )
        )

    return made


def nobody_runs(word: str) -> bool:
    """Tell whether no process has this word on its command line."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if word.encode() in words:
            return False
    return True


@pytest.fixture
def word() -> str:
    """Return a time to sleep that no other test has."""
    return f"{time.time_ns() % 10**9 + 10**6}"


@pytest.mark.parametrize("code", [0, 1, 99, 100, 111])
def test_the_exit_code_is_told(run: Run, code: int) -> None:
    assert run(f"exit {code}") == Ended(code)


def test_a_signal_is_told(run: Run) -> None:
    assert run("kill -9 $$") == Ended(signal=signal.SIGKILL)


def test_what_it_says_is_kept_whichever_way_it_says_it(run: Run) -> None:
    assert run("echo one; echo two >&2; exit 100") == Ended(100, "one\ntwo\n")


def test_of_many_words_the_first_are_kept(run: Run) -> None:
    found = run("yes x | head -c 100000")
    assert found == Ended(0, "x\n" * (REPORT // 2))


def test_words_that_are_no_text_are_told_as_one(run: Run) -> None:
    assert run(r"printf 'a\377b'") == Ended(0, "a\ufffdb")


def test_the_mail_is_on_standard_input(run: Run) -> None:
    assert run("cat") == Ended(0, MAIL.decode())


def test_the_mail_can_be_read_twice(run: Run) -> None:
    script = "import os; a = os.read(0, 99); os.lseek(0, 0, 0); print(a == os.read(0, 99))"
    assert run(f'python3 -c "{script}"') == Ended(0, "True\n")


@pytest.mark.parametrize(
    ("octets", "offset", "seen"),
    [(b"", 0, "0123456789"), (b"", 4, "456789"), (b"ahead ", 4, "ahead 456789")],
    ids=["as it lies", "from an offset", "with lines in front"],
)
def test_a_large_mail_is_read_from_its_file(
    run: Run, tmp_path: Path, octets: bytes, offset: int, seen: str
) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"0123456789")
    with large.open("rb") as file:
        assert run("cat", octets, descriptor=file.fileno(), offset=offset) == Ended(0, seen)


def test_it_runs_in_the_home(run: Run, tmp_path: Path) -> None:
    assert run("pwd") == Ended(0, f"{tmp_path}\n")


def test_a_home_that_is_not_there_is_a_failure_for_now(run: Run) -> None:
    found = run("exit 0", home="/nowhere")
    assert isinstance(found, Temporary)
    assert str(found) == "Unable to switch to /nowhere: No such file or directory. (#4.3.0)"


def test_it_sees_the_variables_that_it_is_given_and_no_others(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    found = run("/usr/bin/env", environment={"SENDER": "eve@example.net"})
    assert isinstance(found, Ended)
    names = {line.partition("=")[0] for line in found.output.splitlines()}
    assert names == {"SENDER", "PWD"}  # the shell sets one


def test_it_has_no_descriptors_but_three(run: Run) -> None:
    os.set_inheritable(fd := os.open("/etc/passwd", os.O_RDONLY), True)
    try:
        assert run("ls /proc/self/fd | head -3; test -e /proc/$$/fd/3 && echo more") == Ended(
            1, "0\n1\n2\n"
        )
    finally:
        os.close(fd)


def test_a_closed_pipe_ends_what_writes_into_it(run: Run) -> None:
    assert run("yes | head -1; echo $?") == Ended(0, "y\n0\n")  # else `yes` would complain


# -- envdirs -------------------------------------------------------------------------------------


def test_a_file_of_an_envdir_is_a_variable(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "env"
    folder.mkdir()
    for name, octets in {
        "PLAIN": b"one \t\ntwo\n", "LINES": b"a\0b", "EMPTY": b"\n", "GONE": b"", ".hidden": b"x",
        "A=B": b"x",
    }.items():  # fmt: skip
        (folder / name).write_bytes(octets)
    found = read_envdirs((str(folder),))
    assert found == {"PLAIN": "one", "LINES": "a\nb", "EMPTY": "", "GONE": None}
    environment = {"GONE": "x", "PATH": "/usr/bin:/bin"}
    ended = run(
        "echo $PLAIN ${EMPTY-not} ${GONE-gone}", environment=environment, envdirs=(str(folder),)
    )
    assert ended == Ended(0, "one gone\n")


@pytest.mark.parametrize("name", ["missing", "folder", "fifo"])
def test_an_envdir_that_cannot_be_read_is_a_failure_for_now(
    run: Run, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "env"
    if name != "missing":
        folder.mkdir()
    if name == "folder":
        (folder / "NAME").mkdir()
    elif name == "fifo":
        os.mkfifo(folder / "NAME")
    found = run("exit 0", envdirs=(str(folder),))
    assert isinstance(found, Temporary)
    assert str(found).startswith(f"Unable to read environment {folder}")


# -- limits --------------------------------------------------------------------------------------


def test_a_program_that_hangs_is_ended(run: Run, word: str) -> None:
    began = time.monotonic()
    assert run(f"sleep {word}", seconds=1) == Ended(limit="ran longer than 1 seconds")
    assert time.monotonic() - began < 3
    assert nobody_runs(word)


def test_a_flood_is_ended(run: Run) -> None:
    found = run("yes", output=10_000)
    assert found == Ended(output="y\n" * (REPORT // 2), limit="wrote more than 10000 octets")


def test_a_fork_bomb_is_ended_to_its_last_process(run: Run, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb"
    bomb.write_text(  # it stops by itself where nothing else stops it: root has no RLIMIT_NPROC
        f'#!/bin/sh\n[ "$1" = 0 ] || {{ {bomb} $(($1-1)) & {bomb} $(($1-1)) & }}\nsleep 5\n'
    )
    bomb.chmod(0o700)
    found = run(f"{bomb} 8", processes=30, seconds=5)
    assert isinstance(found, Ended)
    assert found.limit == "started more than 30 processes"
    assert nobody_runs(str(bomb))


@pytest.mark.parametrize(
    ("code", "doubted"), [(0, False), (99, False), (1, True), (100, True), (111, True)]
)
def test_a_failure_is_doubted_while_its_user_may_start_no_process(
    run: Run, code: int, doubted: bool
) -> None:
    found = run(f"echo no; exit {code}", tasks=1)
    assert isinstance(found, Ended)
    assert found.output == "no\n"
    assert ("processes of its user" in found.limit) == doubted
    assert found.code == (0 if doubted else code)


@pytest.mark.parametrize("processes", [1, 3], ids=["at once", "in many processes"])
def test_who_takes_memory_is_ended(run: Run, processes: int, word: str) -> None:
    hog = f"import time; x = bytearray({300 // processes} << 20); time.sleep({word})"
    command = f'python3 -c "{hog}" & ' * processes + "wait"
    found = run(command, memory=200 << 20, seconds=5)
    assert isinstance(found, Ended)
    if processes == 1:
        assert "MemoryError" in found.output  # the kernel refused it
    else:
        assert found.limit == "took more than 209715200 octets of memory"
    assert nobody_runs(hog)


@pytest.mark.parametrize("shell", ["", "; exit $?"], ids=["sh itself", "its child"])
def test_processor_time_is_limited(run: Run, shell: str) -> None:
    found = run(f'python3 -c "while True: pass"{shell}', cpu=1, seconds=8)
    assert isinstance(found, Ended)
    assert found.limit == "took more than 1 seconds of processor time"


def test_the_size_of_files_is_limited(run: Run, tmp_path: Path) -> None:
    found = run("head -c 100000 /dev/zero > big", file=10_000)
    assert isinstance(found, Ended)
    assert found.limit == "wrote a file larger than 10000 octets"
    assert (tmp_path / "big").stat().st_size == 10_000


def test_nothing_is_limited_by_a_limit_of_0(run: Run) -> None:
    limits = dict.fromkeys(("seconds", "cpu", "memory", "processes", "file", "output"), 0)
    assert run("sleep 0.3; ulimit -t; ulimit -v; ulimit -f; ulimit -c", **limits) == Ended(
        0, "unlimited\n" * 3 + "0\n"
    )


# -- what is left behind -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "escape",
    [
        "sleep {} &",
        "setsid sleep {} &",
        "(setsid sh -c 'sleep {} & sleep {}' &) &",
        "nohup sleep {} &",
    ],
)
def test_nothing_outlives_a_program(run: Run, word: str, escape: str) -> None:
    command = escape.replace("{}", word)
    assert run(f"({command}) >/dev/null 2>&1; sleep 0.1; exit 99") == Ended(99)
    assert nobody_runs(word)
    assert not below(os.getpid())


def test_a_child_that_keeps_the_output_open_holds_nobody_up(run: Run, word: str) -> None:
    began = time.monotonic()
    assert run(f"echo done; sleep {word} &") == Ended(0, "done\n")
    assert time.monotonic() - began < 3


def test_who_does_not_wait_any_longer_ends_it(tmp_path: Path, word: str) -> None:
    task = Task(f"sleep {word}", str(tmp_path), {"PATH": "/bin"}, (), Limits(), MAIL, tasks=10_000)
    pid, end = start(task)
    while nobody_runs(word):
        time.sleep(0.01)
    end.close()
    os.waitpid(pid, 0)
    assert nobody_runs(word)


def test_a_guard_that_was_killed_is_a_failure_for_now() -> None:
    assert isinstance(read_result(b""), Temporary)
