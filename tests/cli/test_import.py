"""`indimail import` from a tree, whole: what is here afterwards, and what it tells."""

import json
import os
from glob import glob
from pathlib import Path

import pytest

from cli.accounts_commands import Ran, Terminal
from importing_trees import HASHES, MD5, PASSWORD, VpopmailTree, dump
from indimail.accounts.login import Storing, open_account
from indimail.accounts.passwords import Method
from indimail.accounts.port import Account, Flag, LastEvent, Limits
from indimail.accounts.sql import SqlAccounts
from indimail.mail.secret import Secret

AT = 1_230_865_445
STORING = Storing(Method.DES, None)  # nothing is weaker: no hash is made anew


class Import:
    """Imports a vpopmail into an instance, and looks at what came of it."""

    def __init__(self, terminal: Terminal, folder: str) -> None:
        self._terminal = terminal
        self.root = terminal.root
        self.old = VpopmailTree(f"{folder}/old")

    def __call__(self, *arguments: str, stdin: str = "") -> Ran:
        source = ["vpopmail", "--from", self.old.home, "--config", self.old.qmail]
        return self._terminal("import_", *source, *arguments, stdin=stdin)

    def report(self, *arguments: str) -> dict[str, list[str]]:
        """Return state -> what the notes say."""
        values = json.loads(self("--json", *arguments).out)
        told: dict[str, list[str]] = {}
        for note in values["notes"]:
            text = f"{note['where']}: {note['what']}: {note['why']}"
            told.setdefault(note["state"], []).append(text.replace(self.old.folder, ""))
        return told

    @property
    def accounts(self) -> SqlAccounts:
        return SqlAccounts(f"sqlite:///{self.root}/db/indimail.db")

    def user(self, name: str, domain: str = "example.com") -> Account:
        account = self.accounts.find(name, domain)
        assert account is not None
        return account

    def read(self, name: str) -> str:
        return Path(self.root, name).read_text()

    def maildir(self, name: str, domain: str = "example.com") -> str:
        (found,) = glob(f"{self.root}/mail/*/{domain}/{name}/Maildir")
        return found

    def exists(self, name: str) -> bool:
        return os.path.lexists(f"{self.root}/{name}")


@pytest.fixture
def old(terminal: Terminal, folder: str) -> Import:
    return Import(terminal, folder)


def line(name: str, hash_: str = MD5, gid: int = 0, gecos: str = "", quota: str = "NOQUOTA") -> str:
    return f"{name}:{hash_}:0:{gid}:{gecos or name}:{{home}}/{name}:{quota}"


def test_users_come_with_password_flags_quota_and_mail(old: Import) -> None:
    tree = old.old
    here = tree.domain("example.com", [
        line("postmaster"), line("alice", HASHES["$6$"], 0x800 | 0x02, "Alice", "50S,9C"),
    ])  # fmt: skip
    tree.put_mail(f"{here}/alice", "1234.M1.old,S=6:2,S", "hello\n", "cur", at=AT)
    tree.put_mail(f"{here}/alice", "1235.M1.old", "world\n", folder=".Sent")
    tree.write(f"{here}/alice/lastauth", "192.0.2.9")
    os.utime(f"{tree.folder}/{here}/alice/lastauth", (AT, AT))
    before = dump(tree.folder)
    ran = old()
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(
        "taken: 1 domains, 1 .qmail files, 2 users, 2 mails, 12 octets of mail\n"
    )
    alice = old.user("alice")
    assert (alice.flags, alice.gecos, alice.quota) == (
        Flag.NO_SMTP | Flag.NO_POP,
        "Alice",
        "50S,9C",
    )
    assert open_account(old.accounts, alice, PASSWORD.encode(), STORING)
    assert not open_account(old.accounts, alice, b"opensesam", STORING)
    assert old.accounts.events("alice", "example.com") == [LastEvent("pop3", AT, "192.0.2.9")]
    assert alice.directory == f"{old.root}/mail/A2E/example.com/alice"
    mail = f"{alice.directory}/Maildir/cur/1234.M1.old,S=6:2,S"
    assert (Path(mail).read_text(), int(os.stat(mail).st_mtime)) == ("hello\n", AT)
    assert os.listdir(f"{alice.directory}/Maildir/.Sent/new") == ["1235.M1.old"]
    assert Path(f"{alice.directory}/Maildir/maildirsize").read_text() == "50S,9C\n12 2\n"
    owner = os.stat(old.root).st_uid
    assert {os.stat(path).st_uid for path in [mail, alice.directory]} == {owner}
    assert dump(tree.folder) == before


