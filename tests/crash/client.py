"""Who sends: clients that speak SMTP.

Client(world, mail).begin()      # connects, and tells the ledger of its 250
"""

import asyncio
import re
from typing import TYPE_CHECKING, Any, Final

from indimail.serve.smtpd import SmtpConnection

from .script import Sent

if TYPE_CHECKING:
    from .world import World

ACCEPTED: Final = re.compile(rb"^250 2\.0\.0 ok \d+ qp (\d+)\r$", re.M)


class Client(asyncio.Transport):
    """A sender and its end of the connection."""

    def __init__(self, world: "World", mail: Sent) -> None:
        super().__init__({"peername": ("127.0.0.1", 40_000), "sockname": ("127.0.0.1", 25)})
        self._world = world
        self._mail = mail
        self._told = b""
        self._gone = False
        self.connection = SmtpConnection(world.reception, "smtp")

    def begin(self) -> None:
        """Connect, and say everything up to the body at once (PIPELINING)."""
        self.connection.connection_made(self)
        asked = f" NOTIFY={self._mail.notify}" if self._mail.notify else ""
        lines = [f"RCPT TO:<{user}@example.com>{asked}" for user in self._mail.users]
        lines = ["EHLO client.example.net", f"MAIL FROM:<{self._mail.sender}>", *lines, "DATA"]
        self._say("".join(f"{line}\r\n" for line in lines).encode())

    def write(self, data: Any) -> None:
        self._told += bytes(data)
        if b"\r\n354 " in self._told:
            self._told = b""
            body = self._mail.body + b".\r\n"
            size = -(-len(body) // self._mail.pieces)
            for number, at in enumerate(range(0, len(body), size)):
                self._say_later(number * self._mail.pause, body[at : at + size])
        elif found := ACCEPTED.search(self._told):
            self._world.ledger.accept(int(found[1]), self._mail)
            self._told = b""
            self._say(b"QUIT\r\n")

    def _say(self, data: bytes) -> None:
        self._world.ready.append(lambda: self.connection.data_received(data))

    def _say_later(self, seconds: float, data: bytes) -> None:
        if seconds:
            self._world.after(seconds, lambda: None if self._gone else self._say(data))
        else:
            self._say(data)

    def is_closing(self) -> bool:
        return self._gone

    def close(self) -> None:
        if not self._gone:
            self._gone = True
            self._world.ready.append(lambda: self.connection.connection_lost(None))

    abort = close

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...
