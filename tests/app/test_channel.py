import os
import threading
from collections.abc import Iterator

import pytest

from indimail.app import channel as module
from indimail.app.channel import Channel, Configured, Done, Invalidate, Ready, Stale

Pair = tuple[Channel, Channel]


def both_ends() -> Iterator[Pair]:
    ends = Channel.pair()
    yield ends
    for end in ends:
        end.close()


pair = pytest.fixture(both_ends)
another = pytest.fixture(both_ends)


def received(channel: Channel, count: int) -> list[object]:
    """Receive until so many messages came."""
    found: list[object] = []
    while len(found) < count:
        found += channel.receive()
    return found


def test_messages_arrive_whole_and_in_order(pair: Pair) -> None:
    ours, theirs = pair
    assert theirs.receive() == []
    sent = [Ready(), Stale(), Invalidate(7, "alice", "example.com"), Done(7)]
    for message in sent:
        ours.send(message)
    assert received(theirs, 4) == sent
    theirs.send(Done(1))
    assert received(ours, 1) == [Done(1)]


def test_a_message_larger_than_the_sockets_buffer_arrives(pair: Pair) -> None:
    ours, theirs = pair
    snapshot = os.urandom(4 << 20)
    sender = threading.Thread(target=ours.send, args=(Configured(3, snapshot),))
    sender.start()
    assert received(theirs, 1) == [Configured(3, snapshot)]
    sender.join()


def test_half_a_message_waits_for_its_other_half(pair: Pair, another: Pair) -> None:
    ours, theirs = pair
    one, other = another
    ours.send(Invalidate(7, "alice", "example.com"))
    octets = theirs._end.recv(1_000)
    for at in range(len(octets)):
        assert other.receive() == []
        one._end.sendall(octets[at : at + 1])
    assert other.receive() == [Invalidate(7, "alice", "example.com")]


def test_the_end_of_a_peer_is_told_and_sending_to_it_is_no_error(pair: Pair) -> None:
    ours, theirs = pair
    theirs.close()
    ours.send(Ready())
    with pytest.raises(EOFError):
        ours.receive()


def test_a_peer_that_takes_half_a_message_is_given_up(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What followed could not be told from the other half."""
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    ours, theirs = pair
    ours.send(Configured(1, bytes(16 << 20)))
    with pytest.raises(EOFError):
        ours.receive()
    with pytest.raises(EOFError):
        while True:
            theirs.receive()
