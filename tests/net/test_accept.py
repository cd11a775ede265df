"""How workers share the connections of one socket; the clock and the loop's waiting are played."""

import asyncio
import errno
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from indimail.net.accept import COURTESY, EXHAUSTED, Acceptor


class Task:
    """One that ended at once."""

    def add_done_callback(self, call: Callable[["Task"], None]) -> None:
        call(self)


class Loop:
    """An event loop whose time and readiness the test decides."""

    def __init__(self) -> None:
        self.readers: dict[int, Callable[[], None]] = {}
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.taken: list[socket.socket] = []

    def add_reader(self, fd: int, ready: Callable[[], None]) -> None:
        self.readers[fd] = ready

    def remove_reader(self, fd: int) -> bool:
        return self.readers.pop(fd, None) is not None

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        self.later.append((seconds, call))

    async def connect_accepted_socket(self, _connect: object, connection: socket.socket) -> None:
        self.taken.append(connection)

    def create_task(self, work: Coroutine[Any, Any, None]) -> "Task":
        with pytest.raises(StopIteration):
            work.send(None)
        return Task()

    def is_ready(self) -> None:
        for ready in list(self.readers.values()):
            ready()

    def pass_time(self) -> list[float]:
        """Run what was to come later; return after how long each was to."""
        due, self.later = self.later, []
        for _, call in due:
            call()
        return [seconds for seconds, _ in due]


class Shared:
    """What a worker sees of the others' connections."""

    def __init__(self, surplus: int) -> None:
        self.value = surplus

    def surplus(self) -> int:
        return self.value


class Exhausted:
    """A listener of a machine that has no descriptor left."""

    def __init__(self, error: int) -> None:
        self.error = error

    def fileno(self) -> int:
        return 99

    def accept(self) -> None:
        raise OSError(self.error, "no more")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        yield sock


@pytest.fixture
def loop() -> Iterator[Loop]:
    played = Loop()
    yield played
    for connection in played.taken:
        connection.close()


def started(loop: Any, listener: Any, shared: Any = None) -> Acceptor:
    acceptor = Acceptor(loop, listener, asyncio.Protocol, shared)
    acceptor.start()
    return acceptor


def test_who_has_no_more_than_another_takes_the_client_at_once(
    loop: Loop, listener: socket.socket
) -> None:
    started(loop, listener, Shared(0))
    with socket.create_connection(listener.getsockname()) as client:
        loop.is_ready()
        assert [c.getpeername() for c in loop.taken] == [client.getsockname()]
        assert loop.taken[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert not loop.taken[0].getblocking()


def test_who_has_more_leaves_it_to_others_and_takes_it_when_nobody_did(
    loop: Loop, listener: socket.socket
) -> None:
    started(loop, listener, Shared(1))
    with socket.create_connection(listener.getsockname()):
        loop.is_ready()
        assert (loop.taken, loop.readers) == ([], {})
        assert loop.pass_time() == [COURTESY]
        assert len(loop.taken) == 1
        assert listener.fileno() in loop.readers


def test_who_left_it_to_others_goes_on_waiting_when_one_took_it(
    loop: Loop, listener: socket.socket
) -> None:
    started(loop, listener, Shared(1))
    with socket.create_connection(listener.getsockname()):
        loop.is_ready()
        listener.accept()[0].close()  # the other worker
    loop.pass_time()
    assert loop.taken == []
    assert listener.fileno() in loop.readers


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
@pytest.mark.parametrize("surplus", [0, 1])
def test_a_machine_without_descriptors_is_left_alone_for_a_while(
    loop: Loop, error: int, surplus: int
) -> None:
    """Also where the worker had stepped back before; else it would ask without a pause."""
    started(loop, Exhausted(error), Shared(surplus))
    loop.is_ready()
    if surplus:
        assert loop.pass_time() == [COURTESY]
    for _ in range(3):
        assert loop.readers == {}
        assert loop.pass_time() == [EXHAUSTED]


def test_what_nobody_foresaw_is_not_passed_over(loop: Loop) -> None:
    started(loop, Exhausted(errno.EBADF))
    with pytest.raises(OSError, match="no more"):
        loop.is_ready()


def test_one_that_is_closed_meanwhile_takes_nothing_more(
    loop: Loop, listener: socket.socket
) -> None:
    acceptor = started(loop, listener, Shared(1))
    with socket.create_connection(listener.getsockname()):
        loop.is_ready()
        acceptor.close()
        loop.pass_time()
    assert (loop.taken, loop.readers, loop.later) == ([], {}, [])


@pytest.mark.parametrize("surplus", [0, 1])
def test_a_socket_that_the_supervisor_ended_is_left_quietly(
    loop: Loop, listener: socket.socket, surplus: int
) -> None:
    started(loop, listener, Shared(surplus))
    listener.shutdown(socket.SHUT_RDWR)
    loop.is_ready()
    loop.pass_time()
    assert (loop.taken, loop.readers, loop.later) == ([], {}, [])
