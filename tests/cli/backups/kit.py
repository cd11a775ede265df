"""An instance with something of everything, and what is looked at of it."""

import os
import re
import stat
from pathlib import Path

from cli.accounts_commands import Terminal
from indimail.accounts.rows import snapshot
from indimail.accounts.sql import sqlite_url
from indimail.mail.channel import Channel
from indimail.mail.ids import QueueId
from indimail.queue.port import Accepted, QueuedMessage, QueuedRecipient, Staged, Step
from indimail.queue.sqlite import SqliteQueue

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
