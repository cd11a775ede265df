"""A hundred random mails of the benchmark, each with its whole story in `indimail explain`.

check_explained([(root, path of a delivered file), ...])
"""

import json
import os
import random
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

from bench.ours import COMMANDS
from bench.server import BenchError

IDS = 100
TOLD = frozenset({"connect", "recipient", "route", "delivery"})
_ID = re.compile(r"\.Q(\d+)R")  # SEC.Q<id>R<recipient>.<step>.<me>,S=<size>


def check_explained(mails: list[tuple[str, str]], count: int = IDS) -> int:
    """Return how many were asked for; raise for the first that does not tell everything."""
    chosen = random.sample(mails, min(count, len(mails)))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for complaint in pool.map(_complaint, chosen):
            if complaint:
                raise BenchError(f"explain: {complaint}")
    return len(chosen)


def _complaint(mail: tuple[str, str]) -> str:
    root, path = mail
    found = _ID.search(os.path.basename(path))
    if not found:
        return f"{path}: no id in the name"
    command = [os.path.join(COMMANDS, "indimail"), "explain", found[1], "--json", "--root", root]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"{found[1]}: exit {done.returncode}: {done.stderr.strip()}"
    missing = TOLD - {record["event"] for record in json.loads(done.stdout)}
    return f"{found[1]}: nothing about {', '.join(sorted(missing))}" if missing else ""
