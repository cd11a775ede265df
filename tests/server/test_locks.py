"""One owner for everything that only one process may write, also while a server before us ends."""

import time

import pytest

from indimail.durable.lock import DirectoryLock
from live import Instance

pytestmark = pytest.mark.slow


def started_once(instance: Instance) -> Instance:
    """Return an instance whose directories are all there."""
    with instance.serve():
        pass
    return instance


@pytest.mark.parametrize(
    "held",
    [
        "queue/queue1",
        "run/worker0",  # two that share a number would give the same ids and write one trace
    ],
)
def test_what_a_process_before_us_still_owns_is_waited_for(instance: Instance, held: str) -> None:
    owner = DirectoryLock.take(started_once(instance).path(held))
    assert owner is not None
    server = instance.start()
    with server:
        time.sleep(1.5)  # far longer than a start takes
        assert server.listeners == {}
        owner.release()
        server.wait_until_ready()
        assert instance.ended(server.send())
