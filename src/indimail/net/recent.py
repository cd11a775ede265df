"""How often something happened lately, over all workers, in one shared mapping.

    table = RecentTable(workers=2, window=900.0)      # before the fork
    mine = table.of_worker(0)                         # after it
    mine.add("192.0.2.7", now)                        # now: steady seconds, which processes share
    mine.count("192.0.2.7", now)                      -> 1, for seven and a half minutes to fifteen

Each worker writes its own row only, so no lock is needed.  A row has two generations of half a
window each: what is counted falls out between half a window and a whole one later.  As in
`net.connections` a key is counted in two hashed buckets and the smaller count is believed: never too
low, and too high only where a key shares both its buckets with busy ones.
"""

import mmap
from typing import Final
from zlib import crc32

BUCKETS: Final = 16_384  # per hash
_SIDE: Final = 2 * BUCKETS
_ROW: Final = 2 * _SIDE + 4  # counters of 16 bits; at its end the generation's number, 64 bits
_MOST: Final = 0xFFFF


class RecentTable:
    """Rows of counters in memory that forked processes share."""

    def __init__(self, workers: int, window: float) -> None:
        self._workers = workers
        self._half = window / 2
        self._octets = memoryview(mmap.mmap(-1, workers * _ROW * 2))
        self._counters = self._octets.cast("H")

    def of_worker(self, worker: int) -> "WorkerRecent":
        """Return the row that one worker writes."""
        return WorkerRecent(self, worker)

    def count(self, key: str, now: float) -> int:
        """Return how often it happened."""
        generation = int(now / self._half)
        return min(self._count(bucket, generation) for bucket in _buckets(key))

    def _count(self, bucket: int, generation: int) -> int:
        """Add up one bucket of all rows, in those generations that still count."""
        total = 0
        for worker in range(self._workers):
            behind = generation - self._generation_of(worker)
            for age in range(behind, 2):
                total += self._counters[self._start(worker, generation - age) + bucket]
        return total

    def _add(self, worker: int, key: str, now: float) -> None:
        generation = int(now / self._half)
        behind = generation - self._generation_of(worker)
        for old in range(min(behind, 2)):
            start = self._start(worker, generation - old)
            self._counters[start : start + _SIDE] = memoryview(bytes(2 * _SIDE)).cast("H")
        if behind > 0:
            end = (worker + 1) * _ROW * 2
            self._octets[end - 8 : end] = generation.to_bytes(8, "little")
        start = self._start(worker, generation)
        for bucket in _buckets(key):
            if self._counters[start + bucket] < _MOST:
                self._counters[start + bucket] += 1

    def _start(self, worker: int, generation: int) -> int:
        return worker * _ROW + generation % 2 * _SIDE

    def _generation_of(self, worker: int) -> int:
        end = (worker + 1) * _ROW * 2
        return int.from_bytes(self._octets[end - 8 : end], "little")


class WorkerRecent:
    """One worker's view: it counts what it sees and knows of everybody's."""

    def __init__(self, table: RecentTable, worker: int) -> None:
        self._table = table
        self._worker = worker
        self.count = table.count

    def add(self, key: str, now: float) -> None:
        """Count it once."""
        self._table._add(self._worker, key, now)


def _buckets(key: str) -> tuple[int, int]:
    hashed = crc32(key.encode("utf-8", "surrogateescape"))
    return hashed % BUCKETS, BUCKETS + (hashed >> 16) % BUCKETS
