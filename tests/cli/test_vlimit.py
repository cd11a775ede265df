"""vlimit (spec/delivery.md 2, 9.2), and what its limits keep other commands from."""

import time
from collections.abc import Iterator

import pytest

from cli.accounts_commands import Ran, Terminal
from indimail.accounts.port import NO_DEFAULT, Limits
from indimail.accounts.sql import SqlAccounts, sqlite_url

pytestmark = pytest.mark.slow  # each runs commands: too much for `make fast`

HASH = "$1$salt$JSoV9KyWZPjFlhLkLRO.J1"


@pytest.fixture
def domain(terminal: Terminal) -> Terminal:
    assert terminal("vadddomain", "-e", "example.com", HASH).code == 0
    assert terminal("vadduser", "-e", "-q", "10M", "alice@example.com", HASH).code == 0
    assert terminal("vmoddomain", "-l", "1", "example.com").code == 0
    return terminal


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def limits(terminal: Terminal, name: str = "") -> Limits | None:
    accounts = SqlAccounts(sqlite_url(f"{terminal.root}/db/indimail.db"))
    found = accounts.limits(name, "example.com")
    accounts.close()
    return found


OPTIONS: list[tuple[str, dict[str, int]]] = [
    ("-P 50 -A 20 -F 10 -R 5 -L 2", {"maxpopaccounts": 50, "maxaliases": 20, "maxforwards": 10,
                                     "maxautoresponders": 5, "maxmailinglists": 2}),
    ("-Q 1G -M 1000 -q 50M -m 100", {"diskquota": 1 << 30, "maxmsgcount": 1000,
                                     "defaultquota": 50 << 20, "defaultmaxmsgcount": 100}),
    ("-q NOQUOTA", {"defaultquota": NO_DEFAULT}),  # in the original -1, which nothing can read
    ("-P -1", {"maxpopaccounts": -1}),
    ("-e 31122030235959 -t 01012031000000",
     {"domain_expiry": 1_924_991_999, "passwd_expiry": 1_924_992_000}),
    ("-e -1 -t -1", {}),
    ("-g uds", {"disable_dialup": 1, "disable_passwordchanging": 1, "disable_smtp": 1}),
    ("-g ipwr", {"disable_imap": 1, "disable_pop": 1, "disable_webmail": 1, "disable_relay": 1}),
    ("-g x", {}),
]  # fmt: skip


def test_limits_are_set_by_option(domain: Terminal) -> None:
    for options, columns in OPTIONS:
        assert domain("vlimit", *options.split(), "example.com") == Ran(0, "", "")
        expected = Limits("", "example.com", **columns)  # type: ignore[arg-type]
        assert limits(domain) == expected, options
        domain("vlimit", "-D", "example.com")


def test_what_was_set_is_said_where_asked(domain: Terminal) -> None:
    ran = domain("vlimit", "-v", "-P", "50", "example.com")
    assert (ran.code, ran.out) == (0, "set limits of example.com\n")
    assert domain("vlimit", "-v", "--dry-run", "-P", "51", "example.com").out != ran.out


def test_days_from_now(domain: Terminal) -> None:
    begun = int(time.time())
    assert domain("vlimit", "-n", "10", "-N", "-10", "example.com").code == 0
    found = limits(domain)
    assert found is not None
    assert 0 <= found.domain_expiry - begun - 864_000 < 60
    assert 0 <= found.passwd_expiry - begun + 864_000 < 60


def test_a_flag_list_is_whole_and_with_t_opens_some(domain: Terminal) -> None:
    domain("vlimit", "-P", "9", "-g", "pi", "example.com")
    domain("vlimit", "-g", "is", "example.com")
    row = {"maxpopaccounts": 9, "disable_imap": 1, "disable_smtp": 1}
    assert limits(domain) == Limits("", "example.com", **row)  # type: ignore[arg-type]
    domain("vlimit", "-T", "-g", "i", "example.com")
    del row["disable_imap"]
    assert limits(domain) == Limits("", "example.com", **row)  # type: ignore[arg-type]


