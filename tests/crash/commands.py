"""Commands that are killed between any two of their writes, and run again: as if they never were.

    with furnished() as stage:
        for trial in trials(stage, COMMANDS[0]): trial.wrong        -> "", or what is not as it may be

`make crash` tries all kills of all commands on the three databases, `tests/cli/test_killed_commands.py`
all on SQLite and some on the servers.

Not here: a command that tells a refusal, or what others see of half a change (the same tests).
"""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine, text

from databases import database
from indimail.accounts.sql import sqlite_url

from .stage import Stage, folder_in_memory

HASH = "$1$salt$JSoV9KyWZPjFlhLkLRO.J1"
OTHER_HASH = "$1$tlas$JSoV9KyWZPjFlhLkLRO.J1"

COMMANDS = [
    ["vadddomain", "-e", "-R", "new.example", HASH],
    ["vadduser", "-e", "carol@example.com", HASH],
    ["vdeldomain", "example.com"],
    ["vdeldomain", "example.net"],
    ["vaddaliasdomain", "alias.example", "example.com"],
    ["vrenamedomain", "example.com", "new.example"],
    ["vrenamedomain", "example.net", "new.example"],
    ["vdeluser", "alice@example.com"],
    ["vrenameuser", "alice@example.com", "zoe@example.com"],
    ["vrenameuser", "alice@example.com", "carol@example.com"],
    ["vmoveuserdir", "alice@example.com", "{root}/elsewhere/alice"],
    ["vgroup", "-a", "-e", "sales@example.com", HASH],
    ["vgroup", "-u", "&bob@example.com", "-o", "&alice@example.com", "team@example.com"],
    ["vbulletin", "-f", "{root}/../news", "example.com"],
    ["vbulletin", "-a", "-f", "{root}/../news", "example.com"],
    ["vbulletin", "-S", "{root}/../who", "-f", "{root}/../news"],
    ["vbulletin", "-s", "-f", "{root}/../news", "example.com"],
    ["vdeloldusers", "-f", "-i", "-a", "60", "-d", "example.com"],
    ["vdeloldusers", "-f", "-p", "-a", "60", "-d", "example.com"],
    ["vcalias", "example.com"],
    ["vcaliasrev", "example.com"],
    ["vadduser", "-b", "-e", "carol@example.com", HASH],
    ["vfstab", "-o", "0", "-i", "{root}/mail"],
    ["vpurge", "example.com", "30", "100"],
    ["vreorg", "-r", "-d", "example.com"],
    ["vipmap", "-i", "192.0.2.1", "example.com"],
    ["vlimit", "-A", "5", "example.com"],
    ["vlimit", "-D", "example.com"],
    ["vmoduser", "-q", "+5M", "-c", "Bob B.", "-e", HASH, "-t", "-p", "-n", "bob@example.com"],
    ["vmoduser", "-x", "-b", "-D", "%Y-%m", "-l", "{root}/../away", "bob@example.com"],
    ["vmoduser", "-l", "-", "alice@example.com"],
    ["vsetuserquota", "alice@example.com", "1M,100"],
    ["vpasswd", "-e", "alice@example.com", OTHER_HASH],
    ["vmoddomain", "-h", "lost@example.org", "-l", "1", "-H", "MD5", "example.com"],
    ["valias", "-i", "| /bin/true", "sales@example.com"],
    ["valias", "-u", "&alice@example.com", "-i", "&bob@example.com", "sales@example.com"],
    ["valias", "-d", "&alice@example.com", "sales@example.com"],
    ["resetquota", "-q", "1M", "{root}/mail/A2E/example.com/bob"],
]  # fmt: skip


@contextmanager
def furnished() -> Iterator[Stage]:
    """Make two domains with users, mail, aliases, an automatic reply, tables of IndiMail's own."""
    with folder_in_memory() as folder:
        stage = Stage(folder)
        _furnish(stage, folder)
        if os.geteuid() == 0:
            owner = os.stat(stage.root)
            who = f"{owner.st_uid}:{owner.st_gid}"
            subprocess.run(["chown", "-R", who, stage.root], check=True)
        stage.keep()
        yield stage


