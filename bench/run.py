"""`make bench`: all scenarios on both servers, round by round, then memory, queue and story.

    python -m bench.run [--quick] [--only NAME]... [--rounds N] [--ours-only | --postfix-only]

Exit 1 where a mail was not whole, not there or there twice, or a story is incomplete.  A bar that
was not reached is shown in the tables and does not end the run.
"""

import argparse
import dataclasses
import os
import shutil
import sys
import tempfile
import time

from bench import report
from bench.deferred import measure_deferred
from bench.explained import check_explained
from bench.idle import measure_idle
from bench.load import Run, send, told
from bench.logins import measure_logins
from bench.machine import describe
from bench.ours import Ours
from bench.outward import measure_outward
from bench.postfix import Postfix
from bench.residents import measure_programs, measure_residents
from bench.scenarios import OUTWARD, SCENARIOS, Scenario
from bench.server import BenchError, Server
from bench.stream import measure_stream
from bench.syncs import count_syncs
from bench.users import measure_users

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EXTRAS = (
    "syncs",
    "idle",
    "stream",
    "logins",
    "deferred",
    "residents",
    "programs",
    "users",
)  # beside the scenarios
USERS_ROUNDS = 3  # at most: each mail of theirs has a user of its own
QUICKLY = 4  # so many times fewer mails with --quick


class Bench:
    """One call of `make bench`: its folder, its results so far, its stopped instances."""

    def __init__(self, arguments: argparse.Namespace, folder: str) -> None:
        self.arguments = arguments
        self.folder = folder
        self.results: report.Results = {
            "begun": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "quick": arguments.quick,
            "rounds": arguments.rounds,
            "machine": describe(folder),
            "differences": {},
            "runs": [],
        }
        self.mails: list[tuple[str, str]] = []  # (root, path) of what ours delivered
        self._postfixes = 0

    def ours(self) -> Ours:
        """Return our server, not started; always at the same path (see bench.ours)."""
        return Ours(os.path.join(self.folder, "ours"))

    def postfix(self) -> Postfix:
        """Return a Postfix in a folder of its own, not started."""
        self._postfixes += 1
        return Postfix(os.path.join(self.folder, f"postfix-{self._postfixes}"))

    def wants(self, name: str) -> bool:
        """Tell whether a scenario or an extra was asked for."""
        only: list[str] = self.arguments.only
        return name in only if only else True

    def servers(self, turn: int) -> list[Server]:
        """Return the servers of a round, the other one first every second time."""
        chosen: list[Server] = []
        if not self.arguments.postfix_only:
            chosen.append(self.ours())
        if not self.arguments.ours_only:
            chosen.append(self.postfix())
        return chosen if turn % 2 else chosen[::-1]

    def run_rounds(self) -> None:
        """Every scenario on every server, once a round."""
        chosen = [scenario for scenario in SCENARIOS if self.wants(scenario.name)]
        for number in range(1, self.arguments.rounds + 1):
            for scenario in chosen:
                for server in self.servers(number):
                    self.run_one(number, self.shortened(scenario), server)

    def run_outward(self) -> None:
        """Mail for the next host, the same way."""
        chosen = [scenario for scenario in OUTWARD if self.wants(scenario.name)]
        if chosen:
            sides = (not self.arguments.postfix_only, not self.arguments.ours_only)
            fewer = QUICKLY if self.arguments.quick else 1
            rounds = self.arguments.rounds
            runs, differences = measure_outward(self.folder, rounds, fewer, sides, chosen)
            self.results["runs"] += runs
            for server, lines in differences.items():
                self.results["differences"].setdefault(server, []).extend(lines)
            report.write_results(self.results)

    def shortened(self, scenario: Scenario) -> Scenario:
        """Return the scenario with fewer mails for --quick."""
        fewer = scenario.messages // QUICKLY if self.arguments.quick else scenario.messages
        return dataclasses.replace(scenario, messages=fewer)

    def run_one(self, number: int, scenario: Scenario, server: Server) -> None:
        """One scenario on one server, in a fresh folder, with the disk at rest."""
        os.sync()
        with server:
            run = send(server, scenario)
            self.results["differences"].setdefault(server.name, server.differences())
            clock = server.clock.source
        self.keep(server, run)
        self.results["runs"].append(run.result(number, scenario, server.name, clock))
        report.write_results(self.results)
        say(told(self.results["runs"][-1]))

    def keep(self, server: Server, run: Run) -> None:
        """Put our instance aside for `explain`, and note where its mails are now."""
        if isinstance(server, Ours):
            root = server.put_away()
            moved = (path.replace(server.root, root, 1) for path in run.files)
            self.mails += [(root, path) for path in moved]

    def run_extras(self) -> None:
        """What is measured once: syncs, memory, large mails, a full queue, the stories."""
        if self.wants("syncs"):
            self.results["syncs"] = {}
            for server in self.servers(1):
                self.results["syncs"][server.name] = count_syncs(server)
                if isinstance(server, Ours):
                    server.put_away()
        if not self.arguments.postfix_only:
            self.run_our_extras()
        if self.wants("users"):
            sides = (not self.arguments.postfix_only, not self.arguments.ours_only)
            quickly = QUICKLY if self.arguments.quick else 1
            rounds = min(self.arguments.rounds, USERS_ROUNDS)
            self.results["users"] = measure_users(self.folder, rounds, quickly, sides)
            report.write_users(self.results, self.arguments.report)
        report.write_results(self.results)

    def run_our_extras(self) -> None:
        """Measure what only ours has a bar for."""
        for name, measure in (("idle", measure_idle), ("stream", measure_stream)):
            if self.wants(name):
                server = self.ours()
                with server:
                    self.results[name] = measure(server)
                server.put_away()
                say(f"{name}: {self.results[name]}")
        if self.wants("deferred"):
            rounds = 1 if self.arguments.quick else 3
            self.results["deferred"] = measure_deferred(self.ours, rounds)
            say(f"deferred: {self.results['deferred']}")
        if self.wants("residents"):
            self.results["residents"] = measure_residents(
                self.ours, 1 if self.arguments.quick else 3
            )
            say(f"residents: {self.results['residents']}")
        if self.wants("logins"):
            self.results["logins"] = measure_logins(self.ours())
            say(f"logins: {self.results['logins']}")
        if self.wants("programs"):
            self.results["programs"] = measure_programs(self.ours())
            say(f"programs: {self.results['programs']}")
        if self.mails:
            self.results["explained"] = check_explained(self.mails)
            say(f"explain: {self.results['explained']} random mails told their story")


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, flush=True)