def test_what_a_web_administrator_may_not_is_of_a_user(domain: Terminal) -> None:
    name = "postmaster@example.com"
    assert domain("vlimit", "-p", "cd", "-l", "a", "-u", "m", "-o", "c", name).code == 0
    assert limits(domain, "postmaster") == Limits(
        "postmaster", "example.com", perm_account=5, perm_maillist=0o127
    )
    assert domain("vlimit", "-l", "0", "-x", "c", "-z", "d", name).code == 0
    assert domain("vlimit", "-s", name).out.splitlines()[-5:] == [
        "web admin may not     : create, delete accounts",
        "web admin may not     : modify users of mailing lists",
        "web admin may not     : create moderators of mailing lists",
        "web admin may not     : create the domain's quota",
        "web admin may not     : delete the default quota",
    ]


def test_all_is_shown_and_removed(domain: Terminal) -> None:
    options = "-e 31122030235959 -Q 1G -q 50M -m 100 -P 50 -F 10 -g pu"
    domain("vlimit", *options.split(), "example.com")
    shown = """\
limits of             : example.com
domain expires        : Tue Dec 31 23:59:59 2030
passwords expire      : never
domain quota          : 1073741824 [1024.00] MiB
domain messages       : unlimited
default quota         : 52428800 [50.00] MiB
default messages      : 100
most accounts         : 50
most aliases          : unlimited
most forwards         : 10
most automatic replies: unlimited
most mailing lists    : unlimited
closed                : dial-up, POP3
"""
    assert domain("vlimit", "-s", "example.com") == Ran(0, shown, "")
    domain("vaddaliasdomain", "example.net", "example.com")
    assert domain("vlimit", "-s", "example.net") == Ran(0, shown, "")
    assert domain("vlimit", "--dry-run", "-D", "example.com") == Ran(
        0, "row vlimits example.com: remove\nserver: forget @example.com\n", ""
    )
    assert domain("vlimit", "-D", "example.com") == Ran(0, "Limits deleted\n", "")
    for option in ("-s", "-D"):
        assert domain("vlimit", option, "example.com") == Ran(
            1, "", "vlimit: No records found for example.com\n"
        )


REFUSED = [
    ("-P 1 example.org", 100, "example.org: No such domain"),
    ("-s Example.com", 100, "warning: domain [Example.com] has an uppercase character"),
    ("-P 1 nobody@example.com", 1, "nobody@example.com: No such user"),
    ("-P 1 " + "n" * 40 + "@example.com", 1, "n" * 40 + "@example.com: No such user"),
    ("-e 1 example.com", 1, "Invalid domain expiry date [1]"),
    ("-e 31022030000000 example.com", 1, "Invalid domain expiry date [31022030000000]"),
    ("-t 2030-12-31 example.com", 1, "Invalid password expiry date [2030-12-31]"),
    ("-e -1 -n 5 example.com", 1, "-e and -n: expected one of them"),
    ("-t -1 -N 5 example.com", 1, "-t and -N: expected one of them"),
    ("-p c example.com", 1, "-p: is of a user, expected vlimit ... user@domain"),
    ("-p y postmaster@example.com", 1, "-p y: expected letters of 0acmd"),
    ("-g y example.com", 1, "-g y: expected letters of udsipwrx"),
    ("-T example.com", 1, "-T: expected -g with what opens again"),
    ("-q much example.com", 1, "invalid quota [much]: expected 50M or NOQUOTA"),
    ("-q 5M,5 example.com", 1, "invalid quota [5M,5]: expected 50M or NOQUOTA"),
    ("-P -2 example.com", 1, "-P -2: expected -1 to 2147483647"),
    ("-M -1 example.com", 1, "-M -1: expected 0 to 2147483647"),
]  # fmt: skip


def test_what_is_refused(domain: Terminal) -> None:
    for line, code, said in REFUSED:
        assert domain("vlimit", *line.split()) == Ran(code, "", f"vlimit: {said}\n")
        assert limits(domain) is None


def test_what_makes_no_sense_is_answered_with_the_use(domain: Terminal) -> None:
    for line in ("", "example.com", "-s -D example.com", "-D -P 1 example.com"):
        ran = domain("vlimit", *line.split())
        assert (ran.code, ran.out, ran.err.split()[:2]) == (1, "", ["usage:", "vlimit"])


