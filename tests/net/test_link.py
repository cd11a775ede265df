import asyncio
import os
import socket
import tempfile
from collections.abc import Iterator

import pytest

from indimail.net.link import Link
from indimail.net.local import connect_local, listen_local, peer
from indimail.wire.frames import write_frame

LARGE = b"x" * 700_000  # more than a socket holds


class Pair:
    """Two ends on one loop; what the second one hears, and the content of files that came."""

    def __init__(self, *, files: bool = True, most: int = 1 << 20) -> None:
        self.loop = asyncio.SelectorEventLoop()
        self.sock, other = socket.socketpair()
        self.heard: list[tuple[bytes, bytes]] = []
        self.lost: list[str] = []
        self.one = Link(self.loop, self.sock, most, self.hear, lambda: self.lost.append("one"))
        self.other = Link(
            self.loop, other, most, self.hear, lambda: self.lost.append("other"), files=files
        )

    def hear(self, frame: bytes) -> None:
        content = b""
        if frame.startswith(b"file"):
            fd = self.other.file()
            if fd >= 0:
                content = os.pread(fd, 100, 0)
                os.close(fd)
        self.heard.append((frame, content))

    def run(self, count: int) -> list[tuple[bytes, bytes]]:
        async def wait() -> None:
            for _ in range(2000):
                if len(self.heard) >= count or self.lost:
                    return
                await asyncio.sleep(0)

        self.loop.run_until_complete(wait())
        return self.heard

    def file(self, content: bytes) -> int:
        with tempfile.TemporaryFile() as file:
            file.write(content)
            file.flush()
            return os.dup(file.fileno())

    def close(self) -> None:
        self.one.close()
        self.other.close()
        self.loop.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


def test_frames_come_whole_and_in_order_also_where_there_is_no_room(pair: Pair) -> None:
    sent = [b"a", LARGE, b"b", LARGE, b"c"]
    for frame in sent:
        pair.one.send(write_frame(frame))
    assert [frame for frame, _ in pair.run(5)] == sent


def test_each_file_comes_with_its_frame_and_is_closed_here(pair: Pair) -> None:
    opened = len(os.listdir("/proc/self/fd"))
    for number in range(40):
        pair.one.send(write_frame(b"plain"))
        pair.one.send(write_frame(b"file" + LARGE[: number * 3000]), pair.file(b"%d" % number))
    heard = pair.run(80)
    assert [content for frame, content in heard if frame[:4] == b"file"] == [
        b"%d" % number for number in range(40)
    ]
    assert len(os.listdir("/proc/self/fd")) == opened


def test_a_file_that_nobody_wants_is_not_taken() -> None:
    pair = Pair(files=False)
    opened = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        pair.one.send(write_frame(b"file"), pair.file(b"x"))
    assert pair.run(5) == [(b"file", b"")] * 5
    assert len(os.listdir("/proc/self/fd")) == opened
    pair.close()


@pytest.mark.parametrize("octets", [b"", b"\xff\xff\xff\xff"], ids=["the end", "no frame"])
def test_the_end_is_told_once_and_nothing_is_sent_after_it(pair: Pair, octets: bytes) -> None:
    if octets:
        pair.sock.send(octets)
    else:
        pair.one.close()
    pair.run(1)
    assert pair.lost.count("other") == 1
    pair.other.send(write_frame(b"late"), pair.file(b"x"))
    pair.run(1)
    assert pair.heard == []


def test_the_kernel_says_who_is_at_the_other_end(tmp_path) -> None:
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    path = f"{folder}/sock"
    with listen_local(path, 0o600) as listener, connect_local(path) as client:
        server, _ = listener.accept()
        with server:
            mine = (os.getpid(), os.getuid(), os.getgid())
            assert tuple(peer(server)) == tuple(peer(client)) == mine
    with pytest.raises(ConnectionRefusedError):
        connect_local(path)
