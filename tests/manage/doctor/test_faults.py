"""Each fault, planted alone in a healthy instance: what is told of it, and what mends it.

A row is what plants it, what is told, and whether `--fix` leaves nothing of it.
"""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from indimail.mail.errors import AccountsUnavailable
from indimail.manage.doctor.examine import CHECKS
from manage.doctor.clinic import OWN, Clinic, Plant, check


def test_a_healthy_instance_has_no_findings(clinic: Clinic) -> None:
    assert clinic.told() == []
    assert clinic.examine().skipped == ()


def give(clinic: Clinic, name: str, uid: int = 4321) -> None:
    os.chown(clinic.path(name), uid, -1)


def link(clinic: Clinic, name: str, target: str) -> None:
    os.symlink(target, clinic.path(name))
    clinic.own()


def no_row(clinic: Clinic) -> None:
    clinic.accounts.remove_user("bob", "example.com")
    clinic.count("A2E", 1)


PLACES: list[tuple[Plant, list[str], bool]] = [
    (lambda c: c.path("db").chmod(0o755), ["mode db: found mode 0755, expected 0700"], True),
    (lambda c: c.path("queue/spool").chmod(0o755),
     ["mode queue/spool: found mode 0755, expected 1733"], True),
    (lambda c: c.path("control").chmod(0o700),
     ["mode control: found mode 0700, expected 0755"], True),
    (lambda c: c.path("trace").rmdir(), ["missing trace: found no directory, expected one"], True),
    (lambda c: c.path("queue/spool").rmdir(),
     ["missing queue/spool: found no directory, expected one"], True),
    (lambda c: c.path("control/me").chmod(0o666),
     ["mode control/me: found mode 0666, expected 0644"], True),
    (lambda c: c.path("indimail.toml").chmod(0o644),
     ["mode indimail.toml: found mode 0644, expected 0600"], True),
    (lambda c: c.write("db/indimail.db.version1", "", 0o644),
     ["mode db/indimail.db.version1: found mode 0644, expected 0600"], True),
    (lambda c: c.write("certs/key.pem", "-----BEGIN PRIVATE KEY-----\n", 0o640),
     ["mode certs/key.pem: found mode 0640, expected 0600"], True),
    (lambda c: c.write("certs/chain.pem", "-----BEGIN CERTIFICATE-----\n", 0o644), [], True),
    (lambda c: c.path("domains/example.com").chmod(0o757),
     ["mode domains/example.com: found mode 0757, expected 0755"], True),
    (lambda c: c.write("queue/refused/1", "x"),
     ["mode queue/refused: found mode 0755, expected 0700",
      "refused queue/refused/1: found a file, expected a decision: its mail was not taken, and "
      "the log says why"], False),
]  # fmt: skip

