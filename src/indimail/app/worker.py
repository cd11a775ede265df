"""A worker: one event loop that serves connections and works its queues off.

    work(place, sockets, number, channel, connections, snapshot)     # until told to end

It owns the queues of its number, accepts on all sockets, and does what time brings: log and trace
are handed to the system five times a second; once a second the trace is synced, and only then the
rows of its outcomes are forgotten.  SIGTERM drains: running conversations have ``drain_seconds``.
When the supervisor dies the worker ends within a second.

Source: DESIGN 5.  Not here: which parts there are (`app.build`), who starts us (`app.supervise`).
"""

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from typing import Final
from zlib import crc32

import uvloop

from indimail.app.build import Parts
from indimail.app.channel import (
    Channel,
    Configured,
    Done,
    ForgetHosts,
    HostStates,
    Invalidate,
    Listening,
    Ready,
    TryAll,
)
from indimail.app.follow import Follower
from indimail.app.means import Place
from indimail.app.turn import OncePerTurn
from indimail.control.watch import watch
from indimail.mail.errors import MailError
from indimail.mail.ip import plain_ip
from indimail.net.accept import Acceptor
from indimail.net.connections import ConnectionTable
from indimail.queue.found import found_queues
from indimail.serve.inject import InjectConnection
from indimail.serve.opening import REOPEN
from indimail.serve.smtpd import SmtpConnection
from indimail.serve.snapshot import ListenerConfig, Snapshot
from indimail.serve.traced import TracedOutcomes

FLUSH: Final = 0.2
LOCK_PATIENCE: Final = 0.05
PATIENT: Final = 45.0  # seconds: a server before us has 30 to drain
LOG: Final = logging.getLogger("indimail.worker")


def work(
    place: Place,
    sockets: Sequence[tuple[ListenerConfig, socket.socket]],
    inject: socket.socket,
    number: int,
    channel: Channel,
    connections: ConnectionTable,
    snapshot: Snapshot,
) -> None:
    """Serve until told to end; everything that was accepted is committed then."""
    gc.collect()
    gc.freeze()  # what was imported is shared with the other workers, and never garbage
    gc.set_threshold(50_000, 20, 100)  # connections and jobs die by count of references
    if snapshot.process.affinity:
        _keep_to_a_processor(number, place.workers)
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    follower = Follower(
        snapshot, channel, OncePerTurn(watch(place.instance.watched).changed, loop.call_soon, False)
    )
    bound = [sock.getsockname() for _, sock in sockets]
    listening = [(plain_ip(host), port) for host, port, *_ in bound]
    worker = _Worker(
        Parts(place, number, connections, follower, loop, channel, listening), sockets, inject,
        channel, loop,
    )  # fmt: skip
    try:
        loop.run_until_complete(worker.run())
    finally:
        loop.close()


def _keep_to_a_processor(number: int, workers: int) -> None:
    """Keep a worker's loop and committers on one processor, where each worker can have one.

    They hand the interpreter's lock to each other many times a second, and a hand-over between
    processors costs several times one within a processor.
    """
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) == workers:
        os.sched_setaffinity(0, {processors[number]})


def own_directories(snapshot: Snapshot, number: int, workers: int) -> list[str]:
    """Return the queues of one worker: those that take new mail in turn, then the rest.

    The rest are those that a listener's or client's QUEUEDIR names, and those found with mail from
    another time: each belongs to the worker that its name says, whatever else is there.
    """
    queues = snapshot.queue
    taking = list(queues.directories)
    named = {session.queuedir for session in snapshot.sessions.values() if session.queuedir}
    rest = named.union(found_queues(queues.base)).difference(taking)
    return taking[number::workers] + sorted(
        directory for directory in rest if crc32(directory.encode()) % workers == number
    )


