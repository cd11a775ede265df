"""Which syncs a server makes for two hundred mails, as strace sees them.

    count_syncs(Ours(folder))  -> {"fdatasync queue/queue1/queue.db-wal": 31, ...}

This run is for showing, not for timing: strace makes each system call many times dearer.
"""

import os
import re
from collections import Counter

from bench.load import send
from bench.scenarios import KIB, Scenario
from bench.server import DOMAIN, USERS, Server

LOAD = Scenario("syncs", 10, KIB, 200, rate=0.0)
CALLS = "fsync,fdatasync,syncfs,sync_file_range,sync,msync"
# A call that waits is written in two lines, `fsync(9</path> <unfinished ...>` and its end.
_CALL = re.compile(r"\d+ +(\w+)\((?:\d+<(.*?)>)?")
_FAILED = re.compile(r"(\w+)(?: resumed>|\().*= -1 (\w+)")


def count_syncs(server: Server) -> dict[str, int]:
    """Start the server under strace, send a small load and count calls by what they were on."""
    os.makedirs(server.folder, mode=0o711, exist_ok=True)
    server.build()
    output = f"{server.folder}.strace"
    # -D: the tracer is the grandchild, so that stopping the server is as without it.
    server.start(("strace", "-D", "-f", "-qq", "-y", "-s0", "-e", f"trace={CALLS}", "-o", output))
    try:
        send(server, LOAD)
    finally:
        server.stop()
    found = Counter[str]()
    with open(output, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            call = _CALL.match(line)
            if call:
                found[f"{call[1]} {_kind(call[2] or '', server.folder)}"] += 1
            failed = _FAILED.search(line)
            if failed:
                found[f"{failed[1]}: {failed[2]}"] += 1
    os.unlink(output)
    return dict(found.most_common())


def _kind(path: str, folder: str) -> str:
    """Return a path without what is different for each mail and user."""
    path = path.removeprefix(folder).removeprefix("/root").strip("/")
    path = re.sub(rf"mail/(\w+/)?{DOMAIN}/(\w+/)*?({'|'.join(USERS)})", "mail/.../USER", path)
    path = re.sub(r"/(\d+\.[^/]+|[0-9A-F]{6,}|[0-9a-f]/[0-9A-F]+)$", "/FILE", path)
    return path or "the instance's folder"
