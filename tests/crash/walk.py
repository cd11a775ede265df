"""Crash at every operation and between any two rounds, and judge what the next lives make of it.

    for point in course(seed, "plain").points(): verdict = visit(seed, point)
    Point.parse("plain/217:power:torn")    # as a complaint prints it; `--only` repeats it

A point is an operation of a script's first life (or ``r`` and the number of a boundary of rounds), a kind,
and whether a write there is torn.  Kinds: ``forget`` (power cut, everything un-synced is gone),
``power`` (what is left is drawn with the seed), ``kill`` (kill -9).  On a tenth of the points the
next life is ended too, somewhere in its recovery.

``eio`` and ``full`` end no life: that one operation fails, with an I/O error or for want of space,
and the server has to go on; two times in `AGAIN_ERRORS` it is killed soon after, or the power fails.
"""

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final, Self

from indimail.mail.errors import MailError
from indimail.testing.clock import FakeClock
from indimail.testing.disk import Crash, Kind, Operation, SimulatedDisk, until_the_crash

from .judge import Verdict, judge
from .ledger import Ledger
from .script import SCRIPTS, fresh
from .world import World

KINDS: Final = ("forget", "power", "kill")
ERRORS: Final = {"eio": errno.EIO, "full": errno.ENOSPC}
AWAY: Final = {Crash.POWER: 30.0, Crash.KILL: 0.5}  # seconds until the next life
AGAIN_ERRORS: Final = 3
AGAIN: Final = 10  # one point in so many has a second crash
RECOVERY: Final = 120  # it comes within so many operations


@dataclass(frozen=True)
class Point:
    """Where the first life ends: before operation `number`, or at a boundary of rounds."""

    script: str
    number: int
    kind: str
    torn: bool = False
    boundary: bool = False

    def __str__(self) -> str:
        where = f"{self.script}/{'r' * self.boundary}{self.number}"
        return f"{where}:{self.kind}{':torn' * self.torn}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one back.  Raises ValueError."""
        script, _, point = text.partition("/")
        where, kind, *torn = point.split(":")
        if script not in SCRIPTS or kind not in {*KINDS, *ERRORS} or torn not in ([], ["torn"]):
            kinds = "|".join((*KINDS, *ERRORS))
            raise ValueError(f"{text}: expected {'|'.join(SCRIPTS)}/NUMBER:{kinds}[:torn]")
        number = int(where.removeprefix("r"))
        return cls(script, number, kind, bool(torn), where.startswith("r"))


@dataclass(frozen=True)
class Course:
    """The first life of a seed as it goes without a crash."""

    script: str
    history: tuple[Operation, ...]
    boundaries: int
    commits: int
    syncs: int
    verdict: Verdict

    def sample(self, number: int, seed: int) -> list[Point]:
        """Choose some of the points, in order."""
        every = list(self.points())
        chosen = Random(f"{seed}/sample").sample(range(len(every)), min(number, len(every)))
        return [every[index] for index in sorted(chosen)]

    def points(self) -> Iterator[Point]:
        """Walk every point, in order."""
        for operation in self.history:
            for kind in KINDS:
                yield Point(self.script, operation.number, kind)
                if operation.kind is Kind.WRITE and kind != "forget":
                    yield Point(self.script, operation.number, kind, torn=True)
            for kind in ERRORS:
                yield Point(self.script, operation.number, kind)
        for number in range(1, self.boundaries + 1):
            for kind in KINDS:
                yield Point(self.script, number, kind, boundary=True)


class _Boundaries:
    """Counts them, and crashes at the one that was planned."""

    def __init__(self, disk: SimulatedDisk, point: Point | None) -> None:
        self.count = 0
        self._disk = disk
        self._point = point

    def __call__(self) -> None:
        self.count += 1
        point = self._point
        if point is not None and point.boundary and point.number == self.count:
            self._disk.crash(_crash(point.kind))
            self._disk.exists("/")  # raises PowerCut


def _crash(kind: str) -> Crash:
    return Crash.KILL if kind == "kill" else Crash.POWER


def course(seed: int, script: str) -> Course:
    """Live once without a crash."""
    disk = SimulatedDisk()
    boundaries = _Boundaries(disk, None)
    ledger = Ledger()
    with World(disk, FakeClock(), ledger, _chance(seed), SCRIPTS[script], boundaries) as world:
        world.run()
        rounds = world.commits.rounds, world.syncs.rounds
        history = tuple(disk.history)
        return Course(script, history, boundaries.count, *rounds, judge(world, ledger))


def visit(seed: int, point: Point) -> tuple[Verdict, int, Operation | None]:
    """Live, crash at the point, live on; return the verdict, the crashes, and where it was."""
    if point.kind in ERRORS:
        return _visit_error(seed, point)
    disk = SimulatedDisk(seed if point.kind == "power" else None)
    ledger, clock = Ledger(), FakeClock()
    if not point.boundary:
        disk.crash_at(point.number, _crash(point.kind), torn=point.torn)
    boundaries = _Boundaries(disk, point)
    with (
        World(disk, clock, ledger, _chance(seed), SCRIPTS[point.script], boundaries) as world,
        until_the_crash(disk),
    ):
        world.run()
    where = disk.history[-1] if disk.history else None
    return *_live_on(seed, point, disk, clock, ledger), where


def _visit_error(seed: int, point: Point) -> tuple[Verdict, int, Operation | None]:
    """Let one operation fail, and live on."""
    disk, ledger, clock = SimulatedDisk(), Ledger(), FakeClock()
    disk.fail_at(point.number, ERRORS[point.kind])
    chance = Random(f"{seed}/{point}/end")
    if chance.randrange(AGAIN_ERRORS):
        ending = chance.choice(tuple(Crash))
        disk.crash_at(point.number + chance.randint(1, RECOVERY), ending)
    for _ in range(2):  # a server that cannot start is started again
        with (
            World(disk, clock, ledger, _chance(seed), SCRIPTS[point.script]) as world,
            until_the_crash(disk),
        ):
            try:
                world.open()
            except (OSError, MailError):
                continue
            world.live()
            where = disk.history[point.number - 1]
            return judge(world, ledger, clean=where.kind is not Kind.UNLINK), 0, where
        break
    return *_live_on(seed, point, disk, clock, ledger), disk.history[point.number - 1]


def _live_on(
    seed: int, point: Point, disk: SimulatedDisk, clock: FakeClock, ledger: Ledger
) -> tuple[Verdict, int]:
    """Go through the lives after the first."""
    chance = Random(f"{seed}/{point}")
    crashes = 0
    while disk.crashed is not None:
        crashes += 1
        ended = disk.crashed
        clock.advance(AWAY[ended])
        disk = disk.restart()
        ledger.after_restart(disk, power=ended is Crash.POWER)
        if crashes == 1 and chance.randrange(AGAIN) == 0:
            kind = chance.choice(KINDS)
            disk.seed = seed if kind == "power" else None
            disk.crash_at(chance.randint(1, RECOVERY), _crash(kind), torn=chance.random() < 0.3)
        with (
            World(
                disk, clock, ledger, Random(f"{seed}/{point}/{crashes}"), fresh(crashes)
            ) as world,
            until_the_crash(disk),
        ):
            world.run()
            return judge(world, ledger), crashes
    raise AssertionError("the first life went by without its crash")


def _chance(seed: int) -> Random:
    return Random(f"{seed}/first life")
