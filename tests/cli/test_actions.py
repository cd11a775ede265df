"""`indimail domain|user|alias ACTION`: what they print, JSON, exit codes; that bad input does nothing.

That each does what the command of IndiMail's does: test_killed_commands.
"""

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cli.accounts_commands import Ran, Terminal
from crash.stage import Stage, folder_in_memory
from indimail.accounts.passwords import verify
from indimail.accounts.port import Flag
from indimail.accounts.sql import SqlAccounts, sqlite_url
from indimail.cli import main as cli
from indimail.cli.shown import print_table, size

pytestmark = pytest.mark.slow  # each runs commands: too much for `make fast`

HASH = "$1$salt$JSoV9KyWZPjFlhLkLRO.J1"


@pytest.fixture(scope="module")
def scene() -> Iterator[Stage]:
    """One domain with an alias domain, two users and an alias."""
    with folder_in_memory() as folder:
        scene = Stage(folder)
        furnish(scene, folder)
        scene.keep()
        yield scene


def furnish(scene: Stage, folder: str) -> None:
    Path(folder, "hash").write_text(f"{HASH}\n")
    Path(folder, "empty").write_text("\n")
    stored = ("--hashed", "--password-file", f"{folder}/hash")
    assert scene.run("init", "--me", "mx.example.org") == 0
    for arguments in (
        ["domain", "add", "example.com", "--hashed", "--postmaster-password-file", stored[2]],
        ["user", "add", "alice@example.com", "--quota", "50M", "--name", "Älice, A.", *stored],
        ["user", "add", "bob@example.com", "--inactive", *stored],
        ["alias", "add", "sales@example.com", "&alice@example.com"],
        ["alias", "add", "alice@example.com", "carol@example.org"],
    ):
        assert scene.run(*arguments) == 0, scene.said
    assert scene.run("vaddaliasdomain", "example.net", "example.com") == 0
    if os.geteuid() == 0:
        owner = os.stat(scene.root)
        subprocess.run(["chown", "-R", f"{owner.st_uid}:{owner.st_gid}", scene.root], check=True)


