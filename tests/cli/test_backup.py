"""indimail backup and restore: what was there is there again, elsewhere, and nothing half made counts."""

import json
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from cli.accounts_commands import Terminal
from databases import database
from indimail.accounts.rows import snapshot
from indimail.accounts.sql import sqlite_url
from indimail.app.instance import Instance
from indimail.cli.progress import Progress
from indimail.mail.channel import Channel
from indimail.mail.ids import QueueId
from indimail.mail.outcome import Delivered
from indimail.mail.verdict import Rule
from indimail.manage import site as sites
from indimail.manage.backup import manifest
from indimail.manage.site import Site, locked
from indimail.queue.port import (
    Accepted,
    Finished,
    QueuedMessage,
    QueuedRecipient,
    Staged,
    Step,
    Traced,
)
from indimail.queue.sqlite import SqliteQueue, SqliteReader

pytestmark = pytest.mark.slow  # each runs commands: too much for `make fast`

LARGE, SMALL = QueueId(1001), QueueId(1002)
SPOOLED = "1.2." + "0" * 32
ROOT = os.geteuid() == 0


def own(terminal: Terminal) -> None:
    """Give what a test wrote to the owner of the instance."""
    if ROOT:
        owner = os.stat(terminal.root)
        for folder, folders, names in os.walk(terminal.root):
            for name in (*folders, *names):
                os.lchown(os.path.join(folder, name), owner.st_uid, owner.st_gid)


