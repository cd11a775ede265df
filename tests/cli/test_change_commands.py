"""vmoduser, vsetuserquota, vmoddomain, valias, vadddomain -E: texts and exit codes (delivery 2)."""

import os
import shlex
from pathlib import Path

import pytest

from cli.accounts_commands import Ran, Terminal
from indimail.accounts.passwords import verify
from indimail.accounts.port import Account, Flag
from indimail.accounts.sql import SqlAccounts, sqlite_url
from indimail.cli.main import COMMANDS

pytestmark = pytest.mark.slow  # each runs commands: too much for `make fast`

FORMS = "delete, bounce-no-mailbox, the full path of a Maildir, user@domain or domain:ip:port"
CHANGES = ("vmoduser", "vsetuserquota", "vmoddomain", "valias")
MD5 = "$1$abcdefgh$G//4keteveJp0qb8z2DxG/"


@pytest.fixture
def domain(terminal: Terminal) -> Terminal:
    assert terminal("vadddomain", "example.com", "secret", "-h", "MD5").code == 0
    assert terminal("vadduser", "-q", "50M,1000", "alice@example.com", "old").code == 0
    return terminal


def accounts(terminal: Terminal) -> SqlAccounts:
    return SqlAccounts(sqlite_url(f"{terminal.root}/db/indimail.db"))


def alice(terminal: Terminal) -> Account:
    found = accounts(terminal).find("alice", "example.com")
    assert found is not None
    return found


def default(terminal: Terminal) -> str:
    return Path(terminal.root, "domains/example.com/.qmail-default").read_text()


@pytest.mark.parametrize(("arguments", "code", "err"), [
    (["vmoduser", "-p", "Alice@example.com"], 100,
     "vmoduser: warning: email [Alice@example.com] has an uppercase character\n"),
    (["vmoduser", "-p", "bob@example.com"], 1, "vmoduser: no such user bob@example.com\n"),
    (["vmoduser", "-p", "alice@example.net"], 1, "vmoduser: example.net: No such domain\n"),
    (["vmoduser", "-n", "postmaster@example.com"], 255,
     "vmoduser: RFC Ids cannot be made inactive\n"),
    (["vmoduser", "-P", "-", "alice@example.com"], 100, "vmoduser: Password not provided\n"),
    (["vmoduser", "-P", "x", "-h", "ROT13", "alice@example.com"], 100, "vmoduser: wrong hash method "
     "ROT13: DES MD5 SHA-256 SHA-512 YESCRYPT ARGON2ID\n"),
    (["vmoduser", "-l", "+", "alice@example.com"], 100,
     "vmoduser: -l +: found nothing, expected a text of at most 1048576 octets\n"),
    (["vmoduser", "-l", "/nowhere", "alice@example.com"], 74,
     "vmoduser: /nowhere: No such file or directory\n"),
    (["vmoduser", "-C", "alice@example.com"], 100, "vmoduser: Password not provided\n"),
    (["vsetuserquota", "Alice@example.com", "5M"], 100,
     "vsetuserquota: warning: email [Alice@example.com] has an uppercase character\n"),
    (["vsetuserquota", "bob@example.com", "5M"], 1,
     "vsetuserquota: bob@example.com: No such user\n"),
    (["vsetuserquota", "alice@example.net", "5M"], 1,
     "vsetuserquota: example.net: No such domain\n"),
    (["vsetuserquota", "alice@example.com", "much"], 100,
     "vsetuserquota: invalid quota [much]: expected 50M, 50M,1000 or NOQUOTA\n"),
    (["vsetuserquota", "alice@example.com", "+5M"], 100,
     "vsetuserquota: invalid quota [+5M]: expected 50M, 50M,1000 or NOQUOTA\n"),
    (["vmoddomain", "-h", "delete", "Example.com"], 100,
     "vmoddomain: warning: domain [Example.com] has an uppercase character\n"),
    (["vmoddomain", "-h", "delete", "example.net"], 1,
     "vmoddomain: example.net: domain does not exist\n"),
    (["vmoddomain", "-h", "/nowhere", "example.com"], 1, "vmoddomain: /nowhere: not a Maildir\n"),
    (["vmoddomain", "-h", "a:b", "example.com"], 1, "vmoddomain: Invalid SMTPROUTE/QMTPROUTE "
     f"Specification [a:b]: expected {FORMS}\n"),
    (["vmoddomain", "-h", "delete", "-f", "1", "example.com"], 69,
     "vmoddomain: -f 1: not yet: vfilter\n"),
    (["vmoddomain", "-l", "0", "example.com"], 1,
     "vmoddomain: example.com: domain limits are not on\n"),
    (["vmoddomain", "-H", "ROT13", "example.com"], 100, "vmoddomain: wrong hash method ROT13: "
     "DES MD5 SHA-256 SHA-512 YESCRYPT ARGON2ID\n"),
    (["valias"], 1, "valias: must supply alias email address or a domain name\n"),
    (["valias", "-i", "", "a@example.com"], 1, "valias: You cannot have an empty alias line\n"),
    (["valias", "-i", "bob", "a@example.com"], 1, "valias: invalid alias line 'bob': expected "
     "&user@domain, user@domain, /path/of/a/Maildir/ or | program\n"),
    (["valias", "-i", "&postmaster@example.com", "abuse@example.com"], 255, "valias: "
     "abuse@example.com: the line [&postmaster@example.com] is there already\n"),
    (["valias", "-u", "&a@b.c", "-i", "&d@e.f", "abuse@example.com"], 1, "valias: abuse@example.com: "
     "no line [&a@b.c]; its lines: &postmaster@example.com\n"),
    (["valias", "-d", "&a@b.c", "x@example.com"], 1,
     "valias: x@example.com: no line [&a@b.c]; its lines: none\n"),
    (["valias", "-u", "&a@b.c", "x@example.com"], 1, "valias: -u: expected -i with the new line\n"),
    (["valias", "-d", "&a@b.c", "-i", "&d@e.f", "x@example.com"], 1,
     "valias: -d and -i: expected one of them; -u replaces a line\n"),
    (["valias", "-i", "&a@b.c", "@example.com"], 1,
     "valias: @example.com: a line belongs to an address, expected name@domain\n"),
    (["valias", "x@example.net"], 1, "valias: example.net: No such domain\n"),
    (["valias", "X@example.com"], 100,
     "valias: warning: email [X@example.com] has an uppercase character\n"),
    (["vadddomain", "-E", "bounce", "example.org", "x"], 100,
     f"vadddomain: Invalid bounce email address bounce: expected {FORMS}\n"),
])  # fmt: skip
def test_what_is_refused(domain: Terminal, arguments: list[str], code: int, err: str) -> None:
    before = alice(domain), default(domain), accounts(domain).domain_aliases("example.com")
    assert domain(*arguments) == Ran(code, "", err)
    after = alice(domain), default(domain), accounts(domain).domain_aliases("example.com")
    assert after == before


