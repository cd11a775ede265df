"""The process qmail-lspawn: one user's, forked by the supervisor, ended with its last worker.

    serve(Household(uid, gid, listener, ...), ready)       # never returns

It becomes that user before it listens, so that the kernel tells a worker who is at the other end
(SO_PEERCRED).  Of what the supervisor has open it keeps nothing: no listener, no channel, no log.
It ends when the supervisor does, and is not ended by the signals of its process group: its workers
drain, and it ends after them.

Not here: what it does (`serve.lspawn`), who starts it (`app.residents`).
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import sysconfig
import time
from dataclasses import dataclass
from typing import Final

from indimail.app.aside import Aside
from indimail.app.identity import become
from indimail.durable.batch import FileSyncs, SyncMode, Unsynced
from indimail.durable.committer import Committer
from indimail.durable.disk import SystemDisk
from indimail.mail.clock import SystemClock
from indimail.mail.errors import Misuse
from indimail.mailbox.maildirsize import MaildirSizes
from indimail.net.local import BACKLOG
from indimail.serve.hands import OwnHands
from indimail.serve.lspawn import Lspawn
from indimail.serve.prctl import adopt_orphans, call_myself, die_with_parent, gain_nothing_by_exec
from indimail.serve.programs import Programs
from indimail.serve.quota import OwnQuotas

NAME: Final = "qmail-lspawn"
THREADS: Final = 8
UNWANTED: Final = 20.0  # seconds in which a worker has to come
PATHS: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Household:
    """Whose process it is, where it listens, and whom it serves."""

    uid: int
    gid: int
    listener: socket.socket
    supervisor: int  # its pid
    service: int  # the uid of the workers
    root: str  # of the instance, for the programs of ours that a line starts
    sync_mode: SyncMode


def serve(home: Household, ready: socket.socket) -> None:
    """Be the process; `ready` gets an octet once it can be connected to."""
    _leave_behind(home.listener.fileno(), ready.fileno())
    become(home.uid, home.gid)
    if 0 in os.getresuid():
        raise Misuse("nothing is delivered as root")
    gain_nothing_by_exec()
    adopt_orphans()
    die_with_parent(home.supervisor)
    call_myself(NAME)
    gc.freeze()
    # Not uvloop: in a fork of ours libuv closes descriptors by numbers that are others' by then.
    loop = asyncio.SelectorEventLoop()
    disk = SystemDisk()
    syncs: Committer[Unsynced] = Committer(
        FileSyncs(disk, time.monotonic, home.sync_mode).run, loop.call_soon_threadsafe, "files"
    )
    aside = Aside(loop, THREADS)
    programs = Programs(loop)
    hands = OwnHands(disk, syncs, aside, _by_nobody)
    clock = SystemClock()
    sizes = MaildirSizes(disk, clock)
    lspawn = Lspawn(
        loop, hands, aside, programs,
        lambda settings: OwnQuotas(sizes, settings, disk, clock, aside),
        home.service, variables(home.root), loop.stop,
    )  # fmt: skip

    def accept() -> None:
        try:
            sock, _ = home.listener.accept()
        except OSError:
            return
        lspawn.accept(sock)

    def tick() -> None:
        programs.tick()
        loop.call_later(1.0, tick)

    loop.add_reader(home.listener.fileno(), accept)
    loop.call_later(UNWANTED, lspawn.end_if_deserted)
    tick()
    home.listener.listen(BACKLOG)
    ready.send(b"\0")
    loop.run_forever()


def variables(root: str) -> dict[str, str]:
    """Return what a program finds besides what is known of its mail."""
    return {"PATH": f"{sysconfig.get_path('scripts')}:{PATHS}", "INDIMAIL_ROOT": root}


def _leave_behind(*kept: int) -> None:
    """Close everything but these, and hear no signal that is meant for others."""
    for kind in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(kind, signal.SIG_IGN)
    signal.set_wakeup_fd(-1)
    logging.disable()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    low = 3
    for fd in sorted(kept):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, 1 << 20)


def _by_nobody(*_: object) -> None:
    raise Misuse("programs are run by Lspawn")
