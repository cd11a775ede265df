"""`indimail init` and `indimail serve`, up to the first connection."""

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from databases import SERVERS, database
from live import BOB, HOST, PATIENCE, Instance, Server, alive, place, until
from support import needs_root

pytestmark = pytest.mark.slow

CLONE = Path(__file__).resolve().parents[2]


def test_init_a_second_time_changes_nothing(instance: Instance) -> None:
    instance.write("control/rcpthosts", "# ours\nexample.com\n")
    before = _tree(instance.root)
    assert instance.run("init", "--me", "other.example.org").stdout.endswith("nothing to do\n")
    assert _tree(instance.root) == before


def test_root_gives_an_instance_to_the_user_it_names() -> None:
    needs_root()
    with place() as folder:
        instance = Instance(f"{folder}/i")
        instance.run("init", "--me", HOST, "--user", "4321")
        with instance.serve() as server:
            assert {os.stat(f"/proc/{pid}").st_uid for pid in server.workers} == {4321}
        owners = {os.lstat(path).st_uid for path in _tree(instance.root)}
        assert owners == {4321}
        instance.run("init", "--user", "0", code=os.EX_NOPERM)
        instance.run("init", "--user", "nobody-has-this-name", code=os.EX_NOUSER)


CLOSED = """\
import os, sys

class Closed:
    def find_spec(name, path=None, target=None):
        if os.geteuid() != 0:
            raise ModuleNotFoundError(f"closed to uid {os.geteuid()}: {name}", name=name)

sys.meta_path.insert(0, Closed)
"""


@pytest.mark.parametrize("kind", ["sqlite", *SERVERS])
def test_a_library_that_the_account_cannot_read_is_imported_before_root_drops_to_it(
    kind: str,
) -> None:
    """As where the clone, or Python itself, is in root's home."""
    needs_root()
    made = contextlib.nullcontext("sqlite:///db/indimail.db")
    with place() as folder, made if kind == "sqlite" else database(kind) as url:
        Path(folder, "sitecustomize.py").write_text(CLOSED)
        closed = {"PYTHONPATH": os.pathsep.join([folder, *filter(None, sys.path)])}
        instance = Instance(f"{folder}/i")
        for command in (
            ["init", "--me", HOST, "--database", url], ["vadddomain", "example.com"],
            ["vadduser", BOB], ["vpasswd", BOB], ["vpasswd", "-h", "SHA-512", BOB], ["vuserinfo", BOB],
            ["config"], ["check-config"],
        ):  # fmt: skip
            instance.run(*command, given="secret-1", **closed)
        with instance.serve("smtp=[::]:0", environ=closed) as server:
            large = server.send(body="x" * 70 + "\r\n" + "a line\r\n" * 20_000)
            for queue_id in (server.send(), large):
                instance.ended(queue_id)
            instance.write("control/databytes", "many\n")
            assert server.connect(host="127.0.0.1").recipient("no@example.com").startswith("550 ")
            instance.write("control/databytes", "0\n")
            instance.run("vadduser", "carol@example.com", given="secret-1", **closed)
            instance.run("sendmail", BOB, given="Subject: x\n\nHello", **closed)
            instance.run("qmail-qread", **closed)
            until(lambda: len(instance.mails("bob")) == 3, say=lambda: server.output)
            assert server.stop() == 0
            assert "closed to uid" not in server.output


def test_secrets_are_closed_and_ways_are_passable(server: Server) -> None:
    queue_id = server.send()
    server.instance.ended(queue_id)
    modes = {
        name: stat.S_IMODE(os.stat(server.instance.path(name)).st_mode)
        for name in (
            "indimail.toml", "db", "trace", "certs", "queue/queue1", "queue/spool", "queue", "run",
            "run/inject.sock", "run/control.sock", "control/rcpthosts", "tcp/tcp.smtp",
        )
    }  # fmt: skip
    assert modes == {
        "indimail.toml": 0o600, "db": 0o700, "trace": 0o700, "certs": 0o700, "queue/queue1": 0o700,
        "queue/spool": 0o1733, "queue": 0o711, "run": 0o711, "run/inject.sock": 0o666,
        "run/control.sock": 0o600, "control/rcpthosts": 0o644, "tcp/tcp.smtp": 0o644,
    }  # fmt: skip
    secret = {"db", "queue", "trace"}
    for path in _tree(server.instance.root):
        parts = Path(path).relative_to(server.instance.root).parts
        if len(parts) > 1 and parts[0] in secret and os.path.isfile(path):
            assert stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0, path


def test_listeners_are_told_once_all_workers_accept_and_not_after_the_end(
    instance: Instance,
) -> None:
    instance.write(
        "run/listeners.json", '{"smtp": ["127.0.0.1", 1]}'
    )  # of a server that was killed
    server = instance.start("smtp=127.0.0.1:0", "submission=[::1]:0", workers=3)
    with server:
        until(lambda: instance.read("run/serve.pid") == f"{server.process.pid}\n")
        server.wait_until_ready()
        assert list(server.listeners) == ["smtp", "submission"]
        assert server.listeners["submission"][0] == "::1"
        talks = server.on_each_worker()
        assert all(talk.greeting.startswith(f"220 {HOST} ") for talk in talks)
        assert server.status()["connections"] >= 3  # type: ignore[operator]
        for talk in talks:
            talk.close()
        assert server.stop() == 0
    assert not os.path.exists(instance.path("run/listeners.json"))
    assert not [name for name in os.listdir(instance.path("run")) if not name.startswith("worker")]


