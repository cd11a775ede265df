"""vdeldomain, vaddaliasdomain, vrenamedomain, vdominfo, vdeluser, vrenameuser, vmoveuserdir.

Texts, exit codes and effects (spec/delivery.md 2, 2.5, 2.6); what a kill leaves is in
test_killed_commands.py.
"""

import fcntl
import os
from pathlib import Path

import pytest

from cli.accounts_commands import Ran, Terminal
from indimail.accounts.port import Account
from indimail.accounts.sql import SqlAccounts, sqlite_url
from indimail.control.cdb import read_cdb

pytestmark = pytest.mark.slow  # each runs commands: too much for `make fast`

HASH = "$1$salt$JSoV9KyWZPjFlhLkLRO.J1"


@pytest.fixture
def domain(terminal: Terminal) -> Terminal:
    assert terminal("vadddomain", "-e", "-R", "example.com", HASH).code == 0
    assert terminal("vadduser", "-e", "alice@example.com", HASH).code == 0
    return terminal


def accounts(terminal: Terminal) -> SqlAccounts:
    return SqlAccounts(sqlite_url(f"{terminal.root}/db/indimail.db"))


def text(terminal: Terminal, name: str) -> str:
    return Path(terminal.root, name).read_text()


def everything(terminal: Terminal) -> set[str]:
    return {
        os.path.join(folder, name)
        for folder, folders, names in os.walk(terminal.root)
        for name in folders + names
        if name != "change.lock"
    }


def test_a_domain_that_is_not_routed_here_is_warned_about(domain: Terminal) -> None:
    Path(domain.root, "control/virtualdomains").write_text("")
    assert domain("vdominfo", "-n", "example.com") == Ran(
        0,
        "    domain: example.com\n",
        "vdominfo: warning: example.com is not a virtual domain\n",
    )


def test_a_domain_goes_and_can_be_made_again(terminal: Terminal) -> None:
    def make() -> None:
        assert terminal("vadddomain", "-e", "-R", "example.com", HASH).code == 0

    make()
    before = everything(terminal)
    terminal("vaddaliasdomain", "example.net", "example.com")
    assert terminal("vdeldomain", "-v", "example.com") == Ran(0, "removed domain example.com\n", "")
    for name in ("rcpthosts", "virtualdomains", "chkrcptdomains"):
        assert "example" not in text(terminal, f"control/{name}").replace("mx.example.org", "")
    assert text(terminal, "users/assign") == ".\n"
    assert [path for path in everything(terminal) if "example" in path] == []
    assert accounts(terminal).domain_aliases("example.com") == []
    make()
    assert everything(terminal) == before


def test_an_alias_domain_is_in_every_file_that_needs_it(domain: Terminal) -> None:
    ran = domain("vaddaliasdomain", "-v", "example.net", "example.com")
    assert ran == Ran(0, "added alias domain example.net for example.com\n", "")
    assert os.readlink(f"{domain.root}/domains/example.net") == "example.com"
    assert "\nexample.net\n" in text(domain, "control/rcpthosts")
    assert "\nexample.net:example.net\n" in text(domain, "control/virtualdomains")
    assert text(domain, "domains/example.com/.aliasdomains") == "example.net\n"
    home = f"{domain.root}/domains/example.net"
    assert f"+example.net-:example.net:{os.stat(domain.root).st_uid}:" in text(
        domain, "users/assign"
    )
    assert home in text(domain, "users/assign")
    cdb = read_cdb(f"{domain.root}/users/cdb", "users/cdb")
    assert cdb.get(b"!example.net-") is not None
    assert accounts(domain).real_domain("example.net") == "example.com"
    assert domain("vdeldomain", "example.net").code == 0
    assert domain("vuserinfo", "-n", "alice@example.com").code == 0
    assert domain("vuserinfo", "-n", "alice@example.net").code == 1
    assert text(domain, "domains/example.com/.aliasdomains") == ""


