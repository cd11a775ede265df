"""POP3 and IMAP before SMTP: whose login permits whom, what is asked, and what is kept of a login."""

from dataclasses import replace

import pytest

from indimail.accounts.cache import CachedLookup
from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.port import Account, Flag, RelayLogin
from indimail.mail.address import Address
from indimail.mail.secret import Secret
from indimail.mail.verdict import Rule
from indimail.policy.sender import SenderRules, SenderState
from indimail.serve.logins import CheckRelay, LoginHook, find_login
from indimail.serve.reception import SenderFound
from indimail.testing.clock import FakeClock
from serve.desk import STRANGER, Client, Desk, snapshot

ALICE = Account("alice", "example.com", Secret("x"))
HOME = STRANGER[0]
RELAY = ("MAIL FROM:<Alice@Example.net>", "RCPT TO:<bob@elsewhere.example>")
NOW = int(FakeClock().now())


def known(*logins: RelayLogin) -> MemoryAccounts:
    """Return accounts with alice and bob, a domain of two names, and these logins."""
    accounts = MemoryAccounts()
    accounts.add(ALICE)
    accounts.add(replace(ALICE, name="bob", flags=Flag.NO_RELAY))
    accounts.add(replace(ALICE, name="carol", active=False))
    accounts.add_alias_domain("example.net", "example.com")
    for login in logins:
        accounts.put_relay_login(login)
    return accounts


def login(name: str, ip: str = HOME, time: int = NOW) -> RelayLogin:
    return RelayLogin(f"{name}@example.com", ip, time)


EVERYBODY = [login(name) for name in ("alice", "bob", "carol", "nobody")]


@pytest.mark.parametrize(
    ("sender", "ip", "found"),
    [
        ("alice@example.com", HOME, True),
        ("ALICE@example.com", HOME, True),
        ("alice@example.net", HOME, True),  # another name of the domain
        ("alice@example.com", f"{HOME}0", False),
        ("alice@example.com", HOME[:-1], False),
        ("alice-news@example.com", HOME, False),
        ("alice@example.org", HOME, False),
        ("alice", HOME, False),
        ("", HOME, False),
        ("bob@example.com", HOME, False),  # NO_RELAY
        ("carol@example.com", HOME, False),  # inactive
        ("nobody@example.com", HOME, False),  # a row is left of one that is gone
    ],
)
def test_whose_login_speaks_for_a_client(sender: str, ip: str, found: bool) -> None:
    accounts = known(*EVERYBODY)
    said = find_login(accounts, Address.parse(sender), ip, CheckRelay.ACCOUNT)
    assert said == (login("alice") if found else None)


def test_with_the_address_alone_anybodys_login_counts_but_of_who_may_not_relay() -> None:
    eve = Address("eve", "example.org")
    only_bob = known(*(login(name) for name in ("bob", "carol", "nobody")))
    assert find_login(only_bob, eve, HOME, CheckRelay.ADDRESS) is None
    assert find_login(known(*EVERYBODY), eve, HOME, CheckRelay.ADDRESS) == login("alice")
    assert find_login(known(*EVERYBODY), eve, "192.0.2.70", CheckRelay.ADDRESS) is None


def test_what_the_cache_says_of_logins_is_forgotten_with_any_user() -> None:
    accounts = known()
    cache = CachedLookup(accounts, FakeClock())
    alice, eve = Address("alice", "example.com"), Address("eve", "example.org")
    asked = [(alice, CheckRelay.ACCOUNT), (eve, CheckRelay.ADDRESS)]
    assert [find_login(cache, sender, HOME, check) for sender, check in asked] == [None, None]
    accounts.put_relay_login(login("alice"))
    misses = cache.misses
    assert [find_login(cache, sender, HOME, check) for sender, check in asked] == [None, None]
    assert cache.misses == misses
    cache.invalidate("alice", "example.com")
    assert [find_login(cache, sender, HOME, check) for sender, check in asked] == [
        login("alice")
    ] * 2


# -- the conversation ------------------------------------------------------------------------------


def talking(desk: Desk, *logins: RelayLogin) -> Client:
    desk.reception.accounts = known(*logins)
    return desk.greeted()


