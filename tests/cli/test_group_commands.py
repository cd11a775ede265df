"""vgroup, vbulletin, vdeloldusers, resetquota, printdir and vipmap (spec/delivery.md 2)."""

import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from cli.accounts_commands import Ran, Terminal
from indimail.accounts.port import LastEvent
from indimail.accounts.sql import SqlAccounts, sqlite_url
from indimail.manage.layout import mount_point

pytestmark = pytest.mark.slow  # each runs commands: too much for `make fast`

HASH = "$1$salt$JSoV9KyWZPjFlhLkLRO.J1"
DAY = 86_400


@pytest.fixture
def domain(terminal: Terminal) -> Terminal:
    assert terminal("vadddomain", "-e", "example.com", HASH).code == 0
    for name in ("alice", "bob"):
        assert terminal("vadduser", "-e", f"{name}@example.com", HASH).code == 0
    return terminal


def accounts(terminal: Terminal) -> SqlAccounts:
    return SqlAccounts(sqlite_url(f"{terminal.root}/db/indimail.db"))


def mails(terminal: Terminal, name: str) -> list[str]:
    group = "L2P" if name == "postmaster" else "A2E"
    maildir = Path(terminal.root, "mail", group, "example.com", name, "Maildir")
    return sorted(str(path.relative_to(maildir)) for path in maildir.glob("[cn]*/*"))


def test_a_group_is_a_user_whose_lines_change(domain: Terminal) -> None:
    group, lines = "sales@example.com", ("&alice@example.com", "&bob@example.com")
    ran = domain("vgroup", "-a", "-e", "-v", "-c", "The sales", group, HASH)
    assert ran == Ran(0, f"added group {group}\n", "")
    assert domain("vuserinfo", "-c", group).out == "gecos         : MailGroup The sales\n"
    for line in lines:
        assert domain("vgroup", "-i", line, group) == Ran(0, "", "")
    assert domain("vgroup", "-i", lines[0], group) == Ran(
        255, "", f"vgroup: {group}: the line [{lines[0]}] is there already\n"
    )
    assert domain("vgroup", "-u", "carol@example.net", "-o", lines[0], group).code == 0
    assert domain("vgroup", "-d", lines[1], group).code == 0
    assert domain("valias", group).out == f"{group} -> carol@example.net\n"
    assert domain("vgroup", "-d", lines[1], group) == Ran(
        1, "", f"vgroup: {group}: no line [{lines[1]}]; its lines: carol@example.net\n"
    )
    assert domain("vdeluser", group).code == 0
    assert domain("valias", group).out == ""


