"""The short form of `make crash`: some points of two seeds, and the kit itself."""

from random import Random

import pytest

from crash.ledger import Ledger
from crash.script import PLAIN, SCRIPTS
from crash.walk import Point, course, visit
from crash.world import QUEUE, World
from indimail.testing.clock import FakeClock
from indimail.testing.disk import SimulatedDisk

SOME = 20


def test_without_a_crash_every_mail_ends_as_planned() -> None:
    found = course(1, "plain")
    assert found.verdict.wrong == []
    verdict = found.verdict
    assert (verdict.accepted, verdict.delivered, verdict.failed) == (26, 22, 3)
    assert verdict.deferred == 1
    kinds = {operation.kind.value for operation in found.history}
    assert {"sync_filesystem", "sync_file", "sync_directory", "link", "rename"} <= kinds


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_a_crash_nothing_is_made_twice_and_every_copy_is_counted(script: str) -> None:
    verdict = course(2, script).verdict
    assert (verdict.wrong, verdict.again, verdict.rerun, verdict.alike) == ([], 0, 0, 0)
    assert (verdict.counted > 0) == (script in {"quotas", "duplicates"})


def test_the_same_seed_goes_the_same_way() -> None:
    assert course(3, "bounces").history == course(3, "bounces").history
    point = Point.parse("steps/150:power:torn")
    assert visit(3, point) == visit(3, point)


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.slow
def test_no_crash_loses_or_doubles_mail(seed: int, script: str) -> None:
    wrong = {}
    for point in course(seed, script).sample(SOME, seed):
        verdict, _, where = visit(seed, point)
        if verdict.wrong:
            wrong[str(point)] = (where, verdict.wrong)
    assert wrong == {}


@pytest.mark.parametrize(
    "text",
    [
        "12:kill",
        "plain/12",
        "plain/12:fire",
        "plain/12:power:torn:more",
        "plain/x:kill",
        "odd/1:kill",
    ],
)
def test_a_point_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Point.parse(text)


def test_the_database_is_on_the_simulated_disk_with_its_log_ahead() -> None:
    disk = SimulatedDisk()
    with World(disk, FakeClock(), Ledger(), Random(1), PLAIN) as world:
        world.run()
        db = world.connection()
        assert db.pragma("journal_mode") == "wal"
        db.close()
    assert f"{QUEUE}/queue.db" in disk.contents(QUEUE)
