"""One suite for the port `Accounts`, run on every adapter and every database."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from databases import SERVERS, database
from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.port import (
    LIMITS,
    NO_DEFAULT,
    Account,
    Accounts,
    AliasLine,
    Arrival,
    FileSystem,
    Flag,
    LastEvent,
    Limits,
    RelayLogin,
)
from indimail.accounts.scram import Form, form_of
from indimail.accounts.sql import SqlAccounts, sqlite_url
from indimail.mail.secret import Secret

ALICE = Account(
    name="alice",
    domain="example.com",
    password=Secret("$5$salt$hash"),
    flags=Flag.NO_POP | Flag.V_OVERRIDE,
    gecos="Alice",
    directory="/mail/A2E/example.com/alice",
    quota="50000000S,1000C",
    scram=Secret("{CRAM}secret"),
)
ADDED = LastEvent("add", 1_795_000_000, "")


@pytest.fixture(params=["memory", "sqlite", *SERVERS])
def accounts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Accounts]:
    match request.param:
        case "memory":
            yield MemoryAccounts()
        case "sqlite":
            yield from opened(sqlite_url(str(tmp_path / "indimail.db")))
        case server:
            with database(server) as url:
                yield from opened(url)


def opened(url: str) -> Iterator[Accounts]:
    accounts = SqlAccounts(url)
    yield accounts
    accounts.close()


def test_an_absent_user_is_none(accounts: Accounts) -> None:
    assert accounts.find("alice", "example.com") is None
    assert accounts.aliases("alice", "example.com") == []
    assert accounts.users("example.com") == []
    assert accounts.events("alice", "example.com") == []


def test_a_row_may_have_any_character_and_no_broken_text(accounts: Accounts) -> None:
    assert accounts.can_hold("Zo\u00eb \u8c37\u6b4c \U0001f600")
    assert not accounts.can_hold("\udcff")
    assert not accounts.can_hold("\0")


@pytest.mark.parametrize("active", [True, False])
def test_a_user_comes_back_as_added(accounts: Accounts, active: bool) -> None:
    account = replace(ALICE, active=active)
    assert accounts.add(account)
    assert accounts.find("alice", "example.com") == account
    assert accounts.find("alice", "example.org") is None


@pytest.mark.parametrize("name", ["alice", "\u8c37\u6b4c"])
@pytest.mark.parametrize("active", [True, False])
def test_what_is_known_of_a_name_is_its_account_and_its_lines(
    accounts: Accounts, active: bool, name: str
) -> None:
    assert accounts.known(name, "example.com") == (None, ())
    accounts.add_alias(name, "example.com", "/home/b/")
    accounts.add_alias(name, "example.com", "&a@example.com")
    accounts.add_alias("bob", "example.com", "&c@example.com")
    assert accounts.known(name, "example.com") == (None, ("&a@example.com", "/home/b/"))
    account = replace(ALICE, name=name, active=active)
    accounts.add(account)
    assert accounts.known(name, "example.com") == (account, ("&a@example.com", "/home/b/"))
    assert accounts.known(name, "example.org") == (None, ())


def test_many_are_known_as_each_is(accounts: Accounts) -> None:
    foreign, broken = "\u8c37\u6b4c", "\udcff"
    accounts.add(ALICE)
    accounts.add(replace(ALICE, name="bob", active=False))
    accounts.add(replace(ALICE, domain="example.org"))
    accounts.add(replace(ALICE, name=foreign))
    for name in ("alice", "list"):
        for line in ("&b@example.com", "&a@example.com"):
            accounts.add_alias(name, "example.com", line)
    wanted = [
        (name, domain)
        for name in ("alice", "bob", "list", "nobody", foreign, broken)
        for domain in ("example.com", "example.org")
    ]
    found = accounts.known_all(wanted)
    assert found == {(name, domain): accounts.known(name, domain) for name, domain in wanted}
    assert accounts.known_all([]) == {}


@pytest.mark.parametrize("active", [True, False])
def test_a_taken_name_stays_as_it_is(accounts: Accounts, active: bool) -> None:
    accounts.add(ALICE)
    assert not accounts.add(replace(ALICE, gecos="another", active=active))
    assert accounts.users("example.com") == [ALICE]


def test_users_are_listed_by_name_with_the_inactive_ones(accounts: Accounts) -> None:
    carol, bob = replace(ALICE, name="carol"), replace(ALICE, name="bob", active=False)
    for account in (carol, ALICE, bob, replace(ALICE, domain="example.org")):
        accounts.add(account)
    assert accounts.users("example.com") == [ALICE, bob, carol]


def test_many_users_are_added_at_once_and_none_in_the_place_of_another(accounts: Accounts) -> None:
    there = replace(ALICE, gecos="was there", active=False)
    accounts.add(there)
    accounts.record_event(there, LastEvent("add", 1, ""))
    many = [replace(ALICE, name=f"u{number:03}", active=number % 2 == 0) for number in range(300)]
    elsewhere = replace(ALICE, domain="example.org")
    for _ in range(2):  # done again, it changes nothing
        accounts.add_users([*many, ALICE, elsewhere], ADDED.time)
        assert accounts.users("example.com") == [there, *many]
    assert accounts.users("example.org") == [elsewhere]
    for name in ("alice", "u000", "u299"):
        assert accounts.events(name, "example.com") == [ADDED]
    accounts.add_users([], ADDED.time)


@pytest.mark.parametrize(("beginning", "found"), [
    ("", ["al%ce@example.com", "alice@example.com", "alice@example.org"]),
    ("al", ["al%ce@example.com", "alice@example.com", "alice@example.org"]),
    ("al%", ["al%ce@example.com"]),
    ("Al", []),
    ("alice@", ["alice@example.com", "alice@example.org", "alice@other.example"]),
    ("alice@example.o", ["alice@example.org"]),
    ("ali@", []),
])  # fmt: skip
def test_addresses_are_found_by_how_they_begin(
    accounts: Accounts, beginning: str, found: list[str]
) -> None:
    accounts.add(replace(ALICE, name="al%ce"))
    accounts.add(ALICE)
    accounts.add(replace(ALICE, domain="example.org", active=False))
    accounts.add(replace(ALICE, domain="other.example"))
    assert accounts.addresses(beginning, 3) == found


def test_domains_are_those_of_which_there_is_anything(accounts: Accounts) -> None:
    accounts.add(ALICE)
    accounts.add(replace(ALICE, name="bob", domain="inactive.example", active=False))
    accounts.add_alias("sales", "alias.example", "&alice@example.com")
    accounts.add_alias("sales", "example.com", "&alice@example.com")
    accounts.add_alias_domain("other.example", "real.example")
    assert accounts.domains() == [
        "alias.example", "example.com", "inactive.example", "real.example",
    ]  # fmt: skip
    accounts.remove_alias("sales", "alias.example", "&alice@example.com")
    assert "alias.example" not in accounts.domains()


@pytest.mark.parametrize("active", [True, False])
def test_a_change_replaces_every_field(accounts: Accounts, active: bool) -> None:
    changed = replace(
        ALICE,
        password=Secret("other"),
        flags=Flag.BOUNCE_MAIL,
        gecos="",
        quota="NOQUOTA",
        active=not active,
        scram=Secret(""),
    )
    assert accounts.modify("alice", "example.com", lambda _: changed) is None
    before, bob = replace(ALICE, active=active), replace(ALICE, name="bob")
    accounts.add(before)
    accounts.add(bob)
    seen = []
    assert (
        accounts.modify("alice", "example.com", lambda row: seen.append(row) or changed) == changed
    )
    assert seen == [before]
    assert accounts.users("example.com") == [changed, bob]


def test_a_change_that_fails_changes_nothing(accounts: Accounts) -> None:
    accounts.add(ALICE)

    def fail(_: Account) -> Account:
        raise LookupError

    with pytest.raises(LookupError):
        accounts.modify("alice", "example.com", fail)
    assert accounts.users("example.com") == [ALICE]


@pytest.mark.parametrize("active", [True, False])
def test_a_password_is_replaced_with_its_scram(accounts: Accounts, active: bool) -> None:
    bob = replace(ALICE, name="bob")
    accounts.add(bob)
    assert not accounts.set_password("alice", "example.com", Secret("new"), Secret(""))
    accounts.add(replace(ALICE, active=active))
    assert accounts.set_password("alice", "example.com", Secret("new"), Secret(""))
    found = accounts.find("alice", "example.com")
    assert found == replace(ALICE, active=active, password=Secret("new"), scram=Secret(""))
    assert accounts.find("bob", "example.com") == bob


@pytest.mark.parametrize("active", [True, False])
def test_a_password_is_replaced_only_where_it_still_is_the_one_that_was_read(
    accounts: Accounts, active: bool
) -> None:
    old, new, keys = ALICE.password, Secret("new"), Secret("{CRAM}new")
    alice = replace(ALICE, active=active)
    assert not accounts.set_password("alice", "example.com", new, keys, old=old)
    accounts.add(alice)
    assert not accounts.set_password("alice", "example.com", new, keys, old=Secret("older"))
    assert accounts.find("alice", "example.com") == alice
    assert accounts.set_password("alice", "example.com", new, keys, old=old)
    assert accounts.find("alice", "example.com") == replace(alice, password=new, scram=keys)
    assert not accounts.set_password("alice", "example.com", old, Secret(""), old=old)
    assert accounts.find("alice", "example.com") == replace(alice, password=new, scram=keys)


def test_alias_lines_come_sorted_and_once(accounts: Accounts) -> None:
    assert accounts.add_alias("abuse", "example.com", "&postmaster@example.com")
    assert accounts.add_alias("abuse", "example.com", "&alice@example.com")
    assert not accounts.add_alias("abuse", "example.com", "&alice@example.com")
    assert accounts.aliases("abuse", "example.com") == [
        "&alice@example.com",
        "&postmaster@example.com",
    ]
    assert accounts.aliases("abuse", "example.org") == []


def test_an_alias_line_is_removed(accounts: Accounts) -> None:
    for line in ("&a@example.org", "&b@example.org"):
        accounts.add_alias("list", "example.com", line)
    accounts.add_alias("other", "example.com", "&a@example.org")
    assert not accounts.remove_alias("list", "example.com", "&c@example.org")
    assert accounts.remove_alias("list", "example.com", "&a@example.org")
    assert accounts.aliases("list", "example.com") == ["&b@example.org"]
    assert accounts.remove_alias("list", "example.com", "&b@example.org")
    assert not accounts.remove_alias("list", "example.com", "&b@example.org")
    assert accounts.aliases("other", "example.com") == ["&a@example.org"]


def test_alias_lines_of_a_domain_and_those_that_lead_to_an_address(accounts: Accounts) -> None:
    lines = [
        AliasLine("list", "example.com", "&bob@example.com"),
        AliasLine("list", "example.com", "/srv/bob@example.com/"),
        AliasLine("abuse", "example.com", "bob@example.com"),
        AliasLine("bob", "example.org", "&bob@example.com"),
        AliasLine("bob", "example.org", "&bob@example.com.au"),
    ]
    for alias in lines:
        accounts.add_alias(alias.name, alias.domain, alias.line)
    assert accounts.domain_aliases("example.com") == [lines[2], lines[0], lines[1]]
    assert accounts.domain_aliases("example.net") == []
    assert accounts.aliases_to("bob@example.com") == [lines[2], lines[3], lines[0]]


def test_an_alias_domain_stands_for_its_real_one(accounts: Accounts) -> None:
    assert accounts.add_alias_domain("example.net", "example.com")
    assert not accounts.add_alias_domain("example.net", "example.org")
    assert accounts.real_domain("example.net") == "example.com"
    assert accounts.real_domain("example.com") == "example.com"


def test_homes_are_counted_for_each_file_system_group_and_domain(accounts: Accounts) -> None:
    assert accounts.homes("/home", "A2E", "example.com") == (0, "")
    accounts.set_homes("/home", "A2E", "example.com", 100, "0")
    accounts.set_homes("/home", "A2E", "example.org", 2, "")
    accounts.set_homes("/home", "A2E", "example.com", 101, "0/A")
    assert accounts.homes("/home", "A2E", "example.com") == (101, "0/A")
    assert accounts.homes("/home", "A2E", "example.org") == (2, "")
    assert accounts.homes("/home", "F2K", "example.com") == (0, "")
    assert accounts.homes("/", "A2E", "example.com") == (0, "")


def test_whose_homes_a_directory_is_or_holds_or_lies_in(accounts: Accounts) -> None:
    for name, directory, active in (
        ("a", "/m/x_y/a", True), ("b", "/m/x_y/b", False), ("c", "/m/xzy/a", True), ("d", "", True),
    ):  # fmt: skip
        home = replace(ALICE, name=name, directory=directory, active=active)
        accounts.add(replace(home, domain="example.org" if name == "b" else "example.com"))
    for path, names in (
        ("/m/x_y/a", "a"), ("/m/x_y/a/Maildir", "a"), ("/m/x_y", "ab"), ("/m", "abc"),
        ("/m/x_", ""), ("/m/x_y/ab", ""),
    ):  # fmt: skip
        assert "".join(sorted(a.name for a in accounts.housed(path))) == names, path


def filled(accounts: Accounts) -> None:
    """Give two domains an alice, a locked bob and lines that lead here and there."""
    for domain in ("example.com", "example.org"):
        home = f"/mail/A2E/{domain}/alice"
        alice = replace(ALICE, domain=domain, directory=home)
        accounts.add(alice)
        accounts.add(replace(alice, name="bob", directory=f"/mail/A2E/{domain}/bob", active=False))
        accounts.record_event(alice, ADDED)
        accounts.set_userquota("alice", domain, 777)
        accounts.set_homes("/home", "A2E", domain, 2, "")
        for line in (f"&alice@{domain}", f"bob@{domain}", f"{home}/Maildir/", "&carol@example.net"):
            accounts.add_alias("friends", domain, line)
        accounts.add_alias("alice", domain, "&carol@example.net")
        for name in ("", "alice"):
            accounts.set_limits(name, domain, {"maxaliases": 7})
        accounts.add_bulletins([f"alice@{domain}", f"bob@{domain}"], "news")
    accounts.add_alias("here", "example.org", "&alice@example.com")
    accounts.add_alias("here", "example.org", "&alice@example.com.au")
    accounts.add_alias_domain("example.net", "example.com")
    accounts.map_address("192.0.2.1", "example.com")
    accounts.map_address("192.0.2.2", "example.org")


def told(accounts: Accounts, domain: str) -> list[str]:
    """Return all that is known of a domain."""
    names = {alias.name for alias in accounts.domain_aliases(domain)} | {"alice", "bob", "zoe"}
    return [
        *(f"{a.address} {a.directory} {a.active}" for a in accounts.users(domain)),
        *(f"{alias.name} {alias.line}" for alias in accounts.domain_aliases(domain)),
        *(
            f"{name} {accounts.userquota(name, domain)} {len(accounts.events(name, domain))}"
            f"{' '.join(['', *accounts.bulletins(name, domain)])}"
            for name in sorted(names)
        ),
        f"{accounts.homes('/home', 'A2E', domain)}",
        *(
            f"limits {found.subject}"
            for name in ("", "alice", "zoe")
            if (found := accounts.limits(name, domain)) is not None
        ),
        *accounts.alias_domains(domain),
        *(address for address, mapped in accounts.address_domains() if mapped == domain),
    ]


def test_a_user_goes_with_all_rows_and_what_forwards_to_it(accounts: Accounts) -> None:
    filled(accounts)
    assert accounts.remove_user("alice", "example.com")
    assert not accounts.remove_user("alice", "example.com")
    assert accounts.remove_user("bob", "example.com")
    assert told(accounts, "example.com") == [
        "friends &carol@example.net",
        "friends /mail/A2E/example.com/alice/Maildir/",
        "alice 0 0", "bob 0 0", "friends 0 0", "zoe 0 0",
        "(2, '')", "limits example.com", "example.net", "192.0.2.1",
    ]  # fmt: skip
    assert accounts.aliases("here", "example.org") == ["&alice@example.com.au"]
    assert len(accounts.users("example.org")) == 2


@pytest.mark.parametrize("active", [True, False])
def test_a_user_gets_another_name_and_home_in_all_rows(accounts: Accounts, active: bool) -> None:
    filled(accounts)
    before = accounts.modify("alice", "example.com", lambda row: replace(row, active=active))
    assert before is not None
    accounts.set_limits("zoe", "example.com", {"maxaliases": 1})
    accounts.set_userquota("zoe", "example.com", 5)  # both left by somebody of that name
    accounts.add_alias("zoe", "example.com", "&dora@example.net")  # an alias without a mailbox
    other = told(accounts, "example.org")
    for _ in range(2):  # done again, it changes nothing
        accounts.move_user("alice", "example.com", "zoe", "/new/zoe")
        assert accounts.find("zoe", "example.com") == replace(
            before, name="zoe", directory="/new/zoe"
        )
        assert told(accounts, "example.com") == [
            "bob@example.com /mail/A2E/example.com/bob False",
            f"zoe@example.com /new/zoe {active}",
            "friends &carol@example.net", "friends &zoe@example.com", "friends /new/zoe/Maildir/",
            "friends bob@example.com", "zoe &carol@example.net",
            "zoe &dora@example.net",
            "alice 0 0", "bob 0 0 news", "friends 0 0", "zoe 777 1 news",
            "(2, '')", "limits example.com", "limits zoe@example.com", "example.net", "192.0.2.1",
        ]  # fmt: skip
    assert accounts.aliases("here", "example.org") == [
        "&alice@example.com.au", "&zoe@example.com"
    ]  # fmt: skip
    assert accounts.events("zoe", "example.com") == [ADDED]
    others = [line.replace("&zoe@", "&alice@") for line in told(accounts, "example.org")]
    assert sorted(others) == sorted(other)
    assert not accounts.move_user("nobody", "example.com", "zoe", "/new/zoe")


def test_a_home_moves_and_the_name_stays(accounts: Accounts) -> None:
    filled(accounts)
    assert accounts.move_user("alice", "example.com", "alice", "/new")
    found = accounts.find("alice", "example.com")
    assert found == replace(ALICE, directory="/new")
    assert lock(accounts) == (OTHERS, 777)
    assert "/new/Maildir/" in accounts.aliases("friends", "example.com")


def test_a_domain_goes_with_all_rows_and_what_forwards_to_it(accounts: Accounts) -> None:
    filled(accounts)
    before = told(accounts, "example.org")
    accounts.remove_domain("example.com")
    assert told(accounts, "example.com") == [
        "alice 0 0", "bob 0 0", "zoe 0 0", "(0, '')"
    ]  # fmt: skip
    assert accounts.real_domain("example.net") == "example.net"
    before.remove("here &alice@example.com")
    assert told(accounts, "example.org") == before


def test_a_domain_gets_another_name_in_all_rows(accounts: Accounts) -> None:
    filled(accounts)
    before, other = told(accounts, "example.com"), accounts.users("example.org")
    accounts.set_limits("", "new.example", {"maxaliases": 1})  # left by a domain of that name
    folders = [("/mail/A2E/example.com", "/mail/A2E/new.example")]
    for _ in range(2):  # done again, it changes nothing
        accounts.rename_domain("example.com", "new.example", folders)
        renamed = [line.replace("example.com", "new.example") for line in before]
        assert told(accounts, "new.example") == renamed
    assert accounts.real_domain("example.net") == "new.example"
    assert accounts.events("alice", "new.example") == [ADDED]
    assert accounts.aliases("here", "example.org") == [
        "&alice@example.com.au", "&alice@new.example"
    ]  # fmt: skip
    assert accounts.limits("", "new.example") == Limits("", "new.example", maxaliases=7)
    assert accounts.users("example.com") == []
    assert accounts.users("example.org") == other


def test_bulletins_wait_for_their_users(accounts: Accounts) -> None:
    assert accounts.bulletins("alice", "example.com") == []
    accounts.add_bulletins(["alice@example.com", "bob@example.com"], "news")
    accounts.add_bulletins(["alice@example.com"], "hint")
    accounts.add_bulletins(["alice@example.com", "carol@example.com"], "news")
    accounts.add_bulletins([], "none")
    assert accounts.bulletins("alice", "example.com") == ["hint", "news"]
    assert accounts.bulletins("Alice", "example.com") == []
    assert accounts.remove_bulletin("alice", "example.com", "news")
    assert not accounts.remove_bulletin("alice", "example.com", "news")
    assert accounts.bulletins("alice", "example.com") == ["hint"]
    assert accounts.bulletins("bob", "example.com") == ["news"]
    assert accounts.bulletins("carol", "example.com") == ["news"]


def test_file_systems_come_change_and_go(accounts: Accounts) -> None:
    first = FileSystem("/mail/a", most_users=1000, most_octets=1 << 40)
    second = FileSystem("/mail/b", is_online=False, users=7, octets=1 << 41)
    assert accounts.filesystems() == []
    for filesystem in (second, replace(first, is_online=False, users=9), first):
        accounts.put_filesystem(filesystem)
    assert accounts.filesystems() == [first, second]
    assert not accounts.remove_filesystem("/mail/A")
    assert accounts.remove_filesystem("/mail/a")
    assert not accounts.remove_filesystem("/mail/a")
    assert accounts.filesystems() == [second]


def test_limits_are_of_a_domain_or_of_a_user(accounts: Accounts) -> None:
    assert accounts.limits("", "example.com") is None
    assert not accounts.remove_limits("", "example.com")
    accounts.set_limits("", "example.com", {"maxpopaccounts": 10, "disable_pop": 1})
    accounts.set_limits("alice", "example.com", {"domain_expiry": 4_000_000_000})
    accounts.set_limits("", "example.com", {"maxpopaccounts": 20, "defaultquota": NO_DEFAULT})
    assert accounts.limits("", "example.com") == Limits(
        "", "example.com", maxpopaccounts=20, disable_pop=1, defaultquota=NO_DEFAULT
    )
    assert accounts.limits("alice", "example.com") == Limits(
        "alice", "example.com", domain_expiry=4_000_000_000
    )
    assert accounts.remove_limits("alice", "example.com")
    assert accounts.limits("alice", "example.com") is None
    assert accounts.limits("", "example.com") is not None
    assert accounts.limits("", "Example.com") is None


def test_every_limit_comes_back(accounts: Accounts) -> None:
    values = {column: number for number, column in enumerate(LIMITS, 100)}
    values["perm_maillist"] = 0o777
    accounts.set_limits("", "example.com", values)
    found = accounts.limits("", "example.com")
    assert found is not None
    assert {column: getattr(found, column) for column in LIMITS} == values


def test_an_address_has_one_default_domain(accounts: Accounts) -> None:
    accounts.map_address("192.0.2.1", "example.com")
    accounts.map_address("2001:db8::1", "example.com")
    accounts.map_address("192.0.2.1", "example.org")
    assert accounts.address_domains() == [
        ("192.0.2.1", "example.org"), ("2001:db8::1", "example.com")
    ]  # fmt: skip
    accounts.map_address("192.0.2.1", "")
    assert accounts.address_domains() == [("2001:db8::1", "example.com")]


def test_an_alias_domain_ends(accounts: Accounts) -> None:
    accounts.add_alias_domain("example.net", "example.com")
    assert accounts.alias_domains("example.com") == ["example.net"]
    assert accounts.remove_alias_domain("example.net")
    assert not accounts.remove_alias_domain("example.net")
    assert accounts.real_domain("example.net") == "example.net"


def test_the_last_event_of_each_service_is_kept(accounts: Accounts) -> None:
    accounts.add(ALICE)
    for event in (
        LastEvent("pass", 1_795_000_000, "192.0.2.1"),
        LastEvent("add", 1_795_000_001, ""),
        LastEvent("pass", 1_795_000_002, "2001:db8::1"),
    ):
        accounts.record_event(ALICE, event)
    assert accounts.events("alice", "example.com") == [
        LastEvent("add", 1_795_000_001, ""),
        LastEvent("pass", 1_795_000_002, "2001:db8::1"),
    ]


def test_nothing_in_a_name_becomes_sql(accounts: Accounts) -> None:
    name = "x' or '1'='1"
    assert accounts.find(name, "example.com") is None
    accounts.add(replace(ALICE, name=name))
    accounts.add(ALICE)
    assert accounts.find(name, "example.com") == replace(ALICE, name=name)


@pytest.mark.parametrize(
    "name", ["Alice", "\u00e1lice", "alice ", "al\0ice", "al\udce9ice", "x" * 300]
)
def test_a_name_is_compared_octet_by_octet(accounts: Accounts, name: str) -> None:
    accounts.add(ALICE)
    accounts.add_alias("alice", "example.com", "&bob@example.org")
    accounts.add_alias_domain("alice", "example.com")
    assert accounts.find(name, "example.com") is None
    assert accounts.aliases(name, "example.com") == []
    assert accounts.real_domain(name) == name
    assert accounts.aliases_to(f"{name}@example.org") == []


def test_text_of_every_script_comes_back(accounts: Accounts) -> None:
    account = replace(ALICE, name="\u8c37\u6b4c", gecos="\u0416\u00fc\U0001f600")
    assert accounts.add(account)
    assert accounts.find(account.name, "example.com") == account


OTHERS = Flag.NO_POP | Flag.V_OVERRIDE  # what ALICE has beside a lock
LOCKED = OTHERS | Flag.BOUNCE_MAIL


def lock(accounts: Accounts) -> tuple[Flag, int]:
    """Return alice's flags, and her row in userquota."""
    found = accounts.find("alice", "example.com")
    assert found is not None
    return found.flags, accounts.userquota("alice", "example.com")