@pytest.mark.parametrize(("line", "code", "said"), [
    ("vgroup -i &a@example.com alice@example.com", 1,
     "alice@example.com: not a group; valias changes its lines"),
    ("vgroup -i &a@example.com nobody@example.com", 1, "nobody@example.com: No such user"),
    ("vgroup -a alice@example.com x", 100, "iadduser: username alice@example.com exists"),
    ("vgroup -a a..b@example.com x", 100,
     "iadduser: successive periods not allowed in local-part See RFC-5322"),
    ("vgroup -a ../x@example.com x", 100, "Invalid email ../x@example.com"),
    ("vgroup -a -c " + "n" * 39 + " sales@example.com x", 100, "iadduser: Name too long"),
    ("vgroup -a sales@example.org x", 1, "example.org: No such domain"),
    ("vbulletin -f news.eml example.com", 1, "path [news.eml] is not absolute"),
    ("vbulletin -f {file} example.org", 1, "example.org: No such Domain"),
    ("vbulletin -f {file} nobody@example.com", 1, "nobody@example.com: No such user"),
    ("vbulletin -a -e {file} -f {file} example.com", 1, "-a and -e: expected one of them"),
    ("vbulletin -S {other} -e {file} -f {file} example.com", 1,
     "-S and -e: expected one of them"),
    ("vbulletin -S {other} -a -f {file} example.com", 1, "-a and -S: expected one of them"),
    ("vbulletin -S {other} -s -f {file} example.com", 1,
     "-S: a login gets a copy, expected neither -h nor -s"),
    ("vbulletin -S {other} -f {file} bob@example.com", 1, "-S: expected domains"),
    ("vbulletin -S {who} -f {file},all example.com", 1, "file,all: expected a name of at most 64 "
     "characters that does not end in ,all"),
    ("vdeloldusers -d example.org", 1, "example.org: domain does not exist"),
    ("vdeloldusers -i -p -d example.com", 1, "-i and -p: expected one of them"),
    ("vdeloldusers -a 0 -d example.com", 64, "-a 0: expected a number of days"),
    ("vdeloldusers -m -d example.com", 1, "-m: expected -u with the age of unread mails"),
    ("vdeloldusers -c -d example.com", 1,
     "-c: mails only, expected -u or -t, and neither -i nor -p"),
    ("vdeloldusers -c -t 1 -i -d example.com", 1,
     "-c: mails only, expected -u or -t, and neither -i nor -p"),
    ("vpurge example.org 30 10", 1, "example.org: domain does not exist"),
    ("vpurge example.com 0 10", 1, "days 0: expected 1 to 36500"),
    ("vpurge example.com 30 10%", 1, "minfree 10%: expected 1 to 100"),
    ("resetquota {root}/mail", 1, "{root}/mail: not a Maildir"),
    ("resetquota {root}/mail/A2E/example.com/bob", 1,
     "{root}/mail/A2E/example.com/bob/Maildir/maildirsize: no quota there; expected -q"),
    ("resetquota -q much {root}/mail/A2E/example.com/bob", 100,
     "invalid quota [much]: expected 50M, 50M,1000 or NOQUOTA"),
    ("vfstab -i {root}/none", 1, "{root}/none: no such directory"),
    ("vfstab -d {root}/mail", 1, "{root}/mail: no such file system"),
    ("vfstab -n -1 -i {root}/mail", 1, "-n -1: expected 0 or more"),
    ("vfstab -q much -i {root}/mail", 1, "-q much: expected a size like 1000G"),
    ("vfstab -m host -i {root}/mail", 69, "-m: not yet: the cluster"),
    ("vadduser -b carol@example.com x", 1, "no file system is online; vfstab -i makes one known"),
    ("vadduser -b -B /x carol@example.com x", 1, "-b and -B: expected one of them"),
    ("vreorg -r -d example.org", 1, "example.org: domain does not exist"),
    ("vreorg -d example.com {file}", 100,
     "warning: email [Subject: news] has an uppercase character"),
    ("vreorg -d example.com {other}", 1, "alice@example.net: expected a user of example.com"),
    ("printdir example.org", 1, "example.org: domain does not exist"),
    ("vipmap -i 192.0.2.256 example.com", 1, "192.0.2.256: expected an IP address"),
    ("vipmap -i 192.0.2.1 example.org", 1, "example.org: No such domain"),
    ("vipmap -d 192.0.2.1 example.com", 1, "192.0.2.1: not an address of example.com"),
])  # fmt: skip
def test_what_is_refused_changes_nothing(
    domain: Terminal, tmp_path: Path, line: str, code: int, said: str
) -> None:
    (tmp_path / "file").write_text("Subject: news\n\nHello\n")
    (tmp_path / "file,all").write_text("Subject: news\n\nHello\n")
    (tmp_path / "other").write_text("alice@example.net\n")
    (tmp_path / "who").write_text("alice@example.com\n")
    files = {name: f"{tmp_path}/{name}" for name in ("file", "other", "who")}
    names = {"root": domain.root, **files}
    program, *arguments = line.format(**names).split(" ")
    assert domain(program, *arguments) == Ran(code, "", f"{program}: {said.format(**names)}\n")
    assert len(accounts(domain).users("example.com")) == 3
    assert mails(domain, "alice") == []
    assert accounts(domain).address_domains() == []


@pytest.mark.parametrize("line", [
    "vgroup a@example.com", "vgroup -a -i x a@example.com", "vgroup -u x a@example.com",
    "vbulletin a.example", "resetquota", "printdir", "vcalias", "vcaliasrev", "vipmap",
    "vfstab", "vfstab -n 5", "vfstab -b -d /x", "vreorg -d a.example", "vpurge a.example 30",
    "vipmap -p -i 192.0.2.1 a.example",
])  # fmt: skip
def test_what_makes_no_sense_is_answered_with_the_use(terminal: Terminal, line: str) -> None:
    program, *arguments = line.split()
    ran = terminal(program, *arguments)
    assert (ran.code, ran.out, ran.err.split()[:2]) == (1, "", ["usage:", program])


