"""What DNS said, remembered for as long as it may be.

    dns = CachedDns(Resolver(servers, clock), clock)
    await dns.look_up("example.com", Type.MX)       # asks
    await dns.look_up("Example.COM.", Type.MX)      # remembers
    dns.counts                                      # Counts(hits=1, asked=1, ...)

| what was answered        | is kept for                                                        |
|--------------------------|--------------------------------------------------------------------|
| records                  | their TTL, 10 s at least and a day at most                         |
| no such name, no records | what the zone's SOA says (RFC 2308 5), 10 s to an hour; without: 10 s |
| nothing                  | 30 s                                                               |

Where there is no answer, records that have run out count on for a day, marked `stale` (RFC 8767);
negative answers do not.  A question that is on its way is asked once, however many wait for it; who
no longer waits takes it from nobody else.  Of more than `size` answers those go that were not used
for longest.

Units: seconds of a clock that never steps.  `AnswerCache` waits for nothing and reads no clock.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from indimail.mail.clock import Clock
from indimail.mail.dns import Answer, Found, Type
from indimail.net.dns import Dns

SIZE: Final = 20_000
LOW: Final = 10.0
HIGH: Final = 86_400.0
HIGH_NEGATIVE: Final = 3_600.0
FAILURE: Final = 30.0
STALE: Final = 86_400.0  # after the end of their TTL

Key = tuple[str, Type]


@dataclass(slots=True)
class Counts:
    """What happened since the start.

    Each look-up is a hit, one that was `shared` with another, or `asked`; `failed` of those asked
    had no answer, for `stale` of these there were old records.
    """

    hits: int = 0
    shared: int = 0
    asked: int = 0
    failed: int = 0
    stale: int = 0
    evicted: int = 0


class _Kept(Struct):
    answer: Answer
    until: float
    ends: float  # when its records stop to count, also for want of others


class AnswerCache:
    """Answers by question, the least recently used first."""

    def __init__(self, size: int = SIZE) -> None:
        self.counts = Counts()
        self._size = size
        self._kept: dict[Key, _Kept] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: Key, now: float) -> Answer | None:
        """Return an answer that still counts."""
        kept = self._kept.get(key)
        if kept is None or now >= kept.until:
            return None
        self._kept[key] = self._kept.pop(key)
        self.counts.hits += 1
        return kept.answer

    def keep(self, key: Key, answer: Answer, now: float) -> Answer:
        """Take a new answer; return what is to be believed: it, or older records."""
        self.counts.asked += 1
        old = self._kept.pop(key, None)
        if answer.found is Found.FAILED:
            self.counts.failed += 1
            kept = _Kept(answer, now + FAILURE, now)
            if old is not None and now < old.ends:
                self.counts.stale += 1
                stale = replace(old.answer, stale=True, reason=answer.reason)
                kept = _Kept(stale, min(now + FAILURE, old.ends), old.ends)
        elif answer.found is Found.RECORDS:
            until = now + min(max(answer.ttl, LOW), HIGH)
            kept = _Kept(answer, until, until + STALE)
        else:
            kept = _Kept(answer, now + min(max(answer.ttl, LOW), HIGH_NEGATIVE), now)
        self._kept[key] = kept
        if len(self._kept) > self._size:
            del self._kept[next(iter(self._kept))]
            self.counts.evicted += 1
        return kept.answer

    def clear(self) -> None:
        """Forget all answers."""
        self._kept.clear()


class CachedDns:
    """Stands in front of another `Dns`; for one event loop."""

    def __init__(self, dns: Dns, clock: Clock, size: int = SIZE) -> None:
        self._dns = dns
        self._clock = clock
        self._cache = AnswerCache(size)
        self._asked: dict[Key, asyncio.Task[Answer]] = {}

    @property
    def counts(self) -> Counts:
        """What happened since the start."""
        return self._cache.counts

    async def look_up(self, name: str, kind: Type) -> Answer:
        """Return what is remembered, else ask."""
        key = (name.lower().removesuffix("."), kind)
        found = self._cache.find(key, self._clock.steady())
        if found is not None:
            return found
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.ensure_future(self._ask(key))
        else:
            self.counts.shared += 1
        return await asyncio.shield(task)

    async def _ask(self, key: Key) -> Answer:
        try:
            answer = await self._dns.look_up(*key)
        finally:
            del self._asked[key]
        return self._cache.keep(key, answer, self._clock.steady())

    def clear(self) -> None:
        """Forget all answers; what is on its way is not held up."""
        self._cache.clear()
