"""`indimail import indimail`, from the tree of 2010 and its tables, in each database."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.accounts_commands import Ran, Terminal
from databases import SERVERS, Database, database
from importing_trees import HASHES, MD5, PASSWORD, TABLES, IndimailTree, dump, for_kind, tables
from indimail.accounts.login import Storing, open_account
from indimail.accounts.passwords import Method
from indimail.accounts.port import Account, Flag, LastEvent, Limits
from indimail.accounts.sql import SqlAccounts

STORING = Storing(Method.DES, None)


class Import:
    """Imports an IndiMail, whose tables are in `url`."""

    def __init__(self, terminal: Terminal, folder: str, kind: str, url: str) -> None:
        self.terminal, self.url, self.kind = terminal, url, kind
        self.root = terminal.root
        self.old = IndimailTree(f"{folder}/old")
        self.database = Database(kind, url)
        self.database.ask(*tables(kind, list(TABLES)))

    def fill(self) -> None:
        self.database.ask(*(for_kind(self.kind, row) for row in self.old.rows))

    def __call__(self, *arguments: str) -> Ran:
        source = ["--from", self.old.home, "--map", f"/home/mail={self.old.folder}/home/mail"]
        stdin = f"{self.url}\n"
        return self.terminal(
            "import_", "indimail", *source, "--database", "-", *arguments, stdin=stdin
        )

    def user(self, address: str) -> Account:
        account = self.accounts.find(*address.split("@"))
        assert account is not None
        return account

    @property
    def accounts(self) -> SqlAccounts:
        return SqlAccounts(f"sqlite:///{self.root}/db/indimail.db")

    def dumped(self) -> list[str]:
        rows = [
            f"{name} {row}"
            for name in sorted(TABLES)
            for row in self.database.ask(f"select * from {name}")
        ]
        return [*sorted(rows), *(dump(self.old.folder))]


@pytest.fixture(params=["sqlite", *SERVERS])
def old(request: pytest.FixtureRequest, terminal: Terminal, folder: str) -> Iterator[Import]:
    kind = request.param
    made = contextlib.nullcontext(f"sqlite:///{folder}/old.db")
    with made if kind == "sqlite" else database(kind) as url:
        found = Import(terminal, folder, kind, url)
        yield found
        found.database.close()


def test_an_indimail_comes_with_its_tables_homes_and_files(old: Import) -> None:
    tree = old.old
    here = tree.domain("example.com", "/home/mail/A2E/example.com/alice/Maildir")
    tree.alias("example.net", "example.com")
    tree.write(f"{here}/.users_per_level", "2\n")
    tree.write(f"{here}/hash_method", "3\n")
    tree.write(f"{here}/bulk_mail/1welcome.txt,all", "Subject: welcome\n\nHello\n")
    tree.write(f"{here}/.qmail-sales", "&bob@example.com\n", 0o600)
    tree.user("postmaster@example.com", MD5)
    alice = tree.user(
        "alice@example.com", HASHES["$6$"], pw_gecos="J\u00fcrgen", pw_shell="50000000S,1000C",
        pw_gid=0x100 | 0x2000, scram="{CRAM}geheim",
    )  # fmt: skip
    tree.user("bob@example.com", HASHES["DES"], inactive=True)
    tree.user("carol@example.com", f"{{CRAM}}ge,heim,{MD5}", pw_gid=0x10)
    tree.user("dora@example.com", "clear text")
    tree.put_mail(alice, "1234.M1.old,S=6:2,RS", "hello\n", "cur", at=1_230_865_445)
    tree.write(f"{alice}/.qmail", "| /var/indimail/bin/autoresponder -q /home/mail/A2E/example.com/alice"
               "/.vacation.msg /home/mail/A2E/example.com/alice/.vacation.dir\n"
               "/home/mail/A2E/example.com/alice/Maildir/\n", 0o600)  # fmt: skip
    tree.write(f"{alice}/.vacation.msg", "I am away.\n")
    tree.write(f"{alice}/Maildir/folder.dateformat", "%Y")
    tree.row("valias", alias="abuse", domain="example.com", valias_line="&postmaster@example.com")
    tree.row("valias", alias="copy", domain="example.com",
             valias_line="/home/mail/A2E/example.com/alice/Maildir/")  # fmt: skip
    tree.row("lastauth", user="alice", domain="example.com", service="imap", remote_ip="192.0.2.1",
             timestamp="2009-01-02 03:04:05")  # fmt: skip
    tree.row("userquota", user="carol", domain="example.com", quota=60_000_000)
    tree.row("ip_alias_map", ipaddr="192.0.2.7", domain="example.com")
    tree.row("vlimits", domain="example.com", maxpopaccounts=5, defaultquota=10)
    tree.row("vlimits", domain="alice@example.com", maxpopaccounts=1)
    tree.write(f"{here}/.domain_limits", "")
    tree.row("relay", email="alice@example.com", ipaddr="192.0.2.1")
    old.fill()
    before = old.dumped()
    ran = old("--json")
    assert (ran.code, ran.err) == (1, "")
    home = f"{old.root}/mail/A2E/example.com"
    assert old.user("alice@example.com") == Account(
        "alice", "example.com", old.user("alice@example.com").password, 0,
        Flag.NO_SMTP | Flag.V_OVERRIDE, "J\u00fcrgen", f"{home}/alice", "50000000S,1000C",
        scram=old.user("alice@example.com").scram,
    )  # fmt: skip
    assert old.user("alice@example.com").scram.reveal() == "{CRAM}geheim"
    for name, given in (("alice", PASSWORD), ("bob", PASSWORD), ("carol", PASSWORD)):
        assert open_account(old.accounts, old.user(f"{name}@example.com"), given.encode(), STORING)
    assert not open_account(old.accounts, old.user("dora@example.com"), b"clear text", STORING)
    assert not old.user("bob@example.com").active
    assert (
        old.user("bob@example.com").directory == f"{home}/1/bob"
    )  # the fourth, of two in a bucket
    assert old.accounts.userquota("carol", "example.com") == 60_000_000
    events = old.accounts.events("alice", "example.com")
    assert events == [LastEvent("imap", 1_230_865_445, "192.0.2.1")]
    assert old.accounts.address_domains() == [("192.0.2.7", "example.com")]
    assert old.accounts.real_domain("example.net") == "example.com"
    limits = Limits("", "example.com", maxpopaccounts=5, defaultquota=10)
    assert old.accounts.limits("", "example.com") == limits
    assert old.accounts.limits("alice", "example.com") == Limits(
        "alice", "example.com", maxpopaccounts=1
    )
    assert os.path.exists(f"{old.root}/domains/example.com/.domain_limits")
    assert [(line.name, line.line) for line in old.accounts.domain_aliases("example.com")] == [
        ("abuse", "&postmaster@example.com"), ("copy", f"{home}/alice/Maildir/"),
    ]  # fmt: skip
    assert Path(home, "alice", ".qmail").read_text() == (
        f"| autoresponder -q {home}/alice/.vacation.msg {home}/alice/.vacation.dir\n"
        f"{home}/alice/Maildir/\n"
    )
    assert Path(home, "alice", ".vacation.msg").read_text() == "I am away.\n"
    assert os.listdir(f"{home}/alice/Maildir/cur") == ["1234.M1.old,S=6:2,RS"]
    assert Path(home, "alice", "Maildir", "folder.dateformat").read_text() == "%Y"
    domain = Path(old.root, "domains", "example.com")
    assert (domain / ".qmail-default").read_text().endswith(f"'' {home}/alice/Maildir\n")
    assert (domain / "hash_method").read_text() == "3\n"
    assert (domain / "bulk_mail" / "1welcome.txt,all").read_text().startswith("Subject: welcome")
    notes = json.loads(ran.out)["notes"]
    assert [note["what"] for note in notes if note["state"] in ("mend", "left", "kept")] == ["dora"]
    assert "geheim" not in ran.out
    assert "clear text" not in ran.out
    assert old.dumped() == before
    assert old.terminal("check_config").code == 0
    assert json.loads(old("--json").out)["taken"] == {}


def test_what_has_no_equivalent_is_told_with_its_rows(old: Import) -> None:
    tree = old.old
    tree.domain("example.com")
    tree.alias("example.net", "example.com")
    tree.write("indimail/domains/forgotten.example/.qmail-default", "x\n")
    tree.write("indimail/control/host.mysql", "localhost:indimail:secret:3306\n", 0o640)
    tree.user("postmaster@example.com", MD5)
    tree.user("Alice@example.com", MD5, pw_gid=0x4002)
    tree.user("alice@Example.com", MD5)
    tree.user("zoe@gone.example", MD5)
    tree.row("vlimits", domain="nobody@example.com", maxpopaccounts=5)
    tree.row("vlimits", domain="gone.example", maxpopaccounts=5)
    tree.row("vfilter", emailid="alice@example.com", filter_no=1)
    tree.row("valias", alias="x", domain="gone.example", valias_line="&y@example.com")
    tree.row("valias", alias="x", domain="example.net", valias_line="&y@example.com")
    tree.row("valias", alias="x", domain="example.com", valias_line="no line")
    old.fill()
    notes = json.loads(old("--json").out)["notes"]
    left = [f"{n['where']}: {n['what']}: {n['why']}" for n in notes if n["state"] == "left"]
    assert [text.replace(old.old.folder, "") for text in left] == [
        "domains/forgotten.example: : no line of users/assign leads to it",
        "indimail Alice@example.com: Alice: 0x4000: no such flag here",
        "@gone.example: limits: no such domain",
        "@gone.example: 1 users: no such domain",
        "@example.net: 1 alias lines: an alias domain: its rows are not looked at",
        "@gone.example: 1 alias lines: no such domain",
        "vfilter: 1 rows: filters (vfilter): not yet",
        "indimail alice@example.com: alice: a second one; the first counts",
        "valias x@example.com: no line: invalid alias line 'no line': expected &user@domain,"
        " user@domain, /path/of/a/Maildir/ or | program",
        "vlimits nobody@example.com: : no such user",
        "control/host.mysql: : where accounts are stands in indimail.toml, [database] url",
    ]
    assert old.user("alice@example.com").flags == Flag.NO_POP


def test_a_row_that_is_here_stays(old: Import) -> None:
    old.old.domain("example.com")
    old.old.user("postmaster@example.com", MD5)
    old.old.user("alice@example.com", MD5, pw_shell="5M")
    old.fill()
    assert old().code == 0
    assert old.terminal("vsetuserquota", "alice@example.com", "7M").code == 0
    kept = [n for n in json.loads(old("--json").out)["notes"] if n["state"] == "kept"]
    assert [note["why"] for note in kept] == ["is here already, with another quota"]
    assert old.user("alice@example.com").quota == "7340032"


def test_without_its_database_an_indimail_has_no_users(terminal: Terminal, folder: str) -> None:
    old = IndimailTree(f"{folder}/old")
    old.domain("example.com")
    ran = terminal("import_", "indimail", "--from", old.home)
    assert ran.code == 64
    assert ran.err.startswith("indimail import: users are in its database: --database mysql://")


def test_an_instance_of_ours_can_be_the_source(terminal: Terminal, folder: str) -> None:
    """Also under the name it had: what users/assign calls the old root is the directory named."""
    terminal("vadddomain", "-e", "example.com", MD5)
    terminal("vadduser", "-e", "alice@example.com", MD5)
    os.rename(f"{folder}/i", f"{folder}/was")
    assert terminal("init", "--me", "mx.example.org").code == 0
    ran = terminal(
        "import_", "indimail", "--from", f"{folder}/was", "--map", f"{folder}/i={folder}/was"
    )
    assert (ran.code, ran.err) == (0, ""), ran.out
    assert ran.out.startswith("taken: 1 domains, 1 .qmail files, 2 users, 2 alias lines")
    assert terminal("vuserinfo", "-n", "alice@example.com").code == 0


def test_the_layout_of_today_is_found_below_a_root(terminal: Terminal, folder: str) -> None:
    kind, url = "sqlite", f"sqlite:///{folder}/old.db"
    found = Import(terminal, folder, kind, url)
    tree = found.old
    tree.domain("example.com")
    home = tree.user("postmaster@example.com", MD5)
    tree.put_mail(home, "1234.M1.old", "hello\n")
    found.fill()
    system = Path(folder, "system")
    for old, new in (
        ("indimail/control", "etc/indimail/control"), ("indimail/users", "etc/indimail/users"),
        ("indimail/domains", "var/indimail/domains"), ("home", "home"),
    ):  # fmt: skip
        (system / new).parent.mkdir(parents=True, exist_ok=True)
        os.rename(Path(tree.folder, old), system / new)
    ran = terminal("import_", "indimail", "--from", str(system), "--database", url)
    assert (ran.code, ran.err) == (0, ""), ran.out
    assert "1 mails" in ran.out
    found.database.close()
