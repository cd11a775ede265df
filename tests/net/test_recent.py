"""What the workers count together, and when it is forgotten."""

import os

import pytest

from indimail.net.recent import RecentTable

WINDOW = 900.0


def test_each_worker_sees_what_all_have_counted() -> None:
    table = RecentTable(2, WINDOW)
    one, other = table.of_worker(0), table.of_worker(1)
    one.add("192.0.2.7", 10_000.0)
    other.add("192.0.2.7", 10_000.0)
    other.add("192.0.2.8", 10_000.0)
    assert [one.count(f"192.0.2.{n}", 10_000.0) for n in (7, 8, 9)] == [2, 1, 0]


def test_it_is_shared_with_a_process_that_was_forked() -> None:
    table = RecentTable(2, WINDOW)
    child = os.fork()
    if child == 0:
        table.of_worker(1).add("192.0.2.7", 10_000.0)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert table.of_worker(0).count("192.0.2.7", 10_000.0) == 1


@pytest.mark.parametrize("begin", [0.0, 9_900.0, 10_349.0, 1e9])
def test_it_is_kept_for_half_a_window_and_for_no_more_than_a_whole_one(begin: float) -> None:
    table = RecentTable(1, WINDOW)
    mine = table.of_worker(0)
    mine.add("key", begin)
    assert mine.count("key", begin + WINDOW / 2) == 1
    assert mine.count("key", begin + WINDOW) == 0


def test_an_old_count_does_not_come_back_with_the_next() -> None:
    table = RecentTable(1, WINDOW)
    mine = table.of_worker(0)
    for later in (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 20.0):
        mine.add("key", 9_000.0 + later * WINDOW)
        assert mine.count("key", 9_000.0 + later * WINDOW) == 1


def test_two_generations_count_together() -> None:
    table = RecentTable(2, WINDOW)
    one, other = table.of_worker(0), table.of_worker(1)
    one.add("key", 9_000.0)
    other.add("key", 9_000.0)
    one.add("key", 9_460.0)  # the other's row is a generation behind now
    assert one.count("key", 9_460.0) == 3
    assert one.count("key", 9_000.0 + WINDOW) == 1


def test_a_count_does_not_overflow() -> None:
    mine = RecentTable(1, WINDOW).of_worker(0)
    for _ in range(70_000):
        mine.add("key", 0.0)
    assert mine.count("key", 0.0) == 65_535