@pytest.mark.parametrize("active", [True, False])
def test_the_quotas_lock_comes_and_goes_with_its_row_and_no_other_flag(
    accounts: Accounts, active: bool
) -> None:
    accounts.add(replace(ALICE, active=active))
    accounts.add(replace(ALICE, name="bob"))
    assert lock(accounts) == (OTHERS, 0)
    assert accounts.lock_for_quota("alice", "example.com", 1 << 40)
    assert lock(accounts) == (LOCKED, 1 << 40)
    assert accounts.lift_quota_lock("alice", "example.com")
    assert lock(accounts) == (OTHERS, 0)
    assert not accounts.lift_quota_lock("alice", "example.com")
    assert accounts.lock_for_quota("alice", "example.com", 5)
    assert not accounts.lock_for_quota("alice", "example.com", 6)
    assert lock(accounts) == (LOCKED, 5)
    assert accounts.find("bob", "example.com") == replace(ALICE, name="bob")
    assert accounts.userquota("bob", "example.com") == 0


def test_the_administrators_lock_is_neither_taken_over_nor_lifted(accounts: Accounts) -> None:
    accounts.add(replace(ALICE, flags=LOCKED))
    assert not accounts.lock_for_quota("alice", "example.com", 5)
    assert not accounts.lift_quota_lock("alice", "example.com")
    assert lock(accounts) == (LOCKED, 0)


