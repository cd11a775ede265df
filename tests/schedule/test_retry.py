"""qmail's curve: the table of spec/queue.md 2.1."""

import pytest

from indimail.schedule.retry import CHANNEL_SKIP, JITTER, is_expired, next_try

BORN = 1_795_000_000.0


@pytest.mark.parametrize(
    ("channel", "dues"),
    [
        ("remote", [400, 1600, 3600, 6400, 10_000, 14_400, 19_600, 25_600, 32_400, 40_000]),
        ("local", [100, 400, 900, 1600, 2500, 3600, 4900, 6400, 8100, 10_000]),
    ],
)
def test_attempts_follow_the_quadratic_curve(channel: str, dues: list[int]) -> None:
    now, seen = BORN, []
    for _ in dues:
        now = next_try(BORN, now, CHANNEL_SKIP[channel])
        seen.append(now - BORN)
    assert seen == dues


@pytest.mark.parametrize(
    ("age", "due"), [(0.9, 400), (1, 441), (399.99, 1521), (400, 1600), (-50, 400)]
)
def test_the_age_decides_not_the_number_of_attempts(age: float, due: int) -> None:
    assert next_try(BORN, BORN + age, 20) - BORN == due


def test_the_last_remote_attempt_is_the_39th() -> None:
    """So the bounce comes at the first slot after seven days."""
    now, attempts = BORN, 1
    while not is_expired(BORN, now, 604_800):
        now = next_try(BORN, now, 20)
        attempts += 1
    assert (attempts - 1, now - BORN) == (39, 608_400)


@pytest.mark.parametrize(("jitter", "wait"), [(0.0, 2000), (0.5, 2050), (1.0, 2000 * (1 + JITTER))])
def test_jitter_lengthens_the_wait(jitter: float, wait: float) -> None:
    assert next_try(BORN, BORN + 1600, 20, jitter) - (BORN + 1600) == pytest.approx(wait)


def test_expiry_begins_after_the_lifetime() -> None:
    assert not is_expired(BORN, BORN + 100, 100)
    assert is_expired(BORN, BORN + 100.5, 100)
