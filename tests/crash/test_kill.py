"""The short form of the second half of `make crash`: the real server, killed in each way once."""

import pytest

from crash.kill import KINDS, Killing


@pytest.mark.slow
def test_a_killed_server_loses_and_doubles_nothing() -> None:
    killing = Killing(seed=1, kills=len(KINDS))
    verdict = killing.run()
    assert verdict.wrong == []
    assert verdict.accepted == verdict.delivered > 100