def test_a_lock_that_the_administrator_sets_is_his_whatever_row_was_left(
    accounts: Accounts,
) -> None:
    accounts.add(ALICE)
    accounts.set_userquota("alice", "example.com", 777)  # as IndiMail may have left it
    accounts.modify("alice", "example.com", lambda found: replace(found, gecos="Alice B."))
    assert lock(accounts) == (OTHERS, 777)
    accounts.modify("alice", "example.com", lambda found: replace(found, flags=LOCKED))
    assert lock(accounts) == (LOCKED, 0)
    assert not accounts.lift_quota_lock("alice", "example.com")


def test_the_quotas_lock_stays_that_when_another_field_changes(accounts: Accounts) -> None:
    accounts.add(ALICE)
    accounts.lock_for_quota("alice", "example.com", 777)
    accounts.modify("alice", "example.com", lambda found: replace(found, quota="NOQUOTA"))
    assert lock(accounts) == (LOCKED, 777)
    accounts.set_userquota("alice", "example.com", 0)  # the administrator makes it his
    assert not accounts.lift_quota_lock("alice", "example.com")
    assert lock(accounts) == (LOCKED, 0)


def test_the_reason_of_a_quotas_lock_goes_with_it_when_the_administrator_takes_it_away(
    accounts: Accounts,
) -> None:
    accounts.add(ALICE)
    accounts.lock_for_quota("alice", "example.com", 777)
    accounts.modify("alice", "example.com", lambda found: replace(found, flags=OTHERS))
    assert lock(accounts) == (OTHERS, 0)