@pytest.mark.parametrize("has_alias", [False, True])
def test_a_domain_is_renamed_to_the_end(domain: Terminal, has_alias: bool) -> None:
    """The original stopped half way where there was no alias domain."""
    root = domain.root
    home = f"{root}/mail/A2E/example.com/alice"
    Path(home, "Maildir/domain").write_text("example.com\n")
    Path(home, "Maildir/new/1.a").write_text("hello\n")
    domain("vmoduser", "-l", "+", "alice@example.com", stdin="away\n")
    domain("vmoddomain", "-h", "alice@example.com", "example.com")
    domain("valias", "-i", f"{home}/Maildir/", "copy@example.com")
    domain("valias", "-i", f"| {root}/bin/x {home}/y", "run@example.com")
    if has_alias:
        domain("vaddaliasdomain", "example.net", "example.com")
    assert domain("vrenamedomain", "example.com", "new.example") == Ran(0, "", "")
    home = f"{root}/mail/A2E/new.example/alice"
    assert domain("vuserinfo", "-n", "-d", "alice@new.example").out.splitlines() == [
        "name          : alice@new.example",
        f"dir           : {home}",
    ]
    assert Path(home, "Maildir/domain").read_text() == "new.example\n"
    assert Path(home, "Maildir/new/1.a").read_text() == "hello\n"
    assert f"{home}/Maildir/\n" in Path(home, ".qmail").read_text()
    assert text(domain, "domains/new.example/.qmail-default").endswith("'' alice@new.example\n")
    assert domain("valias", "@new.example").out.splitlines() == [
        "abuse@new.example -> &postmaster@new.example",
        f"copy@new.example -> {home}/Maildir/",
        "mailer-daemon@new.example -> &postmaster@new.example",
        f"run@new.example -> | {root}/bin/x {home}/y",
    ]
    for name in ("control/rcpthosts", "control/virtualdomains", "control/chkrcptdomains",
                 "users/assign"):  # fmt: skip
        assert "new.example" in text(domain, name)
        assert "example.com" not in text(domain, name)
    assert [path for path in everything(domain) if "example.com" in path] == []
    if has_alias:
        assert domain("vuserinfo", "-n", "alice@example.net").code == 0
        assert domain("vrenamedomain", "example.net", "alias.example").code == 0
        assert domain("vdominfo", "-l", "new.example").out == "AliasDomains:\nalias.example\n"
        assert [path for path in everything(domain) if "example.net" in path] == []


def test_a_user_goes_with_mail_and_what_leads_there(domain: Terminal) -> None:
    domain("vadduser", "-e", "bob@example.com", HASH)
    for line in ("&alice@example.com", "&bob@example.com"):
        domain("valias", "-i", line, "friends@example.com")
    domain("valias", "-i", "&carol@example.net", "alice@example.com")
    Path(domain.root, "domains/example.com/.qmail-alice").write_text("&bob@example.com\n")
    assert domain("vdeluser", "-v", "alice@example.com") == Ran(
        0, "removed user alice@example.com\n", ""
    )
    assert [path for path in everything(domain) if "alice" in path] == []
    assert domain("valias", "friends@example.com").out == (
        "friends@example.com -> &bob@example.com\n"
    )
    assert domain("vuserinfo", "alice@example.com").code == 1
    assert domain("vuserinfo", "-n", "bob@example.com").code == 0


def test_a_reserved_name_is_asked_about(domain: Terminal) -> None:
    question = "Are You sure removing RFC Id postmaster@example.com (y/n) - "
    for answer in ("", "n\n", "maybe\n"):
        assert domain("vdeluser", "postmaster@example.com", stdin=answer) == Ran(
            255, question, "vdeluser: postmaster@example.com: not removed\n"
        )
    assert domain("vdeluser", "postmaster@example.com", stdin="y\n") == Ran(0, question, "")
    assert domain("vuserinfo", "-n", "postmaster@example.com").code == 1


def test_a_freed_bucket_is_the_next_one_given(domain: Terminal) -> None:
    for name in ("b1", "b2", "b3", "b4"):
        domain("vadduser", "-e", "-l", "2", f"{name}@example.com", HASH)
    home = f"{domain.root}/mail/A2E/example.com"
    assert os.path.isdir(f"{home}/0/b2")
    domain("vdeluser", "b2@example.com")
    domain("vadduser", "-e", "-l", "2", "c1@example.com", HASH)
    assert os.path.isdir(f"{home}/0/c1")
    domain("vadduser", "-e", "-l", "2", "c2@example.com", HASH)
    assert os.path.isdir(f"{home}/2/c2")


def test_a_user_is_renamed_with_all_that_is_his(domain: Terminal) -> None:
    root = domain.root
    Path(f"{root}/mail/A2E/example.com/alice/Maildir/new/1.a").write_text("hello\n")
    domain("valias", "-i", "&alice@example.com", "sales@example.com")
    before = accounts(domain).find("alice", "example.com")
    assert before is not None
    ran = domain("vrenameuser", "-v", "alice@example.com", "zoe")
    assert ran == Ran(0, "renamed user alice@example.com to zoe@example.com\n", "")
    home = f"{root}/mail/T2Zsym/example.com/zoe"
    assert accounts(domain).find("zoe", "example.com") == Account(
        "zoe", "example.com", before.password, gecos="alice", directory=home
    )
    assert Path(home, "Maildir/new/1.a").read_text() == "hello\n"
    assert [path for path in everything(domain) if "alice" in path] == []
    assert domain("valias", "sales@example.com").out == "sales@example.com -> &zoe@example.com\n"


