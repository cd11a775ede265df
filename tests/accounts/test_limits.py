"""What limits end and close at a login (spec/delivery.md 9.2)."""

import pytest

from indimail.accounts.limits import UNBOUNDED, Bounds, Ended, bounds_of, closed_by
from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.port import Account, Flag, Limits
from indimail.mail.secret import Secret

ALICE = Account("alice", "example.com", Secret("x"))
NOW = 1_800_000_000.0
PAST, FUTURE = int(NOW) - 1, int(NOW) + 1


def bounds(
    own: dict[str, int] | None = None,
    of_domain: dict[str, int] | None = None,
    *,
    account: Account = ALICE,
    is_on: bool = True,
    closes: bool = True,
) -> Bounds:
    accounts = MemoryAccounts()
    for name, values in (("alice", own), ("", of_domain)):
        if values is not None:
            accounts.set_limits(name, "example.com", values)
    return bounds_of(accounts, account, is_on=is_on, closes=closes, now=NOW)


@pytest.mark.parametrize(("values", "ended"), [
    ({}, None),
    ({"domain_expiry": -1, "passwd_expiry": -1}, None),
    ({"domain_expiry": FUTURE}, None),
    ({"domain_expiry": PAST}, Ended.DOMAIN),
    ({"passwd_expiry": PAST}, Ended.PASSWORD),
    ({"domain_expiry": PAST, "passwd_expiry": PAST}, Ended.DOMAIN),
    ({"domain_expiry": 0}, Ended.DOMAIN),
])  # fmt: skip
def test_when_it_is_over(values: dict[str, int], ended: Ended | None) -> None:
    assert bounds(of_domain=values).ended is ended
    assert bounds(own=values).ended is ended


@pytest.mark.parametrize(("column", "flag"), [
    ("disable_pop", Flag.NO_POP),
    ("disable_imap", Flag.NO_IMAP),
    ("disable_dialup", Flag.NO_DIALUP),  # in the original: NO_POP
    ("disable_passwordchanging", Flag.NO_PASSWD_CHNG),
    ("disable_webmail", Flag.NO_WEBMAIL),
    ("disable_relay", Flag.NO_RELAY),
    ("disable_smtp", Flag.NO_SMTP),
])  # fmt: skip
def test_a_service_is_closed_by_its_own_flag(column: str, flag: Flag) -> None:
    assert closed_by(Limits("", "example.com", **{column: 1})) == flag  # type: ignore[arg-type]


def test_services_close_where_domain_limits_is_set() -> None:
    closed = {"disable_pop": 1, "disable_smtp": 1, "passwd_expiry": PAST}
    assert bounds(of_domain=closed) == Bounds(Ended.PASSWORD, Flag.NO_POP | Flag.NO_SMTP)
    assert bounds(of_domain=closed, closes=False) == Bounds(Ended.PASSWORD)


def test_a_users_own_row_goes_before_the_domains() -> None:
    found = bounds(own={"disable_imap": 1}, of_domain={"domain_expiry": PAST, "disable_pop": 1})
    assert found == Bounds(None, Flag.NO_IMAP)


def test_limits_are_for_domains_that_have_them_on_and_users_who_are_not_free_of_them() -> None:
    over = {"domain_expiry": PAST, "disable_pop": 1}
    free = Account("alice", "example.com", Secret("x"), flags=Flag.V_OVERRIDE)
    assert bounds(of_domain=over, is_on=False) == UNBOUNDED
    assert bounds(over, over, account=free) == UNBOUNDED
    assert bounds() == UNBOUNDED