def test_nobody_is_not_locked(accounts: Accounts) -> None:
    assert not accounts.lock_for_quota("alice", "example.com", 5)
    assert not accounts.lift_quota_lock("alice", "example.com")
    assert accounts.userquota("alice", "example.com") == 0


def test_arrivals_come_with_what_was_known_of_them_and_leave_who_is_there(
    accounts: Accounts,
) -> None:
    accounts.add(ALICE)
    accounts.record_event(ALICE, LastEvent("pop3", 9, ""))
    bob = replace(ALICE, name="bob", active=False, flags=Flag.BOUNCE_MAIL)
    events = (LastEvent("add", 3, ""), LastEvent("imap", 5, "192.0.2.1"))
    line = AliasLine("sales", "example.com", "&bob@example.com")
    arrivals = [
        Arrival(replace(ALICE, gecos="another"), (LastEvent("pop3", 1, ""),), 7),
        Arrival(bob, events, 1000),
    ]
    for _ in range(2):
        accounts.add_arrivals(arrivals, [line])
        assert accounts.users("example.com") == [ALICE, bob]
        assert accounts.events("alice", "example.com") == [LastEvent("pop3", 9, "")]
        assert accounts.events("bob", "example.com") == list(events)
        assert accounts.userquota("bob", "example.com") == 1000
        assert accounts.userquota("alice", "example.com") == 0
        assert accounts.domain_aliases("example.com") == [line]


