"""`indimail serve`: one supervisor that binds, forks workers, and keeps them.

    Supervisor(plan, work).run()        # returns the exit code at SIGTERM or SIGINT

The supervisor starts no thread, no event loop and opens no database, so a fork copies nothing that
runs.  It binds the sockets as whoever started it; workers drop to the service account.  It parses
the configuration once for all (`Configured`), restarts a worker that died and clears its
connections, and tells the workers of account changes that our commands report on `run/control.sock`
(one JSON line ``{"op": "invalidate", "name": ..., "domain": ...}``, answered when every worker
has done it).  What a worker finds of other hosts the others are told, and the next to start
(``{"op": "hosts"}`` answers it, ``{"op": "forget-hosts"}`` wipes it); ``{"op": "flush"}`` makes all mail
that waits due.  It forks the processes of other users as well, when a worker asks (`app.residents`).

Signals: TERM, INT: drain; HUP: reload; USR1: reopen the logs.  Workers see the supervisor's death
as the end of their channel and end within a second.

Source: DESIGN 5.  Not here: what a worker does (`app.worker`), the configuration (`app.configuration`).
"""

import contextlib
import json
import logging
import os
import pickle
import selectors
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from indimail.app.channel import (
    Changed,
    Channel,
    Configured,
    Done,
    ForgetHosts,
    HostStates,
    Invalidate,
    Ready,
    Spawn,
    Stale,
    TryAll,
)
from indimail.app.residents import Homes, Residents
from indimail.mail.errors import ConfigErrors
from indimail.net.connections import ConnectionTable
from indimail.schedule.deadhosts import DeadHost, DeadHosts
from indimail.serve.snapshot import Snapshot

LAST_COMMITS: Final = 2.0  # seconds that a worker has after the grace for running sessions
RESTART_PAUSE: Final = 1.0  # between two starts of one worker
REAP_PAUSE: Final = 0.05
CONFIRMED_WITHIN: Final = 5.0
NOBODY_WAITS: Final = 0  # the token of a change that a delivery made
LOG: Final = logging.getLogger("indimail.serve")


@dataclass(slots=True)
class Plan:
    """What to run: everything that is decided before the first fork."""

    workers: int
    snapshot: Snapshot
    reload: Callable[[Snapshot], Snapshot | None]  # None: nothing changed; raises ConfigErrors
    control: socket.socket
    ready: Callable[[], None]  # all workers accept
    stopping: Callable[[], None]  # nobody shall come any more
    stopped: Callable[[], None]
    reopen_logs: Callable[[], None]
    idle: Callable[[], None]  # before each wait: what the log gathered is written
    homes: Homes


Work = Callable[[int, Channel, ConnectionTable, Snapshot], None]


@dataclass(slots=True)
class Worker:
    """A worker process as the supervisor sees it."""

    number: int
    pid: int
    channel: Channel
    started: float
    ready: bool = False


@dataclass(slots=True)
class Request:
    """A command that waits until every worker confirmed its change."""

    client: socket.socket
    waiting: set[int]
    until: float = field(default=0.0)


