"""`indimail serve`: run the server in the foreground."""

import argparse
import contextlib
import errno
import json
import logging
import os
import resource
import socket
import sys
import time
from typing import TYPE_CHECKING

from indimail.durable.lock import DirectoryLock
from indimail.manage.site import acting_as
from indimail.net.local import bind_local, listen_local

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from indimail.app.channel import Channel
    from indimail.app.instance import Instance
    from indimail.app.reading import Overrides
    from indimail.net.connections import ConnectionTable
    from indimail.serve.snapshot import ListenerConfig, Snapshot

BACKLOG = 1024
ORPHANS_END = 2.0  # seconds within which workers follow their supervisor
SPARE_FILES = 500  # descriptors of a worker besides connections: databases, Maildirs, threads


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--root", metavar="DIR", help="the instance (INDIMAIL_ROOT)")
    parser.add_argument(
        "--listen",
        action="append",
        default=[],
        metavar="NAME=ADDR:PORT",
        help="replaces all configured listeners; repeatable; port 0 is any free one",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="default: one per processor")


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM; 78 for a configuration with mistakes, 71 for a port that is taken."""
    # Everything a worker needs is imported here, before any fork and before privileges are dropped.
    from indimail.app import build, lspawn, worker  # noqa: F401, PLC0415
    from indimail.app.configuration import load  # noqa: PLC0415
    from indimail.app.instance import find_root, missing, open_instance  # noqa: PLC0415
    from indimail.app.reading import Overrides  # noqa: PLC0415
    from indimail.mail.errors import ConfigErrors  # noqa: PLC0415

    root = find_root(args.root, os.environ)
    if nothing := missing(root):
        return _failed(nothing, os.EX_NOINPUT)
    instance = open_instance(root, os.environ)
    overrides = Overrides(listen=tuple(args.listen), workers=args.workers)
    try:
        snapshot = load(instance, os.environ, overrides)
    except ConfigErrors as error:
        print(*error.mistakes, sep="\n", file=sys.stderr)
        return os.EX_CONFIG
    owner = os.stat(instance.root)
    uid, gid = (owner.st_uid, owner.st_gid) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    if uid == 0:
        reason = "the instance belongs to root; give it to an account (indimail init --user NAME)"
        return _failed(reason, os.EX_CONFIG)
    if not _raise_files(
        snapshot.process.max_connections + snapshot.queue.send.concurrencyremote + SPARE_FILES
    ):
        return os.EX_OSERR
    try:
        bound = _Bound(instance, snapshot, uid, gid)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _failed(f"{where}{error.strerror}", os.EX_OSERR)
    return _serve(bound, snapshot, overrides)


def _failed(reason: str, code: int) -> int:
    print(f"indimail serve: {reason}", file=sys.stderr)
    return code


def _serve(bound: "_Bound", snapshot: "Snapshot", overrides: "Overrides") -> int:
    """Let workers serve what is bound, and return the exit code when the last has ended."""
    from indimail.app import build, worker  # noqa: PLC0415
    from indimail.app.configuration import reload  # noqa: PLC0415
    from indimail.app.identity import become  # noqa: PLC0415
    from indimail.app.logs import set_up_logging  # noqa: PLC0415
    from indimail.app.supervise import Plan, Supervisor  # noqa: PLC0415

    instance, lines, (uid, gid) = bound.instance, bound.lines, bound.owner
    set_up_logging(lines)
    log = logging.getLogger("indimail.serve")
    for notice in snapshot.notices:
        log.warning("%s", notice)
    bound.started()
    place = build.place(instance, lines, snapshot, uid)

    def work(
        number: int, channel: "Channel", connections: "ConnectionTable", snapshot: "Snapshot"
    ) -> None:
        bound.lock.release()  # held by the supervisor alone: its death gives the instance up
        become(uid, gid)
        worker.work(place, bound.sockets, bound.inject, number, channel, connections, snapshot)

    def reopen_logs() -> None:
        with acting_as(uid, gid):
            lines.reopen()

    plan = Plan(
        workers=snapshot.process.workers,
        snapshot=snapshot,
        reload=lambda running: reload(instance, os.environ, overrides, running),
        control=bound.control,
        ready=bound.ready,
        stopping=bound.stopping,
        stopped=bound.stopped,
        reopen_logs=reopen_logs,
        idle=lines.flush,
        homes=_Homes(instance, uid, gid, lambda: plan.snapshot),
    )
    code = Supervisor(plan, work).run()
    lines.close()
    return code


class _Bound:
    """What the server holds: the instance's lock, its log, its sockets, bound as root.

    It also tells others where the server is: run/serve.pid, run/listeners.json, systemd.
    Raises OSError where something is taken.
    """

    def __init__(self, instance: "Instance", snapshot: "Snapshot", uid: int, gid: int) -> None:
        from indimail.app.logs import LogLines, log_file  # noqa: PLC0415

        log_path = log_file(instance.root, "serve") if snapshot.process.log_files else None
        self.instance = instance
        self.owner = (uid, gid)
        with acting_as(uid, gid):
            self.lock = _take(instance)
            self.lines = LogLines(log_path)
        self.sockets = _bind_all(snapshot.listeners, instance)
        with acting_as(uid, gid):
            self.control = listen_local(os.path.join(instance.run, "control.sock"), 0o600)
            self.inject = listen_local(os.path.join(instance.run, "inject.sock"), 0o666)

    def started(self) -> None:
        """Nobody accepts yet."""
        self._remove("listeners.json")
        self._write("serve.pid", f"{os.getpid()}\n")

    def ready(self) -> None:
        """All workers accept: write where."""
        where = {listener.name: list(sock.getsockname()[:2]) for listener, sock in self.sockets}
        self._write("listeners.json", json.dumps(where) + "\n")
        for name, (host, port) in where.items():
            logging.getLogger("indimail.serve").info("%s accepts on %s port %s", name, host, port)
        _notify("READY=1")

    def stopping(self) -> None:
        """Nobody shall come any more: new clients are refused at once, by the kernel."""
        _notify("STOPPING=1")
        for name in ("listeners.json", "inject.sock"):
            self._remove(name)
        for sock in (self.inject, *(sock for _, sock in self.sockets)):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # ends it in the workers too; close would not

    def stopped(self) -> None:
        """Nobody is left."""
        for name in ("serve.pid", "control.sock"):
            self._remove(name)

    def _write(self, name: str, text: str) -> None:
        path = os.path.join(self.instance.run, name)
        with acting_as(*self.owner):
            with open(path + ".new", "w", encoding="ascii") as file:
                file.write(text)
            os.replace(path + ".new", path)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.instance.run, name))


class _Homes:
    """What there is for the processes of other users."""

    def __init__(
        self, instance: "Instance", uid: int, gid: int, snapshot: "Callable[[], Snapshot]"
    ) -> None:
        self._instance = instance
        self._owner = (uid, gid)
        self._snapshot = snapshot
        self._supervisor = os.getpid()

    def refusal(self, uid: int, gid: int) -> str:
        """Return why nothing is delivered as this user."""
        if uid == 0:
            return "nothing is delivered as root"
        if os.geteuid() != 0 and (uid, gid) != self._owner:
            return "the server was not started as root and cannot become another user"
        return ""

    def bind(self, uid: int, gid: int) -> tuple[str, socket.socket]:
        """Bind run/lspawn-UID-GID.sock, for the workers alone."""
        path = os.path.join(self._instance.run, f"lspawn-{uid}-{gid}.sock")
        with acting_as(*self._owner):
            return path, bind_local(path, 0o600)

    def serve(self, uid: int, gid: int, listener: socket.socket, ready: socket.socket) -> None:
        """Be the process of a user whom the configuration or the system knows."""
        from indimail.app import lspawn  # noqa: PLC0415  imported before the fork
        from indimail.app.residents import is_user  # noqa: PLC0415
        from indimail.durable.batch import SyncMode  # noqa: PLC0415

        snapshot = self._snapshot()
        if (uid, gid) != self._owner and not (snapshot.assign.has(uid, gid) or is_user(uid, gid)):
            raise PermissionError("no line of users/assign, and no user of the system")
        mode = SyncMode(snapshot.variables.get("FILE_SYNC", SyncMode.AUTO))
        lspawn.serve(
            lspawn.Household(
                uid, gid, listener, self._supervisor, self._owner[0], self._instance.root, mode
            ),
            ready,
        )


def _take(instance: "Instance") -> DirectoryLock:
    """Make sure that no other server has this instance.  Raises OSError."""
    lock = DirectoryLock.take(instance.run)
    if lock is None:
        raise OSError(errno.EBUSY, "another server runs in this instance", instance.run)
    return lock


def _bind_all(
    listeners: "Sequence[ListenerConfig]", instance: "Instance"
) -> "list[tuple[ListenerConfig, socket.socket]]":
    """Bind all listeners; the workers of a killed server may hold the ports for a moment."""
    was_killed = os.path.exists(os.path.join(instance.run, "serve.pid"))
    end = time.monotonic() + (ORPHANS_END if was_killed else 0.0)
    bound = []
    for listener in listeners:
        while True:
            try:
                bound.append((listener, _bind(listener)))
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE or time.monotonic() >= end:
                    raise
                time.sleep(0.05)
    return bound


def _bind(listener: "ListenerConfig") -> socket.socket:
    """Bind a listener; ``::`` takes IPv4 as well.  Raises OSError, which names the listener."""
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        only = 0 if listener.host == "::" else 1
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
    try:
        sock.bind((listener.host, listener.port))
    except OSError as error:
        sock.close()
        host = f"[{listener.host}]" if ":" in listener.host else listener.host
        where = f"{listener.name}={host}:{listener.port}"
        raise OSError(error.errno, error.strerror, where) from error
    sock.listen(BACKLOG)
    sock.setblocking(False)
    return sock


def _raise_files(needed: int) -> bool:
    """Raise RLIMIT_NOFILE to what the connections need; refuse what the machine cannot honour."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        print(f"indimail serve: {needed} open files are needed for the configured connections, "
              f"and {hard} are allowed (ulimit -Hn, LimitNOFILE=)", file=sys.stderr)  # fmt: skip
        return False
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return True


def _notify(state: str) -> None:
    """Tell systemd, where it asked to be told (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
            sock.sendto(state.encode(), "\0" + address[1:] if address[0] == "@" else address)