@pytest.mark.parametrize(("name", "arguments", "code"), [
    ("vmoduser", [], 100), ("vmoduser", ["alice@example.com"], 100),
    ("vsetuserquota", ["alice@example.com"], 1), ("vmoddomain", ["example.com"], 1),
    ("vmoddomain", ["-h", "delete"], 1), ("vmoddomain", ["-f", "0", "example.com"], 1),
])  # fmt: skip
def test_the_use_is_shown(domain: Terminal, name: str, arguments: list[str], code: int) -> None:
    ran = domain(name, *arguments)
    assert ran.code == code
    assert ran.err.startswith(f"usage: {name} [-")


@pytest.mark.parametrize("name", [*CHANGES, "vadddomain"])
def test_the_example_of_the_help_works(terminal: Terminal, name: str) -> None:
    if name != "vadddomain":
        terminal("vadddomain", "example.com", "secret", "-h", "MD5")
        terminal("vadduser", "alice@example.com", "x")
    words = shlex.shlex(COMMANDS[name].example, posix=True, punctuation_chars=True)  # as sh does
    words.whitespace_split = True
    program, *arguments = words
    assert terminal(program, *arguments, stdin="secret\n").code == 0


def test_a_quota_is_set_added_to_and_taken_away(domain: Terminal) -> None:
    home = alice(domain).directory
    Path(home, "Maildir/new/1.x,S=2048").touch()
    assert domain("vsetuserquota", "alice@example.com", "50M,1000") == Ran(
        0, "usage 2048 bytes\n", ""
    )
    assert alice(domain).quota == "52428800S,1000C"
    assert Path(home, "Maildir/maildirsize").read_text() == "52428800S,1000C\n2048 1\n"
    for arguments, stored in (
        (["-q", "+5M"], "57671680S,1000C"),
        (["-q", "-5M"], "52428800S,1000C"),
        (["-q-5M"], "47185920S,1000C"),
        (["-q", "1g"], "1073741824"),
        (["-q", "NOQUOTA"], "NOQUOTA"),
    ):
        assert domain("vmoduser", *arguments, "alice@example.com") == Ran(0, "", "")
        assert alice(domain).quota == stored
    assert not os.path.exists(f"{home}/Maildir/maildirsize")