def test_limits_that_are_off_are_told_so(domain: Terminal) -> None:
    domain("vmoddomain", "-l", "0", "example.com")
    told = "limits of example.com are off; `vmoddomain -l 1 example.com` turns them on"
    assert domain("vlimit", "-P", "1", "example.com") == Ran(0, "", f"vlimit: warning: {told}\n")
    assert domain("vadduser", "-e", "bob@example.com", HASH).code == 0


def test_a_domain_has_no_more_accounts_than_it_may(domain: Terminal) -> None:
    domain("vlimit", "-P", "2", "example.com")
    assert domain("vadduser", "-e", "bob@example.com", HASH).code == 0
    told = "example.com: has 2 accounts, its limit (vlimit -P) is 2"
    assert domain("vadduser", "carol@example.com") == Ran(100, "", f"vadduser: {told}\n")
    assert domain("vgroup", "-a", "-e", "team@example.com", HASH) == Ran(
        100, "", f"vgroup: {told}\n"
    )
    assert domain("vadduser", "-e", "spam@example.com", HASH).code == 0  # a reserved name
    domain("vmoduser", "-o", "bob@example.com")
    assert domain("vadduser", "-e", "carol@example.com", HASH).code == 0


def test_a_new_user_has_the_quota_that_limits_say(domain: Terminal) -> None:
    domain("vlimit", "-q", "20M", "-m", "100", "example.com")
    domain("vadduser", "-e", "bob@example.com", HASH)
    domain("vadduser", "-e", "-q", "1M", "carol@example.com", HASH)
    domain("vlimit", "-q", "NOQUOTA", "-m", "0", "example.com")
    domain("vadduser", "-e", "dora@example.com", HASH)
    domain("vmoddomain", "-l", "0", "example.com")
    domain("vadduser", "-e", "emil@example.com", HASH)
    known = SqlAccounts(sqlite_url(f"{domain.root}/db/indimail.db"))
    assert [f"{account.name} {account.quota}" for account in known.users("example.com")] == [
        "alice 10485760", "bob 20971520,100", "carol 1048576", "dora NOQUOTA", "emil NOQUOTA",
        "postmaster NOQUOTA",
    ]  # fmt: skip


def test_aliases_forwards_replies_and_quotas_are_within_limits(domain: Terminal) -> None:
    away = f"{domain.root}/away"
    with open(away, "w") as file:
        file.write("I am away.\n")
    domain("vlimit", "-A", "1", "-F", "1", "-R", "0", "-Q", "50M", "example.com")
    for line, code, said in (
        ("valias -i &alice@example.com sales@example.com", 0, ""),
        ("valias -i &alice@example.com help@example.com", 100,
         "example.com: has 1 aliases, its limit (vlimit -A) is 1"),
        ("valias -i &x@example.net away@example.com", 0, ""),
        ("valias -u &alice@example.com -i &x@example.net sales@example.com", 100,
         "example.com: has 1 forwards, its limit (vlimit -F) is 1"),
        ("valias -d &x@example.net away@example.com", 0, ""),
        ("valias -u &alice@example.com -i &x@example.net sales@example.com", 0, ""),
        (f"vmoduser -l {away} alice@example.com", 100,
         "example.com: has 0 automatic replies, its limit (vlimit -R) is 0"),
        ("vmoduser -q +50M alice@example.com", 100,
         "example.com: its users may hold 52428800 octets (vlimit -Q), and the others have 0: "
         "62914560 is too much"),
        ("vsetuserquota alice@example.com NOQUOTA", 100,
         "example.com: its users may hold 52428800 octets (vlimit -Q): "
         "alice@example.com needs a quota of octets"),
        ("vmoduser -q 50M alice@example.com", 0, ""),
        ("vmoduser -o -q NOQUOTA alice@example.com", 0, ""),  # free of it from now on
    ):  # fmt: skip
        program = line.partition(" ")[0]
        ran = domain(*line.split(" "))
        assert (ran.code, ran.err) == (code, said and f"{program}: {said}\n"), line