@pytest.mark.parametrize("options", [[], ["-h"], ["-s"]], ids=["copies", "one file", "links"])
def test_a_bulletin_comes_once_to_all_but_those_excluded(
    domain: Terminal, tmp_path: Path, options: list[str]
) -> None:
    domain("vgroup", "-a", "-e", "all@example.com", HASH)
    domain("vadduser", "-e", "-q", "50M", "-i", "carol@example.com", HASH)
    domain("vmoduser", "-q", "50M", "alice@example.com")
    folder = Path(domain.root).parent  # the owner of the instance may pass it
    news, excluded = folder / "news.eml", tmp_path / "not"
    news.write_bytes(b"Subject: news\n\nH\xffllo\n")
    excluded.write_text("Bob@example.com\n\n")
    ran = domain("vbulletin", "-n", "-f", str(news), "-e", str(excluded), "example.com")
    assert "/alice/Maildir/new/" in ran.out
    assert mails(domain, "alice") == []
    ran = domain("vbulletin", *options, "-f", str(news), "-e", str(excluded), "example.com")
    assert ran == Ran(0, "", "")
    [mail] = mails(domain, "alice")
    home = Path(domain.root, "mail/A2E/example.com/alice/Maildir")
    assert (home / mail).read_bytes() == news.read_bytes()
    assert (home / "maildirsize").read_text().splitlines()[1] == f"{len(news.read_bytes())} 1"
    assert (os.stat(home / mail).st_nlink == 2) is (options == ["-h"])
    assert os.path.islink(home / mail) is (options == ["-s"])
    assert mails(domain, "postmaster") == [mail]
    for name in ("bob", "all", "carol"):
        assert mails(domain, name) == []
    assert [n for n in os.listdir(f"{domain.root}/db") if n.startswith("bulletin")] == []


def test_a_bulletin_for_the_next_login_lies_in_the_domain(domain: Terminal, tmp_path: Path) -> None:
    news = tmp_path / "news.eml"
    news.write_text("Subject: news\n\nHello\n")
    assert domain("vbulletin", "-a", "-f", str(news), "example.com") == Ran(0, "", "")
    kept = Path(domain.root, "domains/example.com/bulk_mail/news.eml,all")
    assert kept.read_text() == news.read_text()
    assert mails(domain, "alice") == []


def test_a_new_user_gets_the_welcome_of_the_domain(domain: Terminal, tmp_path: Path) -> None:
    welcome = tmp_path / "1welcome.txt"
    welcome.write_text("Subject: welcome\n\nHello\n")
    assert domain("vbulletin", "-a", "-f", str(welcome), "example.com").code == 0
    domain("vadduser", "-e", "-q", "50M", "carol@example.com", HASH)
    domain("vgroup", "-a", "-e", "crew@example.com", HASH)
    [mail] = mails(domain, "carol")
    maildir = Path(domain.root, "mail/A2E/example.com/carol/Maildir")
    assert (maildir / mail).read_text() == welcome.read_text()
    assert (maildir / "maildirsize").read_text().splitlines()[1] == "24 1"
    assert mails(domain, "crew") == mails(domain, "alice") == []


def test_a_bulletin_waits_for_those_who_subscribed(domain: Terminal, tmp_path: Path) -> None:
    domain("vadddomain", "-e", "example.net", HASH)
    domain("vaddaliasdomain", "example.org", "example.com")
    news, who = tmp_path / "news.eml", tmp_path / "who"
    news.write_text("Subject: news\n\nHello\n")
    who.write_text("Alice@example.org\nnobody@example.com\nbob@elsewhere.example\n"
                   "postmaster@example.net\nbob@example.com\n")  # fmt: skip
    assert domain("vbulletin", "-S", str(who), "-f", str(news)) == Ran(0, "", "")
    known = accounts(domain)
    for name, of, waiting in (
        ("alice", "example.com", ["news.eml"]), ("bob", "example.com", ["news.eml"]),
        ("postmaster", "example.net", ["news.eml"]), ("postmaster", "example.com", []),
        ("nobody", "example.com", []), ("bob", "elsewhere.example", []),
    ):  # fmt: skip
        assert known.bulletins(name, of) == waiting
    for of in ("example.com", "example.net"):
        kept = Path(domain.root, "domains", of, "bulk_mail/news.eml")
        assert kept.read_text() == news.read_text()
    news.write_text("Subject: other news\n\nHello\n")
    ran = domain("vbulletin", "-S", str(who), "-f", str(news), "example.net")
    kept = Path(domain.root, "domains/example.net/bulk_mail/news.eml")
    assert ran == Ran(1, "", f"vbulletin: {kept}: is there and says something else\n")
    domain("vdeluser", "alice@example.com")
    assert known.bulletins("alice", "example.com") == []


