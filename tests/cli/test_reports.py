"""What vdominfo and vuserinfo print, line by line (spec/delivery.md 2.6)."""

import os
import shutil
import time
from collections.abc import Iterator
from functools import reduce
from operator import or_
from pathlib import Path

import pytest

from crash.commands import HASH
from crash.stage import Stage, folder_in_memory
from indimail.accounts.port import Account, Flag, LastEvent
from indimail.accounts.sql import SqlAccounts, sqlite_url
from indimail.mail.secret import Secret

pytestmark = pytest.mark.slow  # each runs commands: too much for `make fast`

NOW = 1_800_000_000
# Seconds before NOW.
EVENTS = {
    "add": 4_000_000, "imap": 3_000_000, "pop3": 93_784, "webm": 100_000,
    "pass": 7, "INAC": 6, "ACTI": 5, "deli": 0,
}  # fmt: skip
SHA512 = (
    "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/"
    "cZ/1GM/O6IND4WQhG."
)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with folder_in_memory() as folder:
        made = Stage(folder)
        for line in (
            "init --me mx.example.org",
            f"vadddomain -e example.com {HASH}",
            "vaddaliasdomain example.net example.com",
            "vaddaliasdomain example.edu example.com",
            f"vadddomain -e -B {{root}}/homes example.org {HASH}",
            "vmoddomain -l 1 -H SHA-512 example.org",
            f"vadduser -e -q 50M -c Alice alice@example.com {SHA512}",
            f"vadduser -e -q 3G,1000 bob@example.com {HASH}",
            f"vadduser -e -i carol@example.com {HASH}",
            f"vadduser -e gone@example.com {HASH}",
            f"vgroup -a -e team@example.com {HASH}",
            "vgroup -i &alice@example.com team@example.com",
            "vgroup -i &bob@example.com team@example.com",
            "valias -i &alice@example.com sales@example.com",
            "valias -i /srv/sales/ sales@example.com",
        ):
            assert made.run(*line.format(root=made.root).split()) == 0, made.said
        new = Path(made.root, "mail/A2E/example.com/alice/Maildir/new")
        (new / "1.x,S=2048").touch()
        shutil.rmtree(f"{made.root}/mail/F2K/example.com/gone")
        _complete(made.root)
        yield made


def _complete(root: str) -> None:
    """Give users what no command can: all flags at once, times of the past."""
    accounts = SqlAccounts(sqlite_url(f"{root}/db/indimail.db"))
    full = Account(
        "full", "example.com", Secret("x"), uid=7, flags=reduce(or_, Flag), directory="/nowhere",
        quota="NOQUOTA", gecos="Full",
    )  # fmt: skip
    accounts.add(full)
    for service, age in EVENTS.items():
        accounts.record_event(full, LastEvent(service, NOW - age, "192.0.2.7" if age else ""))
    for name in ("alice", "bob", "carol", "gone", "team"):
        found = accounts.find(name, "example.com")
        assert found is not None
        accounts.record_event(found, LastEvent("add", NOW, ""))
    accounts.close()


DOMAIN = """\
    domain: {name}
       uid: {uid}
       gid: {uid}
Domain Dir: {root}/domains/example.com
  Base Dir: {root}/mail
crypt Hash: ARGON2ID
     Users: 7
   vlimits: disabled
AliasDomains:
example.edu
example.net
"""
LIMITED = """\
    domain: example.org
       uid: {uid}
       gid: {uid}
Domain Dir: {root}/domains/example.org
  Base Dir: {root}/homes
crypt Hash: SHA-512
     Users: 1
   vlimits: enabled
AliasDomains:
"""
PLAIN, EDU, NET = (
    DOMAIN.replace("{name}", name)
    for name in (
        "example.com",
        *(f"example.{top} aliased to example.com" for top in ("edu", "net")),
    )
)
DOMAINS = [
    ("example.com", PLAIN),
    ("-a example.com", PLAIN),
    ("example.net", NET),
    ("example.org", LIMITED),
    ("", f"{PLAIN}\n{EDU}\n{NET}\n{LIMITED}"),
    ("-n example.com", "    domain: example.com\n"),
    ("-n example.net", "    domain: example.net aliased to example.com\n"),
    ("-u example.com", "       uid: {uid}\n"),
    ("-g example.com", "       gid: {uid}\n"),
    ("-d example.net", "Domain Dir: {root}/domains/example.com\n"),
    ("-b example.org", "  Base Dir: {root}/homes\n"),
    ("-t -n example.com", "    domain: example.com\n     Users: 7\n"),
    ("-l example.com", "AliasDomains:\nexample.edu\nexample.net\n"),
    ("-l example.org", "AliasDomains:\n"),
]

