"""For how long a host that does not answer is left alone: spec/queue.md 2.3."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.schedule.deadhosts import MOST, DeadHost, DeadHosts

HOST = ("192.0.2.1", 25)
OTHER = ("192.0.2.1", 587)


def failing(*times: float, draw: float = 0.0, tolerance: float = 120) -> DeadHosts:
    dead = DeadHosts()
    for now in times:
        dead.failed(*HOST, now, draw, tolerance)
    return dead


@pytest.mark.parametrize(
    ("times", "failures", "skipped"),
    [
        ((), 0, False),
        ((0,), 1, False),
        ((0, 119), 1, False),  # the same failure
        ((0, 120), 2, True),
        ((0, 60, 119, 120), 2, True),
        ((0, 119, 238), 2, True),  # counted from the last that counted
        ((0, 400, 1600), 3, True),
    ],
)
def test_the_second_failure_makes_a_host_dead(
    times: tuple[float, ...], failures: int, skipped: bool
) -> None:
    dead = failing(*times)
    assert [entry.failures for entry in dead.entries()] == ([failures] if failures else [])
    assert bool(dead.skipped(*HOST, max(times, default=0.0))) is skipped
    assert not dead.skipped(*OTHER, max(times, default=0.0))


@pytest.mark.parametrize(("draw", "penalty"), [(0.0, 3840), (1.0, 5824)])
def test_a_penalty_is_64_to_97_minutes_by_chance(draw: float, penalty: int) -> None:
    dead = failing(0, 200, draw=draw)
    assert dead.skipped(*HOST, 200 + penalty - 1)
    assert not dead.skipped(*HOST, 200 + penalty)


def test_after_its_penalty_one_more_failure_is_enough() -> None:
    dead = failing(0, 200, 4100)
    assert dead.skipped(*HOST, 4100 + 3839)
    dead.failed(*HOST, 8000, draw=1.0)
    assert dead.skipped(*HOST, 8000 + 5823)


def test_an_answer_forgets_all() -> None:
    dead = failing(0, 200)
    dead.answered(*HOST)
    assert not dead.skipped(*HOST, 201)
    dead.failed(*HOST, 202, 0.0)
    assert not dead.skipped(*HOST, 203)
    dead.answered(*OTHER)  # was never there


def test_a_route_has_its_own_numbers() -> None:
    dead = failing(0, 10, tolerance=10)
    assert not dead.skipped(*HOST, 11, min_penalty=0)  # never left alone
    assert dead.skipped(*HOST, 11, min_penalty=60)
    assert not dead.skipped(*HOST, 10 + 60 + 240, min_penalty=60)


def test_failures_are_counted_to_ten() -> None:
    dead = failing(*range(0, 20_000, 1000))
    assert [entry.failures for entry in dead.entries()] == [10]


def test_of_too_many_the_one_goes_with_the_fewest_failures_longest_ago() -> None:
    dead = DeadHosts(most=3)
    for now in (0, 200):
        dead.failed("192.0.2.1", 25, now, 0.0)
    dead.failed("192.0.2.2", 25, 1000, 0.0)
    dead.failed("192.0.2.3", 25, 1100, 0.0)
    dead.failed("192.0.2.4", 25, 1200, 0.0)
    assert [entry.address[-1] for entry in dead.entries()] == ["1", "3", "4"]
    dead.failed("192.0.2.5", 25, 3000, 0.0)
    assert [entry.address[-1] for entry in dead.entries()] == ["1", "4", "5"]


def test_what_one_worker_finds_another_knows() -> None:
    told: list[DeadHost] = []
    one, other = DeadHosts(tell=told.append), DeadHosts()

    def tell() -> None:
        while told:
            other.learn(told.pop(0))

    one.failed(*HOST, 0, 0.0)
    one.failed(*HOST, 60, 0.0)  # the same failure: nothing is told
    assert len(told) == 1
    tell()
    assert not other.skipped(*HOST, 200)
    other.failed(*HOST, 200, 0.0)  # the second, whoever saw the first
    assert other.skipped(*HOST, 201)
    one.failed(*HOST, 300, 0.0)
    tell()
    assert other.skipped(*HOST, 300 + 3839)
    one.answered(*HOST)
    one.answered(*OTHER)
    tell()
    assert list(other.entries()) == []


def test_of_two_failures_the_later_time_counts_and_the_larger_number() -> None:
    dead = failing(0, 200, 400)
    dead.learn(DeadHost(*HOST, 1, 300, 0.0))
    assert [(host.failures, host.since) for host in dead.entries()] == [(3, 400)]
    dead.learn(DeadHost(*HOST, 1, 500, 0.0))
    assert [(host.failures, host.since) for host in dead.entries()] == [(3, 500)]


def test_the_memory_can_be_wiped() -> None:
    dead = failing(0, 200)
    dead.clear()
    assert list(dead.entries()) == []


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 10_000), st.floats(0, 1))))
def test_the_memory_is_bounded(failures: list[tuple[int, int, float]]) -> None:
    dead = DeadHosts(most=5)
    for host, now, draw in failures:
        dead.failed(str(host), 25, now, draw)
    assert sum(1 for _ in dead.entries()) <= 5
    assert MOST == 1000