def test_one_socket_takes_both_families_and_a_mapped_client_matches_ipv4_rules(
    instance: Instance,
) -> None:
    instance.write("tcp/tcp.smtp", '127.0.0.1:allow,RELAYCLIENT=""\n::1:allow,DATABYTES="77"\n')
    with instance.serve("smtp=[::]:0") as server:
        with server.connect(host="127.0.0.1") as talk:
            assert talk.recipient("somebody@elsewhere.example").startswith("250 ")
        with server.connect(host="::1") as talk:
            assert "SIZE 77" in talk.say("EHLO client.example")
            assert talk.recipient("somebody@elsewhere.example").startswith("553 ")
    assert instance.explain("--to", "somebody@elsewhere.example")[0]["rule"] == "tcp/tcp.smtp:2"


def test_a_port_that_is_taken_is_named(instance: Instance) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        where = f"smtp=127.0.0.1:{other.getsockname()[1]}"
        server = instance.start(where)
        assert server.process.wait(PATIENCE) == os.EX_OSERR
    assert server.output == f"indimail serve: {where}: Address already in use\n"
    assert not [name for name in os.listdir(instance.path("run")) if not name.startswith("worker")]


def test_a_second_server_in_an_instance_does_not_start(server: Server) -> None:
    second = server.instance.start("smtp=127.0.0.1:0")
    assert second.process.wait(PATIENCE) == os.EX_OSERR
    run = server.instance.path("run")
    assert second.output == f"indimail serve: {run}: another server runs in this instance\n"
    assert list(server.listeners) == ["smtp"]
    server.instance.run("vadduser", "carol@example.com", given="secret-1")  # by run/control.sock
    assert server.status()["ok"]


def test_every_mistake_is_told_before_a_start(instance: Instance) -> None:
    instance.write("control/databytes", "# limit\nmany\n")
    instance.write("tcp/tcp.smtp", "127.0.0.1:allow\n10.0.0.1:perhaps\n")
    instance.write("control/virtualdomains", "example.com:example.com\nno colon\n")
    checked = instance.run("check-config", code=os.EX_CONFIG)
    told = checked.stdout + checked.stderr
    for place_ in ("control/databytes:2", "tcp/tcp.smtp:2"):
        assert place_ in told, told
    server = instance.start()
    assert server.process.wait(PATIENCE) == os.EX_CONFIG
    for place_ in ("control/databytes:2", "tcp/tcp.smtp:2"):
        assert place_ in server.output


def test_connections_that_the_machine_cannot_open_are_refused(instance: Instance) -> None:
    instance.variables(MAXDAEMONS=300)

    refused = instance.start(files=(100, 1299))
    assert refused.process.wait(PATIENCE) == os.EX_OSERR
    assert "1300 open files are needed" in refused.output
    assert "1299 are allowed" in refused.output
    with instance.serve(files=(100, 1300)) as server:
        assert [_open_files(pid) for pid in server.workers] == [["1300", "1300"]] * 2


def test_systemd_is_told_when_workers_accept_and_when_they_stop(instance: Instance) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        path = f"{instance.root}.notify"
        systemd.bind(path)
        systemd.settimeout(PATIENCE)
        try:
            with instance.serve(environ={"NOTIFY_SOCKET": path}) as server:
                assert systemd.recv(100) == b"READY=1"
                assert server.stop() == 0
            assert systemd.recv(100) == b"STOPPING=1"
        finally:
            os.unlink(path)


def test_the_demo_shows_a_mail_that_came_through_smtp() -> None:
    with place() as folder:
        for _ in range(2):  # the second goes on with the first one's users
            done = subprocess.run(
                [sys.executable, str(CLONE / "scripts/run-demo"), "--once", "--dir", f"{folder}/d"],
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert "Hello bob!" in done.stdout
            assert "outcome delivered" in done.stdout
            assert BOB in done.stdout


def test_the_demo_completes_what_an_interrupted_start_left_out() -> None:
    """A home is made before its user's row, and a domain's postmaster before its mail is taken."""
    with place() as folder:
        instance = Instance(f"{folder}/d")
        instance.run("init", "--me", HOST)
        instance.run("vadddomain", "example.com", given="secret-1")
        instance.write("control/rcpthosts", "")
        for command in (["init"], ["vuserinfo", "postmaster@example.com"]):
            instance.run(*command)
        home = os.path.dirname(instance.path("mail/A2E/example.com/bob"))
        subprocess.run(["mkdir", "-p", f"{home}/bob/Maildir/new"], check=True)
        owner = os.stat(instance.root)
        subprocess.run(["chown", "-R", f"{owner.st_uid}:{owner.st_gid}", f"{home}/bob"], check=True)
        done = subprocess.run(
            [sys.executable, str(CLONE / "scripts/run-demo"), "--once", "--dir", instance.root],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "outcome delivered" in done.stdout


def test_no_worker_is_left_after_the_end(instance: Instance) -> None:
    with instance.serve() as server:
        workers = server.workers
        assert len(workers) == 2
        assert server.stop() == 0
    assert not any(map(alive, workers))


def _open_files(pid: int) -> list[str]:
    with open(f"/proc/{pid}/limits", encoding="ascii") as file:
        (line,) = (line for line in file if line.startswith("Max open files"))
    return line.split()[3:5]


def _tree(root: str) -> dict[str, tuple[int, int, int]]:
    """Return path -> mode, size, time of change of all that is in a folder."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            state = os.lstat(os.path.join(folder, name))
            found[os.path.join(folder, name)] = (state.st_mode, state.st_size, state.st_mtime_ns)
    return found


def test_the_listeners_file_is_what_the_issue_shows(server: Server) -> None:
    assert json.loads(server.instance.read("run/listeners.json")) == {
        "smtp": ["127.0.0.1", server.address[1]]
    }