def test_flags_by_letter(domain: Terminal) -> None:
    for letter, bit in zip("dpwibruas0123o", (1 << at for at in range(14)), strict=True):
        assert domain("vmoduser", "-x", f"-{letter}", "alice@example.com") == Ran(0, "", "")
        assert alice(domain).flags == Flag(bit)
    domain("vmoduser", "-x", "-b", "-p", "alice@example.com")
    domain("vmoduser", "-t", "-b", "-i", "alice@example.com")
    assert alice(domain).flags == Flag.NO_POP | Flag.NO_IMAP


def test_a_password_from_stdin_as_argument_and_encrypted(domain: Terminal) -> None:
    assert domain("vmoduser", "-P", "-", "alice@example.com", stdin="from stdin\n").code == 0
    assert verify(alice(domain).password, b"from stdin")
    assert domain("vmoduser", "-P", "-dash", "-h", "SHA-512", "alice@example.com").code == 0
    assert alice(domain).password.reveal().startswith("$6$")
    assert verify(alice(domain).password, b"-dash")
    assert domain("vmoduser", "-e", MD5, "alice@example.com").code == 0
    assert alice(domain).password.reveal() == MD5


def test_inactive_and_back_says_so(domain: Terminal) -> None:
    mail = Path(alice(domain).directory, "Maildir/new/1.x,S=2048")
    mail.touch()
    ran = domain("vmoduser", "-n", "-v", "alice%example.com")
    assert ran == Ran(0, "changed user alice@example.com: inactive, quota 52428800,1000\n", "")
    assert "indibak" in domain("vuserinfo", "-l", "alice@example.com").out
    assert mail.exists()
    assert domain("vmoduser", "-n", "alice@example.com").code == 0
    assert alice(domain).active


def test_a_name_and_folders_by_date(domain: Terminal) -> None:
    ran = domain("vmoduser", "-c", "Alice B.", "-D", "%b-%Y", "alice@example.com")
    assert ran == Ran(0, "", "")
    assert alice(domain).gecos == "Alice B."
    path = Path(alice(domain).directory, "Maildir/folder.dateformat")
    assert path.read_text() == "%b-%Y"


def test_an_alias_domain_is_its_real_one(domain: Terminal) -> None:
    os.symlink("example.com", f"{domain.root}/domains/example.net")
    assert domain("vmoduser", "-p", "alice@example.net").code == 0
    assert alice(domain).flags == Flag.NO_POP
    assert domain("vmoddomain", "-h", "delete", "example.net").code == 0
    assert "vdelivermail '' delete" in default(domain)
    assert domain("valias", "-i", "&a@b.c", "x@example.net").code == 0
    assert domain("valias", "x@example.com").out == "x@example.com -> &a@b.c\n"


def test_the_instruction_of_a_domain_is_changed(domain: Terminal) -> None:
    maildir = Path(domain.root, "alias/Maildir")
    for text in ("delete", "lost@example.org", "example.com:192.0.2.1:25", str(maildir)):
        for flags in ([], ["-f", "0"]):
            assert domain("vmoddomain", "-h", text, *flags, "example.com") == Ran(0, "", "")
            assert default(domain) == f"| {domain.root}/sbin/vdelivermail '' {text}\n"
    ran = domain("vmoddomain", "-v", "-h", "bounce-no-mailbox", "-H", "3", "example.com")
    assert ran == Ran(0, "changed domain example.com\n", "")
    domain("vadduser", "bob@example.com", "x")
    found = accounts(domain).find("bob", "example.com")
    assert found is not None
    assert found.password.reveal().startswith("$6$")


def test_limits_are_switched(domain: Terminal) -> None:
    assert domain("vmoddomain", "-l", "1", "example.com") == Ran(0, "", "")
    assert domain("vmoddomain", "-l", "0", "example.com") == Ran(0, "", "")


def test_alias_lines_are_added_shown_replaced_and_removed(domain: Terminal) -> None:
    sales = "sales@example.com"
    assert domain("valias", sales) == Ran(0, "", "")
    assert domain("valias", "-i", "&alice@example.com", sales) == Ran(0, "", "")
    assert domain("valias", "-v", "-i", "| /bin/true", sales) == Ran(
        0, f"added alias {sales} -> | /bin/true\n", ""
    )
    shown = f"{sales} -> &alice@example.com\n{sales} -> | /bin/true\n"
    assert domain("valias", sales).out == domain("valias", "-s", sales).out == shown
    assert domain("valias", "@example.com").out == (
        "abuse@example.com -> &postmaster@example.com\n"
        f"mailer-daemon@example.com -> &postmaster@example.com\n{shown}"
    )
    assert domain("valias", "-u", "| /bin/true", "-i", "/srv/sales/", sales) == Ran(0, "", "")
    assert domain("valias", "-d", "&alice@example.com", sales) == Ran(0, "", "")
    assert domain("valias", sales).out == f"{sales} -> /srv/sales/\n"