def test_a_bulletin_without_a_name_is_for_all_domains(domain: Terminal, tmp_path: Path) -> None:
    domain("vadddomain", "-e", "example.net", HASH)
    domain("vaddaliasdomain", "example.org", "example.com")
    news = tmp_path / "news.eml"
    news.write_text("Subject: news\n\nHello\n")
    assert domain("vbulletin", "-f", str(news)) == Ran(0, "", "")
    assert len(mails(domain, "alice")) == 1
    other = Path(domain.root, "mail/L2P/example.net/postmaster/Maildir/new")
    assert len(list(other.iterdir())) == 1


def test_a_link_has_to_be_readable(domain: Terminal, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("who runs the command owns the instance")
    news = tmp_path / "news.eml"
    news.write_text("Subject: news\n\nHello\n")
    os.chmod(news, 0o600)
    assert domain("vbulletin", "-s", "-f", str(news), "example.com") == Ran(
        77, "", f"vbulletin: {news}: not readable by the owner of the instance\n"
    )


def used(terminal: Terminal, name: str, days: int) -> None:
    """Let a user's last login, and the last change of its mail, be so many days ago."""
    known, at = accounts(terminal), time.time() - days * DAY
    account = known.find(name, "example.com")
    assert account is not None
    for service in ("add", "imap"):
        known.record_event(account, LastEvent(service, int(at), ""))
    os.utime(f"{account.directory}/Maildir/cur", (at, at))


def test_who_has_not_come_is_shown_made_inactive_or_removed(domain: Terminal) -> None:
    used(domain, "alice", 70)
    used(domain, "bob", 20)
    used(domain, "postmaster", 700)  # reserved names are always active
    day = time.strftime("%Y-%m-%d", time.localtime(time.time() - 70 * DAY))
    listed = f"alice@example.com {day}\n"
    assert domain("vdeloldusers", "-d", "example.com") == Ran(0, listed, "")
    assert domain("vdeloldusers", "-a", "80", "-d", "example.com") == Ran(0, "", "")
    assert domain("vdeloldusers", "-s", "ali", "-d", "example.com") == Ran(0, "", "")
    domain("valias", "-i", "&bob@example.com", "alice@example.com")
    Path(domain.root, "mail/A2E/example.com/alice/Maildir/new/1.a").touch()
    assert domain("vdeloldusers", "-i", "-d", "example.com") == Ran(0, "", "")
    known = accounts(domain)
    assert [a.name for a in known.users("example.com") if not a.active] == ["alice"]
    assert mails(domain, "alice") == ["new/1.a"]
    assert known.aliases("alice", "example.com") == ["&bob@example.com"]
    assert domain("vdeloldusers", "-p", "-d", "example.com") == Ran(0, "", "")
    assert [a.name for a in known.users("example.com")] == ["bob", "postmaster"]
    assert not os.path.exists(f"{domain.root}/mail/A2E/example.com/alice")


def test_a_user_of_whom_nothing_is_known_or_whose_mail_moves_is_not_old(domain: Terminal) -> None:
    """The original takes everybody for old where lastauth is empty."""
    used(domain, "alice", 70)
    os.utime(f"{domain.root}/mail/A2E/example.com/alice/Maildir/cur")
    assert domain("vdeloldusers", "-d", "example.com") == Ran(0, "", "")
    assert domain("vdeloldusers", "-f", "-d", "example.com").out.startswith("alice@example.com ")
    known = accounts(domain)
    known.remove_user("bob", "example.com")
    domain("vadduser", "-e", "bob@example.com", HASH)
    with closing(sqlite3.connect(f"{domain.root}/db/indimail.db")) as db, db:
        db.execute("delete from lastauth")
    os.utime(f"{domain.root}/mail/A2E/example.com/bob/Maildir/cur", (0, 0))
    assert domain("vdeloldusers", "-f", "-d", "example.com") == Ran(0, "", "")


def test_old_unread_mail_and_trash_go_and_are_counted_no_more(domain: Terminal) -> None:
    domain("vmoduser", "-q", "50M", "alice@example.com")
    maildir = Path(domain.root, "mail/A2E/example.com/alice/Maildir")
    for part in ("new", "cur", "tmp"):
        (maildir / ".Trash" / part).mkdir(parents=True)
        os.chown(maildir / ".Trash" / part, os.stat(maildir).st_uid, os.stat(maildir).st_gid)
    for name, days in (
        ("new/1.old,S=5", 40), ("new/2.new,S=5", 10), ("cur/3.unread,S=5:2,F", 40),
        ("cur/4.read,S=5:2,FS", 40), (".Trash/cur/5.old,S=5:2,S", 5), (".Trash/cur/6.new:2,S", 1),
    ):  # fmt: skip
        (maildir / name).write_text("mail\n")
        os.utime(maildir / name, (0, time.time() - days * DAY))
    assert domain("vdeloldusers", "-u", "30", "-t", "2", "-d", "example.com") == Ran(0, "", "")
    assert mails(domain, "alice") == ["cur/4.read,S=5:2,FS", "new/2.new,S=5"]
    assert os.listdir(maildir / ".Trash/cur") == ["6.new:2,S"]
    assert (maildir / "maildirsize").read_text() == "52428800S\n10 2\n"


def old_mails(domain: Terminal, folders: Sequence[str], flags: Sequence[str] = ("", "S")) -> Path:
    """Put a mail of 40 days with each of the flags into each folder of alice."""
    maildir = Path(domain.root, "mail/A2E/example.com/alice/Maildir")
    owner = os.stat(maildir)
    for folder in folders:
        for part in ("new", "cur", "tmp"):
            (maildir / folder / part).mkdir(parents=True, exist_ok=True)
            os.chown(maildir / folder, owner.st_uid, owner.st_gid)
            os.chown(maildir / folder / part, owner.st_uid, owner.st_gid)
        for letters in flags:
            mail = maildir / folder / "cur" / f"1.{letters},S=5:2,{letters}"
            mail.write_text("mail\n")
            os.utime(mail, (0, time.time() - 40 * DAY))
    return maildir


def test_old_unread_mail_of_all_folders_but_trash(domain: Terminal) -> None:
    used(domain, "alice", 700)
    maildir = old_mails(domain, ["", ".Lists", ".Trash"])
    assert domain("vdeloldusers", "-c", "-m", "-u", "30", "-d", "example.com") == Ran(0, "", "")
    assert sorted(map(str, (path.relative_to(maildir) for path in maildir.glob("**/*,S=*")))) == [
        ".Lists/cur/1.S,S=5:2,S", ".Trash/cur/1.,S=5:2,", ".Trash/cur/1.S,S=5:2,S",
        "cur/1.S,S=5:2,S",
    ]  # fmt: skip


def test_what_was_thrown_away_goes_from_a_disk_that_is_too_full(domain: Terminal) -> None:
    domain("vmoduser", "-q", "50M", "alice@example.com")
    maildir = old_mails(domain, ["", ".Trash", ".Lists"], ["", "S", "ST"])
    ran = domain("vpurge", "--dry-run", "example.com", "30", "100")
    assert f"directory {maildir}: remove deleted mails from before " in ran.out
    assert len(list(maildir.glob("**/*,S=*"))) == 9
    assert domain("vpurge", "example.com", "30", "100") == Ran(0, "", "")
    assert sorted(str(path.relative_to(maildir)) for path in maildir.glob("**/*,S=*")) == [
        ".Lists/cur/1.,S=5:2,", ".Lists/cur/1.S,S=5:2,S", "cur/1.,S=5:2,", "cur/1.S,S=5:2,S",
    ]  # fmt: skip
    assert (maildir / "maildirsize").read_text() == "52428800S\n20 4\n"


def test_a_maildir_is_counted_anew(domain: Terminal) -> None:
    home = f"{domain.root}/mail/A2E/example.com/alice"
    Path(home, "Maildir/new/1.a,S=100").touch()
    assert domain("resetquota", "-q", "50M", home) == Ran(0, "", "")
    size = Path(home, "Maildir/maildirsize")
    assert size.read_text() == "52428800S\n100 1\n"
    Path(home, "Maildir/new/2.b,S=20").touch()
    ran = domain("resetquota", "-v", f"{home}/Maildir")
    assert ran == Ran(0, f"{home}/Maildir: 52428800, 120S,2C\n", "")
    assert size.read_text() == "52428800S\n120 2\n"


def test_how_homes_are_spread(domain: Terminal) -> None:
    disk = mount_point(domain.root)
    assert domain("printdir", "example.com").out.splitlines()[1:] == [
        f"{disk:16} A2E          2       2 -",
        f"{disk:16} L2P          1       1 -",
    ]


def test_homes_are_counted_anew_and_brought_back(domain: Terminal, tmp_path: Path) -> None:
    Path(domain.root, "domains/example.com/.users_per_level").write_text("1\n")
    assert domain("vreorg", "-v", "-r", "-d", "example.com") == Ran(
        0, "reorganized example.com\n", ""
    )
    disk = mount_point(domain.root)
    assert domain("printdir", "example.com").out.splitlines()[1:] == [
        f"{disk:16} A2E          2       2 1",
        f"{disk:16} L2P          1       1 0",
    ]
    domain("vmoveuserdir", "alice@example.com", f"{domain.root}/elsewhere")
    (tmp_path / "list").write_text("# who was moved\nalice@example.com\n")
    assert domain("vreorg", "-d", "example.com", str(tmp_path / "list")) == Ran(0, "", "")
    home = f"{domain.root}/mail/A2E/example.com/0/alice"
    assert domain("vuserinfo", "-d", "alice@example.com").out == f"dir           : {home}\n"


def test_homes_are_spread_over_file_systems(domain: Terminal) -> None:
    places = [f"{domain.root}/{name}" for name in ("one", "two")]
    for place in places:
        os.mkdir(place)
        os.chown(place, os.stat(domain.root).st_uid, os.stat(domain.root).st_gid)
        assert domain("vfstab", "-i", place, "-n", "9", "-q", "1G") == Ran(0, "", "")
    for name in ("carol", "dora", "emil"):
        assert domain("vadduser", "-b", "-e", "-q", "1M", f"{name}@example.com", HASH).code == 0
    shown = domain("vfstab", "-s").out.splitlines()
    assert [line.split() for line in shown[1:]] == [
        [places[0], "online", "2", "9", "2097152", "1073741824"],
        [places[1], "online", "1", "9", "1048576", "1073741824"],
    ]
    assert domain("vfstab", "-o", "off", "-l", places[1]).code == 0
    assert domain("vfstab", "-b", "-s").out.splitlines()[2].split()[1:3] == ["offline", "1"]
    assert domain("vfstab", "-d", places[1]).code == 0
    assert len(domain("vfstab", "-s").out.splitlines()) == 2


def test_a_local_address_has_a_domain(domain: Terminal) -> None:
    assert domain("vipmap", "-v", "-i", "2001:DB8::1", "example.com") == Ran(
        0, "2001:db8::1 is of example.com\n", ""
    )
    domain("vipmap", "-i", "192.0.2.1", "example.com")
    assert domain("vipmap", "-p").out == "192.0.2.1 example.com\n2001:db8::1 example.com\n"
    assert domain("vipmap", "-d", "192.0.2.1", "example.com") == Ran(0, "", "")
    assert domain("vipmap", "-p").out == "2001:db8::1 example.com\n"


def test_aliases_are_lines_or_files_and_come_back(domain: Terminal) -> None:
    folder = Path(domain.root, "domains/example.com")
    domain("valias", "-i", "&alice@example.com", "a.b@example.com")
    domain("valias", "-i", "| grep x", "a.b@example.com")
    before = accounts(domain).domain_aliases("example.com")
    assert domain("vcaliasrev", "-v", "example.com") == Ran(
        0, "turned the aliases of example.com\n", ""
    )
    assert accounts(domain).domain_aliases("example.com") == []
    assert (folder / ".qmail-a:b").read_text() == "&alice@example.com\n| grep x\n"
    assert sorted(path.name for path in folder.glob(".qmail-*")) == [
        ".qmail-a:b", ".qmail-abuse", ".qmail-default", ".qmail-mailer-daemon"
    ]  # fmt: skip
    (folder / ".qmail-own").write_text("./Maildir/\n")
    ran = domain("vcalias", "example.com")
    assert ran.code == 1
    assert ran.err.startswith(f"vcalias: {folder}/.qmail-own: invalid alias line './Maildir/'")
    assert accounts(domain).domain_aliases("example.com") == []
    (folder / ".qmail-own").unlink()
    assert domain("vcalias", "example.com") == Ran(0, "", "")
    assert accounts(domain).domain_aliases("example.com") == before
    assert [path.name for path in folder.glob(".qmail-*")] == [".qmail-default"]
