import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.wire.frames import END, BrokenFrame, FrameReader, write_frame


def read(octets: bytes, size: int, most: int = 1 << 20) -> list[bytes]:
    reader, found = FrameReader(most), []
    for at in range(0, len(octets), size):
        reader.feed(octets[at : at + size])
        while (frame := reader.next()) is not None:
            found.append(frame)
    return found


@given(st.lists(st.binary(min_size=1, max_size=40)), st.integers(1, 50))
def test_frames_are_read_as_they_were_written_however_they_are_cut(frames, size) -> None:
    octets = b"".join(map(write_frame, frames)) + END
    assert read(octets, size) == [*frames, b""]


def test_a_frame_longer_than_allowed_is_refused_before_its_octets_come() -> None:
    reader = FrameReader(most=10)
    reader.feed(write_frame(b"0123456789"))
    assert reader.next() == b"0123456789"
    reader.feed(write_frame(b"0123456789a")[:4])
    with pytest.raises(BrokenFrame):
        reader.next()


def test_half_a_frame_waits_and_what_follows_is_kept() -> None:
    reader = FrameReader(100)
    reader.feed(write_frame(b"one")[:5])
    assert reader.next() is None
    reader.feed(b"ne" + write_frame(b"two"))
    assert (reader.next(), reader.unread) == (b"one", 7)
