"""`make crash SEED=n`: every crash of a seed on the simulated disk, then kill -9 of the real server.

    python -m tests.crash --seed 1                          # everything
    python -m tests.crash --seed 1 --only plain/217:power:torn  # one point, as a complaint names it
    python -m tests.crash --some 100 --kills 0 --databases ""   # some points, no real server, no command

At the end each command that changes an instance is killed after each of its writes, on each database.

Last line: ``crashes N accepted N delivered N failed N deferred N lost N doubled N``, in recipients;
exit 1 if anything was lost or doubled, or is otherwise not as it may be.
"""

import argparse
import gc
import logging
import os
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from indimail.testing.disk import Operation

from .judge import Verdict
from .script import SCRIPTS
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
    rerun: int = 0
    own: int = 0
    lost: int = 0
    doubled: int = 0
    faults: int = 0
    shown: int = field(default=0, repr=False)

    @property
    def is_wrong(self) -> bool:
        """Whether anything is not as it has to be."""
        return bool(self.lost or self.doubled or self.faults)

    def add(self, verdict: Verdict, crashes: int) -> None:
        self.crashes += crashes
        for name in ("accepted", "delivered", "failed", "deferred", "again", "rerun", "own"):
            setattr(self, name, getattr(self, name) + getattr(verdict, name))
        self.lost += len(verdict.lost)
        self.doubled += len(verdict.doubled)
        self.faults += len(verdict.faults)

    def __str__(self) -> str:
        names = ("crashes", "accepted", "delivered", "failed", "deferred", "lost", "doubled")
        return " ".join(f"{name} {getattr(self, name)}" for name in names)


def walk(seed: int, some: int, only: str | None = None) -> Totals:
    """Visit the points and print what is wrong."""
    totals = Totals()
    if only is not None:
        visit_all(totals, seed, [Point.parse(only)])
        return totals
    for script in SCRIPTS:
        first = course(seed, script)
        for text in first.verdict.wrong:
            print(f"{script} without a crash: {text}")
        totals.faults += len(first.verdict.wrong)
        if first.verdict.again or first.verdict.rerun:
            print(f"{script} without a crash: something is made again: {first.verdict}")
            totals.faults += 1
        points = first.sample(-(-some // len(SCRIPTS)), seed) if some else list(first.points())
        print(
            f"seed {seed}, {script}: operations {len(first.history)} commits {first.commits} "
            f"rounds of syncs {first.syncs} points {len(points)}",
            flush=True,
        )
        visit_all(totals, seed, points)
    return totals


def visit_all(totals: Totals, seed: int, points: Sequence[Point]) -> None:
    """Visit points."""
    for point in points:
        try:
            verdict, crashes, where = visit(seed, point)
        except Exception:
            told = traceback.format_exc(limit=-1).replace("\n", " ")
            verdict, crashes, where = Verdict(faults=[told]), 0, None
        totals.add(verdict, crashes)
        tell(totals, seed, point, where, verdict)
    gc.collect()


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
    parser.add_argument("--kills", type=int, default=20, help="of the real server (20)")
    parser.add_argument(
        "--databases", default="sqlite,mariadb,postgresql", help="where commands are killed (all)"
    )
    arguments = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets is part of the course
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.crash", *sys.argv[1:]])
    logging.getLogger("indimail").addHandler(logging.NullHandler())
    logging.getLogger("indimail").propagate = False  # a disk that fails is told at length
    sys.path.append(str(Path(__file__).resolve().parent.parent))  # for `live`, as pytest has it
    started = time.monotonic()
    totals = walk(arguments.seed, arguments.some, arguments.only)
    print(f"taken by a reader before a power cut, and delivered again (allowed): {totals.again}")
    print(f"programs and mboxes that saw a mail once more (allowed): {totals.rerun}")
    print(f"outcomes of what was forwarded and bounced, each once: {totals.own}")
    print(f"other faults: {totals.faults}; {time.monotonic() - started:.0f} s; {totals}")
    if arguments.kills and arguments.only is None:
        kill(arguments.seed, arguments.kills, totals)
    if arguments.only is None:
        for kind in filter(None, arguments.databases.split(",")):
            kill_commands(kind, totals)
    print(totals)
    return 1 if totals.is_wrong else 0


def kill(seed: int, kills: int, totals: Totals) -> None:
    """Add what the real server makes of kill -9."""
    from .kill import ENOUGH, Killing

    killing = Killing(seed, kills)
    verdict = killing.run()
    for text in verdict.wrong[:SHOWN]:
        print(f"killed: {text}")
    print(
        f"killed: {killing.crashes} kills, {killing.counted} of them with {ENOUGH} mails or more "
        f"accepted and undelivered; accepted {verdict.accepted} delivered {verdict.delivered} "
        f"failed {verdict.failed} deferred {verdict.deferred} lost {len(verdict.lost)} "
        f"doubled {len(verdict.doubled)}"
    )
    totals.add(verdict, killing.crashes)


def kill_commands(kind: str, totals: Totals) -> None:
    """Add what a database makes of commands that are killed."""
    import pytest

    from .commands import COMMANDS, tried_on

    started, killed, wrong = time.monotonic(), 0, 0
    try:
        for number, trials in enumerate(tried_on(kind), 1):
            killed += len(trials)
            for trial in trials:
                wrong += bool(trial.wrong)
                if trial.wrong and wrong <= SHOWN:
                    print(f"\n{kind}: {trial}", flush=True)
            where = f"{number} of {len(COMMANDS)} commands, {killed} kills, {wrong} wrong"
            is_last = number == len(COMMANDS)
            if is_last or sys.stdout.isatty():
                line = f"\rcommands on {kind}: {where}, {time.monotonic() - started:.0f} s"
                print(line, end="\n" if is_last else "", flush=True)
    except pytest.skip.Exception as skipped:
        print(f"commands on {kind}: skipped, {skipped}")
    totals.faults += wrong


if __name__ == "__main__":
    sys.exit(main())