# The user, with what is not as it mostly is.
USER = """\
name          : {name}@example.com
passwd        : {passwd}
uid           : 0
gid           : 0
                -all services available
gecos         : {gecos}
dir           : {{root}}/mail/{home}
quota         : {quota}
curr quota    : {holds}
Table Name    : {table}
Added On      : Fri Jan 15 08:00:00 2027
last  IMAP    : Not yet logged in
last  POP3    : Not yet logged in
{forwards}"""


def user(name: str, **other: str) -> str:
    usual = {
        "passwd": f"{HASH} (MD5)", "gecos": name, "home": f"A2E/example.com/{name}",
        "quota": "unlimited", "holds": "0S,0C", "table": "indimail", "forwards": "",
    }  # fmt: skip
    return USER.format(name=name, **{**usual, **other})


FULL = """\
name          : full@example.com
passwd        : x (clear text)
uid           : 7
gid           : 16383
                -user cannot change password
                -pop access closed
                -webmail access closed
                -imap access closed
                -mail will be bounced back to sender
                -user not allowed to relay mail
                -no dialup flag has been set
                -user has web admin privileges
                -smtp access closed
                -user flag 0 is set
                -user flag 1 is set
                -user flag 2 is set
                -user flag 3 is set
                -domain limits do not apply
gecos         : Full
dir           : /nowhere (missing)
quota         : unlimited
curr quota    : 0S,0C
Table Name    : indimail
Days inact    : 1 days 02 Hrs 03 Mins 04 Secs
Added On      : (192.0.2.7) Mon Nov 30 00:53:20 2026
last  IMAP    : (192.0.2.7) Fri Dec 11 14:40:00 2026
last  POP3    : (192.0.2.7) Thu Jan 14 05:56:56 2027
last  WEBM    : (192.0.2.7) Thu Jan 14 04:13:20 2027
PassChange    : (192.0.2.7) Fri Jan 15 07:59:53 2027
Inact Date    : (192.0.2.7) Fri Jan 15 07:59:54 2027
Activ Date    : (192.0.2.7) Fri Jan 15 07:59:55 2027
last  Deli    : Fri Jan 15 08:00:00 2027
"""
TO_TWO = "Forwarding    : &alice@example.com\nForwarding    : &bob@example.com\n"
ALICE = user("alice", passwd=f"{SHA512} (SHA-512)", gecos="Alice",
             quota="52428800 [50.00] MiB", holds="2048S,1C")  # fmt: skip
USERS = [
    ("alice@example.com", ALICE),
    ("-a alice@example.com", ALICE),
    ("alice%example.net", ALICE),
    ("bob@example.com", user("bob", quota="3221225472,1000 [3.00] GiB")),
    ("carol@example.com", user("carol", table="indibak")),
    ("gone@example.com", user("gone", home="F2K/example.com/gone (missing)")),
    ("team@example.com",
     user("team", gecos="MailGroup team", home="T2Zsym/example.com/team", forwards=TO_TWO)),
    ("full@example.com", FULL),
    ("sales@example.com", "Forwarding    : &alice@example.com\nForwarding    : /srv/sales/\n"),
    ("-n alice@example.com", "name          : alice@example.com\n"),
    ("-p bob@example.com", f"passwd        : {HASH} (MD5)\n"),
    ("-u full@example.com", "uid           : 7\n"),
    ("-g alice@example.com", "gid           : 0\n                -all services available\n"),
    ("-c -n alice@example.com", "name          : alice@example.com\ngecos         : Alice\n"),
    ("-d full@example.com", "dir           : /nowhere (missing)\n"),
    ("-q alice@example.com", "quota         : 52428800 [50.00] MiB\ncurr quota    : 2048S,1C\n"),
    ("-l carol@example.com", user("carol", table="indibak").partition("0C\n")[2]),
    ("-f team@example.com", TO_TWO),
    ("-f alice@example.com", ""),
]  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), DOMAINS, ids=[line for line, _ in DOMAINS])
def test_a_domain(stage: Stage, line: str, expected: str) -> None:
    owner = os.stat(stage.root)
    assert stage.run("vdominfo", *line.split()) == 0
    assert stage.said == expected.format(root=stage.root, uid=owner.st_uid)


@pytest.fixture
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("indimail.cli.vuserinfo.now", lambda: NOW)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_utc")
@pytest.mark.parametrize(("line", "expected"), USERS, ids=[line for line, _ in USERS])
def test_a_user(stage: Stage, line: str, expected: str) -> None:
    assert stage.run("vuserinfo", *line.split()) == 0
    assert stage.said == expected.format(root=stage.root)
