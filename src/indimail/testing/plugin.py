"""The simulated world as pytest fixtures.

    def test_a_kept_mail_survives(simulated_disk, fake_clock): ...

pytest finds them by the entry point ``indimail``.  The disk forgets everything un-synced, or with
``--disk-seed N`` what that seed draws, so that a failure found with a seed is seen again.
"""

import pytest

from indimail.testing.clock import FakeClock
from indimail.testing.disk import SimulatedDisk


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the seed."""
    parser.getgroup("indimail").addoption(
        "--disk-seed",
        type=int,
        default=None,
        metavar="N",
        help="what a simulated power cut leaves is drawn with this seed (default: nothing)",
    )


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say the seed, so that the run can be repeated."""
    seed = config.getoption("--disk-seed", default=None)
    return None if seed is None else f"simulated disk: seed {seed}"


@pytest.fixture
def simulated_disk(request: pytest.FixtureRequest) -> SimulatedDisk:
    """An empty disk in memory."""
    return SimulatedDisk(request.config.getoption("--disk-seed", default=None))


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that stands still until it is told."""
    return FakeClock()