class Supervisor:
    """Keeps the workers."""

    def __init__(self, plan: Plan, work: Work) -> None:
        self._plan = plan
        self._work = work
        self._connections = ConnectionTable(plan.workers)
        self._workers: dict[int, Worker] = {}
        self._restart_at: dict[int, float] = {}
        self._requests: dict[int, Request] = {}
        self._dead = DeadHosts()
        self._token = 0
        self._stop_at = 0.0
        self._told_ready = False
        self._selector = selectors.DefaultSelector()
        self._residents = Residents(plan.homes, self._selector)

    def run(self) -> int:
        """Serve until told to stop; 0 after a clean end."""
        wake = self._catch_signals()
        self._selector.register(wake, selectors.EVENT_READ, self._on_signal)
        self._plan.control.setblocking(False)
        self._selector.register(self._plan.control, selectors.EVENT_READ, self._on_control)
        for number in range(self._plan.workers):
            self._start(number)
        while self._workers or not self._stop_at:
            self._plan.idle()
            for key, _ in self._selector.select(self._patience()):
                key.data(key.fileobj)
            self._keep()
        self._plan.stopped()
        return 0

    # -- workers -------------------------------------------------------------------------------

    def _start(self, number: int) -> None:
        self._connections.clear(number)
        ours, theirs = Channel.pair()
        pid = os.fork()
        if pid == 0:
            ours.close()  # else the worker would never see our end of it end
            self._become_worker(number, theirs)
        theirs.close()
        worker = Worker(number, pid, ours, time.monotonic())
        self._workers[number] = worker
        if known := tuple(self._dead.entries()):
            worker.channel.send(HostStates(known))
        self._selector.register(ours, selectors.EVENT_READ, lambda _: self._on_worker(worker))

    def _become_worker(self, number: int, channel: Channel) -> None:
        """Leave the supervisor's state behind and work; never returns."""
        code = 70  # EX_SOFTWARE
        try:
            for kind in (signal.SIGTERM, signal.SIGINT):
                signal.signal(kind, signal.SIG_DFL)
            for kind in (signal.SIGHUP, signal.SIGUSR1):  # to all of a group, or before it listens
                signal.signal(kind, signal.SIG_IGN)
            signal.set_wakeup_fd(-1)
            self._selector.close()
            for other in self._workers.values():
                other.channel.close()
            self._residents.close()
            self._plan.control.close()
            self._work(number, channel, self._connections, self._plan.snapshot)
            code = 0
        except BaseException:  # the border of the process: it is told, and the supervisor restarts
            LOG.critical("worker %d ends", number, exc_info=True)
        finally:
            logging.shutdown()
            os._exit(code)

    def _on_worker(self, worker: Worker) -> None:
        try:
            messages = worker.channel.receive()
        except EOFError:
            self._selector.unregister(worker.channel)
            worker.channel.close()
            self._reap(worker)
            return
        for message in messages:
            match message:
                case Ready():
                    worker.ready = True
                    self._tell_when_ready()
                case Stale():
                    self._reload()
                    self._configure(worker)
                case Done(token):
                    self._confirmed(token, worker.number)
                case Changed(name, domain):
                    self._invalidate(NOBODY_WAITS, name, domain)
                case HostStates(hosts):
                    self._learn(hosts, worker)
                case Spawn(uid, gid, instead_of):
                    self._residents.ask(uid, gid, instead_of, worker.channel.send)

    def _learn(self, hosts: Sequence[DeadHost], source: Worker) -> None:
        """Let the other workers know which hosts answer one of them, and which do not."""
        for host in hosts:
            self._dead.learn(host)
        for other in self._workers.values():
            if other is not source:
                other.channel.send(HostStates(tuple(hosts)))

    def _reap(self, worker: Worker) -> None:
        """Bury a worker whose channel ended, and plan its successor."""
        deadline = time.monotonic() + 5.0
        while os.waitpid(worker.pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > deadline:  # it closed its channel but does not end
                os.kill(worker.pid, signal.SIGKILL)
            time.sleep(0.01)
        del self._workers[worker.number]
        self._connections.clear(worker.number)
        for token in list(self._requests):
            self._confirmed(token, worker.number)
        if not self._stop_at:
            LOG.error("worker %d (pid %d) died; starting another", worker.number, worker.pid)
            self._restart_at[worker.number] = worker.started + RESTART_PAUSE

    def _tell_when_ready(self) -> None:
        if not self._told_ready and all(w.ready for w in self._workers.values()):
            self._told_ready = True
            self._plan.ready()

    # -- time ----------------------------------------------------------------------------------

    def _patience(self) -> float | None:
        times = [*self._restart_at.values(), *(r.until for r in self._requests.values())]
        if self._stop_at:
            times.append(self._stop_at)
        if self._residents.reap():
            times.append(time.monotonic() + REAP_PAUSE)
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _keep(self) -> None:
        now = time.monotonic()
        for number, at in list(self._restart_at.items()):
            if now >= at and not self._stop_at:
                del self._restart_at[number]
                self._start(number)
        for token, request in list(self._requests.items()):
            if now >= request.until:
                self._answer(token, ok=False)
        if self._stop_at and now >= self._stop_at:
            for worker in self._workers.values():
                LOG.error("worker %d does not end; killed", worker.number)
                os.kill(worker.pid, signal.SIGKILL)
            self._stop_at = now + 5.0

    # -- signals -------------------------------------------------------------------------------

    def _catch_signals(self) -> socket.socket:
        wake, end = socket.socketpair()
        wake.setblocking(False)
        end.setblocking(False)
        signal.set_wakeup_fd(end.fileno(), warn_on_full_buffer=False)
        self._wake_end = end
        for kind in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(kind, lambda *_: None)
        return wake

    def _on_signal(self, wake: socket.socket) -> None:
        for number in wake.recv(64):
            if number in {signal.SIGTERM, signal.SIGINT}:
                self._stop()
            elif number == signal.SIGHUP:
                self._reload()
            elif number == signal.SIGUSR1:
                self._plan.reopen_logs()
                self._signal_workers(signal.SIGUSR1)

    def _stop(self) -> None:
        if not self._stop_at:
            self._stop_at = time.monotonic() + self._plan.snapshot.process.drain + LAST_COMMITS
            self._restart_at.clear()
            self._plan.stopping()
            self._signal_workers(signal.SIGTERM)

    def _signal_workers(self, kind: signal.Signals) -> None:
        for worker in self._workers.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, kind)

    # -- configuration -------------------------------------------------------------------------

    def _reload(self) -> bool:
        """Parse what changed; a broken file keeps the old configuration and says which line."""
        try:
            new = self._plan.reload(self._plan.snapshot)
        except ConfigErrors as error:
            for mistake in error.mistakes:
                LOG.warning("configuration not changed: %s", mistake)
            return False
        if new is not None:
            self._plan.snapshot = new
            LOG.info("configuration %d is in force", new.generation)
            self._pickled = pickle.dumps(new)
            for worker in self._workers.values():
                worker.channel.send(Configured(new.generation, self._pickled))
        return True

    def _configure(self, worker: Worker) -> None:
        """Answer a worker that asked: it has the snapshot by now."""
        worker.channel.send(Configured(self._plan.snapshot.generation, None))

    # -- the control socket --------------------------------------------------------------------

    def _on_control(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        client.settimeout(1.0)
        try:
            request = json.loads(client.makefile("rb").readline(65_536))
            self._on_request(client, request)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            _say(client, {"ok": False, "error": str(error)})

    def _on_request(self, client: socket.socket, request: dict[str, str]) -> None:
        match request.get("op"):
            case "invalidate":
                self._reload()  # a command that changes accounts may have changed control files too
                self._token += 1
                waiting = {w.number for w in self._workers.values() if w.ready}
                until = time.monotonic() + CONFIRMED_WITHIN
                self._requests[self._token] = Request(client, waiting, until)
                name, domain = request.get("name", ""), request.get("domain", "")
                self._invalidate(self._token, name, domain)
                if not waiting:
                    self._answer(self._token, ok=True)
            case "reload":
                _say(client, {"ok": self._reload()})
            case "status":
                workers = {str(w.number): w.pid for w in self._workers.values()}
                connections = self._connections.total()
                _say(client, {"ok": True, "workers": workers, "connections": connections})
            case "hosts":
                now = time.monotonic()
                hosts = [
                    [h.address, h.port, h.failures, now - h.since] for h in self._dead.entries()
                ]
                _say(client, {"ok": True, "hosts": hosts})
            case "forget-hosts":
                self._dead.clear()
                for worker in self._workers.values():
                    worker.channel.send(ForgetHosts())
                _say(client, {"ok": True})
            case "flush":
                for worker in self._workers.values():
                    worker.channel.send(TryAll())
                _say(client, {"ok": True})
            case other:
                _say(client, {"ok": False, "error": f"unknown op {other!r}"})

    def _invalidate(self, token: int, name: str, domain: str) -> None:
        for worker in self._workers.values():
            worker.channel.send(Invalidate(token, name, domain))

    def _confirmed(self, token: int, worker: int) -> None:
        request = self._requests.get(token)
        if request is not None:
            request.waiting.discard(worker)
            if not request.waiting:
                self._answer(token, ok=True)

    def _answer(self, token: int, *, ok: bool) -> None:
        _say(self._requests.pop(token).client, {"ok": ok})


def _say(client: socket.socket, answer: dict[str, object]) -> None:
    with contextlib.suppress(OSError), client:
        client.sendall(json.dumps(answer).encode() + b"\n")
