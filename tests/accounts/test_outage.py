"""A database that goes away, falls silent and comes back: a real server behind a proxy."""

import threading
from collections.abc import Callable, Iterator

import pytest

from databases import NAMES, PORTS, database, through
from indimail.accounts.cache import CachedLookup
from indimail.accounts.port import Account
from indimail.accounts.sql import SqlAccounts
from indimail.mail.errors import AccountsUnavailable
from indimail.mail.secret import Secret
from indimail.testing.clock import FakeClock
from tcp_proxy import Proxy

pytestmark = pytest.mark.interop

ALICE = Account("alice", "example.com", Secret("hash"))
BOB = Account("bob", "example.com", Secret("hash"))
PATIENCE = 60.0  # seconds; a wait that has no end is longer


class Remote:
    """The accounts of a database behind a proxy; alice is in it."""

    def __init__(self, proxy: Proxy, url: str) -> None:
        self.proxy = proxy
        self.url = through(url, proxy.port)
        self.accounts = SqlAccounts(self.url)
        self.accounts.add(ALICE)

    def find(self) -> Account | None:
        return self.accounts.find("alice", "example.com")

    def fails(self, ask: Callable[[], object]) -> bool:
        """Tell whether a question ends, and with an error."""
        outcome: list[object] = []

        def run() -> None:
            try:
                outcome.append(ask())
            except AccountsUnavailable as error:
                outcome.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(PATIENCE)
        assert outcome, "it waits for ever"
        return isinstance(outcome[0], AccountsUnavailable)


@pytest.fixture(params=NAMES)
def remote(request: pytest.FixtureRequest) -> Iterator[Remote]:
    with database(request.param) as url, Proxy(PORTS[request.param]) as proxy:
        made = Remote(proxy, url)
        yield made
        made.accounts.close()


def test_a_restart_of_the_database_is_not_noticed(remote: Remote) -> None:
    remote.proxy.stop()
    remote.proxy.start()
    assert remote.find() == ALICE


def test_a_database_that_is_down_fails_questions_and_heals(remote: Remote) -> None:
    remote.proxy.stop()
    assert remote.fails(remote.find)
    assert remote.fails(lambda: remote.accounts.add(BOB))
    remote.proxy.start()
    assert remote.find() == ALICE
    assert remote.accounts.add(BOB)


def test_a_database_that_is_down_at_the_start_is_found_later(remote: Remote) -> None:
    late = SqlAccounts(remote.url)
    remote.proxy.stop()
    assert remote.fails(lambda: late.find("alice", "example.com"))
    remote.proxy.start()
    assert late.find("alice", "example.com") == ALICE
    late.close()


def test_a_silent_database_keeps_nobody_waiting_and_heals(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = SqlAccounts(remote.url)
    remote.proxy.silence()
    assert remote.fails(remote.find)
    assert remote.fails(lambda: remote.accounts.add(BOB))
    assert remote.fails(lambda: late.find("alice", "example.com"))  # it knows no connection yet
    remote.proxy.stop()
    remote.proxy.start()
    for accounts in (remote.accounts, late):
        accounts.database._silent_until = 0.0
        assert accounts.find("alice", "example.com") == ALICE
    late.close()


@pytest.mark.parametrize("remote", ["postgresql"], indirect=True)
def test_who_waited_for_nothing_spares_the_next_the_wait(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indimail.accounts.database.PAUSE", 3600.0)
    remote.proxy.silence()
    assert remote.fails(remote.find)
    octets = remote.proxy.octets
    assert remote.fails(remote.find)
    assert remote.proxy.octets == octets


def test_the_cache_answers_while_it_may_and_then_says_that_it_does_not_know(
    remote: Remote,
) -> None:
    clock = FakeClock()
    cache = CachedLookup(remote.accounts, clock, expiry=3.0)
    assert cache.find("alice", "example.com") == ALICE
    assert cache.find("bob", "example.com") is None
    remote.proxy.stop()
    clock.advance(2.9)
    assert cache.find("alice", "example.com") == ALICE
    assert cache.find("bob", "example.com") is None
    clock.advance(0.2)
    for name in ("alice", "bob"):
        assert remote.fails(lambda name=name: cache.find(name, "example.com"))  # type: ignore[misc]
    remote.proxy.start()
    assert cache.find("alice", "example.com") == ALICE
