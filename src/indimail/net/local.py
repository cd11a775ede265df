"""Sockets that programs of this machine connect to.

    sock = listen_local("/var/indimail/run/queue1.sock", 0o600)
    sock = connect_local("/var/indimail/run/lspawn-1001-1001.sock")
    peer(sock)          # Peer(pid=4711, uid=1001, gid=1001): who connected, or who called listen(2)

Source: unix(7), SO_PEERCRED.  Not here: who may say what (`serve.inject`).
"""

import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

BACKLOG: Final = 1024
_LONGEST: Final = 100  # octets of a path that fit in sockaddr_un, and some to spare
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: struct ucred


class Peer(NamedTuple):
    """A process, as the kernel knows it."""

    pid: int
    uid: int
    gid: int


def listen_local(path: str, mode: int) -> socket.socket:
    """Bind and listen; what a dead process left at `path` goes.  The mode is never wider."""
    sock = bind_local(path, mode)
    sock.listen(BACKLOG)
    return sock


def bind_local(path: str, mode: int) -> socket.socket:
    """Bind, and leave it to another process to listen."""
    with suppress(FileNotFoundError):
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX)
    umask = os.umask(0o177)
    try:
        _at(path, sock.bind)
    finally:
        os.umask(umask)
    os.chmod(path, mode)
    sock.setblocking(False)
    return sock


def connect_local(path: str) -> socket.socket:
    """Connect; where somebody listens it takes no time.  Raises OSError."""
    sock = socket.socket(socket.AF_UNIX)
    sock.setblocking(False)
    try:
        _at(path, sock.connect)
    except OSError:
        sock.close()
        raise
    return sock


def peer(sock: socket.socket) -> Peer:
    """Return who is at the other end."""
    data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return Peer(*_CREDENTIALS.unpack(data))


def _at(path: str, call: Callable[[str], None]) -> None:
    """Bind or connect, also where the path is longer than sockaddr_un."""
    if len(os.fsencode(path)) <= _LONGEST:
        call(path)
        return
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        call(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    finally:
        os.close(folder)