def test_a_login_permits_one_mail_and_is_asked_for_once() -> None:
    desk = Desk(check_relay="account")
    client = talking(desk, login("alice"))
    client.say(*RELAY, "RCPT TO:<c@elsewhere.example>", "RCPT TO:<ana@example.com>", "RSET")
    assert client.heard() == ["250 2.1.0 ok"]
    desk.work(1)
    assert client.heard() == ["250 2.1.5 ok", "250 2.1.5 ok", "250 2.1.5 ok", "250 2.0.0 flushed"]
    told = desk.trace.told("recipient")[0]
    assert (told.text, str(told.rule)) == ("relay table", f"relay[alice@example.com {HOME}]")
    assert told.facts["login"] == "alice@example.com"
    client.say("MAIL FROM:<eve@example.org>", RELAY[1], "RCPT TO:<c@elsewhere.example>")
    desk.work(1)
    assert [line[:3] for line in client.heard()] == ["250", "553", "553"]
    assert len(desk.threads) == 0


def test_no_login_is_asked_for_where_another_permission_holds_or_none_is_wanted() -> None:
    for desk, answer in (
        (Desk('192.0.2.:allow,RELAYCLIENT=""', check_relay="account"), "250"),
        (Desk(), "553"),
    ):
        client = talking(desk, login("alice"))
        client.say(*RELAY, "RCPT TO:<ana@example.com>")
        assert [line[:3] for line in client.heard()] == ["250", answer, "250"]
        assert len(desk.threads) == 0


@pytest.mark.parametrize(("age", "answer"), [(3599, "250"), (3600, "553"), (9999, "553")])
def test_a_login_is_as_old_as_it_is_now(age: int, answer: str) -> None:
    desk = Desk(check_relay="account")
    client = talking(desk, login("alice", time=NOW - age))
    client.say(*RELAY)
    desk.work()
    assert client.heard()[-1].startswith(answer)


def test_accounts_that_do_not_answer_defer_and_are_asked_again() -> None:
    desk = Desk(check_relay="account")
    client = talking(desk, login("alice"))
    accounts = desk.reception.accounts
    assert isinstance(accounts, MemoryAccounts)
    accounts.fail = True
    client.say(*RELAY)
    desk.work()
    assert client.heard()[-1].startswith(
        "451 4.3.2 Sorry, I got a temporary database error (#4.3.2)"
    )
    assert not [line for line in desk.log.lines if "RELAY" in line]
    accounts.fail = False
    client.say(RELAY[1])
    desk.work()
    assert client.heard() == ["250 2.1.5 ok"]


def test_a_login_is_enough_for_checksender_and_is_asked_for_once() -> None:
    rules = SenderRules(checksender=Rule("tcp/tcp.smtp", 1))
    desk = Desk(check_relay="account", sender_rules=rules)
    desk.reception.sender_state = lambda address, _: SenderFound(SenderState.THERE, str(address))
    client = talking(desk, login("alice"))
    client.say("MAIL FROM:<alice@example.com>", RELAY[1])
    desk.work(1)
    assert client.heard() == ["250 2.1.0 ok", "250 2.1.5 ok"]
    client.say("MAIL FROM:<bob@example.com>")
    desk.work(1)
    assert client.heard()[0].startswith("530 5.7.1 authentication required")
    assert len(desk.threads) == 0


# -- the hook --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "ip", "tcp", "changes", "kept"),
    [
        (ALICE, "192.0.2.7", "", {}, "192.0.2.7"),
        (ALICE, "::ffff:192.0.2.7", "", {}, "192.0.2.7"),
        (ALICE, "2001:DB8:0::7", "", {}, "2001:db8::7"),
        (replace(ALICE, flags=Flag.NO_RELAY), "192.0.2.7", "", {}, ""),
        (ALICE, "192.0.2.7", "", {"norelay": True}, ""),
        (ALICE, "192.0.2.7", '192.0.2.:allow,RELAYCLIENT=""', {}, ""),
        (ALICE, "192.0.2.7", "192.0.2.:allow", {}, "192.0.2.7"),
        (ALICE, "", "", {}, ""),
    ],
)
def test_which_logins_are_kept(
    account: Account, ip: str, tcp: str, changes: dict[str, object], kept: str
) -> None:
    accounts, told = known(), []
    rules = snapshot(*([tcp] if tcp else []), **changes)
    hook = LoginHook(accounts, lambda: rules, FakeClock(), lambda *who: told.append(who))
    assert hook.logged_in(account, ip, "smtp") == bool(kept)
    assert accounts.all_relay_logins() == ([login("alice", kept)] if kept else [])
    assert told == ([("alice", "example.com")] if kept else [])