def test_the_domain_is_live_and_the_configuration_can_be_read(
    old: Import, terminal: Terminal
) -> None:
    old.old.domain("example.com", [line("postmaster")], "delete")
    assert old().code == 0
    assert (
        old.read("domains/example.com/.qmail-default")
        == f"| {old.root}/sbin/vdelivermail '' delete\n"
    )
    assert "example.com\n" in old.read("control/rcpthosts")
    assert "example.com:example.com\n" in old.read("control/virtualdomains")
    assert "+example.com-:example.com:" in old.read("users/assign")
    assert terminal("check_config").code == 0
    assert terminal("vdominfo", "-t", "example.com").out.strip() == "Users: 1"


def test_a_second_time_there_is_nothing_to_do(old: Import, terminal: Terminal) -> None:
    here = old.old.domain("example.com", [line("postmaster"), line("alice")])
    old.old.put_mail(f"{here}/alice", "1234.M1.old", "hello\n")
    old.old.write(f"{here}/.qmail-sales", "&alice@example.com\n")
    old()
    before = state(old.root)
    ran = old("--dry-run")
    assert ran.out.startswith("taken: nothing\nhere already: 1 domains, 2 files, 2 users\n")
    ran = old()
    assert ran.code == 0
    assert ran.out.startswith("taken: nothing\n")
    assert state(old.root) == before


def test_a_second_time_it_tells_the_same_of_what_needs_a_look(old: Import) -> None:
    tree = old.old
    here = tree.domain("example.com", [
        line("postmaster"), line("nobody", ""), line("alice", gid=0x4000) + ":geheim",
    ])  # fmt: skip
    tree.write(f"{here}/alice/.qmail", "|no-such-program\n", 0o600)
    tree.write("qmail/control/badmailfrom", "@evil.example\n")
    tree.entry("=joe:joe:1001:1001:/home/joe:::", "lists.example:joe")
    first = old.report()
    assert {state: len(notes) for state, notes in first.items()} == {
        "changed": 1, "mend": 4, "waits": 1, "left": 2,
    }  # fmt: skip
    assert old.report() == first


def state(root: str) -> list[str]:
    return [entry for entry in dump(root) if "change.lock" not in entry and "db/" not in entry]


def test_what_would_be_written_is_shown_and_nothing_is_done(old: Import) -> None:
    here = old.old.domain("example.com", [line("postmaster"), line("alice")])
    old.old.put_mail(f"{here}/alice", "1234.M1.old", "hello\n")
    before = state(old.root)
    shown = old("--dry-run").out
    assert state(old.root) == before
    assert "rows alice@example.com: add to indimail, lastauth\n" in shown
    assert f"mail {old.old.home}/domains/example.com/alice/Maildir: copy to " in shown
    assert ": 1 mails, 6 octets\n" in shown
    assert MD5 not in shown
    values = json.loads(old("--dry-run", "--json").out)
    assert values["taken"] == {
        "domains": 1, ".qmail files": 1, "users": 2, "mails": 1, "octets of mail": 6,
    }  # fmt: skip
    assert len(values["writes"]) > 10


def test_alias_domains_and_qmail_files_come_along(old: Import, terminal: Terminal) -> None:
    tree = old.old
    here = tree.domain("example.com", [line("postmaster"), line("alice"), line("bob")], "{home}")
    home = "/home/vpopmail/domains/example.com"
    tree.entry(f"+example.net-:example.com:89:89:{home}:-::", "example.net:example.net")
    tree.maildir(f"{here}/alice")
    tree.write(f"{here}/.qmail-default", f"| /home/vpopmail/bin/vdelivermail '' {home}/alice\n")
    tree.write(f"{here}/.qmail-sales", f"&bob@example.com\n{home}/alice/Maildir/\n", 0o600)
    tree.write(f"{here}/.qmail-list", "|/usr/local/bin/ezmlm/ezmlm-send list\n", 0o766)
    tree.write(f"{here}/bob/.qmail", "&bob@elsewhere.example\n")
    assert old().code == 1
    alice = old.user("alice").directory
    assert old.read("domains/example.com/.qmail-default").endswith(f"'' {alice}\n")
    assert old.read("domains/example.com/.qmail-sales") == f"&bob@example.com\n{alice}/Maildir/\n"
    assert Path(old.user("bob").directory, ".qmail").read_text() == "&bob@elsewhere.example\n"
    modes = {name: os.stat(f"{old.root}/domains/example.com/.qmail-{name}").st_mode & 0o777
             for name in ("sales", "list")}  # fmt: skip
    assert modes == {"sales": 0o600, "list": 0o700}  # x: forwards alone; nobody else writes it
    assert os.readlink(f"{old.root}/domains/example.net") == "example.com"
    assert old.accounts.real_domain("example.net") == "example.com"
    assert old.report()["mend"] == [
        "domains/example.com/.qmail-list:1: /usr/local/bin/ezmlm/ezmlm-send: "
        "not there on this machine",
    ]
    assert terminal("check_config").code == 0


