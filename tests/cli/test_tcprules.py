"""`tcprules` and `qmailctl cdb`: data bases made of rule files; a wrong line leaves the old one."""

import io
import os
from pathlib import Path

import pytest

from cli.accounts_commands import Terminal
from indimail.cli.main import run_command
from indimail.control.cdb import read_cdb
from indimail.durable.disk import SystemDisk
from indimail.manage.tcp_bases import build_bases


def tcprules(path: Path, text: str, patch: pytest.MonkeyPatch) -> int:
    patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    return run_command("tcprules", [str(path), f"{path}.tmp"], "tcprules")


def records(path: Path) -> dict[bytes, bytes]:
    return dict(read_cdb(str(path), path.name).items())


def test_rules_are_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tmp_path / "tcp.smtp.cdb"
    text = '# inside\n127.:allow,RELAYCLIENT=""\n10.1.1.5-6:deny\n'
    assert tcprules(base, text, monkeypatch) == 0
    found = {b"127.": b"+RELAYCLIENT=\0", b"10.1.1.5": b"D\0", b"10.1.1.6": b"D\0"}
    assert records(base) == found
    assert os.listdir(tmp_path) == ["tcp.smtp.cdb"]


def test_a_line_that_is_no_rule_leaves_the_old_data_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tmp_path / "tcp.smtp.cdb"
    tcprules(base, ":deny\n", monkeypatch)
    assert tcprules(base, ":allow\n10.:allow,RELAYCLIENT=\u201d\u201d\n", monkeypatch) == 100
    assert records(base) == {b"": b"D\0"}
    assert capsys.readouterr().err == (
        "tcprules: fatal: unable to parse this line: 10.:allow,RELAYCLIENT=\u201d\u201d\n"
        "standard input:2: found the typographic quote \u201d,"
        ' expected a plain quote, as in RELAYCLIENT=""\n'
    )
    assert tcprules(tmp_path / "none" / "x.cdb", ":allow\n", monkeypatch) == 111


def put(folder: Path, name: str, text: str, age: float) -> Path:
    path = folder / name
    path.write_text(text)
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


def test_only_what_is_newer_is_compiled_and_what_has_no_text_goes(tmp_path: Path) -> None:
    put(tmp_path, "tcp.smtp", ":allow\n", 0)
    put(tmp_path, "tcp.smtp.cdb", "", 5)
    put(tmp_path, "tcp.qmtp", ":deny\n", 9)
    put(tmp_path, "tcp.qmtp.cdb", "is newer", 0)
    put(tmp_path, "tcp-inside.imap", ":allow\n", 0)
    put(tmp_path, "tcp.pop3", ":alow\n", 0)
    put(tmp_path, "tcp.pop3.cdb", "old", 5)
    put(tmp_path, "tcp.poppass.cdb", "orphan", 0)
    put(tmp_path, "other.cdb", "not ours", 0)
    built = list(build_bases(SystemDisk(), str(tmp_path)))
    assert [(Path(b.path).name, len(b.mistakes), b.is_removed) for b in built] == [
        ("tcp-inside.imap.cdb", 0, False),
        ("tcp.pop3.cdb", 1, False),
        ("tcp.poppass.cdb", 0, True),
        ("tcp.smtp.cdb", 0, False),
    ]
    assert (tmp_path / "tcp.pop3.cdb").read_text() == "old"
    assert (tmp_path / "tcp.qmtp.cdb").read_text() == "is newer"
    assert records(tmp_path / "tcp.smtp.cdb") == {b"": b""}
    assert oct((tmp_path / "tcp-inside.imap.cdb").stat().st_mode)[-3:] == "664"
    assert not (tmp_path / "tcp.poppass.cdb").exists()
    assert (tmp_path / "other.cdb").exists()
    assert [Path(b.path).name for b in build_bases(SystemDisk(), str(tmp_path))] == ["tcp.pop3.cdb"]


@pytest.mark.slow
def test_qmailctl_asks_a_server(
    folder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from live import Instance

    instance = Instance.make(f"{folder}/i")
    terminal = Terminal(instance.root, capsys, monkeypatch)
    for action in ("reload", "flush", "stat", "stop"):
        ran = terminal("qmailctl", action)
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.startswith("qmailctl: no server runs in ")
    with instance.serve() as server:
        stat = terminal("qmailctl", "stat").out.splitlines()
        assert stat[0].startswith(f"server: up (pid {server.process.pid}), ")
        assert [line.split()[0] for line in stat[1:]] == ["worker", "worker", "listener"]
        instance.write("tcp/tcp.smtp", '127.:allow,RELAYCLIENT=""\n')
        ran = terminal("qmailctl", "cdb")
        assert (ran.code, ran.out) == (0, f"building {instance.root}/tcp/tcp.smtp.cdb: OK\n")
        assert terminal("qmailctl", "cdb").out == ""
        assert terminal("qmailctl", "reload").out == "configuration read\n"
        instance.write("tcp/tcp.smtp", "127.:alow\n")
        ran = terminal("qmailctl", "cdb")
        assert (ran.code, ran.out) == (1, f"building {instance.root}/tcp/tcp.smtp.cdb: FAILED\n")
        assert f"{instance.root}/tcp/tcp.smtp:1: found '127.:alow'" in ran.err
        assert terminal("qmailctl", "reload").code == 1
        assert terminal("qmailctl", "flush").out == "all mail that waits is tried now\n"
        assert terminal("qmailctl", "queue").out.startswith("messages in queue: 0\n")
        assert terminal("qmailctl", "stop").out == "stopped\n"
        assert server.process.wait(10) == 0
