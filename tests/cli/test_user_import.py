"""`indimail user import` and `export`: passwords, mistakes, files, the way there and back."""

import csv
import io
import json
import os
import pty
import stat
import sys
from pathlib import Path

import pytest

from cli.accounts_commands import Ran, Terminal
from indimail.accounts.passwords import verify
from indimail.accounts.port import Account
from indimail.accounts.scram import parse_scram
from indimail.accounts.sql import SqlAccounts, sqlite_url
from indimail.cli.progress import Progress
from indimail.cli.user_import import MOST_TOLD

pytestmark = pytest.mark.slow  # each runs commands: too much for `make fast`

HASH = "$1$salt$JSoV9KyWZPjFlhLkLRO.J1"
ODD = (
    "email,hash,name,quota,active\n"
    f'"o\'neil+x@example.com",{HASH},"Neil, ""Ö"" O\'",50M,1\n'
    f'"a""b@example.com",{HASH},,"50M,1000",0\n'
    f"bob@example.com,{HASH}, B  B ,52428800S,1\n"
)


@pytest.fixture
def domain(terminal: Terminal) -> Terminal:
    assert terminal("vadddomain", "-e", "example.com", HASH).code == 0
    return terminal


def users(terminal: Terminal) -> list[Account]:
    accounts = SqlAccounts(sqlite_url(f"{terminal.root}/db/indimail.db"))
    found = accounts.users("example.com")
    accounts.close()
    return found


def test_passwords_are_hashed_and_may_come_twice(domain: Terminal) -> None:
    text = 'email,password,active\nalice@example.com,"se,cret",\nbob@example.com,b,no\n'
    arguments = ("import", "-", "--hash-method", "MD5")
    ran = domain("user", *arguments, stdin=text)
    assert ran == Ran(0, "added 2, changed 0, unchanged 0\n", "")
    alice, bob, _ = users(domain)
    assert verify(alice.password, b"se,cret")
    assert parse_scram(alice.scram).keys is not None
    assert (alice.active, bob.active) == (True, False)
    ran = domain("user", *arguments, "--json", stdin=text)
    assert json.loads(ran.out) == {
        "command": "user import", "dry_run": False, "changed": [],
        "added_users": 0, "changed_users": 0, "unchanged_users": 2,
    }  # fmt: skip
    assert users(domain)[:2] == [alice, bob]


def test_who_is_there_with_other_values_is_changed_if_that_is_said(domain: Terminal) -> None:
    head = "email,password,name\n"
    assert domain("user", "import", "-", stdin=f"{head}alice@example.com,old,A\n").code == 0
    before = users(domain)
    for text, what in (
        (f"{head}bob@example.com,b,B\nalice@example.com,new,A\n", "password"),
        (f"{head}bob@example.com,b,B\nalice@example.com,old,Alice\n", "name Alice"),
        (f"email,hash\nbob@example.com,{HASH}\nalice@example.com,{HASH}\n", "password"),
    ):
        ran = domain("user", "import", "-", stdin=text)
        assert ran == Ran(
            65, "",
            "standard input:3: found alice@example.com, who is there, with other values "
            f"({what}), expected the same, or --update\n"
            "indimail user import: 1 wrong row; nothing was changed\n",
        )  # fmt: skip
        assert users(domain) == before
    text = f"{head}bob@example.com,b,B\nalice@example.com,new,Alice\n"
    ran = domain("user", "import", "--update", "-", stdin=text)
    assert ran == Ran(0, "added 1, changed 1, unchanged 0\n", "")
    alice = users(domain)[0]
    assert alice.gecos == "Alice"
    assert verify(alice.password, b"new")
    text = f"email,hash\nalice@example.com,{HASH}\n"
    assert domain("user", "import", "--update", "-", stdin=text).code == 0
    alice = users(domain)[0]
    assert (alice.password.reveal(), alice.scram.reveal()) == (HASH, "")