DOMAINS: list[tuple[Plant, list[str], bool]] = [
    (lambda c: c.edit("users/assign", "+example.com-:example.com", "+example.co-:example.co"),
     ["no-entry control/virtualdomains:1: found mail for example.com goes to "
      "example.com-anybody-at-all, expected a line of users/assign, a user of the system or a file "
      "of alias/ for it",
      "not-virtual example.co: found mail goes to example.co, expected example.co:example.co in "
      "control/virtualdomains",
      "not-received example.co: found mail from outside is refused, expected example.co in "
      "control/rcpthosts",
      "alias-domain example.net: found link to example.com, row of example.com, listed by "
      "example.com, expected example.com to be a domain, or no alias domain",
      "no-postmaster postmaster@example.co: found nobody, expected an account or an alias",
      "rows example.com: found 3 users, 2 alias lines, 1 alias domains, expected a domain that "
      "users/assign has, and is no alias, or no rows",
      "no-user mail/A2E/example.com: found a directory, expected a line of users/assign for "
      "example.com, or nothing",
      "no-user mail/L2P/example.com: found a directory, expected a line of users/assign for "
      "example.com, or nothing"], False),
    (lambda c: c.edit("users/assign", "ROOT".replace("ROOT", f"{c.root}/domains/example.com:"),
                      f"{c.root}/domains/gone:"),
     ["no-directory users/assign:1: found ROOT/domains/gone: no directory, expected a directory",
      "no-domain domains/example.com: found a directory, expected a line of users/assign for "
      "example.com, or nothing"], False),
    (lambda c: c.edit("users/assign", f":{OWN}:{OWN}:{c.root}/domains/example.com:",
                      f":0:0:{c.root}/domains/example.com:"),
     ["root users/assign:1: found uid 0, expected a uid that mail is delivered as"], False),
    (lambda c: c.edit("control/virtualdomains", "example.com:example.com\n", ""),
     ["not-virtual example.com: found mail goes to example.com, expected example.com:example.com in "
      "control/virtualdomains",
      "relayed control/rcpthosts:2: found example.com, which is neither, expected a virtual or "
      "local domain, or a line of control/smtproutes"], False),
    (lambda c: c.edit("control/rcpthosts", "example.com\n", ""),
     ["not-received example.com: found mail from outside is refused, expected example.com in "
      "control/rcpthosts"], False),
    (lambda c: c.edit("control/locals", "localhost\n", "localhost\nexample.com\n"),
     ["local control/locals:3: found example.com is delivered as local, expected example.com in one "
      "of control/locals and users/assign"], False),
    (lambda c: c.edit("control/rcpthosts", "example.com\n", "example.com\nexample.org\n"),
     ["relayed control/rcpthosts:3: found example.org, which is neither, expected a virtual or "
      "local domain, or a line of control/smtproutes"], False),
    (lambda c: (c.edit("control/rcpthosts", "example.com\n", "example.com\na.example.org\n"),
                c.write("control/smtproutes", ".example.org:192.0.2.1\n")), [], True),
    (lambda c: c.path("domains/example.org").mkdir() or c.own(),
     ["no-domain domains/example.org: found a directory, expected a line of users/assign for "
      "example.org, or nothing"], False),
    (lambda c: c.accounts.remove_user("postmaster", "example.com") and
     c.count("L2P", 0),
     ["no-postmaster postmaster@example.com: found nobody, expected an account or an alias",
      "no-user mail/L2P/example.com/postmaster: found a directory, expected the home of a user of "
      "example.com, or nothing"], False),
    (lambda c: c.accounts.add_alias("sales", "example.org", "&alice@example.com"),
     ["rows example.org: found 0 users, 1 alias lines, 0 alias domains, expected a domain that "
      "users/assign has, and is no alias, or no rows"], False),
    (lambda c: c.accounts.add_alias("sales", "example.net", "&alice@example.com"),
     ["rows example.net: found 0 users, 1 alias lines, 0 alias domains, expected a domain that "
      "users/assign has, and is no alias, or no rows"], False),
]  # fmt: skip

ALIASES: list[tuple[Plant, list[str], bool]] = [
    (lambda c: c.path("domains/example.net").unlink(),
     ["no-directory users/assign:2: found ROOT/domains/example.net: no directory, expected a "
      "directory",
      "alias-domain example.net: found link to nothing, row of example.com, listed by example.com, "
      "expected example.com in all three"], True),
    (lambda c: c.accounts.remove_alias_domain("example.net"),
     ["alias-domain example.net: found link to example.com, row of nothing, listed by example.com, "
      "expected example.com in all three"], True),
    (lambda c: c.write("domains/example.com/.aliasdomains", ""),
     ["alias-domain example.net: found link to example.com, row of example.com, listed by nobody, "
      "expected example.com in all three"], True),
    (lambda c: (c.path("domains/example.net").unlink(), link(c, "domains/example.net", "gone")),
     ["alias-domain example.net: found link to gone, row of example.com, listed by example.com, "
      "expected one and the same domain"], False),
    (lambda c: link(c, "domains/example.org", "example.com"),
     ["alias-domain example.org: found link to example.com, row of nothing, listed by nobody, "
      "expected example.com in all three"], False),
    (lambda c: c.edit("domains/example.com/.aliasdomains", "example.net\n",
                      "example.net\nexample.org\n"),
     ["alias-domain example.org: found link to nothing, row of nothing, listed by example.com, "
      "expected example.com in all three"], False),
]  # fmt: skip

