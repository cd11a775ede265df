"""How long an answer counts, and what stands in for one that does not come."""

import asyncio

import pytest

from indimail.mail.dns import Answer, Exchanger, Found, Type
from indimail.net import dnscache
from indimail.net.dnscache import AnswerCache, CachedDns, Counts
from indimail.testing.clock import FakeClock
from indimail.testing.dns import Zones
from support import in_loop

KEY = ("example.com", Type.MX)
MX = Answer(Found.RECORDS, (Exchanger(10, "mx.example.com"),), ttl=300.0, name="example.com")
FAILED = Answer(Found.FAILED, reason="127.0.0.1:53: no answer in 5 s")


@pytest.mark.parametrize(
    ("found", "ttl", "seconds"),
    [
        (Found.RECORDS, 300.0, 300),
        (Found.RECORDS, 0.0, 10),
        (Found.RECORDS, 604_800.0, 86_400),
        (Found.NONE, 600.0, 600),
        (Found.NO_NAME, 86_400.0, 3_600),
        (Found.NO_NAME, 0.0, 10),  # without a SOA
        (Found.FAILED, 0.0, 30),
    ],
)
def test_how_long_an_answer_counts(found: Found, ttl: float, seconds: int) -> None:
    cache, answer = AnswerCache(), Answer(found, ttl=ttl)
    assert cache.keep(KEY, answer, 1000.0) is answer
    assert cache.find(KEY, 1000.0 + seconds - 0.1) is answer
    assert cache.find(KEY, 1000.0 + seconds) is None


def test_old_records_stand_in_for_an_answer_for_a_day() -> None:
    cache = AnswerCache()
    cache.keep(KEY, MX, 0.0)
    found = cache.keep(KEY, FAILED, 400.0)
    assert (found.records, found.stale, found.reason) == (MX.records, True, FAILED.reason)
    assert cache.find(KEY, 429.0) == found
    assert cache.find(KEY, 430.0) is None  # asks again, every half minute
    assert cache.keep(KEY, FAILED, 86_699.0).stale
    assert cache.find(KEY, 86_700.0) is None  # 300 s and a day: not a second more
    assert cache.keep(KEY, FAILED, 86_700.0) == FAILED
    assert cache.keep(KEY, MX, 90_000.0) is MX
    assert cache.counts == Counts(hits=1, asked=5, failed=3, stale=2)


def test_records_that_are_fresh_are_not_lost_to_a_failure() -> None:
    """Two questions at once can have two answers, the worse one last."""
    cache = AnswerCache()
    cache.keep(KEY, MX, 0.0)
    assert cache.keep(KEY, FAILED, 1.0).records == MX.records


@pytest.mark.parametrize("found", [Found.NONE, Found.NO_NAME])
def test_an_old_negative_answer_stands_in_for_nothing(found: Found) -> None:
    cache = AnswerCache()
    cache.keep(KEY, Answer(found, ttl=60.0), 0.0)
    assert cache.keep(KEY, FAILED, 61.0) == FAILED


def test_what_was_not_used_for_longest_goes() -> None:
    cache = AnswerCache(size=2)
    one, two, three = (("one", Type.A), ("two", Type.A), ("three", Type.A))
    cache.keep(one, MX, 0.0)
    cache.keep(two, MX, 0.0)
    assert cache.find(one, 1.0)
    cache.keep(three, MX, 1.0)
    assert (cache.find(two, 1.0), len(cache)) == (None, 2)
    assert cache.find(one, 1.0)
    assert cache.counts.evicted == 1


def test_a_cache_has_a_bound_of_its_own() -> None:
    cache = AnswerCache()
    for number in range(dnscache.SIZE + 10):
        cache.keep((str(number), Type.A), MX, 0.0)
    assert len(cache) == dnscache.SIZE


@in_loop
async def test_a_name_is_asked_for_once_in_its_ttl_however_it_is_written() -> None:
    zones, clock = Zones("example.com 60 MX 10 mx.example.com"), FakeClock()

    dns = CachedDns(zones, clock)
    for name in ("example.com", "Example.COM.", "example.com."):
        assert (await dns.look_up(name, Type.MX)).exchangers[0].host == "mx.example.com"
    assert len(zones.asked) == 1
    clock.advance(61)
    await dns.look_up("example.com", Type.MX)
    await dns.look_up("example.com", Type.A)
    assert zones.asked == [KEY, KEY, ("example.com", Type.A)]


class Slow:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = asyncio.Event()

    async def look_up(self, name: str, kind: Type) -> Answer:
        self.asked += 1
        await self.go.wait()
        return MX


@in_loop
async def test_who_asks_the_same_at_once_shares_the_answer_and_nobody_takes_it_away() -> None:
    slow = Slow()
    dns = CachedDns(slow, FakeClock())
    first, *others = (asyncio.ensure_future(dns.look_up(*KEY)) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    slow.go.set()
    assert await asyncio.gather(*others) == [MX, MX]
    assert (slow.asked, first.cancelled()) == (1, True)
    assert dns.counts == Counts(shared=2, asked=1)


@in_loop
async def test_a_resolver_that_is_down_and_comes_back() -> None:
    zones, clock = Zones("example.com 60 MX 10 mx.example.com"), FakeClock()

    dns = CachedDns(zones, clock)
    await dns.look_up(*KEY)
    clock.advance(61)
    zones.down = "timed out"
    assert (await dns.look_up(*KEY)).stale
    assert (await dns.look_up("example.org", Type.MX)).found is Found.FAILED
    zones.down = ""
    assert (await dns.look_up(*KEY)).stale
    clock.advance(30)
    assert not (await dns.look_up(*KEY)).stale
    assert (await dns.look_up("example.org", Type.MX)).found is Found.NO_NAME


@in_loop
async def test_a_bug_below_is_nobodys_answer_and_is_not_remembered() -> None:
    class Broken:
        async def look_up(self, name: str, kind: Type) -> Answer:
            raise RuntimeError(name)

    dns = CachedDns(Broken(), FakeClock())
    for _ in range(2):
        with pytest.raises(RuntimeError):
            await dns.look_up(*KEY)