class _Worker:
    def __init__(
        self,
        parts: Parts,
        sockets: Sequence[tuple[ListenerConfig, socket.socket]],
        inject: socket.socket,
        channel: Channel,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._parts = parts
        self._sockets = sockets
        self._inject = inject
        self._channel = channel
        self._loop = loop
        self._ending = asyncio.Event()
        self._broken: dict[str, float] = {}  # queues that did not open, and when to try again
        self._known: set[str] = set()  # queues that are ours to open
        self._generation = -1  # of the configuration that names them
        self._owners: dict[socket.socket, Acceptor] = {}
        self._grace = parts.config.current.process.drain
        self._traced = TracedOutcomes(
            parts.trace, parts.aside, parts.spool_files.remove
        )  # fmt: skip

    async def run(self) -> None:
        """Open the queues, accept, and wait for the end."""
        loop, parts = self._loop, self._parts
        loop.add_signal_handler(signal.SIGTERM, self._end, self._grace)
        loop.add_signal_handler(signal.SIGINT, lambda: None)  # the supervisor tells us
        loop.add_signal_handler(signal.SIGUSR1, parts.lines.reopen)
        parts.lines.reopen()  # a signal before this line was ignored
        loop.add_reader(self._channel.fileno(), self._on_channel)
        loop.call_later(FLUSH, self._flush)
        if not await self._locked(parts.take_number):  # a server before us still ends
            return
        for directory in self._new_directories():
            if not await self._locked(partial(self._open, directory), PATIENT):
                if self._ending.is_set():
                    return
                LOG.warning("queue %s is another worker's", directory)
                self._broken[directory] = parts.clock.steady() + REOPEN
        acceptors = [
            Acceptor(
                loop, sock, partial(SmtpConnection, parts.reception, listener.name),
                parts.reception.connections,
            )
            for listener, sock in self._sockets
        ]  # fmt: skip
        inject = partial(InjectConnection, parts.injection)
        acceptors.append(Acceptor(loop, self._inject, inject, parts.reception.connections))
        for acceptor in acceptors:
            acceptor.start()
        self._accept_handed_over()
        parts.offer.refresh()
        loop.call_later(1.0, self._tick)
        self._channel.send(Ready())
        await self._ending.wait()
        for acceptor in acceptors:
            acceptor.close()
        await self._drain()  # other workers may still have a mail to hand over
        for acceptor in self._owners.values():
            acceptor.close()
        parts.close()

    def _accept_handed_over(self) -> None:
        """Take what other workers have for our queues, also for one that opened late."""
        for sock in self._parts.queues.sockets:
            if sock not in self._owners:
                inject = partial(InjectConnection, self._parts.injection)
                self._owners[sock] = Acceptor(self._loop, sock, inject, None)
                self._owners[sock].start()

    def _new_directories(self) -> list[str]:
        """Return the queues of this worker that it did not know yet."""
        snapshot = self._parts.config.current
        self._generation = snapshot.generation
        found = own_directories(snapshot, self._parts.number, self._parts.place.workers)
        new = [directory for directory in found if directory not in self._known]
        self._known.update(new)
        return new

    async def _locked(self, take: Callable[[], bool], patience: float = inf) -> bool:
        """Wait until `take` has its lock; False where we are to end, or waited for long enough."""
        until = self._parts.clock.steady() + patience
        while not take():
            await asyncio.sleep(LOCK_PATIENCE)
            if self._ending.is_set() or self._parts.clock.steady() > until:
                return False
        return True

    def _open(self, directory: str) -> bool:
        """Open a queue; False while its lock is another's.  One that is broken is tried again."""
        try:
            return self._parts.queues.open(directory)
        except (MailError, OSError) as error:
            LOG.error("queue %s does not open: %s", directory, error)  # noqa: TRY400  it says all
            self._broken[directory] = self._parts.clock.steady() + REOPEN
            return True

    def _open_broken(self) -> None:
        now = self._parts.clock.steady()
        for directory in [d for d, at in self._broken.items() if at <= now]:
            del self._broken[directory]
            if not self._open(directory):
                self._broken[directory] = now + REOPEN
        self._accept_handed_over()

    # -- what comes from the supervisor ----------------------------------------------------------

    def _on_channel(self) -> None:
        try:
            messages = self._channel.receive()
        except EOFError:  # the supervisor is dead: end within a second
            self._loop.remove_reader(self._channel.fileno())
            self._end(0.5)
            return
        for message in messages:
            match message:
                case Configured():
                    self._parts.config.configured(message)
                case Invalidate(token, name, domain):
                    self._parts.invalidate(name, domain)
                    self._channel.send(Done(token))
                case HostStates(hosts):
                    for host in hosts:
                        self._parts.dead.learn(host)
                case ForgetHosts():
                    self._parts.dead.clear()
                case TryAll():
                    for send in self._parts.queues.sends:
                        send.flush()
                case Listening():
                    self._parts.users.listening(message)

    # -- time ------------------------------------------------------------------------------------

    def _flush(self) -> None:
        self._loop.call_later(FLUSH, self._flush)
        self._parts.lines.flush()
        self._parts.trace.flush()

    def _tick(self) -> None:
        """Once a second: timeouts, due mail, and the trace's sync."""
        self._loop.call_later(1.0, self._tick)  # first: one that fails is not the last
        parts = self._parts
        now = parts.clock.steady()
        parts.config.when_fresh(lambda: None)  # deliveries follow the configuration as well
        for connection in list(parts.reception.open):
            connection.tick(now)
        for injected in list(parts.injection.open):
            injected.tick(now)
        if parts.config.current.generation != self._generation:  # it may name other queues
            self._broken.update(dict.fromkeys(self._new_directories(), now))
        if self._broken:
            self._open_broken()
        for send in parts.queues.sends:
            send.tick()
        parts.remote.tick(now)
        parts.users.tick()
        parts.offer.tick(now)
        parts.duplicates.tick()
        if parts.number == 0:  # one worker is enough
            parts.adoption.tick(now)
        self._traced.tick([send.endings for send in parts.queues.sends])

    # -- the end ---------------------------------------------------------------------------------

    def _end(self, grace: float) -> None:
        self._grace = min(self._grace, grace)
        self._ending.set()

    def _busy(self) -> bool:
        parts = self._parts
        conversations = parts.reception.open or parts.injection.open or parts.adoption.running
        return bool(conversations) or any(send.running for send in parts.queues.sends)

    async def _drain(self) -> None:
        """Let conversations and deliveries end, for as long as there is grace."""
        parts = self._parts
        started = parts.clock.steady()
        for injected in list(parts.injection.open):
            injected.drain()
        for connection in list(parts.reception.open):
            connection.drain()
        parts.adoption.draining = True
        for send in parts.queues.sends:
            send.draining = True
        parts.remote.close()
        while self._busy():
            if parts.clock.steady() - started > self._grace:
                running = sum(send.running for send in parts.queues.sends)
                conversations = len(parts.reception.open) + len(parts.injection.open)
                LOG.warning(
                    "%d conversations and %d deliveries are cut off", conversations, running
                )
                break
            await asyncio.sleep(0.02)
        for connection in list(parts.reception.open):
            connection.cut()
        parts.injection.draining = True
        for injected in list(parts.injection.open):
            injected.cut()
