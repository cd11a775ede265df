"""indimail backup and restore: what was there is there again, elsewhere."""

import json
import os
import re
import shutil
import stat
from pathlib import Path

import pytest

from cli.accounts_commands import Terminal
from cli.backups.kit import LARGE, ROOT, SMALL, SPOOLED, files, rows
from databases import database
from indimail.queue.sqlite import SqliteReader

pytestmark = pytest.mark.slow  # each runs commands: too much for `make fast`


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