def test_a_home_is_moved(domain: Terminal) -> None:
    old, new = f"{domain.root}/mail/A2E/example.com/alice", f"{domain.root}/elsewhere/a"
    Path(old, "Maildir/cur/1.a:2,S").write_text("hello\n")
    domain("valias", "-i", f"{old}/Maildir/", "copy@example.com")
    ran = domain("vmoveuserdir", "alice@example.com", new)
    assert ran == Ran(0, f"alice@example.com old {old} new {new} done\n", "")
    assert Path(new, "Maildir/cur/1.a:2,S").read_text() == "hello\n"
    assert not os.path.exists(old)
    assert domain("vuserinfo", "-d", "alice@example.com").out == f"dir           : {new}\n"
    assert domain("valias", "copy@example.com").out == f"copy@example.com -> {new}/Maildir/\n"
    assert domain("vdeluser", "alice@example.com").code == 0
    assert not os.path.exists(new)


def test_the_places_that_variables_name_are_used(
    folder: str, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal.root = f"{folder}/moved"
    for name, place in (
        ("SYSCONFDIR", "etc"), ("CONTROLDIR", "c"), ("ASSIGNDIR", "assigned"), ("DOMAINDIR", "d"),
        ("BASE_PATH", "homes"),
    ):  # fmt: skip
        monkeypatch.setenv(name, place)
    assert terminal("init", "--me", "mx.example.org").code == 0
    assert terminal("vadddomain", "-e", "example.com", HASH).code == 0
    assert terminal("vaddaliasdomain", "example.net", "example.com").code == 0
    assert terminal("vrenamedomain", "example.com", "new.example").code == 0
    assert "new.example" in text(terminal, "etc/c/rcpthosts")
    assert "+new.example-:" in text(terminal, "assigned/assign")
    assert os.path.isdir(f"{terminal.root}/d/domains/new.example")
    assert os.path.isdir(f"{terminal.root}/homes/L2P/new.example/postmaster/Maildir")
    assert terminal("vdeldomain", "new.example").code == 0
    assert [path for path in everything(terminal) if "example" in path] == []
    assert text(terminal, "etc/c/rcpthosts") == "mx.example.org\n"


# -- what is refused -----------------------------------------------------------------------------

LONG = "a" * 64 + ".example"

REFUSED = [
    ("vdeldomain example.org", 1, "domain example.org does not exist"),
    ("vdeldomain Example.com", 100, "warning: domain [Example.com] has an uppercase character"),
    ("vdeldomain ../../etc", 100, "Invalid domain ../../etc"),
    ("vdeldomain ..", 100, "Invalid domain .."),
    ("vdeldomain b\u00fccher.example", 1, "domain b\u00fccher.example does not exist"),
    ("vdeldomain -T x example.com", 69, "-T: not yet: ETRN"),
    ("vaddaliasdomain example.net example.org", 255, "example.org: domain does not exist"),
    ("vaddaliasdomain example.com example.com", 1, "addaliasdomain: domain example.com exists\n"
     "failed to create alias domain example.com for example.com"),
    ("vaddaliasdomain mx.example.org example.com", 1,
     "addaliasdomain: domain mx.example.org exists\n"
     "failed to create alias domain mx.example.org for example.com"),
    ("vaddaliasdomain net example.com", 111, "invalid domain: net"),
    ("vaddaliasdomain a_b.example example.com", 100, "Invalid domain a_b.example"),
    ("vaddaliasdomain b\u00fccher.example example.com", 111, "invalid domain: b\u00fccher.example"),
    ("vaddaliasdomain " + LONG + " example.com", 100, "adddomain: Name too long"),
    ("vaddaliasdomain " + "a" * 57 + ".example example.com", 100, "addaliasdomain: Name too long"),
    ("vrenamedomain example.org new.example", 1, "example.org: domain does not exist"),
    ("vrenamedomain example.com mx.example.org", 1, "mx.example.org: domain exists"),
    ("vrenamedomain example.com example.com", 1, "example.com: domain exists"),
    ("vrenamedomain example.com x/y", 100, "Invalid domain x/y"),
    ("vrenamedomain example.com x.example-", 111, "invalid domain: x.example-"),
    ("vrenamedomain example.com " + LONG, 100, "adddomain: Name too long"),
    ("vdominfo example.org", 1, "example.org: domain does not exist"),
    ("vdominfo -p example.com", 69, "-p: not yet: the cluster"),
    ("vdeluser alice@example.org", 1, "example.org: domain does not exist"),
    ("vdeluser nobody@example.com", 255, "deluser: nobody@example.com: no such user"),
    ("vdeluser Alice@example.com", 100,
     "warning: email [Alice@example.com] has an uppercase character"),
    ("vdeluser ../alice@example.com", 100, "Invalid email ../alice@example.com"),
    ("vdeluser alice\udcff@example.com", 100,
     "email ['alice\\udcff@example.com']: expected printable characters"),
    ("vrenameuser alice@example.com postmaster@example.com", 1,
     "User postmaster@example.com exists"),
    ("vrenameuser nobody@example.com zoe@example.com", 1, "nobody@example.com: No such user"),
    ("vrenameuser alice@example.com zoe@example.org", 1,
     "zoe@example.org: expected an address in example.com"),
    ("vrenameuser alice@example.com a..b@example.com", 100,
     "successive periods not allowed in local-part See RFC-5322"),
    ("vrenameuser alice@example.com " + "z" * 41, 100, "Name too long"),
    ("vmoveuserdir alice /x", 1, "alice: Not a fully qualified email"),
    ("vmoveuserdir nobody@example.com {root}/x", 1, "nobody@example.com: No such user"),
    ("vmoveuserdir alice@example.com x/y", 1,
     "x/y: expected the full path of a directory to be made"),
    ("vmoveuserdir alice@example.com {root}/../x", 1,
     "{root}/../x: expected the full path of a directory to be made"),
    ("vmoveuserdir alice@example.com {root}/mail", 1, "{root}/mail: exists"),
    ("vmoveuserdir alice@example.com {root}/mail/A2E/example.com/alice/in", 1,
     "{root}/mail/A2E/example.com/alice/in: lies in the old home"),
    ("vmoveuserdir alice@example.com {root}/" + "x" * 150, 100,
     "{root}/" + "x" * 150 + ": Name too long"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "code", "said"), REFUSED, ids=[ascii(line)[:70] for line, _, _ in REFUSED]
)
def test_what_is_refused_leaves_no_trace(domain: Terminal, line: str, code: int, said: str) -> None:
    before = everything(domain)
    program, *arguments = line.format(root=domain.root).split(" ")
    assert domain(program, *arguments) == Ran(
        code, "", f"{program}: {said.format(root=domain.root)}\n"
    )
    assert everything(domain) == before
    assert len(accounts(domain).users("example.com")) == 2


@pytest.mark.parametrize(("line", "code"), [
    ("vdeldomain", 100), ("vaddaliasdomain a.example", 1), ("vrenamedomain a.example", 1),
    ("vdeluser", 1), ("vrenameuser a@a.example", 1), ("vmoveuserdir a@a.example", 1),
])  # fmt: skip
def test_without_arguments_the_use_is_shown(terminal: Terminal, line: str, code: int) -> None:
    program, *arguments = line.split()
    ran = terminal(program, *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith(f"usage: {program} [-")


def test_a_domain_keeps_the_owner_and_the_place_of_its_line(domain: Terminal) -> None:
    """Of an instance that IndiMail made: other system users have domains, elsewhere too."""
    assign, root = Path(domain.root, "users/assign"), domain.root
    owner = os.stat(root).st_uid
    line = f"+example.com-:example.com:{owner}:{owner}:{root}/domains/example.com:-::\n"
    assert line in assign.read_text()
    assign.write_text(line.replace(f":{owner}:{owner}:", ":4711:4712:") + ".\n")
    domain("vaddaliasdomain", "example.net", "example.com")
    domain("vrenamedomain", "example.com", "new.example")
    assert [entry.split(":")[2:5] for entry in assign.read_text().splitlines()[:-1]] == [
        ["4711", "4712", f"{root}/domains/{name}"] for name in ("example.net", "new.example")
    ]
    assign.write_text(assign.read_text().replace("/domains/new.example", "/srv/new.example"))
    for command in (["vdeldomain", "new.example"], ["vrenamedomain", "new.example", "x.example"]):
        ran = domain(*command)
        assert (ran.code, ran.out) == (1, "")
        assert f"lies in {root}/srv/new.example, expected {root}/domains/new.example" in ran.err


@pytest.mark.parametrize("path", [
    "{root}", "{root}/mail", "{root}/db/bob", "{root}/trace", "{root}/mail/A2E/example.com", "/",
    "{root}/mail/A2E/example.com/alice/Maildir",
])  # fmt: skip
def test_a_home_that_is_not_his_alone_is_not_removed(domain: Terminal, path: str) -> None:
    """A row of a database that somebody else filled."""
    path = path.format(root=domain.root)
    known = accounts(domain)
    alice = known.find("alice", "example.com")
    assert alice is not None
    known.add(Account("bob", "example.com", alice.password, directory=path))
    before = everything(domain)
    ran = domain("vdeluser", "bob@example.com")
    assert ran.code == 1
    assert "is also of" in ran.err
    if path == "/":
        assert domain("vdeldomain", "example.com").code == 1
    assert everything(domain) == before


# -- locks and hooks -----------------------------------------------------------------------------


def test_a_second_command_says_who_is_at_work(
    domain: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indimail.manage.site.PATIENCE", 0.0)
    with open(f"{domain.root}/db/change.lock", "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate()
        lock.write("vrenamedomain example.com new.example (process 4711)\n")
        lock.flush()
        ran = domain("vdeluser", "alice@example.com")
    who = "vrenamedomain example.com new.example (process 4711)"
    assert ran == Ran(75, "", f"vdeluser: {who} is at work; waited 0 seconds\n")
    assert domain("vuserinfo", "-n", "alice@example.com").code == 0


def test_the_hook_runs_after_the_change_as_the_owner_of_the_instance(
    domain: Terminal, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkdir(f"{folder}/told", 0o777)
    os.chmod(f"{folder}/told", 0o777)
    script = f'#!/bin/sh\nid -u >{folder}/told/who\necho "$0 $@" >{folder}/told/what\nexit 7\n'
    hook = Path(folder, "i/libexec/vdeluser")
    hook.parent.mkdir()
    hook.write_text(script)
    assert domain("vdeluser", "nobody@example.com").code == 255
    assert domain("vdeluser", "--dry-run", "alice@example.com").code == 0
    assert domain("vrenameuser", "alice@example.com", "bob@example.com").code == 0
    assert os.listdir(f"{folder}/told") == []
    assert domain("vrenameuser", "bob@example.com", "alice@example.com").code == 0
    hook.chmod(0o755)
    assert domain("vdeluser", "alice@example.com").code == 7
    assert Path(folder, "told/who").read_text() == f"{os.stat(domain.root).st_uid}\n"
    assert Path(folder, "told/what").read_text() == f"{hook} alice@example.com\n"
    assert domain("vuserinfo", "-n", "alice@example.com").code == 1
    monkeypatch.setenv("POST_HANDLE", f"{hook} first")
    assert domain("vadduser", "-e", "carol@example.com", HASH).code == 7
    assert Path(folder, "told/what").read_text() == f"{hook} first carol@example.com\n"
    for command in (["vcalias", "example.com"], ["vipmap", "-i", "192.0.2.1", "example.com"]):
        assert domain(*command).code == 0  # has none
    monkeypatch.setenv("POST_HANDLE", "/nowhere/hook")
    assert domain("vdeluser", "carol@example.com") == Ran(
        72, "", "vdeluser: the change is made; after it: /nowhere/hook: No such file or directory\n"
    )
    assert domain("vuserinfo", "carol@example.com").code == 1


def test_a_name_with_a_blank_is_one_for_every_command(domain: Terminal, tmp_path: Path) -> None:
    news, user = tmp_path / "news", "al bo@example.com"
    news.write_text("Subject: news\n\nHello\n")
    for command in (
        ["vadduser", "-e", user, HASH],
        ["vmoduser", "-p", user],
        ["vsetuserquota", user, "5M"],
        ["vlimit", "-p", "a", user],
        ["vbulletin", "-f", str(news), user],
        ["valias", "-i", "/srv/al bo/", user],
        ["vmoveuserdir", user, f"{domain.root}/elsewhere/al bo"],
        ["vrenameuser", user, "bo al@example.com"],
        ["vuserinfo", "bo al@example.com"],
        ["vdeluser", "bo al@example.com"],
        ["vgroup", "-a", "-e", user, HASH],
        ["vbulletin", "-f", str(news), "alice%example.com"],
    ):
        assert domain(*command).code == 0, command