def test_limits_of_a_domain_count_here_too(old: Import) -> None:
    here = old.old.domain("example.com", [line("postmaster")])
    old.old.write(f"{here}/.qmailadmin-limits", "maxpopaccounts: 10\ndisable_pop\n")
    assert old().code == 0
    limits = Limits("", "example.com", maxpopaccounts=10, disable_pop=1)
    assert old.accounts.limits("", "example.com") == limits
    assert old.exists("domains/example.com/.domain_limits")
    assert not old.exists("domains/example.com/.qmailadmin-limits")


def test_what_is_odd_is_taken_or_told(old: Import) -> None:
    tree = old.old
    tree.domain("example.com", [
        line("postmaster"),
        line("o'brien+x.y"), line("Upper"), line("upper"), line("a/b"), line(".dot"), line("ü"),
        line("x" * 41), line("locked", "*"), line("nobody", ""), line("cut", HASHES["$6$"][:40]),
        line("flags", gid=0x4000), line("long", gecos="g" * 60), line("quota", quota="1MB"),
        line("noquota", quota="lots"), line("clear", "") + ":geheim",
        "short:line",
    ])  # fmt: skip
    tree.domain("UPPER.example".lower(), [line("postmaster")])
    tree.domain("no_such-.example", [line("postmaster"), line("alice")])
    told = old.report()
    names = {account.name for account in old.accounts.users("example.com")}
    assert names == {
        "postmaster", "o'brien+x.y", "upper", "locked", "nobody", "cut", "flags", "long", "quota",
        "noquota", "clear",
    }  # fmt: skip
    where = "/vpopmail/domains/example.com/vpasswd"
    left = "\n".join(told["left"]).replace("domains/example.com/vpasswd", where)
    for number, why in {
        4: "a second one", 5: "[/] not allowed", 6: "illegal username", 7: "illegal username",
        8: "Name too long", 12: "flags: NO_SPAMASSASSIN", 17: "2 fields, expected",
    }.items():  # fmt: skip
        assert f"{where}:{number}: " in left
        assert why in left
    assert "no_such-.example with 2 users: Invalid domain" in left
    mend = "\n".join(told["mend"])
    for text in ("nobody: has no password", "cut: a form of hash", "noquota: quota [lots]"):
        assert text in mend
    assert "Upper: is upper here" in "\n".join(told["changed"])
    assert old.user("long").gecos == "g" * 48
    assert (old.user("quota").quota, old.user("noquota").quota) == ("1M", "NOQUOTA")
    assert open_account(old.accounts, old.user("clear"), b"geheim", STORING)
    for name in ("locked", "nobody", "cut"):
        for given in (b"", b"*", PASSWORD.encode()):
            assert not open_account(old.accounts, old.user(name), given, STORING)
    assert "geheim" not in json.dumps(told) + old("--dry-run").out


def test_passwords_that_are_stored_as_they_are_stay_so_only_if_wanted(old: Import) -> None:
    old.old.domain("example.com", [line("postmaster"), line("alice") + ":geheim"])
    told = old.report("--dry-run")
    assert told["left"] == [
        "/qmail/users/assign:1: example.com: passwords of 1 users that are stored as they are: "
        "their hashes are taken; -C keeps them, for CRAM-MD5"
    ]
    assert old("-C").code == 0
    assert old.user("alice").scram.reveal() == "{CRAM}geheim"
    assert old.user("alice").password.reveal() == MD5


def test_who_is_here_stays_and_what_differs_is_told(old: Import, terminal: Terminal) -> None:
    old.old.domain("example.com", [line("postmaster"), line("alice")], "delete")
    terminal("vadddomain", "-e", "example.com", MD5)
    terminal("vadduser", "-e", "-q", "5M", "-c", "Mine", "alice@example.com", HASHES["DES"])
    told = old.report()
    assert any("alice@example.com: is here already, with another password, gecos, quota" in text
               for text in told["kept"])  # fmt: skip
    assert any(".qmail-default says something else, and stays" in text for text in told["kept"])
    assert old.user("alice").quota == "5242880"
    old("--force")
    assert old.read("domains/example.com/.qmail-default").endswith("'' delete\n")
    assert old.user("alice").quota == "5242880"