def parse() -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(prog="bench", description="measure ours against Postfix")
    names = [*(scenario.name for scenario in SCENARIOS + OUTWARD), *EXTRAS]
    parser.add_argument("--only", action="append", default=[], choices=names, metavar="NAME",
                        help=f"one of {' '.join(names)}; repeatable")  # fmt: skip
    parser.add_argument("--rounds", type=int, help="default 5, with --quick 1")
    parser.add_argument("--quick", action="store_true", help="one round of a quarter of the mails")
    parser.add_argument("--keep", action="store_true", help="leave the instances where they are")
    parser.add_argument("--dir", default="/var/tmp", help="where they are made: the disk measured")
    parser.add_argument("--report", default=os.path.join(ROOT, "docs", "benchmarks"))
    sides = parser.add_mutually_exclusive_group()
    sides.add_argument("--ours-only", action="store_true")
    sides.add_argument("--postfix-only", action="store_true")
    arguments = parser.parse_args()
    if arguments.rounds is None:
        arguments.rounds = 1 if arguments.quick else 5
    return arguments


def main() -> int:
    """Measure, report, clean up."""
    arguments = parse()
    if os.geteuid() != 0 and not arguments.ours_only:
        sys.exit("bench: Postfix: needs root (or --ours-only)")
    for program in ("smtp-source", "strace"):
        if not shutil.which(program):
            sys.exit(f"bench: {program}: missing (apt-get install postfix strace)")
    folder = tempfile.mkdtemp(prefix="indimail-bench-", dir=arguments.dir)
    os.chmod(folder, 0o711)
    try:
        bench = Bench(arguments, folder)
        bench.run_rounds()
        bench.run_outward()
        bench.run_extras()
        if arguments.only != ["users"]:
            report.write_report(bench.results, arguments.report)
            say(report.tables(bench.results))
        if "users" in bench.results:
            say(report.users_tables(bench.results))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        arguments.keep = True
        return 1
    finally:
        if arguments.keep:
            say(f"instances: {folder}")
        else:
            shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