def test_all_mistakes_are_told_and_nothing_is_changed(domain: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text("email,password\ngood@example.com,x\nBad@example.com,hunter2\nx@c.example,x\n")
    before = users(domain)
    ran = domain("user", "import", str(path))
    assert (ran.code, ran.out) == (65, "")
    assert ran.err.splitlines() == [
        f"{path}:3: found the email 'Bad@example.com', expected name@domain in lower case",
        f"{path}:4: found x@c.example, expected a domain of ours: c.example: No such domain",
        "indimail user import: 2 wrong rows; nothing was changed",
    ]
    path.write_text("email,password\n" + "nobody,x\n" * (MOST_TOLD + 3))
    ran = domain("user", "import", str(path))
    assert len(ran.err.splitlines()) == MOST_TOLD + 1
    assert ran.err.endswith(f": {MOST_TOLD + 3} wrong rows, 3 not shown; nothing was changed\n")
    assert domain("user", "import", f"{path}.not").code == 66
    assert domain("user", "import", str(tmp_path)).code == 74
    assert users(domain) == before


def test_a_password_that_cannot_be_stored_is_told_with_its_line(domain: Terminal) -> None:
    text = "email,password\nok@example.com,x\nlong@example.com,hunter2\a\n"
    ran = domain("user", "import", "-", "--scram", "SCRAM-SHA-256", stdin=text)
    assert ran.code == 65
    assert ran.err.startswith("standard input:3: found a password: ")
    assert "hunter2" not in ran.err
    assert len(users(domain)) == 1


def test_dry_run_lists_every_file_and_row_and_hashes_nothing(
    domain: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indimail.cli.credentials.hash_password", None)
    text = "email,password\nalice@example.com,secret\nbob@example.com,secret\n"
    ran = domain("user", "import", "--dry-run", "-", stdin=text)
    home = f"{domain.root}/mail/A2E/example.com"
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[:4] == [
        f"directory {home}/alice/Maildir: make", f"directory {home}/bob/Maildir: make",
        "rows alice@example.com: add to indimail, lastauth",
        "rows bob@example.com: add to indimail, lastauth",
    ]  # fmt: skip
    assert lines[-1] == "server: forget @example.com"
    assert len(users(domain)) == 1


def test_what_cannot_be_done_is_known_before_hashing(
    domain: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indimail.cli.credentials.hash_password", None)
    assert domain("vlimit", "-P", "1", "example.com").code == 0
    assert domain("domain", "set", "--limits", "example.com").code == 0
    text = "email,password\nalice@example.com,secret\nbob@example.com,secret\n"
    ran = domain("user", "import", "-", stdin=text)
    said = "indimail user import: example.com: has 0 accounts, its limit (vlimit -P) is 1\n"
    assert ran == Ran(77, "", said)


def test_one_program_runs_after_it_and_hears_the_domains(domain: Terminal) -> None:
    libexec = Path(domain.root, "libexec")
    libexec.mkdir()
    hook = libexec / "user-import"
    hook.write_text(f'#!/bin/sh\necho "$@" >>{domain.root}/run/said\n')
    hook.chmod(0o755)
    for _ in range(2):
        assert domain("user", "import", "-", stdin=ODD).code == 0
    assert Path(domain.root, "run/said").read_text() == "example.com\n"


def test_what_is_exported_can_be_imported_and_is_the_same(domain: Terminal, folder: str) -> None:
    ran = domain("user", "import", "-", stdin=ODD)
    assert ran == Ran(0, "added 3, changed 0, unchanged 0\n", "")
    exported = domain("user", "export", "--domain", "example.com")
    assert (exported.code, exported.err) == (0, "")
    lines = list(csv.DictReader(io.StringIO(exported.out)))
    assert {line["email"]: line["name"] for line in lines} == {
        'a"b@example.com': "",
        "bob@example.com": " B  B ",
        "o'neil+x@example.com": 'Neil, "Ö" O\'',
        "postmaster@example.com": "Postmaster",
    }
    assert {line["password"] for line in lines} == {""}
    there = users(domain)
    domain.root = f"{folder}/other"
    assert domain("init", "--me", "mx.example.org").code == 0
    assert domain("vadddomain", "-e", "example.com", HASH).code == 0
    ran = domain("user", "import", "-", stdin=exported.out)
    assert ran == Ran(0, "added 3, changed 0, unchanged 1\n", "")
    assert domain("user", "export") == exported
    values = [(u.address, u.password, u.gecos, u.quota, u.active) for u in there]
    assert [(u.address, u.password, u.gecos, u.quota, u.active) for u in users(domain)] == values


def test_an_export_is_for_its_owner_and_replaces_no_file(domain: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    ran = domain("user", "export", "--json", str(path))
    assert json.loads(ran.out) == {"file": str(path), "users": 1}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert HASH in path.read_text()
    path.write_text("mine")
    path.chmod(0o644)
    ran = domain("user", "export", str(path))
    said = f"indimail user export: {path}: exists, expected --force to replace it\n"
    assert ran == Ran(73, "", said)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.path.lexists", lambda _: False)  # it comes a moment later
        assert domain("user", "export", str(path)) == ran
    assert path.read_text() == "mine"
    assert domain("user", "export", "--force", str(path)).code == 0
    assert HASH in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["users.csv"]
    for arguments, code in (
        (["--domain", "c.example"], 68), (["--json"], 64), (["/nowhere/x"], 74), (["--domain", "C"], 65)
    ):  # fmt: skip
        assert domain("user", "export", *arguments).code == code


def test_a_bar_is_shown_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress("user import") as quiet:
        quiet.show("hashing", 1, 2)
    assert capsys.readouterr().err == ""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as screen:
        monkeypatch.setattr(sys, "stderr", screen)
        with Progress("user import") as progress:
            progress.show("hashing", 5, 10)
            shown = os.read(ours, 1000).decode()
    os.close(ours)
    assert shown.endswith("user import: hashing [##########..........]  50 %, 0 s left")
