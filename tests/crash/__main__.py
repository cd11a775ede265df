"""`make crash SEED=n`: every crash of a seed, told in one table.

python -m tests.crash --seed 1                    # every point
python -m tests.crash --seed 1 --only 217:power:torn
python -m tests.crash --seed 1 --some 100 --no-live
"""

import argparse
import gc
import os
import sys
import time
from dataclasses import dataclass, field

from indimail.testing.disk import Operation

from .judge import Verdict
from .walk import Point, course, visit

SHOWN = 40  # complaints printed in full


@dataclass
class Totals:
    """Sums over all crashes."""

    crashes: int = 0
    accepted: int = 0
    delivered: int = 0
    failed: int = 0
    deferred: int = 0
    again: int = 0
    lost: int = 0
    doubled: int = 0
    faults: int = 0
    shown: int = field(default=0, repr=False)

    def add(self, verdict: Verdict, crashes: int) -> None:
        self.crashes += crashes
        for name in ("accepted", "delivered", "failed", "deferred", "again"):
            setattr(self, name, getattr(self, name) + getattr(verdict, name))
        self.lost += len(verdict.lost)
        self.doubled += len(verdict.doubled)
        self.faults += len(verdict.faults)

    def __str__(self) -> str:
        names = ("crashes", "accepted", "delivered", "failed", "deferred", "lost", "doubled")
        return " ".join(f"{name} {getattr(self, name)}" for name in names)


def walk(seed: int, some: int, only: str | None = None) -> Totals:
    """Visit the points and print what is wrong."""
    first = course(seed)
    for text in first.verdict.wrong:
        print(f"without a crash: {text}")
    totals = Totals(faults=len(first.verdict.wrong))
    points = first.sample(some, seed) if some else list(first.points())
    points = points if only is None else [Point.parse(only)]
    print(
        f"seed {seed}: operations {len(first.history)} rounds {first.rounds} "
        f"points {len(points)}",
        flush=True,
    )  # fmt: skip
    for point in points:
        verdict, crashes, where = visit(seed, point)
        totals.add(verdict, crashes)
        tell(totals, seed, point, where, verdict)
    gc.collect()
    return totals


def tell(totals: Totals, seed: int, point: Point, where: Operation | None, of: Verdict) -> None:
    """Print the complaints of one point."""
    for text in of.wrong:
        totals.shown += 1
        if totals.shown <= SHOWN:
            operation = f"{where.kind} {where.path}" if where else "the start"
            print(f"SEED={seed} --only {point} ({operation}): {text}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make crash", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--some", type=int, default=0, metavar="N", help="visit N points, not all")
    parser.add_argument("--only", metavar="POINT", help="visit one point, as a complaint names it")
    parser.add_argument("--no-live", action="store_true", help="leave the kill -9 part out")
    arguments = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets is part of the course
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.crash", *sys.argv[1:]])
    started = time.monotonic()
    totals = walk(arguments.seed, arguments.some, arguments.only)
    print(f"taken by a reader before a power cut, and delivered again (allowed): {totals.again}")
    print(f"other faults: {totals.faults}; {time.monotonic() - started:.0f} s")
    print(totals)
    return 1 if totals.lost or totals.doubled or totals.faults else 0


if __name__ == "__main__":
    sys.exit(main())
