"""Sockets that programs of this machine connect to.

    sock = listen_local("/var/indimail/run/queue1.sock", 0o600)

Source: unix(7).  Not here: who may say what (`serve.inject`, SO_PEERCRED).
"""

import os
import socket
from contextlib import suppress
from typing import Final

BACKLOG: Final = 1024
_LONGEST: Final = 100  # octets of a path that fit in sockaddr_un, and some to spare


def listen_local(path: str, mode: int) -> socket.socket:
    """Bind and listen; what a dead process left at `path` goes.  The mode is never wider."""
    with suppress(FileNotFoundError):
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX)
    umask = os.umask(0o177)
    try:
        _bind(sock, path)
    finally:
        os.umask(umask)
    os.chmod(path, mode)
    sock.listen(BACKLOG)
    sock.setblocking(False)
    return sock


def _bind(sock: socket.socket, path: str) -> None:
    """Bind also where the path is longer than sockaddr_un."""
    if len(os.fsencode(path)) <= _LONGEST:
        sock.bind(path)
        return
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sock.bind(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    finally:
        os.close(folder)