# -- logins that permit relaying -------------------------------------------------------------------

HOME = RelayLogin("alice@example.com", "192.0.2.7", 1_795_000_000)
SIX = RelayLogin("alice@example.com", "2001:db8::7", 1_795_000_060)
BOB = RelayLogin("bob@example.com", "192.0.2.7", 1_795_000_120)


def test_logins_are_found_by_user_and_by_address_the_newest_first(accounts: Accounts) -> None:
    assert accounts.relay_logins("alice", "example.com") == ()
    for login in (HOME, SIX, BOB):
        accounts.put_relay_login(login)
    assert accounts.relay_logins("alice", "example.com") == (SIX, HOME)
    assert accounts.relay_logins_from("192.0.2.7") == (BOB, HOME)
    assert accounts.all_relay_logins() == [HOME, SIX, BOB]


@pytest.mark.parametrize(
    ("name", "domain"),
    [("Alice", "example.com"), ("alic", "example.com"), ("alice", "example.co"),
     ("\u00e1lice", "example.com")],
)  # fmt: skip
def test_logins_are_of_this_very_user_and_address(
    accounts: Accounts, name: str, domain: str
) -> None:
    accounts.put_relay_login(HOME)
    assert accounts.relay_logins(name, domain) == ()
    for ip in ("192.0.2.70", "192.0.2.", "192.0.2", "", "%"):
        assert accounts.relay_logins_from(ip) == ()