def _furnish(stage: Stage, folder: str) -> None:
    root = Path(stage.root)
    Path(folder, "hash").write_text(f"{HASH}\n")
    away, news = Path(folder, "away"), Path(folder, "news")
    away.write_text("I am away.\n")
    news.write_text("Subject: news\n\nHello\n")
    Path(folder, "who").write_text("alice@example.com\nbob@elsewhere.example\n")
    assert stage.run("init", "--me", "mx.example.org") == 0
    for domain in ("example.com", "other.example"):
        stage.run("vadddomain", "-e", domain, HASH)
        for name in ("alice", "bob"):
            stage.run("vadduser", "-e", "-q", "50M", f"{name}@{domain}", HASH)
            maildir = root / "mail" / "A2E" / domain / name / "Maildir"
            (maildir / "new" / "1.a,S=6").write_text("hello\n")
            (maildir / "cur" / "2.b,S=6:2,S").write_text("world\n")
            (maildir / "domain").write_text(f"{domain}\n")
            (maildir / ".Trash" / "cur").mkdir(parents=True)
            (maildir / ".Trash" / "cur" / "3.c,S=6:2,S").write_text("trash\n")
            os.utime(maildir / ".Trash" / "cur" / "3.c,S=6:2,S", (0, 0))
        stage.run("vmoduser", "-l", str(away), f"alice@{domain}")
        stage.run("vmoddomain", "-l", "1", domain)
        stage.run("vlimit", "-P", "9", domain)
        stage.run("valias", "-i", f"&alice@{domain}", f"sales@{domain}")
        stage.run("valias", "-i", f"{root}/mail/A2E/{domain}/alice/Maildir/", f"copy@{domain}")
    for line in ("&alice@example.com", "bob@example.com"):
        stage.run("valias", "-i", line, "friends@other.example")
    stage.run("vgroup", "-a", "-e", "team@example.com", HASH)
    stage.run("vgroup", "-i", "&alice@example.com", "team@example.com")
    stage.run("vfstab", "-i", f"{root}/mail")
    stage.run("vaddaliasdomain", "example.net", "example.com")
    stage.run("vaddaliasdomain", "alias.other.example", "other.example")
    (root / "domains" / "example.com" / ".users_per_level").write_text("1\n")
    (root / "domains" / "example.com" / ".qmail-alice").write_text("&bob@example.com\n")
    with create_engine(sqlite_url(f"{root}/db/indimail.db")).begin() as db:
        for statement in _rows_of_indimail():
            db.execute(text(statement))


def _rows_of_indimail() -> Iterator[str]:
    yield "create table vfilter (emailid varchar(100), filter_no integer)"
    yield "update lastauth set timestamp='2020-01-01 00:00:00' where user='alice'"
    for domain in ("example.com", "other.example"):
        yield f"insert into userquota (user, domain, quota) values ('bob', '{domain}', 9)"
        for name in ("alice", "prefilt"):
            yield f"insert into vfilter values ('{name}@{domain}', 1)"


@dataclass(frozen=True)
class Trial:
    """A command that was killed after one of its writes; `wrong` is empty where all is well."""

    command: str
    number: int
    wrong: str

    def __str__(self) -> str:
        return f"{self.command}: killed after {self.number}: {self.wrong}"


def tried_on(kind: str) -> Iterator[list[Trial]]:
    """Try each command on "sqlite", "mariadb" or "postgresql"."""
    with furnished() as stage, ExitStack() as stack:
        if kind != "sqlite":
            stage.move_to(stack.enter_context(database(kind)))
        for command in COMMANDS:
            yield list(trials(stage, command))


def filled(stage: Stage, command: Sequence[str]) -> list[str]:
    """Return a command whose paths are those of the instance."""
    return [word.format(root=stage.root) for word in command]


def kills(stage: Stage, command: Sequence[str]) -> int:
    """Return how many there are: behind each write, the list's keeping and its removal."""
    before = stage.state()
    assert stage.run(*command, "--dry-run") == 0, stage.said
    assert stage.state() == before
    return len(stage.said.splitlines()) + 2


def trials(stage: Stage, command: Sequence[str]) -> Iterator[Trial]:
    """Kill a command after each of its writes, and run it again."""
    command = filled(stage, command)
    stage.put_back()
    before, last = stage.state(), kills(stage, command)
    assert stage.run(*command) == 0, stage.said
    undisturbed = stage.state()
    assert undisturbed != before
    for number in range(1, last + 1):
        yield trial(stage, command, undisturbed, number, last)
    stage.put_back()
    code = stage.run(*command, fail_after=last + 1)
    if code:
        yield Trial(" ".join(command), last + 1, f"exit {code}: it has more writes than it tells")


def trial(
    stage: Stage, command: Sequence[str], undisturbed: Sequence[str], number: int, last: int
) -> Trial:
    """Kill a command after one of its writes, and run it again."""
    stage.put_back()
    code = stage.run(*command, fail_after=number)
    if code != -9:
        return Trial(" ".join(command), number, f"not killed, exit {code}: {stage.said}")
    # After the last, the list was done with, and only the exit code was missing.
    code = stage.run(*command) if number < last else 0
    if code:
        return Trial(" ".join(command), number, f"run again, exit {code}: {stage.said}")
    different = sorted(set(stage.state()) ^ set(undisturbed))
    return Trial(" ".join(command), number, "\n".join(different))
