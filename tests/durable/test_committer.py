"""Rounds: what is told, in which order, and that nothing is overlooked."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import Empty, SimpleQueue

import pytest

from indimail.durable import committer as committer_module
from indimail.durable.committer import Committer, at_once
from indimail.mail.errors import Misuse, QueueUnwritable

PATIENCE = 5.0


class Rounds:
    """Writes down what is run and told; `gate` holds a round back."""

    def __init__(self) -> None:
        self.story: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.running = threading.Event()
        self.failure: Exception | None = None
        self.alone: dict[int, Exception] = {}

    def run(self, items: Sequence[str]) -> dict[int, Exception]:
        self.running.set()
        assert self.gate.wait(PATIENCE)
        self.story.append(f"run {' '.join(items)}")
        if self.failure is not None:
            raise self.failure
        return self.alone

    def done(self, name: str) -> "Done":
        return Done(self, name)


class Done:
    def __init__(self, rounds: Rounds, name: str) -> None:
        self.rounds = rounds
        self.name = name
        self.told = threading.Event()

    def __call__(self, failure: Exception | None) -> None:
        self.rounds.story.append(f"{self.name} {failure or 'done'}")
        self.told.set()


@contextmanager
def committing(
    rounds: Rounds, most: int = 2000, company: Callable[[], bool] = lambda: False
) -> Iterator[Committer[str]]:
    committer: Committer[str] = Committer(rounds.run, at_once, "test", most, company)
    yield committer
    rounds.gate.set()
    committer.close()


def test_a_submitter_is_told_after_its_round() -> None:
    rounds = Rounds()
    with committing(rounds) as committer:
        done = rounds.done("a")
        committer.submit("a", done)
        assert done.told.wait(PATIENCE)
    assert rounds.story == ["run a", "a done"]


def test_what_gathers_while_a_round_runs_is_the_next_one() -> None:
    rounds = Rounds()
    rounds.gate.clear()
    with committing(rounds) as committer:
        committer.submit("a", rounds.done("a"))
        assert rounds.running.wait(PATIENCE)
        last = rounds.done("c")
        committer.submit("b", rounds.done("b"))
        committer.submit("c", last)
        rounds.gate.set()
        assert last.told.wait(PATIENCE)
    assert rounds.story == ["run a", "a done", "run b c", "b done", "c done"]


def test_a_failed_round_is_told_to_all_in_it_and_to_no_other() -> None:
    rounds = Rounds()
    rounds.failure = QueueUnwritable("no disk")
    with committing(rounds) as committer:
        first = rounds.done("a")
        committer.submit("a", first)
        assert first.told.wait(PATIENCE)
        rounds.failure = None
        second = rounds.done("b")
        committer.submit("b", second)
        assert second.told.wait(PATIENCE)
    assert rounds.story == ["run a", "a no disk", "run b", "b done"]


def test_an_item_that_failed_alone_is_told_by_itself() -> None:
    rounds = Rounds()
    rounds.gate.clear()
    with committing(rounds) as committer:
        committer.submit("a", rounds.done("a"))
        assert rounds.running.wait(PATIENCE)
        last = rounds.done("d")
        committer.submit("b", rounds.done("b"))
        committer.submit("c", rounds.done("c"))
        committer.submit("d", last)
        rounds.alone = {1: FileNotFoundError("gone")}
        rounds.gate.set()
        assert last.told.wait(PATIENCE)
    assert rounds.story[-4:] == ["run b c d", "b done", "c gone", "d done"]


def test_a_round_waits_for_those_who_are_on_their_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer_module, "COMPANY", PATIENCE)
    rounds = Rounds()
    coming = iter([True, True, False])
    with committing(rounds, company=lambda: next(coming)) as committer:
        waiting = [rounds.done(name) for name in "abc"]
        for done in waiting:
            committer.submit(done.name, done)
        assert all(done.told.wait(PATIENCE) for done in waiting)
    assert rounds.story[0] == "run a b c"


def test_company_that_does_not_come_is_not_waited_for_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vain = 0

    class Calls(SimpleQueue[bool]):
        def get(self, block: bool = True, timeout: float | None = None) -> bool:
            nonlocal vain
            try:
                return super().get(block, timeout)
            except Empty:
                vain += 1
                raise

    monkeypatch.setattr(committer_module, "SimpleQueue", Calls)
    rounds = Rounds()
    with committing(rounds, company=lambda: True) as committer:
        for turn in range(300):
            done = rounds.done(str(turn))
            committer.submit(str(turn), done)
            assert done.told.wait(PATIENCE)
    assert 1 < vain < 12


def test_closing_does_not_wait_for_company(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer_module, "COMPANY", 60.0)
    rounds = Rounds()
    with committing(rounds, company=lambda: True) as committer:
        committer.submit("a", rounds.done("a"))
    assert rounds.story == ["run a", "a done"]


@pytest.mark.parametrize("number", [3, 4, 5, 7])
def test_more_than_a_round_holds_is_told_all_the_same(number: int) -> None:
    """Nobody is overlooked where the rest is smaller than a round, and nobody calls again."""
    rounds = Rounds()
    rounds.gate.clear()
    with committing(rounds, most=3) as committer:
        committer.submit("first", rounds.done("first"))
        assert rounds.running.wait(PATIENCE)
        waiting = [rounds.done(str(item)) for item in range(number)]
        for item, done in enumerate(waiting):
            committer.submit(str(item), done)
        rounds.gate.set()
        assert all(done.told.wait(PATIENCE) for done in waiting)


def test_what_nobody_waits_for_comes_too() -> None:
    rounds = Rounds()
    with committing(rounds) as committer:
        done = rounds.done("a")
        committer.add("a", done)
        assert done.told.wait(PATIENCE)


@pytest.mark.slow
def test_what_comes_from_many_threads_is_all_told() -> None:
    """However the threads interleave, nobody waits for a call that none of them made."""
    rounds = Rounds()
    with committing(rounds) as committer:
        for turn in range(50):
            waiting = [rounds.done(f"{turn}.{item}") for item in range(8)]
            together = threading.Barrier(8)

            def add(done: Done, together: threading.Barrier = together) -> None:
                together.wait(PATIENCE)
                committer.add(done.name, done)

            threads = [threading.Thread(target=add, args=(done,)) for done in waiting]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
            assert all(done.told.wait(PATIENCE) for done in waiting)


def test_closing_ends_what_was_submitted_and_takes_no_more() -> None:
    rounds = Rounds()
    with committing(rounds) as committer:
        committer.add("a", rounds.done("a"))
    assert rounds.story == ["run a", "a done"]
    with pytest.raises(Misuse):
        committer.submit("b", rounds.done("b"))


def test_one_that_fails_in_hearing_it_does_not_silence_the_others() -> None:
    rounds = Rounds()
    rounds.gate.clear()

    def deaf(_: Exception | None) -> None:
        raise ZeroDivisionError

    with committing(rounds) as committer:
        committer.submit("first", rounds.done("first"))
        assert rounds.running.wait(PATIENCE)
        last = rounds.done("b")
        committer.submit("a", deaf)
        committer.submit("b", last)
        rounds.gate.set()
        assert last.told.wait(PATIENCE)
    assert rounds.story[-2:] == ["run a b", "b done"]
