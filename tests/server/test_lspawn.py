"""Deliveries as other users of the system, and programs, by a server that runs as root."""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from live import ALICE, BOB, DOMAIN, HOST, Instance, Server, until
from support import needs_root, uid_of_nobody

pytestmark = pytest.mark.slow

JOE = uid_of_nobody()
BOMB = 'b() { [ "$1" = 0 ] || { b $(($1-1)) | b $(($1-1)) & }; sleep 20; }; b 10'
# Bounces its mail where it cannot fork, unless it is doubted.
NEIGHBOUR = "python3 -c 'import os; os.wait() if os.fork() else None' || exit 100"


class Home:
    """The home of joe, who gets joe@HOST and joe-EXT@HOST."""

    def __init__(self, path: str) -> None:
        self.path = path
        os.makedirs(path, 0o700)
        os.chown(path, JOE, JOE)

    def write(self, ext: str, text: str) -> None:
        path = f"{self.path}/.qmail{ext}"
        Path(path).write_text(text)
        os.chown(path, JOE, JOE)

    def mails(self) -> list[Path]:
        return sorted(Path(self.path).glob("Maildir/new/*"))


def processes(uid: int) -> dict[int, str]:
    """Return the processes of a user, with their names; one that ends is there to its last thread."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            status = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            continue
        fields = dict(line.split(":", 1) for line in status)
        ended = "Z" in fields["State"] and int(fields["Threads"]) == 1
        if int(fields["Uid"].split()[0]) == uid and not ended:
            found[int(pid)] = fields["Name"].strip()
    return found


@pytest.fixture
def home() -> Iterator[Home]:
    needs_root()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # joe has to come through
        yield Home(f"{folder}/joe")
        until(lambda: not processes(JOE))


@pytest.fixture
def joes(instance: Instance, home: Home) -> Iterator[Server]:
    """A server whose users/assign has joe."""
    lines = instance.read("users/assign").rstrip().removesuffix(".")
    lines += f"=joe:joe:{JOE}:{JOE}:{home.path}:::\n+joe-:joe:{JOE}:{JOE}:{home.path}:-::\n.\n"
    instance.write("users/assign", lines)
    instance.variables(PROGRAM_SECONDS=3)
    with instance.serve() as server:
        yield server


def attempted(server: Server, queue_id: str) -> dict[str, str]:
    """Wait for what became of a mail, for now or for good."""

    def told() -> dict[str, str]:
        records = server.instance.explain(queue_id)
        return next((r for r in records if r["event"] == "delivery"), {})

    return until(told)


def outcome(server: Server, queue_id: str, verdict: str) -> dict[str, str]:
    """The same, where it is known."""
    record = attempted(server, queue_id)
    assert record["verdict"] == verdict, record
    return record


def test_mail_is_delivered_as_the_user_by_one_process_that_stays(joes: Server, home: Home) -> None:
    home.write("", "./Maildir/\n")
    for _ in range(5):
        joes.instance.ended(joes.send(f"joe@{HOST}"))
    assert len(home.mails()) == 5
    owners = {(path.stat().st_uid, path.stat().st_mode & 0o777) for path in home.mails()}
    assert owners == {(JOE, 0o600)}
    assert list(processes(JOE).values()) == ["qmail-lspawn"]


def test_an_edit_in_a_home_that_the_server_cannot_read_counts_for_the_next_mail(
    joes: Server, home: Home
) -> None:
    home.write("", "./Maildir/\n")
    joes.instance.ended(joes.send(f"joe@{HOST}"))
    home.write("", "|exit 100\n")
    outcome(joes, joes.send(f"joe@{HOST}"), "failed")
    home.write("", "./Maildir/\n")
    joes.instance.ended(joes.send(f"joe@{HOST}"))
    assert len(home.mails()) == 2


def test_a_program_runs_as_the_user_and_its_words_are_the_reason(joes: Server, home: Home) -> None:
    home.write("-who", "|id -u; id -G; pwd; echo $RECIPIENT; exit 100\n")
    record = outcome(joes, joes.send(f"joe-who@{HOST}"), "failed")
    assert record["text"].split("\n")[:4] == [
        str(JOE), str(JOE), home.path, f"joe-who@{HOST}",
    ]  # fmt: skip


def test_a_program_of_a_domain_runs_as_the_server_and_finds_it(
    joes: Server, instance: Instance
) -> None:
    instance.write(f"domains/{DOMAIN}/.qmail-prog", "|id -u; echo $INDIMAIL_ROOT; exit 100\n")
    os.chmod(instance.path(f"domains/{DOMAIN}/.qmail-prog"), 0o600)
    record = outcome(joes, joes.send(f"prog@{DOMAIN}"), "failed")
    owner = os.stat(instance.root).st_uid
    assert record["text"].split("\n")[:2] == [str(owner), instance.root]


def give_away(instance: Instance) -> None:
    """Give the domain, with all its mailboxes, to joe."""
    owner = os.stat(instance.root)
    for top in ("domains", "mail"):
        for folder, _, files in os.walk(instance.path(top)):
            if f"/{DOMAIN}" in folder:
                for path in (folder, *(f"{folder}/{name}" for name in files)):
                    os.chown(path, JOE, JOE)
    lines = instance.read("users/assign")
    theirs = f":{owner.st_uid}:{owner.st_gid}:"
    assert theirs in lines
    instance.write("users/assign", lines.replace(theirs, f":{JOE}:{JOE}:"))


def test_the_quota_of_another_users_mailbox_is_obeyed(instance: Instance) -> None:
    needs_root()
    body = ("x" * 78 + "\r\n") * 3125  # a quarter of a million octets
    instance.run("vsetuserquota", ALICE, "1M")
    give_away(instance)
    with instance.serve() as server:
        for _ in range(4):
            outcome(server, server.send(ALICE, body, BOB), "delivered")
        text = outcome(server, server.send(ALICE, body, BOB), "failed")["text"]
        assert text.startswith(f"{ALICE} has insufficient quota. ")
        assert text.endswith(":4/0:1048576. indimail (#5.1.4)")
        held = Path(instance.maildir("alice"), "maildirsize")
        first, *lines = held.read_text().splitlines()
        count = sum(int(line.split()[1]) for line in lines)
        assert (first, count, held.stat().st_uid) == ("1048576S", 4, JOE)
        instance.run("vmoduser", "-q", "200000", ALICE, code=None)  # joe's file stays as it was

        def rcpt() -> str:
            with server.connect() as talk:
                return talk.recipient(ALICE)

        def is_locked() -> bool:
            outcome(server, server.send(ALICE, body, BOB), "failed")
            return "is overquota" in rcpt()

        until(is_locked)
        for path in Path(instance.maildir("alice"), "new").iterdir():
            path.unlink()
        held.unlink()
        until(lambda: rcpt()[:1] == "2")
        outcome(server, server.send(ALICE, "hello", BOB), "delivered")
    until(lambda: not processes(JOE))


def test_a_duplicate_in_another_users_mailbox_is_discarded(instance: Instance) -> None:
    needs_root()
    instance.variables(ELIMINATE_DUPS=1)
    give_away(instance)
    text = "Message-ID: <1@example.net>\r\nSubject: a test\r\n\r\nHello\r\n"
    with instance.serve() as server:
        with server.connect() as talk:
            first = talk.mail(ALICE, text)
        outcome(server, first, "delivered")
        mark = Path(instance.maildir("alice"), "dupmd5")
        until(mark.exists)
        with server.connect() as talk:
            second = talk.mail(ALICE, text)
        said = outcome(server, second, "delivered")["text"]
        assert said.split("\n")[1] == f"the same as mail {first}"
        assert f"the same as mail {first}" in instance.run("explain", second).stdout
        assert len(instance.mails("alice")) == 1
        assert mark.stat().st_uid == JOE
    until(lambda: not processes(JOE))


def test_programs_that_misbehave_keep_no_other_delivery_up(joes: Server, home: Home) -> None:
    home.write("", "./Maildir/\n")
    for ext, command in {
        "-hang": "sleep 1000", "-flood": "yes", "-bomb": BOMB,
        "-hog": 'python3 -c "x = bytearray(1 << 40)"',
        "-flight": "setsid sleep 1000 & sleep 1000", "-near": NEIGHBOUR,
    }.items():  # fmt: skip
        home.write(ext, f"|{command}\n")
    bad = {
        name: [joes.send(f"joe-{name}@{HOST}") for _ in range(2)]
        for name in ("hang", "flood", "bomb", "hog", "flight")
    }
    near = [joes.send(f"joe-near@{HOST}") for _ in range(10)]
    began = time.monotonic()
    sent = [joes.send(f"joe@{HOST}") for _ in range(10)]
    until(lambda: len(home.mails()) == len(sent))
    assert time.monotonic() - began < 5  # 1 on a machine of its own
    limits = {
        "hang": "ran longer than 3 seconds", "flood": "wrote more than 1048576 octets",
        "bomb": "", "flight": "ran longer than 3 seconds",
        "hog": "MemoryError",
    }  # fmt: skip
    for name, ids in bad.items():
        for queue_id in ids:
            text = outcome(joes, queue_id, "deferred")["text"]
            # Beside a bomb another program of the same user may find no room to fork.
            assert limits[name] in text or "Cannot fork" in text
    for queue_id in near:
        record = attempted(joes, queue_id)
        crowded = any(word in record["text"] for word in ("processes of its user", "Cannot fork"))
        assert record["verdict"] == ("deferred" if crowded else "delivered"), record
    until(lambda: list(processes(JOE).values()) == ["qmail-lspawn"])


def test_a_process_that_was_killed_is_started_anew(joes: Server, home: Home) -> None:
    home.write("", "./Maildir/\n")
    joes.instance.ended(joes.send(f"joe@{HOST}"))
    [before] = processes(JOE)
    os.kill(before, signal.SIGKILL)
    until(lambda: not processes(JOE))
    joes.instance.ended(joes.send(f"joe@{HOST}"))
    assert len(home.mails()) == 2
    assert before not in processes(JOE)


def test_processes_and_their_programs_end_with_a_supervisor_that_is_killed(
    joes: Server, home: Home
) -> None:
    home.write("-hang", "|sleep 1000\n")
    joes.send(f"joe-hang@{HOST}")
    until(lambda: "sleep" in processes(JOE).values())
    joes.signal(signal.SIGKILL)
    until(lambda: not processes(JOE), 3)


def test_root_gets_no_mail(joes: Server) -> None:
    instance = joes.instance
    lines = instance.read("users/assign").removesuffix(".\n")
    instance.write("users/assign", f"{lines}=toor:root:0:0:/root:::\n.\n")
    record = outcome(joes, joes.send(f"toor@{HOST}"), "deferred")
    assert "as root" in record["text"]


def test_who_was_not_started_as_root_delivers_as_nobody_else(instance: Instance) -> None:
    lines = instance.read("users/assign").rstrip().removesuffix(".")
    instance.write("users/assign", f"{lines}=joe:joe:{JOE}:{JOE}:/home/joe:::\n.\n")
    with instance.serve(as_owner=True) as server:
        record = outcome(server, server.send(f"joe@{HOST}"), "deferred")
    assert "users/assign:" in record["text"]
    assert f"uid {JOE}: the server was not started as root" in record["text"]
