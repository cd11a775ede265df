"""The clock of the simulated world stands still until it is told."""

import pytest

from indimail.mail.clock import Clock
from indimail.testing.clock import FakeClock


def test_time_passes_on_both_clocks_when_told() -> None:
    clock: Clock = (fake := FakeClock(now=1000.0))
    assert (clock.now(), clock.steady()) == (1000.0, 0.0)
    fake.advance(7 * 86400)
    assert (clock.now(), clock.steady()) == (605800.0, 604800.0)


def test_a_correction_steps_the_wall_clock_only() -> None:
    fake = FakeClock(now=1000.0)
    fake.step(-60)
    assert (fake.now(), fake.steady()) == (940.0, 0.0)


def test_a_steady_clock_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="step"):
        FakeClock().advance(-1)
