"""The fixtures of the plugin, as a suite outside this project finds them."""

from indimail.testing.clock import FakeClock
from indimail.testing.disk import SimulatedDisk

pytest_plugins = ["pytester"]

SUITE = """
def test_a_world(simulated_disk, fake_clock):
    simulated_disk.write_new("/1", (b"x",))
    fake_clock.advance(60)
    assert simulated_disk.seed == {seed}
    assert fake_clock.steady() == 60
"""


def test_a_suite_elsewhere_has_the_fixtures_and_says_its_seed(pytester) -> None:
    pytester.makepyfile(SUITE.format(seed=7))
    result = pytester.runpytest_inprocess("--disk-seed=7")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["simulated disk: seed 7"])


def test_each_test_has_a_disk_and_a_clock_of_its_own(simulated_disk, fake_clock) -> None:
    assert isinstance(simulated_disk, SimulatedDisk)
    assert isinstance(fake_clock, FakeClock)
    assert (simulated_disk.operations, fake_clock.steady()) == (0, 0.0)
