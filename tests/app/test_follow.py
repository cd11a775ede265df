import pickle
from typing import Any

from indimail.app.channel import Configured, Stale
from indimail.app.follow import Follower


class Supervisor:
    """The other end of the channel, and the watch."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.news = False
        fakes: Any = ("the first", self)
        self.follower = Follower(*fakes, self.changed)
        self.went_on: list[str] = []

    def send(self, message: object) -> None:
        self.heard.append(message)

    def changed(self) -> bool:
        news, self.news = self.news, False
        return news

    def ask(self, name: str) -> bool:
        return self.follower.when_fresh(lambda: self.went_on.append(f"{name}: {self.current}"))

    @property
    def current(self) -> Any:
        return self.follower.current


def test_nobody_waits_while_nothing_changed() -> None:
    supervisor = Supervisor()
    assert supervisor.ask("a")
    assert (supervisor.heard, supervisor.went_on) == ([], [])


def test_after_a_change_all_wait_for_one_answer_and_go_on_with_the_new() -> None:
    supervisor = Supervisor()
    supervisor.news = True
    assert [supervisor.ask(name) for name in "abc"] == [False] * 3
    assert supervisor.heard == [Stale()]
    supervisor.follower.configured(Configured(2, pickle.dumps("the second")))
    assert supervisor.went_on == []  # the answer to the question follows
    supervisor.follower.configured(Configured(2, None))
    assert supervisor.went_on == ["a: the second", "b: the second", "c: the second"]
    assert supervisor.ask("d")


def test_a_broken_file_leaves_the_old_in_force() -> None:
    supervisor = Supervisor()
    supervisor.news = True
    supervisor.ask("a")
    supervisor.follower.configured(Configured(1, None))
    assert supervisor.went_on == ["a: the first"]


def test_a_reload_that_nobody_asked_for_is_taken() -> None:
    supervisor = Supervisor()
    supervisor.follower.configured(Configured(2, pickle.dumps("by SIGHUP")))
    assert supervisor.current == "by SIGHUP"


def test_who_goes_on_may_have_to_wait_again() -> None:
    supervisor = Supervisor()
    supervisor.news = True

    def again() -> None:
        supervisor.news = True
        assert not supervisor.ask("again")

    assert not supervisor.follower.when_fresh(again)
    supervisor.follower.configured(Configured(1, None))
    assert supervisor.heard == [Stale(), Stale()]
    assert supervisor.went_on == []
    supervisor.follower.configured(Configured(1, None))
    assert supervisor.went_on == ["again: the first"]
