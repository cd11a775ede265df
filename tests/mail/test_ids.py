import pytest

from indimail.mail.errors import Misuse
from indimail.mail.ids import GIVERS, QueueIds, time_of

NOW = 1_795_477_000_000_000


def test_a_number_tells_its_time_and_who_gave_it() -> None:
    given = QueueIds(giver=1).next(NOW)
    assert given == 1_838_568_448_000_000_001
    assert given % GIVERS == 1
    assert time_of(given) == NOW / 1e6
    assert given < 1 << 63


@pytest.mark.parametrize("clock", [[NOW] * 5, [NOW, NOW - 9_000_000, NOW + 1, NOW + 1, NOW + 2]])
def test_numbers_increase_also_where_the_clock_stands_or_steps_back(clock) -> None:
    ids = QueueIds(3)
    given = [ids.next(now) for now in clock]
    assert given == sorted(set(given))


def test_two_processes_never_give_the_same_number() -> None:
    one, other = QueueIds(1), QueueIds(2)
    given = [ids.next(NOW) for _ in range(100) for ids in (one, other)]
    assert len(set(given)) == 200


def test_a_number_known_to_be_given_is_never_given_again() -> None:
    known = QueueIds(1).next(NOW + 5_000_000)  # the clock was ahead then
    assert QueueIds(1, after=known).next(NOW) > known
    ids = QueueIds(1)
    ids.rise_above(known)
    assert ids.next(NOW) > known
    ids.rise_above(7)
    assert ids.next(NOW) > known


@pytest.mark.parametrize("giver", [-1, GIVERS])
def test_there_are_1024_givers(giver) -> None:
    with pytest.raises(Misuse):
        QueueIds(giver)
