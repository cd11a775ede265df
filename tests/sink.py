"""Another host that takes mail: it keeps what it heard, and answers as a test wants.

    with Sink(rcpt=["450 4.2.0 later"]) as sink:
        sink.host, sink.port, sink.place    # where it is, of loopback
        sink.heard                          # [["EHLO mx.example.com", "MAIL FROM:<...>", ...], ...]
        sink.clients                        # the addresses that these came from
        sink.mails                          # bodies as they came (CRLF, dots as sent)

Each word's replies come in their order, then the usual one; an empty reply closes the connection.
"""

import socket
import socketserver
import threading
from collections import deque
from collections.abc import Sequence
from typing import Self

USUAL = {"GREETING": "220 sink.example ESMTP", "DATA": "354 go on", "QUIT": "221 bye"}
OFFERS = ("PIPELINING", "8BITMIME")


class Sink(socketserver.ThreadingTCPServer):
    """A server on a free port, a thread for each connection."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 100

    def __init__(
        self, host: str = "127.0.0.1", port: int = 0, offers: Sequence[str] = OFFERS,
        **replies: list[str],
    ) -> None:  # fmt: skip
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Conversation)
        self.host, self.port = self.server_address[0], self.server_address[1]
        self.offers = offers
        self.heard: list[list[str]] = []
        self.mails: list[bytes] = []
        self.clients: list[str] = []
        self._replies = {word.upper(): deque(said) for word, said in replies.items()}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def place(self) -> str:
        """Where it is, as a line of smtproutes has it."""
        return f"[{self.host}]:{self.port}"

    def said(self, word: str) -> str:
        """Return the reply to a word."""
        with self._lock:
            waiting = self._replies.get(word)
            if waiting:
                return waiting.popleft()
        if word == "EHLO":
            return "\r\n".join(f"250-{line}" for line in self.offers) + "\r\n250 sink.example"
        return USUAL.get(word, "250 ok")


class _Conversation(socketserver.StreamRequestHandler):
    server: Sink

    def handle(self) -> None:
        heard: list[str] = []
        self.server.heard.append(heard)
        self.server.clients.append(self.client_address[0])
        reply = self.server.said("GREETING")
        while reply:
            self.wfile.write(f"{reply}\r\n".encode())
            line = self.rfile.readline().decode("utf-8", "surrogateescape").rstrip("\r\n")
            if not line:
                return
            heard.append(line)
            word = line.split(maxsplit=1)[0].upper()
            reply = self.server.said(word)
            if word == "DATA" and reply.startswith("354"):
                self.wfile.write(f"{reply}\r\n".encode())
                self.server.mails.append(self._body())
                reply = self.server.said("END")
            elif word == "QUIT":
                self.wfile.write(f"{reply}\r\n".encode())
                return

    def _body(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line)
        return b"".join(lines)
