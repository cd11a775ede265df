"""Other hosts in memory, which answer as a script says, and a transport that leads to one.

    server = Server(greeting=["421 too many"], data=[HANG])
    Wire(peer, server)            # the peer is connected to it

Each command line gets the next of its word's replies, then the usual one; END is the final dot.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from indimail.serve.peer import Peer

HANG, RESET = "hang", "reset"


class Server:
    """Answers each command line with the next of its replies, by default as a good server does."""

    def __init__(self, **replies: list[str]) -> None:
        self.replies = {word.upper(): deque(said) for word, said in replies.items()}
        self.heard: list[str] = []
        self.mails: list[bytes] = []

    def said(self, word: str, usual: str) -> str:
        waiting = self.replies.get(word)
        return waiting.popleft() if waiting else usual


class Session:
    """One conversation with it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._unread = b""
        self._body: bytes | None = None

    def answer(self, data: bytes) -> list[str]:
        self._unread += data
        said = []
        while b"\r\n" in self._unread:
            line, _, self._unread = self._unread.partition(b"\r\n")
            reply = self._line(line)
            if reply:
                said.append(reply)
        return said

    def _line(self, line: bytes) -> str:
        if self._body is not None:
            if line != b".":
                self._body += line + b"\n"
                return ""
            self._server.mails.append(self._body)
            self._body = None
            return self._server.said("END", "250 ok")
        word = line.split(maxsplit=1)[0].decode().upper()
        self._server.heard.append(line.decode())
        reply = self._server.said(
            word, {"DATA": "354 go on", "QUIT": "221 bye"}.get(word, "250 ok")
        )
        if word == "DATA" and reply.startswith("3"):
            self._body = b""
        return reply


class Wire:
    """A transport to a `Server`."""

    def __init__(self, peer: Peer, server: Server) -> None:
        self._loop = asyncio.get_running_loop()
        self.peer, self.server, self.closed, self.written = peer, server, False, 0
        self._session = Session(server)
        self._loop.call_soon(self._start)

    def _start(self) -> None:
        self.peer.connection_made(self)  # type: ignore[arg-type]
        self._say(self.server.said("GREETING", "220 hello"))

    def write(self, data: bytes) -> None:
        self.written += len(data)
        for reply in self._session.answer(data):
            self._say(reply)

    def _say(self, reply: str) -> None:
        if reply == RESET:
            self._loop.call_soon(self._lose)
        elif reply != HANG:
            self._loop.call_soon(self._hear, f"{reply}\r\n".encode())

    def _hear(self, data: bytes) -> None:
        if not self.closed:
            self.peer.data_received(data)

    def _lose(self) -> None:
        if not self.closed:
            self.closed = True
            self.peer.connection_lost(None)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self._loop.call_soon(self._lose)


def aside(work: Callable[[], object], then: Callable[[object], None]) -> None:
    asyncio.get_running_loop().call_soon(lambda: then(work()))


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def inner() -> None:
        asyncio.run(test())

    inner.__name__ = test.__name__
    return inner