def test_a_domain_that_is_something_else_here_is_left(old: Import, terminal: Terminal) -> None:
    for domain in ("example.com", "example.net", "example.org"):
        old.old.domain(domain, [line("postmaster")])
    terminal("vadddomain", "-e", "other.example", MD5)
    terminal("vaddaliasdomain", "example.com", "other.example")
    with open(f"{old.root}/control/virtualdomains", "a") as file:
        file.write("example.net:joe\n")
    left = "\n".join(old.report()["left"])
    before = "\nexample.net:joe\n"  # and control files bring none of them either
    assert before in f"\n{old.read('control/virtualdomains')}"
    assert "example.net\n" not in old.read("control/rcpthosts")
    assert "example.com with 1 users: is an alias domain here" in left
    assert "example.net with 1 users: is routed elsewhere here" in left
    assert [old.accounts.users(d) != [] for d in ("example.com", "example.net", "example.org")] == [
        False, False, True,
    ]  # fmt: skip


def test_one_home_of_two_users_is_one_here_too(old: Import) -> None:
    shared = f"info:{MD5}:0:0:Info:{{home}}/alice:NOQUOTA"
    here = old.old.domain("example.com", [line("postmaster"), line("alice"), shared])
    old.old.put_mail(f"{here}/alice", "1234.M1.old", "hello\n")
    told = old.report()
    assert old.user("info").directory == old.user("alice").directory
    assert "shares the home" in told["changed"][0]
    assert len(os.listdir(f"{old.maildir('alice')}/new")) == 1


def test_mailboxes_may_stay_where_they_are(old: Import) -> None:
    here = old.old.domain("example.com", [line("postmaster"), line("alice"), line("bob")])
    old.old.put_mail(f"{here}/alice", "1234.M1.old", "hello\n")
    old.old.write(
        f"{here}/.qmail-box", "/home/vpopmail/domains/example.com/alice/Maildir/\n", 0o600
    )
    before = dump(old.old.folder)
    told = old.report("--mail", "in-place", "--map", f"/home/vpopmail={old.old.home}")
    home = os.path.realpath(f"{old.old.home}/domains/example.com/alice")
    assert old.user("alice").directory == home
    assert old.user("bob").directory == f"{old.root}/mail/A2E/example.com/bob"
    owner = os.stat(old.root)
    is_theirs = owner.st_uid != os.geteuid()
    advice = f"chown -R {owner.st_uid}:{owner.st_gid} {home}".replace(old.old.folder, "")
    assert [text.partition("yet: ")[2] for text in told.get("mend", [])] == [advice] * is_theirs
    assert dump(old.old.folder) == before
    assert old.read("domains/example.com/.qmail-box") == f"{home}/Maildir/\n"


def test_a_home_that_no_row_can_name_does_not_stay_where_it_is(old: Import) -> None:
    here = old.old.domain("example.com", [line("postmaster"), line("o'brien")])
    old.old.put_mail(f"{here}/o'brien", "1234.M1.old", "hello\n")
    told = old.report("--mail", "in-place")
    assert old.user("o'brien").directory == f"{old.root}/mail/L2P/example.com/o'brien"
    assert "cannot stay a home, has a new one: no row can name it" in told["mend"][0]


def test_a_directory_of_the_instance_is_no_home(old: Import) -> None:
    user = f"eve:{MD5}:0:0:Eve:{old.root}/domains:NOQUOTA"
    old.old.domain("example.com", [line("postmaster"), user])
    told = old.report("--mail", "in-place")
    assert old.user("eve").directory == f"{old.root}/mail/A2E/example.com/eve"
    assert "is also of the instance" in told["mend"][0]


def test_a_mailbox_that_is_ours_under_another_name_is_not_written(
    old: Import, terminal: Terminal, folder: str
) -> None:
    """The database of an IndiMail may be ours already, with homes behind a link."""
    here = old.old.domain("example.com", [line("postmaster"), line("alice")])
    old.old.put_mail(f"{here}/alice", "1234.M1.old", "hello\n")
    link = f"{folder}/link"
    os.symlink(f"{old.old.home}/domains", link)
    terminal("vadddomain", "-e", "example.com", MD5)
    account = Account(
        "alice", "example.com", Secret(MD5), gecos="alice", directory=f"{link}/example.com/alice"
    )
    assert old.accounts.add(account)
    before = dump(old.old.folder)
    ran = old()
    assert (ran.err, "1 mails" in ran.out) == ("", False)
    assert dump(old.old.folder) == before


