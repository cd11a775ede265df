"""A full queue: a hundred thousand deferred mails, first not due, then due all at once.

    measure_deferred(make_server, rounds)  -> {"ready_seconds": 1.2, "cpu_ratio": 1.03, ...}

The queue is filled through its own port while the server is stopped.
"""

import os
import smtplib
import statistics
import time
from collections.abc import Callable

from bench.cost import memory
from bench.idle import MIB
from bench.load import SENDER, body, send, wait_until_quiet
from bench.ours import Ours
from bench.scenarios import KIB, SCENARIOS
from bench.server import DOMAIN, USERS, BenchError
from indimail.mail.channel import Channel
from indimail.mail.ids import QueueIds
from indimail.queue.port import Accepted, QueuedMessage, QueuedRecipient
from indimail.queue.sqlite import SqliteQueue

DEFERRED = 100_000
BATCH = 1000
DAY = 86_400.0
LOAD = next(scenario for scenario in SCENARIOS if scenario.name == "1k-10")


def measure_deferred(
    make: Callable[[], Ours], rounds: int, count: int = DEFERRED
) -> dict[str, float]:
    """Compare runs with an empty and a full queue, interleaved; then make all of it due."""
    cpu: dict[int, list[float]] = {0: [], count: []}
    pss: dict[int, list[float]] = {0: [], count: []}
    ready = []
    for _ in range(rounds):
        for waiting in (0, count):
            server = make()
            _prepare(server, waiting, due=time.time() + DAY)
            server.start()
            try:
                wait_until_quiet(server)
                pss[waiting].append(memory(server.pid) / MIB)
                if waiting:
                    ready.append(server.ready_seconds)
                cpu[waiting].append(send(server, LOAD).cpu_per_mail)
            finally:
                server.stop()
            server.put_away()
    return {
        "deferred": count,
        "ready_seconds": max(ready),
        "cpu_ratio": statistics.median(cpu[count]) / statistics.median(cpu[0]),
        "pss_rise_mib": statistics.median(pss[count]) - statistics.median(pss[0]),
        "new_mail_seconds": _new_mail_beside(make(), count),
    }


def _prepare(server: Ours, waiting: int, due: float) -> None:
    """Build an instance whose queues hold so many mails together; it is stopped afterwards."""
    os.makedirs(server.folder, mode=0o711, exist_ok=True)
    server.build()
    server.start()  # makes the queues
    server.stop()
    base = os.path.join(server.root, "queue")
    queues = sorted(name for name in os.listdir(base) if name.removeprefix("queue").isdigit())
    born = time.time() - 3600  # the same for all: with the number it makes the id
    for number, name in enumerate(queues if waiting else []):
        mine = range(number, waiting, len(queues))
        fill(os.path.join(base, name), mine, born, due)


def fill(queue: str, numbers: range, born: float, due: float) -> None:
    """Put mails with one earlier attempt into a queue that nobody has open; an id each number."""
    path = os.path.join(queue, "queue.db")
    owner = os.stat(path)
    ids = QueueIds(giver=1023)
    content = b"From: <%s>\nSubject: deferred\n\n%s" % (SENDER.encode(), body(KIB))
    store = SqliteQueue.open(path)
    for start in range(0, len(numbers), BATCH):
        changes = []
        for number in numbers[start : start + BATCH]:
            user = USERS[number % len(USERS)]
            queue_id = ids.next(int(born * 1e6) + number)
            message = QueuedMessage(queue_id, born, SENDER, len(content), content)
            target = f"{DOMAIN}-{user}@{DOMAIN}"
            recipient = QueuedRecipient(
                0, f"{user}@{DOMAIN}", Channel.LOCAL, target, attempts=1, due=due
            )
            changes.append(Accepted(message, (recipient,)))
        store.apply(changes)
    store.close()
    for name in os.listdir(queue):
        os.chown(os.path.join(queue, name), owner.st_uid, owner.st_gid)


def _new_mail_beside(server: Ours, count: int) -> float:
    """Return the seconds that a new mail takes while all of the queue is due; the worst of five."""
    _prepare(server, count, due=time.time() - 1)
    server.start()
    times = []
    try:
        for number in range(5):
            # To a user whose own deferred mails were not looked at yet, or long ago.
            times.append(deliver_one(server, USERS[-1 - number]))
            time.sleep(0.2)
    finally:
        server.stop()
    server.put_away()
    return max(times)


def deliver_one(server: Ours, user: str) -> float:
    """Send one mail and return the seconds until its file is there, known by its id."""
    begun = time.monotonic()
    with smtplib.SMTP("127.0.0.1", server.port, "new.example.net") as client:
        client.ehlo()
        client.mail(SENDER)
        client.rcpt(f"{user}@{DOMAIN}")
        code, text = client.data(b"Subject: new\r\n\r\nnew\r\n")
    if code != 250:
        raise BenchError(f"new mail: {code} {text!r}")
    mark = f".Q{text.split()[-1].decode()}R"
    while time.monotonic() - begun < 60:
        if any(mark in name for name in os.listdir(server.new(user))):
            return time.monotonic() - begun
        time.sleep(0.01)
    raise BenchError("new mail: not delivered in 60 s")