def test_a_later_login_takes_the_place_of_an_earlier_one_from_there(accounts: Accounts) -> None:
    accounts.put_relay_login(HOME)
    again = replace(HOME, time=HOME.time + 5)
    accounts.put_relay_login(again)
    assert accounts.all_relay_logins() == [again]


def test_logins_expire_up_to_a_second(accounts: Accounts) -> None:
    for login in (HOME, SIX, BOB):
        accounts.put_relay_login(login)
    assert accounts.expire_relay_logins(SIX.time) == 2
    assert accounts.all_relay_logins() == [BOB]
    assert accounts.expire_relay_logins(SIX.time) == 0


def test_logins_go_and_follow_with_their_user_and_domain(accounts: Accounts) -> None:
    for user in (ALICE, replace(ALICE, name="bob")):
        accounts.add(user)
    for login in (HOME, SIX, BOB):
        accounts.put_relay_login(login)
    accounts.remove_user("bob", "example.com")
    accounts.move_user("alice", "example.com", "zoe", "/mail/zoe")
    accounts.rename_domain("example.com", "example.org", [])
    moved = [replace(login, email="zoe@example.org") for login in (HOME, SIX)]
    assert accounts.all_relay_logins() == moved
    accounts.remove_domain("example.org")
    assert accounts.all_relay_logins() == []


FORMS = {
    Form(0): ("$6$hash", ""),
    Form.CLEAR: ("$6$hash", "{CRAM}a:b"),
    Form.SHA1: ("$6$hash", "{SCRAM-SHA-1}4096,YQ==,YQ==,YQ=="),
    Form.SHA256: ("$6$hash", "{SCRAM-SHA-256}4096,YQ==,YQ==,YQ=="),
    Form.CLEAR | Form.SHA256: ("$6$hash", "{SCRAM-SHA-256}4096,YQ==,YQ==,YQ==:abcd:secret"),
    Form.CLEAR | Form.SHA1: ("{SCRAM-SHA-1}4096,YQ==,YQ==,YQ==:ab:se,cret,$6$hash", ""),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_stored_of_passwords_is_known_without_looking_at_each(
    accounts: Accounts, form: Form
) -> None:
    password, scram = map(Secret, FORMS[form])
    assert form_of(password, scram) == form
    accounts.add(replace(ALICE, name="inactive", active=False))
    accounts.add(replace(ALICE, name="bob", scram=Secret("")))
    assert accounts.credential_forms() == Form(0)
    accounts.add(replace(ALICE, password=password, scram=scram))
    assert accounts.credential_forms() == form