USERS: list[tuple[Plant, list[str], bool]] = [
    (lambda c: c.home().rename(c.path("elsewhere")),
     ["no-home alice@example.com: found no directory ROOT/mail/A2E/example.com/alice, expected a "
      "home"], True),
    (lambda c: c.path("mail/A2E").rename(c.path("unmounted")),
     ["no-home alice@example.com: found no directory ROOT/mail/A2E/example.com/alice, expected a "
      "home",
      "no-home bob@example.com: found no directory ROOT/mail/A2E/example.com/bob, expected a "
      "home"], False),
    (lambda c: (c.home() / "Maildir/cur").rmdir() or (c.home() / "Maildir/tmp").rmdir(),
     ["no-maildir mail/A2E/example.com/alice/Maildir: found no cur tmp, expected cur, new and "
      "tmp"], True),
    (lambda c: c.home().chmod(0o705),
     ["mode mail/A2E/example.com/alice: found mode 0705, expected 0700"], True),
    (lambda c: (c.home() / "Maildir/new").chmod(0o755),
     ["mode mail/A2E/example.com/alice/Maildir/new: found mode 0755, expected 0750"], True),
    (lambda c: (c.home() / "Maildir/new").chmod(0o500),
     ["mode mail/A2E/example.com/alice/Maildir/new: found mode 0500, expected 0700"], True),
    (lambda c: c.home().chmod(0o1700),
     ["sticky mail/A2E/example.com/alice: found the sticky bit: its mail waits, expected no such "
      "bit, once it is edited"], False),
    (no_row,
     ["no-user mail/A2E/example.com/bob: found a directory, expected the home of a user of "
      "example.com, or nothing"], False),
    (lambda c: c.write("mail/A2E/example.org/eve/.qmail", "./Maildir/\n"),
     ["no-user mail/A2E/example.org: found a directory, expected a line of users/assign for "
      "example.org, or nothing"], False),
    (lambda c: c.accounts.modify("bob", "example.com", lambda row: replace(
        row, directory=str(c.home()))) and c.count("A2E", 2),
     ["shared-home mail/A2E/example.com/alice: found the home of alice@example.com and "
      "bob@example.com, expected the home of one user",
      "no-user mail/A2E/example.com/bob: found a directory, expected the home of a user of "
      "example.com, or nothing"], False),
    (lambda c: c.count("A2E", 7, "0"),
     ["counter dir_control DISK A2E example.com: found 7 homes, expected 2"], True),
]  # fmt: skip

FILES: list[tuple[Plant, list[str], bool]] = [
    (lambda c: c.path("domains/example.com/.qmail-default").chmod(0o606),
     ["mode domains/example.com/.qmail-default: found mode 0606: its mail waits, expected 0604"],
     True),
    (lambda c: c.path("domains/example.com").chmod(0o1750),
     ["sticky domains/example.com: found the sticky bit: its mail waits, expected no such bit, once "
      "it is edited"], False),
    (lambda c: c.write("domains/example.com/.qmail-sales", "\n&alice@example.com\n"),
     ["qmail domains/example.com/.qmail-sales:1: found Uh-oh: first line of .qmail file is blank. "
      "(#4.2.1), expected lines that a delivery can obey"], False),
    (lambda c: c.write("domains/example.com/.qmail-default", "| /x/vdelivermail '' bounce\n"),
     ["qmail domains/example.com/.qmail-default:1: found bounce, expected delete, "
      "bounce-no-mailbox, the full path of a Maildir, user@domain or domain:ip:port"], False),
    (lambda c: c.write("domains/example.com/.qmail-default", "| /x/vdelivermail '' /nowhere\n"),
     ["qmail domains/example.com/.qmail-default:1: found /nowhere: no Maildir there, expected a "
      "Maildir for mail to absent users"], False),
    (lambda c: c.write("alias/.qmail-root", "two words\n"),
     ["qmail alias/.qmail-root:1: found two words, expected an address, a path that begins with / "
      "or ., or |command"], False),
    (lambda c: c.write("mail/A2E/example.com/alice/.qmail", "| /x/vdelivermail '' delete\n"),
     ["qmail mail/A2E/example.com/alice/.qmail:1: found vdelivermail, expected a line that is not "
      "its own again"], False),
    (lambda c: c.write("mail/A2E/example.com/alice/.qmail", ""), [], True),
    (lambda c: c.accounts.add_alias("sales", "example.com", "&nobody@example.com"),
     ["nobody valias(sales@example.com): found &nobody@example.com, expected an address that "
      "somebody has"], False),
    (lambda c: c.accounts.add_alias("sales", "example.com", "&nobody@example.net"),
     ["nobody valias(sales@example.com): found &nobody@example.net, expected an address that "
      "somebody has"], False),
    (lambda c: c.accounts.add_alias("sales", "example.com", "&alice@example.net"), [], True),
    (lambda c: c.accounts.add_alias("sales", "example.com", "&bob@elsewhere.example"), [], True),
    (lambda c: c.accounts.add_alias("sales", "example.com", "& two words"),
     ["qmail valias(sales@example.com):1: found & two words, expected an address, a path that "
      "begins with / or ., or |command"], False),
]  # fmt: skip