@pytest.fixture
def kept(
    scene: Stage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Terminal:
    """Where nothing is to be changed."""
    monkeypatch.delenv("INDIMAIL_ROOT", raising=False)
    return Terminal(scene.root, capsys, monkeypatch)


@pytest.fixture
def terminal(scene: Stage, kept: Terminal) -> Terminal:
    scene.put_back()
    return kept


def accounts(terminal: Terminal) -> SqlAccounts:
    return SqlAccounts(sqlite_url(f"{terminal.root}/db/indimail.db"))


def printed(ran: Ran) -> Any:
    assert (ran.code, ran.err) == (0, "")
    return json.loads(ran.out)


# -- what is shown -------------------------------------------------------------------------------

ALICE = {
    "address": "alice@example.com",
    "name": "Älice, A.",
    "active": True,
    "quota": {"octets": 52428800, "messages": None},
    "flags": [],
    "home": "mail/A2E/example.com/alice",
}


def test_users_are_listed(kept: Terminal) -> None:
    users = printed(kept("user", "list", "--json"))["users"]
    assert [user["address"].partition("@")[0] for user in users] == ["alice", "bob", "postmaster"]
    assert users[0] == {**ALICE, "home": f"{kept.root}/{ALICE['home']}"}
    assert printed(kept("user", "list", "--domain", "example.net", "--json"))["users"] == users
    assert kept("user", "list").out.splitlines() == [
        "address                 name        quota   active",
        "alice@example.com       Älice, A.   50 MiB  yes",
        "bob@example.com         bob         none    no",
        "postmaster@example.com  Postmaster  none    yes",
    ]


def test_a_user_is_shown_with_all_that_is_known(kept: Terminal) -> None:
    shown = printed(kept("user", "show", "--json", "alice@example.net"))
    (added,) = shown.pop("events")
    assert shown == {
        **ALICE,
        "home": f"{kept.root}/{ALICE['home']}",
        "home_exists": True,
        "usage": {"octets": 0, "messages": 0},
        "uid": 0,
        "hash_method": "MD5",
        "scram": None,
        "forwards": ["carol@example.org"],
        "aliases": [{"alias": "sales@example.com", "line": "&alice@example.com"}],
        "last_login": None,
        "limits_on": False,
        "limits": None,
    }
    assert (added["service"], added["ip"]) == ("add", None)
    lines = kept("user", "show", "alice@example.com").out.splitlines()
    assert lines[:6] == [
        "address:    alice@example.com",
        "name:       Älice, A.",
        "active:     yes",
        "flags:      -",
        "quota:      50 MiB",
        "usage:      0 B (0 %), 0 mails",
    ]
    assert HASH not in "\n".join(lines)


def test_domains_are_listed_and_shown(kept: Terminal) -> None:
    real = {"domain": "example.com", "alias_of": None, "users": 3, "live": True}
    alias = {"domain": "example.net", "alias_of": "example.com", "users": 3, "live": True}
    assert printed(kept("domain", "list", "--json")) == {"domains": [real, alias]}
    shown = printed(kept("domain", "show", "example.com", "--json"))
    assert {key: shown[key] for key in real} == real
    assert shown["alias_domains"] == ["example.net"]
    assert (shown["directory"], shown["base"], shown["limits_on"]) == (
        f"{kept.root}/domains/example.com", f"{kept.root}/mail", False,
    )  # fmt: skip
    assert kept("domain", "list").out == (
        "domain       alias of     users\n"
        "example.com  -            3\n"
        "example.net  example.com  3\n"
    )


def test_limits_are_shown(terminal: Terminal) -> None:
    assert terminal("vlimit", "-P", "7", "example.com").code == 0
    assert terminal("vlimit", "-g", "p", "alice@example.com").code == 0
    assert terminal("domain", "set", "--limits", "example.com").code == 0
    shown = printed(terminal("domain", "show", "--json", "example.com"))
    assert (shown["limits_on"], shown["limits"]["maxpopaccounts"]) == (True, 7)
    assert "most accounts: 7" in terminal("domain", "show", "example.com").out
    shown = printed(terminal("user", "show", "--json", "alice@example.com"))
    assert (shown["limits_on"], shown["limits"]["disable_pop"]) == (True, 1)
    assert "closed: POP3" in terminal("user", "show", "alice@example.com").out


@pytest.mark.parametrize(("arguments", "lines"), [
    ([], ["abuse@example.com -> &postmaster@example.com",
          "alice@example.com -> carol@example.org",
          "mailer-daemon@example.com -> &postmaster@example.com",
          "sales@example.com -> &alice@example.com"]),
    (["sales@example.net"], ["sales@example.com -> &alice@example.com"]),
    (["nobody@example.com"], []),
    (["--to", "alice@example.com"], ["sales@example.com -> &alice@example.com"]),
])  # fmt: skip
def test_alias_lines_are_listed(kept: Terminal, arguments: list[str], lines: list[str]) -> None:
    found = printed(kept("alias", "list", "--json", *arguments))["aliases"]
    assert [f"{row['alias']} -> {row['line']}" for row in found] == lines
    everything = kept("alias", "list", "--domain", "example.com").out
    assert everything == kept("alias", "list").out


def test_columns_are_as_wide_as_what_is_in_them(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["a", "long"], [["wide", "x"], ["y", "z"]])
    print_table(["a"], [])
    assert capsys.readouterr().out == "a     long\nwide  x\ny     z\n"
    assert [size(n) for n in (0, 1023, 1024, 1536, 50 << 20, 1 << 42)] == [
        "0 B", "1023 B", "1 KiB", "1.5 KiB", "50 MiB", "4 TiB",
    ]  # fmt: skip


# -- what is changed -----------------------------------------------------------------------------


def test_a_change_tells_in_json_what_dry_run_lists(terminal: Terminal) -> None:
    arguments = ("set", "alice@example.com", "--quota", "1M", "--flag", "no-pop")
    lines = terminal("user", *arguments, "--dry-run").out.splitlines()
    foretold = printed(terminal("user", *arguments, "--dry-run", "--json"))
    assert foretold == {"command": "user set", "dry_run": True, "changed": lines}
    assert lines[:2] == [
        "row alice@example.com: quota 1048576", "row alice@example.com: flags +NO_POP",
    ]  # fmt: skip
    assert printed(terminal("user", *arguments, "--json")) == {**foretold, "dry_run": False}
    found = accounts(terminal).find("alice", "example.com")
    assert found is not None
    assert (found.quota, found.flags) == ("1048576", Flag.NO_POP)


def test_what_shall_be_is_said_twice_without_harm(terminal: Terminal) -> None:
    for _ in range(2):
        arguments = ("alice@example.com", "--inactive", "--flag", "no-imap", "--no-flag", "no-pop")
        assert terminal("user", "set", *arguments).code == 0
        found = accounts(terminal).find("alice", "example.com")
        assert found is not None
        assert (found.active, found.flags) == (False, Flag.NO_IMAP)
    assert terminal("user", "set", "alice@example.com", "--active").code == 0
    found = accounts(terminal).find("alice", "example.com")
    assert found is not None
    assert (found.active, found.flags) == (True, Flag.NO_IMAP)


def test_a_password_comes_from_stdin_a_file_or_is_made(terminal: Terminal, tmp_path: Path) -> None:
    given = {"carol": "from stdin", "dora": "from a file", "eve": ""}
    (tmp_path / "secret").write_text("from a file\nmore\n")
    ways = {
        "carol": [],
        "dora": ["--password-file", f"{tmp_path}/secret"],
        "eve": ["--random", "20", "--json"],
    }
    for name, way in ways.items():
        address = f"{name}@example.com"
        ran = terminal("user", "add", address, "--hash-method", "md5", *way, stdin="from stdin\n")
        assert (ran.code, ran.err) == (0, "")
        if name == "eve":
            given[name] = json.loads(ran.out)["password"]
            assert len(given[name]) == 20
        else:
            assert ran.out == f"added user {address}\n"
        found = accounts(terminal).find(name, "example.com")
        assert found is not None
        assert verify(found.password, given[name].encode())
    ran = terminal("user", "passwd", "eve@example.com", "--random", "9", "--hash-method", "MD5")
    said, password = ran.out.splitlines()
    assert said == "password of eve@example.com set"
    found = accounts(terminal).find("eve", "example.com")
    assert found is not None
    assert verify(found.password, password.removeprefix("password: ").encode())


def test_the_program_after_a_change_is_that_of_the_command(terminal: Terminal) -> None:
    libexec = Path(terminal.root, "libexec")
    libexec.mkdir()
    hook = libexec / "vrenameuser"
    hook.write_text(f'#!/bin/sh\necho "$@" >>{terminal.root}/run/said; echo hook; exit 3\n')
    hook.chmod(0o755)
    ran = terminal("user", "rename", "bob@example.com", "bert@example.com", "--json")
    assert ran.code == 3
    assert json.loads(ran.out)["command"] == "user rename"
    assert Path(terminal.root, "run/said").read_text() == "bob@example.com bert@example.com\n"
    assert terminal("user", "rename", "bert@example.com", "bob", "--dry-run").code == 0


# -- bad input -----------------------------------------------------------------------------------

BAD = [
    ("domain", 64, "the following arguments are required: ACTION"),
    ("domain make example.org", 64, "invalid choice: 'make'"),
    ("domain add", 64, "the following arguments are required: domain"),
    ("domain add Example.org", 65, "warning: domain [Example.org] has an uppercase character"),
    ("domain add example", 65, "invalid domain: example"),
    ("domain add ../example.org", 65, "Invalid domain ../example.org"),
    ("domain add example.com", 73, "domain example.com exists"),
    ("domain add example.net", 73, "domain example.net exists"),
    ("domain add example.org --quota x", 65, "invalid quota [x]: expected 50M, 50M,1000 or NOQUOTA"),
    ("domain add example.org --base here", 64, "found 'here', expected an absolute path"),
    ("domain add example.org --users-per-level 0", 64, "found '0', expected 1 or more"),
    ("domain add example.org --default", 64, "argument --default: expected one argument"),
    ("domain add example.org --hash-method ROT13", 64, "invalid choice: 'ROT13'"),
    ("domain add example.org --random 0", 64, "argument --random: expected 1 to 128"),
    ("domain add example.org --postmaster-password-file /nowhere", 66,
     "/nowhere: No such file or directory"),
    ("domain add example.org --postmaster-password-file {empty}", 65,
     "empty: found an empty line, expected a password"),
    ("domain add example.org", 65, "found nothing, expected a password"),
    ("domain add example.org --default &", 65, "Invalid bounce email address &: expected delete"),
    ("domain del example.org", 68, "domain example.org does not exist"),
    ("domain show example.org", 68, "example.org: domain does not exist"),
    ("domain rename example.org example.info", 68, "example.org: domain does not exist"),
    ("domain rename example.com example.net", 73, "example.net: domain exists"),
    ("domain rename example.com example", 65, "invalid domain: example"),
    ("domain set example.com", 64, "found nothing to set, expected --default, --hash-method"),
    ("domain set example.org --limits", 68, "example.org: domain does not exist"),
    ("domain set example.com --default nonsense:x", 65, "expected delete, bounce-no-mailbox"),
    ("domain set example.com --no-limits", 65, "example.com: domain limits are not on"),
    ("user add carol@example.org", 68, "example.org: No such domain"),
    ("user add alice@example.com", 73, "username alice@example.com exists"),
    ("user add bob@example.net", 73, "username bob@example.com exists"),
    ("user add a..b@example.com", 65, "successive periods not allowed"),
    ("user add a/b@example.com", 65, "not allowed in local-part"),
    ("user add carol@example.com --name x:y", 65, "':' not allowed in names"),
    ("user add carol@example.com --hashed --cram", 64, "not with --hashed, they need"),
    ("user add carol@example.com --hashed --scram none", 64, "not with --hashed, they need"),
    ("user add carol@example.com --random 9 --password-file x", 64, "not allowed with argument"),
    ("user add carol@example.com --scram SCRAM-MD5", 64, "invalid choice: 'SCRAM-MD5'"),
    ("user del nobody@example.com", 67, "nobody@example.com: no such user"),
    ("user del postmaster@example.com", 77, "a reserved name, expected --reserved to remove it"),
    ("user show nobody@example.com", 67, "nobody@example.com: No such user"),
    ("user show sales@example.com", 67,
     "No such user; `indimail alias list sales@example.com` shows its lines"),
    ("user list --domain example.org", 68, "example.org: No such domain"),
    ("user rename alice@example.com bob@example.com", 73, "User bob@example.com exists"),
    ("user rename alice@example.com zoe@example.org", 65,
     "zoe@example.org: expected an address in example.com"),
    ("user rename nobody@example.com zoe@example.com", 67, "nobody@example.com: No such user"),
    ("user set alice@example.com", 64, "found nothing to set, expected --quota, --name"),
    ("user set alice@example.com --quota x", 65, "invalid quota [x] for alice@example.com"),
    ("user set bob@example.com --quota +5M", 65, "invalid quota [+5M] for bob@example.com"),
    ("user set alice@example.com --flag no-fun", 64, "invalid choice: 'no-fun'"),
    ("user set alice@example.com --flag no-pop --no-flag no-pop", 64, "expected different flags"),
    ("user set postmaster@example.com --inactive", 77, "RFC Ids cannot be made inactive"),
    ("user set nobody@example.com --active", 67, "no such user nobody@example.com"),
    ("user set alice@example.com --reply /nowhere", 66, "/nowhere: No such file or directory"),
    ("user set alice@example.com --reply -", 65, "--reply -: found nothing, expected a text"),
    ("user set alice@example.com --date-folders ../x", 65, "invalid date format [../x]"),
    ("user passwd nobody@example.com", 67, "nobody@example.com: No such user"),
    ("user passwd alice@example.com", 65, "found nothing, expected a password"),
    ("alias add sales@example.com &alice@example.com", 73, "is there already"),
    ("alias add sales@example.com nonsense", 65, "invalid alias line 'nonsense': expected &user"),
    ("alias add @example.com &alice@example.com", 65, "@example.com: expected name@domain"),
    ("alias add sales@example.org &alice@example.com", 68, "example.org: No such domain"),
    ("alias del sales@example.com &bob@example.com", 67,
     "no line [&bob@example.com]; its lines: &alice@example.com"),
    ("alias list --domain example.org", 68, "example.org: No such domain"),
    ("alias list sales@example.com --to alice@example.com", 64, "not allowed with argument"),
]  # fmt: skip


def test_what_cannot_be_is_said_and_changes_nothing(scene: Stage, terminal: Terminal) -> None:
    before = scene.state()
    for line, code, text in BAD:
        words = [word.format(empty=f"{scene.root}/../empty") for word in line.split()]
        ran = terminal(words[0], *words[1:])
        assert (ran.code, ran.out) == (code, ""), line
        assert text in ran.err, line
        assert ran.err.splitlines()[-1].startswith((f"{words[0]}", f"indimail {words[0]} ")), line
        assert scene.state() == before, line


def test_a_password_that_was_given_as_an_argument_is_not_repeated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for words in (
        ["add", "--password", "hunter2", "x@y.example"],
        ["passwd", "x@y.example", "hunter2"],
    ):
        with pytest.raises(SystemExit) as end:
            cli.main(["user", *words])
        assert end.value.code == 64
        assert "hunter2" not in capsys.readouterr().err


@pytest.mark.parametrize("noun", ["domain", "user", "alias"])
def test_help_of_every_action_has_an_example_that_it_takes(
    noun: str, capsys: pytest.CaptureFixture[str]
) -> None:
    actions = import_module(f"indimail.cli.{noun}").ACTIONS
    for name, action in actions.items():
        with pytest.raises(SystemExit) as end:
            cli.main([noun, name, "--help"])
        assert end.value.code == 0
        shown = capsys.readouterr().out
        assert f"\nexample: {action.example}\n" in shown
        assert "\nexit codes: 0 done; 64 wrong use; " in shown
        words = shlex.split(action.example)
        assert words[:3] == ["indimail", noun, name]
        parser = cli.Parser(prog="x")
        import_module(f"indimail.cli.{noun}").add_arguments(parser)
        parser.parse_args(words[2:])


# -- logins that let a client relay ----------------------------------------------------------------


def test_a_login_is_added_listed_and_expired(terminal: Terminal) -> None:
    assert terminal("relay", "add", "alice@example.net", "2001:DB8::7", "--at", "1000").code == 0
    said = terminal("relay", "add", "alice@example.com", "192.0.2.7")
    assert said.out == "alice@example.com may relay from 192.0.2.7\n"
    (new, old) = json.loads(terminal("relay", "list", "--json").out)["logins"]
    assert (old["email"], old["ip"], old["time"], old["state"]) == (
        "alice@example.com", "2001:db8::7", 1000, "over",
    )  # fmt: skip
    assert (new["ip"], new["state"]) == ("192.0.2.7", "counts")
    assert "1970-01-01T00:16:40Z" in terminal("relay", "list").out
    dry = terminal("relay", "expire", "--dry-run")
    assert dry.out == "rows alice@example.com: relay from 2001:db8::7\n"
    assert terminal("clearopensmtp", "--dry-run").out == dry.out
    assert "nothing to do" in terminal("clearopensmtp", "-t").out
    assert terminal("clearopensmtp", "-v").out == "removed 1 of logins older than 60 minutes\n"
    assert terminal("relay", "expire").out == "removed 0 logins older than 60 minutes\n"
    assert len(json.loads(terminal("relay", "list", "--json").out)["logins"]) == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["alice@example.com", "192.0.2"], 64),
        (["alice@example.com", "mx.example.com"], 64),
        (["alice@example.com", "192.0.2.7", "--at", "noon"], 64),
        (["nobody@example.com", "192.0.2.7"], 67),
        (["bob@example.com", "192.0.2.7"], 67),  # inactive
        (["alice@example.org", "192.0.2.7"], 68),
    ],
)
def test_a_login_that_nothing_would_look_at_is_not_added(
    terminal: Terminal, arguments: list[str], code: int
) -> None:
    assert terminal("relay", "add", *arguments).code == code
    assert json.loads(terminal("relay", "list", "--json").out)["logins"] == []