def write(terminal: Terminal, name: str, text: str, mode: int = 0o600) -> Path:
    path = Path(terminal.root, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def fill_queue(directory: Path) -> None:
    (directory / "mess").mkdir(parents=True, mode=0o700)
    directory.chmod(0o700)
    queue = SqliteQueue.open(str(directory / "queue.db"))
    home = directory.parent.parent / "mail/A2E/example.com/alice/Maildir"
    recipient = QueuedRecipient(0, "alice@example.com", Channel.LOCAL,
                                "example.com-alice@example.com")  # fmt: skip
    for queue_id, body in ((LARGE, None), (SMALL, b"small")):
        queue.apply(
            [Accepted(QueuedMessage(queue_id, 1.0, "eve@example.net", 5, body), (recipient,))]
        )
    queue.apply([Staged(SMALL, Step(0, 0, str(home), "1.Q1002R0.0.mx", "boot", 1.0))])
    (directory / "mess" / str(LARGE)).write_text("large")
    queue.close()


def fill(terminal: Terminal) -> None:
    """Put something of everything into an instance, here and there."""
    root = terminal.root
    outside = Path(root).parent / "outside"
    outside.mkdir()
    if ROOT:
        os.chown(outside, os.stat(root).st_uid, os.stat(root).st_gid)
    for command in (
        ("vadddomain", "example.com", "x", "-h", "MD5"),
        ("vadddomain", "-B", str(outside), "example.org", "x", "-h", "MD5"),
        ("vadduser", "-q", "5M", "alice@example.com", "x", "-h", "MD5"),
        ("vadduser", "bob@example.com", "x", "-h", "MD5"),
        ("vadduser", "carol@example.org", "x", "-h", "MD5"),
        ("vaddaliasdomain", "example.net", "example.com"),
        ("valias", "-i", "&alice@example.com", "sales@example.com"),
        ("valias", "-i", f"{root}/mail/A2E/example.com/alice/Maildir/", "copy@example.com"),
        ("vmoduser", "-n", "bob@example.com"),
    ):
        assert terminal(*command).code == 0, command
    write(terminal, "mail/A2E/example.com/alice/Maildir/new/1.a,S=5", "hello")
    write(terminal, "mail/A2E/example.com/alice/.qmail",
          f"{root}/mail/A2E/example.com/alice/Maildir/\n")  # fmt: skip
    write(terminal, "alias/Maildir/new/2.b", "for root")
    write(terminal, "certs/old.pem", "a certificate")
    write(terminal, "tcp/tcp.smtp", f'127.0.0.1:allow,SPFRULES="{root}/control/spf"\n', 0o644)
    write(terminal, "trace/0001795000000000-1.jsonl", '{"id":"1"}\n')
    write(terminal, f"queue/spool/{SPOOLED}", "left by a program", 0o644)
    write(terminal, "queue/refused/1", "not taken")
    write(terminal, "libexec/vadduser", "#!/bin/sh\n", 0o755)
    write(terminal, "run/serve.pid", "1\n")
    fill_queue(Path(root, "queue", "queue1"))
    own(terminal)
    for name in ("queue", "queue/refused", "libexec"):
        Path(root, name).chmod(0o711 if name == "queue" else 0o700)


class Silent:
    """Captures nothing: the fixture of pytest is that of one test."""

    out = err = ""

    def readouterr(self) -> "Silent":
        return self


@pytest.fixture(scope="module")
def pattern() -> Iterator[str]:
    """A directory with a full instance, made once, and its copy."""
    folder = tempfile.mkdtemp(prefix="indimail-test-")
    os.chmod(folder, 0o711)  # not a tmp_path: only root could pass it
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(None), redirect_stderr(None):
        patch.delenv("INDIMAIL_ROOT", raising=False)
        terminal = Terminal(f"{folder}/i", Silent(), patch)  # type: ignore[arg-type]
        terminal("init", "--me", "mx.example.org")
        fill(terminal)
    subprocess.run(["cp", "-a", folder, f"{folder}.kept"], check=True)
    yield folder
    shutil.rmtree(folder)
    shutil.rmtree(f"{folder}.kept")


@pytest.fixture
def full(
    pattern: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Terminal:
    """The full instance as it was made, alone in its directory."""
    monkeypatch.delenv("INDIMAIL_ROOT", raising=False)
    for name in os.listdir(pattern):
        path = os.path.join(pattern, name)
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    subprocess.run(["cp", "-a", f"{pattern}.kept/.", pattern], check=True)
    return Terminal(f"{pattern}/i", capsys, monkeypatch)


@pytest.fixture
def kept(pattern: str) -> str:
    return f"{pattern}/backup"


@pytest.fixture
def new(pattern: str, full: Terminal, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch) -> Terminal:  # fmt: skip
    return Terminal(f"{pattern}/new", capsys, monkeypatch)


def files(root: str) -> dict[str, str]:
    """Return the files below a root that a restore has to bring back, with mode and contents."""
    found = {}
    for path in sorted(Path(root).rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file() and not re.match(r"db/|run/|users/cdb|queue/queue|.*maildirsize", name):
            mode = stat.S_IMODE(path.stat().st_mode)
            found[name] = f"{mode:o} {path.read_bytes().decode()}".replace(root, "ROOT")
    return found


def rows(root: str) -> list[str]:
    with snapshot(sqlite_url(f"{root}/db/indimail.db"), root) as found:
        return sorted(line.decode().replace(root, "ROOT") for line in found.lines())


def test_a_restored_instance_has_all_that_there_was(
    full: Terminal, new: Terminal, kept: str
) -> None:
    before = files(full.root), rows(full.root)
    made = full("backup", "--mail", kept)
    assert (made.code, made.err) == (0, "")
    assert re.fullmatch(
        rf"{kept}: 5 users, 2 mails in 1 queues, 2 mails in 5 homes; .*\n", made.out
    )
    assert stat.S_IMODE(os.stat(kept).st_mode) == 0o700
    shutil.rmtree(Path(full.root).parent / "outside")
    again = new("restore", kept)
    assert (again.code, again.err) == (0, "")
    assert (files(full.root), rows(full.root)) == before

    restored = files(new.root)
    homes = {name: text for name, text in restored.items() if name.startswith("mail/")}
    assert {name: text for name, text in restored.items() if "example.org/" not in name} == {
        name: text for name, text in before[0].items() if "example.org/" not in name
    } | {name: homes[name] for name in homes if "example.org/" in name and name not in before[0]}
    outside = f"{Path(full.root).parent}/outside"
    assert rows(new.root) == sorted(line.replace(outside, "ROOT/mail") for line in before[1])
    assert Path(new.root, "domains/example.org/.base_path").read_text() == f"{new.root}/mail\n"
    assert full.root not in Path(new.root, "users/assign").read_text()
    new("vuserinfo", "-d", "carol@example.org")
    told = new("doctor")
    assert [line for line in told.out.splitlines() if "queue/refused" not in line][:-1] == []


def test_queues_are_those_of_the_new_place(full: Terminal, new: Terminal, kept: str) -> None:
    assert full("backup", kept).code == 0
    assert new("restore", kept).code == 0
    reader = SqliteReader.open(f"{new.root}/queue/queue1/queue.db")
    assert [status.message.id for status in reader.status()] == [LARGE, SMALL]
    (step,) = reader.steps(SMALL)
    reader.close()
    assert step.place == f"{new.root}/mail/A2E/example.com/alice/Maildir"
    assert (step.boot, step.done) == ("", False)
    assert Path(new.root, f"queue/queue1/mess/{LARGE}").read_text() == "large"
    assert Path(new.root, f"queue/spool/{SPOOLED}").read_text() == "left by a program"


def test_without_mail_the_mailboxes_are_there_and_empty(
    full: Terminal, new: Terminal, kept: str
) -> None:
    assert full("backup", kept).code == 0
    told = new("restore", kept)
    assert told.out.endswith("5 users, 2 mails in the queues; mailboxes are empty\n")
    for home in ("mail/A2E/example.com/alice", "mail/A2E/example.org/carol"):
        assert sorted(os.listdir(f"{new.root}/{home}/Maildir")) == ["cur", "new", "tmp"]
        assert os.listdir(f"{new.root}/{home}/Maildir/new") == []
    assert os.listdir(f"{new.root}/alias/Maildir/new") == []


@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
def test_users_go_into_a_database_that_is_named(
    full: Terminal, new: Terminal, kept: str, kind: str
) -> None:
    assert full("backup", kept).code == 0
    with database(kind) as url:
        assert new("restore", kept, "--database", "-", stdin=f"{url}\n").code == 0
        assert f'url = "{url}"\n' in Path(new.root, "indimail.toml").read_text()
        assert not Path(new.root, "db/indimail.db").exists()
        assert "alice@example.com" in new("vuserinfo", "-n", "alice@example.com").out
        third = Terminal(f"{new.root}3", new._capture, new._patch)
        again = third("restore", kept, "--database", url)
        assert again.code == 75
        assert "has rows" in again.err
        assert "expected an empty database" in again.err
        assert url not in again.err
        assert new("backup", f"{kept}2").code == 0
    fourth = Terminal(f"{new.root}4", new._capture, new._patch)
    assert fourth("restore", f"{kept}2").code == 0
    assert "\nurl" not in Path(fourth.root, "indimail.toml").read_text()
    assert rows(fourth.root) == [
        line.replace(f"{Path(full.root).parent}/outside", "ROOT/mail") for line in rows(full.root)
    ]


@pytest.mark.skipif(not ROOT, reason="only root can give files away")
def test_root_gives_it_to_whom_is_named(full: Terminal, new: Terminal, kept: str) -> None:
    assert full("backup", "--mail", kept).code == 0
    assert new("restore", kept, "--user", "4444").code == 0
    assert {os.lstat(path).st_uid for path in Path(new.root).rglob("*")} == {4444}
    assert ":4444:4444:" in Path(new.root, "users/assign").read_text()
    assert new("restore", kept, "--user", "root").code == os.EX_CANTCREAT


def test_json(full: Terminal, new: Terminal, kept: str) -> None:
    made = json.loads(full("backup", "--json", "--mail", kept).out)
    assert made["queues"] == {"queue1": {"messages": 2, "waiting": 2}}
    assert (made["rows"]["indimail"], made["homes"], made["mails"]) == (4, 5, 2)
    told = json.loads(new("restore", "--json", kept).out)
    assert (told["root"], told["users"], told["queued"], told["notes"]) == (new.root, 5, 2, [])


# -- what is refused -----------------------------------------------------------------------------


def test_what_cannot_be_is_refused(full: Terminal, new: Terminal, kept: str) -> None:
    for folder, told in (
        (full.root, "lies in"), (f"{full.root}/x", "lies in"), ("/etc/hosts", "not a directory"),
        (f"{kept}/a/b", "no such directory"), (str(Path(kept).parent), "not empty"),
    ):  # fmt: skip
        ran = full("backup", folder)
        assert (ran.code, told in ran.err) == (os.EX_CANTCREAT, True), ran.err
    assert full("backup", kept).code == 0
    assert full("backup", kept).err == f"indimail backup: {kept}: not empty\n"
    for root, told in ((full.root, "not empty"), (f"{kept}/x", "lies in the backup"),
                       ("/etc/hosts", "not a directory"), (str(Path(kept).parent), "lies in")):  # fmt: skip
        ran = Terminal(root, new._capture, new._patch)("restore", kept)
        assert (ran.code, told in ran.err) == (os.EX_CANTCREAT, True), ran.err
    ran = new("restore", f"{kept}-none")
    assert (ran.code, ran.err) == (65, f"indimail restore: {kept}-none: no such directory\n")
    assert not os.path.exists(new.root)


def damaged(path: Path) -> Iterator[str]:
    """Flip one bit in a file, and put it back."""
    octets = path.read_bytes()
    for at in {0, len(octets) // 2, len(octets) - 1} if octets else ():
        path.write_bytes(octets[:at] + bytes([octets[at] ^ 4]) + octets[at + 1 :])
        yield str(path)
    path.write_bytes(octets + b"x")
    yield str(path)
    path.unlink()
    yield str(path)
    path.write_bytes(octets)


def test_a_bit_that_is_another_is_refused_with_the_files_name(
    full: Terminal, new: Terminal, kept: str
) -> None:
    assert full("backup", "--mail", kept).code == 0
    paths = [path for path in Path(kept).rglob("*") if path.is_file()]
    assert len(paths) > 30
    for path in paths:
        for name in damaged(path):
            told = kept if path.name == "manifest.json" and not path.exists() else name
            ran = new("restore", kept)
            assert (ran.code, f" {told}: " in ran.err) == (65, True), (name, ran.err)
            assert not os.path.exists(new.root)
    assert new("restore", kept).code == 0


def test_a_backup_of_a_newer_form_is_refused(full: Terminal, new: Terminal, kept: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest.Manifest.__init__, "__defaults__", ((), 2))
        assert full("backup", kept).code == 0
    assert new("restore", kept).err == (
        f"indimail restore: {kept}/manifest.json: format 2, expected 1\n"
    )


class Killed(BaseException):
    """The process is gone."""


def killed_at(number: int) -> Callable[..., None]:
    """Return a `Progress.tell` that ends the process at the number-th word."""
    told = [0]

    def tell(_self: Progress, _what: str) -> None:
        told[0] += 1
        if told[0] == number:
            raise Killed

    return tell


def test_a_backup_that_was_killed_is_none(
    full: Terminal, new: Terminal, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 100):
        folder = f"{kept}{number}"
        with monkeypatch.context() as patch:
            patch.setattr(Progress, "tell", killed_at(number))
            try:
                assert full("backup", "--mail", folder).code == 0
            except Killed:
                assert new("restore", folder).code == 65
                assert full("backup", folder).code == os.EX_CANTCREAT
                continue
        break
    assert number > 5
    assert new("restore", folder).code == 0
    assert not list(Path(full.root).rglob("*.tmp"))


def test_a_restore_that_was_killed_left_no_instance(
    full: Terminal, new: Terminal, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert full("backup", "--mail", kept).code == 0
    for number in range(1, 100):
        with monkeypatch.context() as patch:
            patch.setattr(Progress, "tell", killed_at(number))
            try:
                assert new("restore", kept).code == 0
            except Killed:
                if os.path.exists(new.root):
                    assert new("restore", kept).code == os.EX_CANTCREAT
                    checked = new("check_config")
                    assert checked.code == os.EX_CONFIG
                    assert "control/me: found no such file" in checked.err
                    shutil.rmtree(new.root)
                continue
        break
    assert number > 4
    assert new("check_config").code == 0


def go_on(root: str) -> None:
    """Do at once what a server does: adopt what is spooled, deliver what is queued."""
    directory, new = (
        Path(root, "queue/queue1"),
        Path(root, "mail/A2E/example.com/alice/Maildir/new"),
    )
    spooled = Path(root, "queue/spool", SPOOLED)
    queue = SqliteQueue.open(str(directory / "queue.db"))
    if spooled.exists():
        adopted = QueuedMessage(
            QueueId(1003), 1.0, "eve@example.net", 5, b"spooled", source=SPOOLED
        )
        recipient = QueuedRecipient(0, "bob@example.com", Channel.LOCAL, "example.com-bob@x")
        queue.apply([Accepted(adopted, (recipient,))])
        spooled.unlink()
    for queue_id, text in ((LARGE, "large"), (SMALL, "small")):
        if not (new / f"3.Q{queue_id}").exists():
            (new / f"3.Q{queue_id}").write_text(text)
            done = Finished(queue_id, 0, Delivered("done", Rule("x")), 2.0)
            queue.apply([done, Traced(((queue_id, 0),))])
            (directory / "mess" / str(queue_id)).unlink(missing_ok=True)
    queue.close()
    if ROOT:
        shutil.chown(new / f"3.Q{SMALL}", os.stat(root).st_uid)
        shutil.chown(new / f"3.Q{LARGE}", os.stat(root).st_uid)


def mails(root: str) -> set[str]:
    """Return what a server of this instance has delivered, or will."""
    reader = SqliteReader.open(f"{root}/queue/queue1/queue.db")
    found = {status.message.id for status in reader.status()}
    for queue_id in found:
        status = reader.message(queue_id)
        assert status is not None
        if status.message.body is None:
            assert Path(root, "queue/queue1/mess", str(queue_id)).read_text() == "large"
    reader.close()
    new = os.listdir(f"{root}/mail/A2E/example.com/alice/Maildir/new")
    spooled = {SPOOLED} & set(os.listdir(f"{root}/queue/spool"))
    names = {LARGE: "large", SMALL: "small", QueueId(1003): "spooled"}
    delivered = {name for queue_id, name in names.items() if f"3.Q{queue_id}" in new}
    return {names[queue_id] for queue_id in found} | delivered | ({"spooled"} if spooled else set())


@pytest.mark.parametrize("number", range(1, 15))
def test_no_mail_is_missing_whenever_the_server_goes_on(
    full: Terminal, new: Terminal, kept: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    words = []

    def tell(_self: Progress, what: str) -> None:
        words.append(what)
        if len(words) == number:
            go_on(full.root)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "tell", tell)
        assert full("backup", "--mail", kept).code == 0
    assert new("restore", kept).code == 0
    assert mails(new.root) == {"large", "small", "spooled"}
    assert words[-1] == "writing everything to the disk"
    assert 10 < len(words) < 15


def test_no_command_changes_the_instance_while_its_users_are_copied(
    full: Terminal, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.stat(full.root)
    site = Site(Instance(full.root), {}, owner.st_uid, owner.st_gid)
    monkeypatch.setattr(sites, "PATIENCE", 0.1)
    with locked(site, "vdeluser alice@example.com", 1.0):
        ran = full("backup", kept)
    assert (ran.code, "vdeluser alice@example.com (process" in ran.err) == (75, True)


def test_a_file_that_cannot_be_read_ends_it(full: Terminal, new: Terminal, kept: str) -> None:
    path = Path(full.root, "control", "me")
    path.chmod(0)
    ran = full("backup", kept)
    assert (ran.code, ran.err) == (77, f"indimail backup: {path}: Permission denied\n")
    assert new("restore", kept).code == 65


def test_a_database_that_is_down_ends_it(full: Terminal, new: Terminal, kept: str) -> None:
    Path(full.root, "db", "indimail.db").unlink()
    ran = full("backup", kept)
    assert (ran.code, "no such file" in ran.err) == (75, True)
    assert new("restore", kept).code == 65


@pytest.mark.skipif(not ROOT, reason="root alone is lured")
def test_no_link_lures_root_into_what_the_owner_may_not_read(full: Terminal, kept: str) -> None:
    secret = Path(full.root).parent / "secret"
    secret.write_text("root's")
    secret.chmod(0o600)
    link = Path(full.root, "control", "bouncehost")
    link.symlink_to(secret)
    os.lchown(link, os.stat(full.root).st_uid, -1)
    home = Path(full.root, "mail/A2E/example.com/alice/Maildir/new/link")
    home.symlink_to(secret)
    assert full("backup", "--mail", kept).code == 0
    assert not any(b"root's" in p.read_bytes() for p in Path(kept).rglob("*") if p.is_file())