def test_what_leads_to_an_address(domain: Terminal) -> None:
    assert domain("valias", "-S", "postmaster@example.com").out == (
        "abuse@example.com -> &postmaster@example.com\n"
        "mailer-daemon@example.com -> &postmaster@example.com\n"
    )
    assert domain("valias", "-S", "alice@example.com") == Ran(0, "", "")
    assert domain("valias", "-S", "@example.com").code == 1
    domain("valias", "-i", "&carol@elsewhere.example", "sales@example.com")
    assert domain("valias", "-S", "carol@elsewhere.example").out == (
        "sales@example.com -> &carol@elsewhere.example\n"
    )


def test_the_cluster_is_waited_for_and_the_line_is_there(domain: Terminal) -> None:
    assert domain("valias", "-m", "-i", "&a@b.c", "x@example.com") == Ran(
        0, "", "valias: warning: -m: not yet: the cluster\n"
    )
    assert accounts(domain).aliases("x", "example.com") == ["&a@b.c"]


@pytest.mark.parametrize("text", [
    "delete", "bounce-no-mailbox", "lost@example.com", "example.org:192.0.2.1:25", "/a Maildir",
])  # fmt: skip
def test_a_domain_is_made_with_each_of_the_five(terminal: Terminal, text: str) -> None:
    if text == "/a Maildir":
        text = f"{terminal.root}/alias/Maildir"
    assert terminal("vadddomain", "-E", text, "example.com", "x", "-h", "MD5").code == 0
    assert default(terminal) == f"| {terminal.root}/sbin/vdelivermail '' {text}\n"
    assert not os.path.exists(f"{terminal.root}/domains/example.com/.qmail_default")


def test_a_bad_instruction_is_told_before_a_password_is_asked(terminal: Terminal) -> None:
    ran = terminal("vadddomain", "-E", "/nowhere", "example.com", stdin="")
    assert ran.code == 100
    assert "Invalid bounce email address /nowhere" in ran.err
    assert os.listdir(f"{terminal.root}/domains") == []


def test_mail_for_the_host_s_roles_goes_where_init_was_told(terminal: Terminal) -> None:
    root = terminal.root
    stays = f"indimail init: {root}/alias/.qmail-postmaster stays as it was: edit it to change it\n"
    ran = terminal("init", "--postmaster", "alice@example.com")
    assert (ran.code, ran.out) == (0, f"{root}: nothing to do\n")
    assert ran.err.startswith(stays)
    for role in ("postmaster", "abuse", "mailer-daemon", "root"):
        path = Path(root, f"alias/.qmail-{role}")
        assert path.read_text() == "./Maildir/\n"
        path.unlink()
    again = ["init", "--postmaster", "alice@example.com"]
    assert terminal(*again) == Ran(0, f"{root}: made\n", "")
    assert Path(root, "alias/.qmail-abuse").read_text() == "&alice@example.com\n"
    assert terminal(*again) == Ran(0, f"{root}: nothing to do\n", "")


@pytest.mark.parametrize(("address", "reason"), [
    ("alice", "expected user@domain"),
    ("alice@", "expected user@domain"),
    ("a b@example.com\n|id", "expected user@domain"),
    ("root@mx.example.org",
     "expected a mailbox elsewhere; its mail comes from there"),
])  # fmt: skip
def test_a_postmaster_that_cannot_be_is_refused(
    terminal: Terminal, address: str, reason: str
) -> None:
    ran = terminal("init", "--me", "mx.example.org", "--postmaster", address)
    assert ran == Ran(64, "", f"indimail init: --postmaster {address}: {reason}\n")


@pytest.mark.parametrize(
    "program",
    [["vmoduser", "-l", "{}", "alice@example.com"], ["vacation", "alice@example.com", "{}"]],
    ids=" ".join,
)
@pytest.mark.parametrize("given", ["+", "FILE"])
def test_an_automatic_reply_is_set_and_removed(
    domain: Terminal, tmp_path: Path, given: str, program: list[str]
) -> None:
    def reply(file: str) -> Ran:
        return domain(*(word.format(file) for word in program), stdin="I am away.\n")

    file = tmp_path / "away"
    file.write_text("I am away.\n")
    home = Path(alice(domain).directory)
    set_ = reply(str(file) if given == "FILE" else given)
    assert (set_.code, set_.out) == (0, "alice@example.com: automatic reply set\n")
    assert (home / ".vacation.msg").read_text() == "I am away.\n"
    removed = reply("-")
    assert (removed.code, removed.out) == (0, "alice@example.com: automatic reply removed\n")
    assert os.listdir(home) == ["Maildir"]