FAULTS = PLACES + DOMAINS + ALIASES + USERS + FILES


@pytest.mark.parametrize(("plant", "told", "mended"), FAULTS, ids=[
    told[0].split(":")[0].replace("/", "-") if told else "nothing" for _, told, _ in FAULTS
])  # fmt: skip
def test_a_fault_is_told_and_mended_where_that_is_safe(
    clinic: Clinic, plant: Plant, told: list[str], mended: bool
) -> None:
    check(clinic, plant, told, mended)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("name", [
    "control", "control/me", "db", "users/assign", "mail", "domains/example.com",
    "mail/A2E/example.com/alice", "mail/A2E/example.com/alice/Maildir/cur",
])  # fmt: skip
def test_what_belongs_to_another_is_given_back(clinic: Clinic, name: str) -> None:
    give(clinic, name)
    assert clinic.told() == [f"owner {name}: found owner uid 4321, expected uid {OWN}"]
    assert clinic.mend() == [f"owner ROOT/{name}: {OWN}:{OWN}"]
    assert clinic.told() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_modes_are_set_once_the_owner_is_right(clinic: Clinic) -> None:
    give(clinic, "db")
    clinic.path("db").chmod(0o777)
    assert [line.split()[0] for line in clinic.told()] == ["owner", "mode"]
    assert clinic.mend() == [f"owner ROOT/db: {OWN}:{OWN}", "mode ROOT/db: 0700"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_configuration_may_be_roots(clinic: Clinic) -> None:
    give(clinic, "control/me", 0)
    assert clinic.told() == []


def test_a_user_in_both_tables_is_told(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    users = clinic.accounts.users("example.com")
    both = sorted([*users, replace(users[0], active=False)], key=lambda user: user.name)
    monkeypatch.setattr(clinic.accounts, "users", lambda _: both)
    assert clinic.told()[0] == (
        "two-rows alice@example.com: found rows in indimail and in indibak, expected one of them"
    )


def test_a_home_in_another_is_told(clinic: Clinic) -> None:
    inner = f"{clinic.home()}/bob"
    clinic.accounts.modify("bob", "example.com", lambda row: replace(row, directory=inner))
    assert (
        "nested-home mail/A2E/example.com/alice/bob: found the home of bob@example.com, expected a "
        "home outside of alice@example.com's"
    ) in clinic.told()


def test_a_database_that_is_down_is_a_finding(clinic: Clinic) -> None:
    clinic.accounts.fail = True
    assert [line.split(":")[0] for line in clinic.told()] == ["accounts the user database"]
    assert list(clinic.examine().skipped) == [check.name for check in CHECKS if check.rows]


def test_a_check_that_breaks_lets_the_others_go_on(clinic: Clinic) -> None:
    clinic.path("domains").rename(clinic.path("gone"))
    codes = [line.split()[0] for line in clinic.told()]
    assert "unreadable" in codes
    assert codes.count("no-directory") == 2


def test_an_account_that_cannot_be_asked_is_unavailable(clinic: Clinic) -> None:
    clinic.accounts.fail = True
    with pytest.raises(AccountsUnavailable):
        _ = clinic.patient().users


def test_buckets_and_users_of_one_letter_are_no_strays(clinic: Clinic) -> None:
    clinic.add("example.com", "a")
    clinic.count("A2E", 99, "0")
    clinic.add("example.com", "dave")
    clinic.count("A2E", 4, "0")
    clinic.own()
    assert str(clinic.home("dave")).endswith("/example.com/1/dave")
    assert clinic.told() == []


def test_every_code_is_in_the_operating_guide() -> None:
    project = Path(__file__).resolve().parents[3]
    sources = [*(project / "src/indimail/manage/doctor").glob("*.py"),
               project / "src/indimail/cli/doctor.py"]  # fmt: skip
    codes = {code for path in sources
             for code in re.findall(r'Finding\(\s*"([a-z-]+)"', path.read_text())}  # fmt: skip
    guide = (project / "docs/operating.md").read_text().partition("## What doctor looks for")[2]
    table = re.findall(r"(?m)^\| (`.*?) \|", guide.partition("\n## ")[0])
    assert codes == {code for cell in table for code in re.findall(r"`([a-z-]+)`", cell)}
