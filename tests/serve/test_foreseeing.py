"""Decisions that are made together: one question for all accounts, and nobody waits behind another."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from indimail.accounts.cache import CachedLookup
from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.port import Flag, Known
from indimail.delivery.assign import AssignEntry
from indimail.delivery.plan import Deliver, Fail, Forward
from indimail.durable.committer import Done
from indimail.mail.errors import AccountsUnavailable
from indimail.mail.verdict import Rule
from indimail.serve.foreseeing import Alone, Foresee, Foreseeing
from indimail.serve.foresight import Decided
from serve.test_foresight import ALICE, Site

BOB = "example.com-bob@example.com"
NOBODY = "example.com-nobody@example.com"


class Counted(MemoryAccounts):
    """Counts the questions that would be queries."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[object] = []

    def known(self, name: str, domain: str) -> Known:
        self.asked.append(name)
        return super().known(name, domain)

    def known_all(self, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Known]:
        self.asked.append([name for name, _ in names])
        self._check()
        return {key: MemoryAccounts.known(self, *key) for key in names}


class Together:
    """A site whose decisions are made in rounds."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.accounts = Counted()
        self.accounts.add(site.alice)
        self.accounts.add(replace(site.alice, name="bob"))
        site.foresight._accounts = cache = CachedLookup(self.accounts, site.clock)
        self.rounds = Foreseeing(site.foresight, cache, lambda: site.config, 555)

    def actions(self, *targets: str) -> list[object]:
        """Decide; return the only action of each, or what failed."""
        failed = self.rounds.decide_all(targets)
        return [failed.get(n) or self._action(target) for n, target in enumerate(targets)]

    def _action(self, target: str) -> object:
        decided = self.site.foresight.cached(target)
        return decided and type(decided.plan.actions[0])


@pytest.fixture
def together(tmp_path: Path) -> Together:
    return Together(Site(tmp_path, watches=9))


def test_one_question_is_asked_for_all(together: Together) -> None:
    assert together.actions(ALICE, BOB, NOBODY) == [Deliver, Deliver, Fail]
    assert together.accounts.asked == [["alice", "bob", "nobody"]]
    assert together.actions(BOB, NOBODY) == [Deliver, Fail]
    assert len(together.accounts.asked) == 1


def test_who_needs_no_account_is_decided_while_the_database_is_down(together: Together) -> None:
    (together.site.domain / ".qmail-list").write_text("&zoe@example.net\n")
    together.accounts.fail = True
    alice, listed = together.actions(ALICE, "example.com-list@example.com")
    assert isinstance(alice, AccountsUnavailable)
    assert listed is Forward


def test_what_may_take_long_is_left_out_and_keeps_nobody(together: Together) -> None:
    other = AssignEntry("nobody", 65534, 65534, "/nowhere", "-", "", Rule("users/assign", 2))
    together.site.config.assign.prefixes["example.net-"] = other
    locked = replace(together.site.alice, name="locked", flags=Flag.BOUNCE_MAIL)
    together.accounts.add(locked)
    targets = (
        "example.net-x@example.net", "unknown@example.com", "example.com-locked@example.com", BOB,
    )  # fmt: skip
    *alone, bob = together.actions(*targets)
    assert [type(one) for one in alone] == [Alone, Alone, Alone]
    assert bob is Deliver


class Rounds:
    """Makes a round of each item, when told to."""

    waiting = 0

    def __init__(self, run: Callable[[Sequence[str]], object]) -> None:
        self.run = run
        self.items: list[tuple[str, Done]] = []

    def submit(self, item: str, done: Done) -> None:
        self.items.append((item, done))

    add = submit

    def close(self) -> None:
        """Nothing is left."""


def test_a_decision_is_told_or_what_failed_and_what_waits_goes_another_way(
    together: Together,
) -> None:
    told: list[object] = []
    aside: list[str] = []
    rounds = Rounds(together.rounds.decide_all)
    foresight = together.site.foresight
    foresee = Foresee(
        rounds, foresight, lambda work, then: (aside.append("aside"), then(work()))[1]
    )
    for target in (ALICE, BOB, BOB, NOBODY):
        foresee(target, told.append)
    (alice, done), (_, failed), (_, alone), (_, changed) = rounds.items
    foresight.decide(alice)
    done(None)
    failed(AccountsUnavailable("down"))
    assert isinstance(told[0], Decided)
    assert isinstance(told[1], AccountsUnavailable)
    assert not aside
    alone(Alone())
    foresight.invalidate()  # whatever the round found
    changed(None)
    assert [type(one) for one in told[2:]] == [Decided, Decided]
    assert aside == ["aside", "aside"]
