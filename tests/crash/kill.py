"""`kill -9` of the real server under load: every mail that got its 250 ends in one outcome.

    Killing(seed=1, kills=20).run()      -> Verdict(accepted=21873, delivered=21873, ...)

Fifty SMTP sessions on loopback send; a reader files or deletes each mail as soon as it sees it; and
in turn one worker, all workers, the supervisor, or all of them at once are killed.  A kill counts
where at least `ENOUGH` mails were accepted and not yet delivered.  At the end the queue runs empty,
and what clients, reader, Maildirs, trace and rows tell is compared.

Bounded: so many kills, so many seconds; the directory and the port are this run's own.
Some mails go to an alias of all users: each has to have its copy, once.
"""

import asyncio
import os
import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from random import Random
from typing import Final

from indimail.durable.disk import SystemDisk
from indimail.mail.events import Event
from indimail.queue.port import State
from indimail.queue.sqlite import SqliteReader, database_of
from indimail.trace.segment import decode, segments
from live import Instance, alive, place, until

from .judge import Verdict

SESSIONS: Final = 50
ENOUGH: Final = 20
USERS: Final = 8
LARGE: Final = 140_000
LONGEST: Final = 420.0  # seconds for everything
WARM: Final = 0.15  # seconds of load before a kill at the earliest
TAG: Final = re.compile(rb"^X-Tag: (\d+)\r?$", re.M)
COPY: Final = re.compile(r"\d+\.Q\d+R(\d+)\.\d+\..*,S=(\d+)")
ALIAS: Final = "everybody"  # forwards to all users
KINDS: Final = ("a worker", "all workers", "the supervisor", "everything")