def test_mailboxes_may_begin_empty(old: Import) -> None:
    here = old.old.domain("example.com", [line("postmaster"), line("alice")])
    old.old.put_mail(f"{here}/alice", "1234.M1.old", "hello\n")
    assert old("--mail", "none").code == 0
    assert os.listdir(f"{old.maildir('alice')}/new") == []


def test_a_domain_alone_comes_without_control_files(old: Import) -> None:
    old.old.domain("example.com", [line("postmaster")])
    old.old.domain("example.net", [line("postmaster")])
    old.old.write("qmail/control/databytes", "5000\n")
    assert old("--domain", "Example.net").code == 0
    assert (old.exists("domains/example.com"), old.exists("control/databytes")) == (False, False)
    ran = old("--domain", "example.org")
    assert (ran.code, ran.err) == (66, "indimail import: --domain example.org: not there\n")
    assert old().code == 0
    assert (old.exists("domains/example.com"), old.exists("control/databytes")) == (True, True)


def test_control_files_with_mistakes_are_left_with_the_line(
    old: Import, terminal: Terminal
) -> None:
    tree = old.old
    tree.domain("example.com", [line("postmaster")])
    tree.write("qmail/control/databytes", "many\n")
    tree.write("qmail/control/locals", "old.example\nexam ple\n")
    tree.write("qmail/control/badmailfrom", "@evil.example\n")
    tree.write("vpopmail/etc/tcp.smtp", '127.:allow,RELAYCLIENT=""\n:allow,RELAYCLIENT=""\n')
    tree.entry("=joe:joe:1001:1001:/home/joe:::")
    tree.entry("=root:root:0:0:/root:::")
    tree.write("qmail/alias/.qmail-postmaster", "&alice@example.com\n")
    told = old.report()
    left = "\n".join(told["left"])
    for text in (
        "control/databytes:1: : found 'many'", "control/locals:2: exam ple: found",
        "etc/tcp.smtp:2: :allow,RELAYCLIENT=\"\": lets everybody relay",
        "=root:root:0:0:/root:::: mail is never handled as root",
    ):  # fmt: skip
        assert text in left
    assert told["waits"] == ["/qmail/control/badmailfrom: : sender and recipient lists"]
    assert "old.example\n" in old.read("control/locals")
    assert old.read("tcp/tcp.smtp").splitlines()[1].startswith("# not taken: ")
    assert "=joe:joe:1001" in old.read("users/assign")
    assert old.read("alias/.qmail-postmaster") == "&alice@example.com\n"
    assert terminal("check_config").code == 0


def test_the_password_of_a_database_leaves_the_process_list_before_anything_else(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden: list[str] = []
    monkeypatch.setattr("indimail.cli.import_.hide_argument", hidden.append)
    url = "mysql://reader:geheim@127.0.0.1:1/vpopmail"
    (tmp_path / "domains").mkdir()
    ran = terminal("import_", "vpopmail", "--from", str(tmp_path), "--database", url)
    assert (ran.code, hidden) == (75, [url])
    assert "reader:***@127.0.0.1" in ran.err


def test_wrong_use_is_told_with_its_code(old: Import, terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "domains").mkdir()
    for arguments, code, text in (
        (["vpopmail", "--from", terminal.root], 64, "is the instance itself"),
        (["vpopmail", "--from", f"{tmp_path}/none"], 66, "no such directory"),
        (["vpopmail", "--from", f"{tmp_path}/domains"], 66, "no directory domains in it"),
        (["vpopmail", "--from", str(tmp_path), "--map", "x"], 64, "--map x: expected /OLD=NEW"),
        (["vpopmail", "--from", str(tmp_path), "--database", "x://"], 64, "--database: expected"),
    ):
        ran = terminal("import_", *arguments)
        assert (ran.code, text in ran.err) == (code, True), ran.err


def test_a_disk_without_room_is_told_before_a_mail_is_copied(
    old: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = old.old.domain("example.com", [line("postmaster"), line("alice")])
    old.old.put_mail(f"{here}/alice", "1234.M1.old", "hello\n")
    monkeypatch.setattr("indimail.durable.disk.SystemDisk.free", lambda _self, _path: 52_428_803)
    ran = old()
    assert (ran.code, "no room: 6 octets and more, 3 can be used" in ran.err) == (74, True), ran.err
    monkeypatch.undo()
    assert old().code == 0
    assert len(os.listdir(f"{old.maildir('alice')}/new")) == 1
