"""The cache of the mail path: expiry, invalidation, a database that is down, bounds."""

import pytest

from indimail.accounts.cache import CachedLookup
from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.port import Account
from indimail.mail.errors import AccountsUnavailable
from indimail.mail.secret import Secret
from indimail.testing.clock import FakeClock

ALICE = Account("alice", "example.com", Secret("hash"))
BOB = Account("bob", "example.com", Secret("hash"))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def accounts() -> MemoryAccounts:
    return MemoryAccounts()


def test_an_answer_is_remembered_until_it_expires(
    accounts: MemoryAccounts, clock: FakeClock
) -> None:
    cache = CachedLookup(accounts, clock)
    seen = []
    for pause in (0.0, 4.9, 0.2):
        clock.advance(pause)
        seen.append(cache.find("alice", "example.com"))
        accounts.add(ALICE)
    assert seen == [None, None, ALICE]
    assert (cache.hits, cache.misses) == (1, 2)


def test_reading_an_answer_does_not_prolong_it(accounts: MemoryAccounts, clock: FakeClock) -> None:
    cache = CachedLookup(accounts, clock)
    for _ in range(4):
        cache.find("alice", "example.com")
        clock.advance(2)
    assert cache.misses == 2


def test_an_invalidated_user_is_asked_for_again(accounts: MemoryAccounts, clock: FakeClock) -> None:
    cache = CachedLookup(accounts, clock)
    assert (cache.find("alice", "example.com"), cache.aliases("alice", "example.com")) == (None, [])
    cache.find("bob", "example.com")
    assert cache.userquota("alice", "example.com") == 0
    accounts.add(ALICE)
    accounts.set_userquota("alice", "example.com", 6)
    accounts.add_alias("alice", "example.com", "&bob@example.com")
    cache.invalidate("alice", "example.com")
    assert cache.find("alice", "example.com") == ALICE
    assert cache.aliases("alice", "example.com") == ["&bob@example.com"]
    assert cache.userquota("alice", "example.com") == 6
    misses = cache.misses
    cache.find("bob", "example.com")
    assert cache.misses == misses


@pytest.mark.parametrize(
    "forget",
    [lambda cache: cache.invalidate("", "example.com"), lambda cache: cache.invalidate_all()],
    ids=["domain", "all"],
)
def test_a_whole_domain_is_forgotten(
    accounts: MemoryAccounts, clock: FakeClock, forget: object
) -> None:
    cache = CachedLookup(accounts, clock)
    cache.find("alice", "example.com")
    cache.real_domain("example.com")
    accounts.add(ALICE)
    assert callable(forget)
    forget(cache)
    assert cache.find("alice", "example.com") == ALICE


def test_another_domain_stays_when_one_is_forgotten(
    accounts: MemoryAccounts, clock: FakeClock
) -> None:
    cache = CachedLookup(accounts, clock)
    cache.find("alice", "example.org")
    cache.invalidate("", "example.com")
    cache.find("alice", "example.org")
    assert cache.hits == 1


def test_an_answer_that_an_invalidation_overtook_is_not_kept(clock: FakeClock) -> None:
    class Overtaken(MemoryAccounts):
        def find(self, name: str, domain: str) -> Account | None:
            found = super().find(name, domain)
            if found is None:  # another thread's vadduser, between the answer and its arrival
                self.add(ALICE)
                cache.invalidate(name, domain)
            return found

    cache = CachedLookup(Overtaken(), clock)
    assert cache.find("alice", "example.com") is None
    assert cache.find("alice", "example.com") == ALICE


@pytest.mark.parametrize(
    ("grace", "pause", "answered"),
    [
        (0.0, 4.9, True),
        (0.0, 5.1, False),
        (60.0, 64.9, True),
        (60.0, 65.1, False),
    ],
)
def test_a_database_that_is_down_leaves_what_has_not_expired(
    accounts: MemoryAccounts, clock: FakeClock, grace: float, pause: float, answered: bool
) -> None:
    accounts.add(ALICE)
    cache = CachedLookup(accounts, clock, grace=grace)
    cache.find("alice", "example.com")
    accounts.fail = True
    clock.advance(pause)
    if answered:
        assert cache.find("alice", "example.com") == ALICE
    else:
        with pytest.raises(AccountsUnavailable):
            cache.find("alice", "example.com")
    with pytest.raises(AccountsUnavailable):
        cache.find("bob", "example.com")


def test_the_least_recently_used_answer_goes_first(
    accounts: MemoryAccounts, clock: FakeClock
) -> None:
    cache = CachedLookup(accounts, clock, size=2)
    for name in ("a", "b", "a", "c", "a"):
        cache.find(name, "example.com")
    assert (cache.hits, cache.misses, len(cache)) == (2, 3, 2)
    cache.find("b", "example.com")
    assert cache.misses == 4


def test_an_answer_cannot_be_changed_from_outside(
    accounts: MemoryAccounts, clock: FakeClock
) -> None:
    cache = CachedLookup(accounts, clock)
    cache.aliases("abuse", "example.com").append("|rm")
    assert cache.aliases("abuse", "example.com") == []


def test_an_account_and_its_aliases_are_one_question(
    accounts: MemoryAccounts, clock: FakeClock
) -> None:
    cache = CachedLookup(accounts, clock)
    accounts.add(ALICE)
    accounts.add_alias("alice", "example.com", "&bob@example.com")
    assert cache.known("alice", "example.com") == (ALICE, ("&bob@example.com",))
    assert cache.aliases("alice", "example.com") == ["&bob@example.com"]
    assert cache.find("alice", "example.com") == ALICE
    assert (cache.hits, cache.misses) == (2, 1)
