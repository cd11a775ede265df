"""Giving a message to a queue: the program's side."""

import itertools
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indimail.durable.disk import SystemDisk
from indimail.queue.submission import (
    LONGEST_ENVELOPE,
    LONGEST_PIECE,
    NobodyListens,
    Receipt,
    Submission,
    read_spooled,
    spool_submission,
    submit,
)
from indimail.testing.disk import SimulatedDisk, until_the_crash
from indimail.wire.frames import FrameReader, write_frame

MAIL = Submission("eve@example.net", ("alice@example.com",))
QUEUED = Receipt(0, 1024)


class Server:
    """Accepts one connection and does with it what a test says."""

    def __init__(self, path: str, work: Callable[[socket.socket], None]) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(path)
        self.sock.listen(1)
        self.thread = threading.Thread(target=self._serve, args=(work,))
        self.thread.start()

    def _serve(self, work: Callable[[socket.socket], None]) -> None:
        connection, _ = self.sock.accept()
        with connection:
            work(connection)

    def close(self) -> None:
        self.thread.join()
        self.sock.close()


Serve = Callable[[Callable[[socket.socket], None]], str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    servers: list[Server] = []
    path = str(tmp_path / "s")

    def begin(work: Callable[[socket.socket], None]) -> str:
        servers.append(Server(path, work))
        return path

    yield begin
    for server in servers:
        server.close()


def answer(receipt: Receipt) -> bytes:
    return write_frame(receipt.to_bytes())


def frames(connection: socket.socket) -> list[bytes]:
    reader, found = FrameReader(LONGEST_ENVELOPE), []
    while (frame := reader.next()) != b"":
        if frame is None:
            reader.feed(connection.recv(65_536))
        else:
            found.append(frame)
    return found


def test_envelope_and_body_arrive_and_the_answer_comes_back(serve: Serve) -> None:
    seen: list[bytes] = []

    def work(connection: socket.socket) -> None:
        seen.extend(frames(connection))
        connection.sendall(answer(QUEUED))

    large = b"x" * (LONGEST_PIECE + 1)
    assert submit(serve(work), MAIL, [b"hello\n", large, b""]) == QUEUED
    assert Submission.from_bytes(seen[0]) == MAIL
    assert b"".join(seen[1:]) == b"hello\n" + large
    assert max(map(len, seen)) == LONGEST_PIECE


def test_a_refusal_before_the_body_is_read_is_heard(serve: Serve) -> None:
    refused = Receipt(88, 0, "Dtoo large")

    def work(connection: socket.socket) -> None:
        connection.recv(10)
        connection.sendall(answer(refused))

    assert submit(serve(work), MAIL, [b"x" * 1_000_000] * 10) == refused


def test_an_owner_that_dies_may_have_queued_it(serve: Serve) -> None:
    def work(connection: socket.socket) -> None:
        frames(connection)

    assert submit(serve(work), MAIL, [b"x"]).code == 74


def test_an_owner_that_is_silent_may_have_queued_it(serve: Serve) -> None:
    done = threading.Event()

    def work(connection: socket.socket) -> None:
        frames(connection)
        done.wait(10)

    assert submit(serve(work), MAIL, [b"x"], patience=0.01).code == 52
    done.set()


def test_where_nobody_listens_the_body_is_left_unread(tmp_path: Path) -> None:
    def body() -> Iterator[bytes]:
        raise AssertionError
        yield b""

    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "dead"))
    sock.close()
    for name in ("dead", "missing", "no/folder"):
        with pytest.raises(NobodyListens):
            submit(str(tmp_path / name), MAIL, body())


def test_a_path_longer_than_a_socket_s_address_is_reached(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    folder = os.open(deep, os.O_PATH)
    try:
        server = Server(f"/proc/self/fd/{folder}/s", lambda c: c.sendall(answer(QUEUED)))
    finally:
        os.close(folder)
    assert submit(str(deep / "s"), MAIL, [b"x"]) == QUEUED
    server.close()


@pytest.mark.parametrize(
    ("receipt", "permanent", "reason"),
    [
        (Receipt(11, text="long"), True, "long"),
        (Receipt(31, text="no"), True, "no"),
        (Receipt(53, text="disk"), False, "disk"),
        (Receipt(88, text="Dno"), True, "no"),
        (Receipt(88, text="Zlater"), False, "later"),
        (Receipt(91, text="form"), False, "form"),
    ],
)
def test_codes_11_to_40_and_88_with_d_are_for_good(
    receipt: Receipt, permanent: bool, reason: str
) -> None:
    assert (receipt.is_permanent, receipt.reason) == (permanent, reason)


# -- the spool directory ---------------------------------------------------------------------------


def test_a_spooled_submission_is_read_back(tmp_path: Path) -> None:
    disk = SystemDisk()
    large = b"x" * (LONGEST_PIECE + 1)
    assert spool_submission(disk, str(tmp_path), MAIL, [b"hello\n", large]) == Receipt(0)
    (file,) = tmp_path.iterdir()
    envelope, *pieces = read_spooled(disk, str(file))
    assert Submission.from_bytes(envelope) == MAIL
    assert b"".join(pieces) == b"hello\n" + large


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_a_crash_leaves_a_whole_mail_or_none(seed: int | None) -> None:
    for operation in itertools.count(1):
        disk = SimulatedDisk(seed)
        disk.make_directories("/spool")
        disk.crash_at(len(disk.history) + operation)
        receipt = None
        with until_the_crash(disk):
            receipt = spool_submission(disk, "/spool", MAIL, [b"hello\n"])
        if receipt is not None:
            disk.cut_power()
        after = disk.restart()
        whole = [name for name in after.names("/spool") if not name.startswith(".")]
        for name in whole:
            assert list(read_spooled(after, f"/spool/{name}"))[1:] == [b"hello\n"]
        if receipt is not None:
            assert (receipt.code, len(whole)) == (0, 1)
            assert operation > 4
            return


def test_a_folder_that_may_not_be_read_is_synced_all_the_same(tmp_path: Path) -> None:
    synced: list[str] = []

    class Unreadable(SystemDisk):
        def sync_directory(self, path: str) -> None:
            raise PermissionError(13, "no", path)

        def sync_filesystem(self, path: str) -> None:
            synced.append(path)

    assert spool_submission(Unreadable(), str(tmp_path), MAIL, [b"x"]) == Receipt(0)
    assert synced == [str(file) for file in tmp_path.iterdir()]


def test_a_spool_that_fails_leaves_nothing(tmp_path: Path) -> None:
    class Failing(SystemDisk):
        def sync_directory(self, path: str) -> None:
            raise OSError(5, "Input/output error", path)

    receipt = spool_submission(Failing(), str(tmp_path), MAIL, [b"x"])
    assert (receipt.code, receipt.is_permanent) == (53, False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [0, 3, 4, 20, -1, -4])
def test_a_spool_file_that_is_cut_is_a_value_error(tmp_path: Path, cut: int) -> None:
    disk = SystemDisk()
    spool_submission(disk, str(tmp_path), MAIL, [b"hello\n"])
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(ValueError, match="cut short"):
        list(read_spooled(disk, str(file)))


def test_a_frame_that_is_too_long_is_a_value_error(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"junk and more junk")
    with pytest.raises(ValueError, match="a frame of"):
        list(read_spooled(SystemDisk(), str(tmp_path / "f")))
