"""What EHLO lists: what somebody here can use, and no more."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from indimail.accounts.port import Account
from indimail.accounts.scram import Mechanism, make_scram
from indimail.mail.secret import Secret
from indimail.serve.authoffer import EVERY, SOON
from indimail.serve.login import AuthSettings
from serve.desk import Desk
from serve.test_smtpauth import RULES

ALWAYS = "LOGIN PLAIN XOAUTH2 OAUTHBEARER"
CRAM = " CRAM-MD5 CRAM-SHA1 CRAM-SHA224 CRAM-SHA256 CRAM-SHA384 CRAM-SHA512"
ALL = f"{ALWAYS}{CRAM} SCRAM-SHA-1 SCRAM-SHA-256"


def listed(desk: Desk) -> str:
    client = desk.connect()
    client.say("EHLO client.example")
    (line,) = [line for line in client.heard() if line[4:].startswith("AUTH ")]
    return line[9:]


def account(scram: Secret | None) -> Account:
    return Account("bob", "example.com", Secret("$6$x"), scram=scram or Secret(""))


def begun(*accounts: Account, **changes: Any) -> Desk:
    desk = Desk(**{"session_rules": RULES, **changes})
    for each in accounts:
        desk.accounts.add(each)
    desk.offer.refresh()
    desk.work()
    return desk


@pytest.mark.parametrize(
    ("scram", "offered"),
    [
        (None, ALWAYS),
        (make_scram("x", Mechanism.SHA256, iterations=4096), f"{ALWAYS} SCRAM-SHA-256"),
        (make_scram("x", Mechanism.SHA1, iterations=4096), f"{ALWAYS} SCRAM-SHA-1"),
        (make_scram("x", None, clear=True), ALL),
        (make_scram("x", Mechanism.SHA256, clear=True, iterations=4096), ALL),
    ],
)
def test_what_is_listed_follows_from_what_is_stored(scram: Secret | None, offered: str) -> None:
    assert listed(begun(account(scram))) == offered


def test_until_the_database_answers_what_is_stored_today_is_listed() -> None:
    desk = Desk(session_rules=RULES)
    assert listed(desk) == f"{ALWAYS} SCRAM-SHA-256"
    desk.accounts.fail = True
    desk.offer.refresh()
    desk.work()
    assert listed(desk) == f"{ALWAYS} SCRAM-SHA-256"


@pytest.mark.parametrize(
    ("settings", "offered"),
    [
        (AuthSettings(hash_is_secret=True), ALWAYS + CRAM),
        (AuthSettings(modules=("sys-checkpwd", "vchkpass")), ALWAYS + CRAM),
    ],
)
def test_programs_and_enable_cram_need_no_clear_text(settings: AuthSettings, offered: str) -> None:
    assert listed(begun(account(None), auth=settings)) == offered


CLEAR = make_scram("x", None, clear=True)


def told(desk: Desk) -> None:
    desk.users.invalidate("bob", "example.com")
    desk.offer.changed("bob", "example.com")


def domain_told(desk: Desk) -> None:
    desk.users.invalidate("", "example.com")
    desk.offer.changed("", "example.com")
    desk.clock.advance(SOON)


def others(desk: Desk) -> None:
    desk.clock.advance(EVERY)


@pytest.mark.parametrize("change", [told, domain_told, others])
def test_the_first_who_can_use_it_puts_it_on_the_list(change: Callable[[Desk], None]) -> None:
    desk = begun(account(None))
    assert listed(desk) == ALWAYS
    desk.accounts.modify("bob", "example.com", lambda bob: replace(bob, scram=CLEAR))
    change(desk)
    desk.offer.tick(desk.clock.steady())
    desk.work()
    assert listed(desk) == ALL


def test_what_is_not_listed_can_be_used_all_the_same() -> None:
    desk = begun(account(None))
    client = desk.greeted()
    client.say("AUTH CRAM-MD5")
    assert client.heard()[0].startswith("334 ")
