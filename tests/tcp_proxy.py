"""A TCP proxy that a test stops, starts again and makes silent.

with Proxy(3306) as proxy:        # to 127.0.0.1:3306, from 127.0.0.1:{proxy.port}
    proxy.stop()                  # connections are cut, new ones refused
    proxy.start()
    proxy.silence()               # connections are taken, and nothing passes any more
"""

import contextlib
import socket
import threading
from typing import Self


class Proxy:
    """Passes octets on, by two threads for each connection."""

    def __init__(self, to_port: int) -> None:
        self.octets = 0  # that clients sent
        self._to_port = to_port
        self._silent = False
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self.port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Accept, on the port that it had before."""
        self._silent = False
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen()
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def stop(self) -> None:
        """Refuse new connections and cut those there are."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
            self._listener.close()
            self._listener = None
        for sock in list(self._open):
            self._cut(sock)

    def silence(self) -> None:
        """Pass nothing on any more; connections stay open, and new ones are taken."""
        self._silent = True

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to_port))
                self._open |= {client, server}
                for source, target in ((client, server), (server, client)):
                    threading.Thread(
                        target=self._pass, args=(source, target, source is client), daemon=True
                    ).start()

    def _pass(self, source: socket.socket, target: socket.socket, asks: bool) -> None:
        with contextlib.suppress(OSError):
            while octets := source.recv(65_536):
                if asks:
                    self.octets += len(octets)
                if not self._silent:
                    target.sendall(octets)
        for sock in (source, target):
            self._cut(sock)

    def _cut(self, sock: socket.socket) -> None:
        self._open.discard(sock)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()
