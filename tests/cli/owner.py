"""A server that takes one mail, for programs that give one."""

import socket
import threading
from dataclasses import dataclass, field

from indimail.queue.submission import Receipt
from indimail.wire.frames import FrameReader, write_frame


@dataclass
class Owner:
    """A server that takes one mail and answers what it is told to."""

    path: str
    receipt: Receipt = Receipt(0, 1024)
    frames: list[bytes] = field(default_factory=list)

    def __enter__(self) -> "Owner":
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.bind(self.path)
        self._sock.listen(1)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def _serve(self) -> None:
        connection, _ = self._sock.accept()
        reader = FrameReader(1 << 20)
        with connection:
            while (frame := reader.next()) != b"":
                if frame is None:
                    reader.feed(connection.recv(65_536))
                else:
                    self.frames.append(frame)
            connection.sendall(write_frame(self.receipt.to_bytes()))

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._sock.close()
