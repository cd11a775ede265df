"""Deliveries as another user, and beside programs that misbehave.

    measure_residents(make, rounds)  -> {"cpu_ratio": 1.2, "rate_ratio": 0.9}
    measure_programs(server)         -> {"beside_seconds": 0.1, ...}

The first gives the domain to another uid (users/assign and its files), so that a resident process
of that user makes the deliveries, and compares with the server's own, interleaved.  The second
starts programs of .qmail lines that hang, flood, fork and eat memory, and times new mail meanwhile.
"""

import os
import smtplib
import statistics
import time
from collections.abc import Callable

from bench.deferred import LOAD, deliver_one
from bench.load import SENDER, send, wait_until_quiet
from bench.ours import Ours
from bench.server import DOMAIN, USERS

OTHER = 65534  # nobody: a user of the system that owns no files
BAD = {
    "hangs": "|sleep 600",
    "floods": "|while :; do echo flood flood flood flood flood; done",
    "forks": '|f() { [ "$1" = 0 ] || { f $(($1-1)) | f $(($1-1)) & }; sleep 600; }; f 11',
    "eats": "|exec perl -e '$x .= \"x\" x 1000000 while 1'",
}
SECONDS = 5  # that a program may run in the instance of this benchmark


def measure_residents(make: Callable[[], Ours], rounds: int) -> dict[str, float]:
    """Compare the server's own deliveries with those of another user's process."""
    cpu: dict[bool, list[float]] = {False: [], True: []}
    rate: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(rounds):
        for foreign in (False, True):
            server = make()
            os.makedirs(server.folder, mode=0o711, exist_ok=True)
            server.build()
            if foreign:
                give_away(server.root)
            server.start()
            try:
                run = send(server, LOAD)
            finally:
                server.stop()
            server.put_away()
            cpu[foreign].append(run.cpu_per_mail)
            rate[foreign].append(run.rate)
    return {
        "cpu_ratio": statistics.median(cpu[True]) / statistics.median(cpu[False]),
        "rate_ratio": statistics.median(rate[True]) / statistics.median(rate[False]),
    }


def give_away(root: str) -> None:
    """Let the domain belong to the other user: its entry, its folder, its mail."""
    path = os.path.join(root, "users", "assign")
    with open(path, encoding="ascii") as file:
        lines = [line.split(":") for line in file.read().splitlines()]
    for fields in lines:
        if fields[0] == f"+{DOMAIN}-":
            fields[2:4] = [str(OTHER), str(OTHER)]
    with open(path, "w", encoding="ascii") as file:
        file.writelines(":".join(fields) + "\n" for fields in lines)
    for group in ("A2E", "F2K", "L2P", "Q2S", "T2Zsym"):
        _chown(os.path.join(root, "mail", group, DOMAIN))
    _chown(os.path.join(root, "domains", DOMAIN))


def _chown(folder: str) -> None:
    for parent, _, names in os.walk(folder):
        os.chown(parent, OTHER, OTHER)
        for name in names:
            os.chown(os.path.join(parent, name), OTHER, OTHER)


def measure_programs(server: Ours, times: int = 10) -> dict[str, float]:
    """Time new mail while each kind of bad program runs; the server is not started yet."""
    os.makedirs(server.folder, mode=0o711, exist_ok=True)
    server.build()
    home = os.path.join(server.root, "domains", DOMAIN)
    owner = os.stat(home)
    for name, line in BAD.items():
        path = os.path.join(home, f".qmail-{name}")
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{line}\n")
        os.chown(path, owner.st_uid, owner.st_gid)
        os.chmod(path, 0o600)
    _set_variable(server.root, "PROGRAM_SECONDS", SECONDS)
    server.start()
    worst = {}
    try:
        for name in BAD:
            _send_to(server.port, [f"{name}@{DOMAIN}"] * 5)
            found = []
            for number in range(times):
                found.append(deliver_one(server, USERS[number]))
                time.sleep(0.2)
            worst[f"{name}_seconds"] = max(found)
        time.sleep(SECONDS)  # all are ended by now
        wait_until_quiet(server)
    finally:
        server.stop()
    server.put_away()
    return {"beside_seconds": max(worst.values()), **worst}


def _set_variable(root: str, name: str, value: int) -> None:
    path = os.path.join(root, "indimail.toml")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("[variables]\n", f'[variables]\n{name} = "{value}"\n'))


def _send_to(port: int, addresses: list[str]) -> None:
    with smtplib.SMTP("127.0.0.1", port, "bad.example.net") as client:
        for address in addresses:
            client.sendmail(SENDER, [address], b"Subject: bad\r\n\r\nbad\r\n")