def tell(text: str) -> None:
    """Say it at once: a run takes minutes."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@dataclass
class Book:
    """What people outside the server know; clients and the reader write into it."""

    sent: dict[int, tuple[str, ...]] = field(default_factory=dict)  # tag -> users
    accepted: dict[int, int] = field(default_factory=dict)  # queue-id -> tag
    seen: dict[str, tuple[int, str]] = field(default_factory=dict)  # copy's name -> (tag, user)
    filed: set[str] = field(default_factory=set)  # copies that left new/
    faults: list[str] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        """About how many mails are accepted and not seen."""
        return len(self.accepted) - len({tag for tag, _ in list(self.seen.values())})


class Sender:
    """One of the sessions: it sends, and after a broken connection it begins anew."""

    def __init__(self, book: Book, address: Callable[[], tuple[str, int]], random: Random) -> None:
        self._book = book
        self._address = address
        self._random = random
        self.flowing = asyncio.Event()

    async def run(self) -> None:
        while True:
            with suppress(OSError, EOFError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection(*self._address())
                try:
                    await self._converse(reader, writer)
                finally:
                    writer.transport.abort()
            await asyncio.sleep(0.02)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._reply(reader)
        writer.write(b"EHLO client.example.net\r\n")
        await self._reply(reader)
        while True:
            await self.flowing.wait()
            await self._mail(reader, writer)

    async def _mail(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tag = len(self._book.sent) + 1
        number = 2 if tag % 10 == 0 else 1
        users = tuple(f"user{(tag + n) % USERS}" for n in range(number))
        if tag % 10 == 5 or tag % 100 == 50:
            users, number = (ALIAS,), 1
        self._book.sent[tag] = users
        rcpt = "".join(f"RCPT TO:<{user}@example.com>\r\n" for user in users)
        writer.write(f"MAIL FROM:<sender@example.net>\r\n{rcpt}DATA\r\n".encode())
        for _ in range(number + 2):
            await self._reply(reader)
        size = LARGE if tag % 50 == 0 else self._random.randint(100, 3000)
        writer.write(message(tag, size).replace(b"\n", b"\r\n") + b".\r\n")
        answer = await self._reply(reader)
        found = re.match(rb"250 2\.0\.0 ok \d+ qp (\d+)", answer)
        if found:
            self._book.accepted[int(found[1])] = tag

    async def _reply(self, reader: asyncio.StreamReader) -> bytes:
        while True:
            line = await reader.readuntil(b"\n")
            if line[3:4] != b"-":
                return line


def message(tag: int, size: int) -> bytes:
    """Return a mail that is told from every other, and a hole in it from nothing."""
    line = b"mail %d says this on every line\n" % tag
    return b"Subject: %d\nX-Tag: %d\n\n" % (tag, tag) + line * (size // len(line) + 1)


class MailReader(threading.Thread):
    """Files or deletes whatever it finds in new/, at once."""

    def __init__(self, book: Book, maildirs: dict[str, str], random: Random) -> None:
        super().__init__(daemon=True)
        self._book = book
        self._maildirs = maildirs
        self._random = random
        self._ends = threading.Event()

    def run(self) -> None:
        while not self._ends.wait(0.005):
            self.look()

    def end(self) -> None:
        self._ends.set()
        self.join()

    def look(self) -> None:
        """See to every mail; also those that stay are looked at."""
        for user, folder in self._maildirs.items():
            for name in os.listdir(f"{folder}/new"):
                if name not in self._book.seen:
                    self._see(user, folder, name)
                elif name in self._book.filed:
                    self._book.faults.append(f"{name}: came to {user} again")

    def _see(self, user: str, folder: str, name: str) -> None:
        path = f"{folder}/new/{name}"
        content = Path(path).read_bytes()
        found, named = TAG.search(content), COPY.fullmatch(name)
        tag = int(found[1]) if found else 0
        line = b"mail %d says this on every line\n" % tag
        body = content.partition(b"\n\n")[2]
        if not named or len(content) != int(named[2]) or body != line * (len(body) // len(line)):
            self._book.faults.append(f"{path}: not whole ({len(content)} octets)")
        chance = self._random.random()
        if chance < 0.8:
            self._book.filed.add(name)
        self._book.seen[name] = (tag, user)
        if chance < 0.4:
            os.unlink(path)
        elif chance < 0.8:
            os.rename(path, f"{folder}/cur/{name}:2,S")


class Killing:
    """The whole run."""

    def __init__(self, seed: int, kills: int = 20) -> None:
        self._random = Random(f"{seed}/kill")
        self._kills = kills
        self.counted = 0
        self.crashes = 0

    def run(self) -> Verdict:
        """Kill as often as asked; return what became of the mails."""
        with place() as folder:
            instance = Instance.make(f"{folder}/i")
            for number in range(USERS):
                instance.run("vadduser", f"user{number}@example.com", given="not-a-secret-1")
            for number in range(USERS):
                instance.run("valias", "-i", f"&user{number}@example.com", f"{ALIAS}@example.com")
            maildirs = {f"user{n}": instance.maildir(f"user{n}") for n in range(USERS)}
            book = Book()
            reader = MailReader(book, maildirs, self._random)
            reader.start()
            self._server = instance.serve()
            self._port = self._server.address[1]
            try:
                asyncio.run(self._load(instance, book))
                self._run_empty(instance)
            finally:
                self._server.kill()
            reader.end()
            reader.look()
            return judge(instance, maildirs, book)

    async def _load(self, instance: Instance, book: Book) -> None:
        """Send all the time; kill now and then."""
        senders = [Sender(book, self._address, self._random) for _ in range(SESSIONS)]
        tasks = [asyncio.ensure_future(sender.run()) for sender in senders]
        started = time.monotonic()
        while self.counted < self._kills:
            assert time.monotonic() < started + LONGEST, (
                f"{self.counted} kills with {ENOUGH} mails accepted and undelivered, "
                f"{self.crashes} in all, in {LONGEST:.0f} s"
            )
            for sender in senders:
                sender.flowing.set()
            await self._until_many_wait(book)
            kind = KINDS[self.crashes % len(KINDS)]
            undelivered = self._kill(kind, book)
            self.crashes += 1
            self.counted += undelivered >= ENOUGH
            tell(f"kill {self.crashes}: {kind}, {undelivered} accepted and undelivered")
            for sender in senders:
                sender.flowing.clear()
            await asyncio.to_thread(self._back_again, instance, kind)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _address(self) -> tuple[str, int]:
        return ("127.0.0.1", self._port)

    async def _until_many_wait(self, book: Book) -> None:
        """Let the load flow for a moment, and until enough is on its way."""
        before = len(book.accepted)
        end = time.monotonic() + 5.0
        await asyncio.sleep(WARM + self._random.random() * 0.3)
        while time.monotonic() < end:
            if len(book.accepted) > before and book.waiting >= 2 * ENOUGH:
                return
            await asyncio.sleep(0.002)

    def _kill(self, kind: str, book: Book) -> int:
        """Kill; return how many mails were accepted before, and not in a Maildir after it."""
        workers = self._server.workers
        accepted = set(book.accepted.values())
        match kind:
            case "a worker":
                os.kill(self._random.choice(workers), signal.SIGKILL)
            case "all workers":
                for pid in workers:
                    os.kill(pid, signal.SIGKILL)
            case "the supervisor":
                os.kill(self._server.process.pid, signal.SIGKILL)
            case _:
                os.killpg(self._server.process.pid, signal.SIGKILL)
        return len(accepted - self._delivered(book))

    def _delivered(self, book: Book) -> set[int]:
        """Return the tags of which a copy was seen, or is in new/ unseen."""
        tags = {tag for tag, _ in list(book.seen.values())}
        ids = {queue_id: tag for queue_id, tag in book.accepted.items() if tag not in tags}
        for path in glob(f"{self._server.instance.root}/mail/*/example.com/*/Maildir/new/*"):
            found = re.search(r"\.Q(\d+)R", path)
            if found and int(found[1]) in ids:
                tags.add(ids[int(found[1])])
        return tags

    def _back_again(self, instance: Instance, kind: str) -> None:
        """Wait until all workers accept, or start the server that was killed."""
        if kind in KINDS[:2]:
            until(self._is_whole, say=lambda: self._server.output)
            return
        self._server.process.wait()
        self._server = instance.serve(f"smtp=127.0.0.1:{self._port}")

    def _is_whole(self) -> bool:
        with suppress(OSError, ValueError):
            pids = self._server.workers
            return len(pids) == 2 and all(map(alive, pids)) and bool(self._server.listeners)
        return False

    def _run_empty(self, instance: Instance) -> None:
        """Let what was deferred by a kill come due, and stop."""

        def is_empty() -> bool:
            waiting = [status for _, status in _rows(instance) if status is State.WAITING]
            return not waiting

        until(is_empty, 150.0, say=lambda: self._server.output)
        assert self._server.stop() == 0, self._server.output


def _rows(instance: Instance) -> Iterator[tuple[tuple[int, int], State]]:
    """Walk the recipients that the queues hold."""
    for directory in glob(instance.path("queue/queue*")):
        look = SqliteReader.open(database_of(directory))
        for status in look.status():
            for row in status.recipients:
                yield (status.message.id, row.recipient.number), row.state
        look.close()


def _outcomes(instance: Instance) -> dict[tuple[int, int], set[tuple[str, float]]]:
    """Return every outcome that the trace tells; one that was recorded again is the same."""
    told: dict[tuple[int, int], set[tuple[str, float]]] = {}
    for segment in segments(instance.path("trace"), SystemDisk()):
        for line in Path(segment.path).read_bytes().split(b"\n"):
            record = decode(line) if b'"outcome"' in line else None
            if record is not None and record.event is Event.OUTCOME:
                key = record.id, int(record.facts["number"])
                told.setdefault(key, set()).add((record.verdict, round(record.time, 3)))
    return told


def judge(instance: Instance, maildirs: dict[str, str], book: Book) -> Verdict:
    """Compare what everybody knows."""
    verdict = Verdict(faults=list(book.faults))
    copies = _copies(maildirs, book)
    verdict.doubled += [
        f"mail {tag} to {user}: {count} copies"
        for (tag, user), count in copies.items()
        if count > 1
    ]
    outcomes, rows = _outcomes(instance), dict(_rows(instance))
    for queue_id, tag in book.accepted.items():
        for number, user in enumerate(book.sent[tag]):
            verdict.accepted += 1
            what = f"mail {tag} ({queue_id}) to {user}"
            told = [word for word, _ in outcomes.get((queue_id, number), ())]
            if rows.get((queue_id, number)) is State.WAITING:
                told.append("deferred")
            owners = maildirs if user == ALIAS else [user]
            missing = [one for one in owners if not copies[tag, one]]
            if not told or (told == ["delivered"] and missing):
                verdict.lost.append(f"{what}: {told or 'no outcome'}, no copy for {missing}")
            elif len(told) > 1:
                verdict.doubled.append(f"{what}: outcomes {', '.join(told)}")
            else:
                setattr(verdict, told[0], getattr(verdict, told[0]) + 1)
    return verdict


def _copies(maildirs: dict[str, str], book: Book) -> Counter[tuple[int, str]]:
    """Count the copies of each mail and user: those seen, and those that nobody saw."""
    copies = Counter(book.seen.values())
    for user, folder in maildirs.items():
        for path in glob(f"{folder}/new/*") + glob(f"{folder}/cur/*"):
            name = path.rpartition("/")[2].partition(":")[0]
            if name not in book.seen:
                found = TAG.search(Path(path).read_bytes())
                copies[int(found[1]) if found else 0, user] += 1
    return copies
