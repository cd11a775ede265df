"""How many connections the whole server has, over all workers, in one shared mapping.

    table = ConnectionTable(workers=2)        # before the fork
    mine = table.of_worker(0)                 # after it
    mine.opened(ip); table.total(); table.of_client(ip); mine.closed(ip)
    table.clear(0)                            # worker 0 died: its connections died with it

Each worker writes its own row only, so no lock is needed.  Clients are counted in two hashed
buckets each and the smaller count is believed (a count-min sketch): never too low, and too high
only where a client shares *both* its buckets with busy ones.
"""

import mmap
from collections.abc import Callable
from typing import Final
from zlib import crc32

BUCKETS: Final = 16_384  # per hash; two bytes each: 64 KiB and a page a worker


class ConnectionTable:
    """Rows of counters in memory that forked processes share."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._row = 2 * BUCKETS + 2  # the last two counters are the row's total, as 32 bits
        self._counters = memoryview(mmap.mmap(-1, workers * self._row * 2)).cast("H")

    def total(self) -> int:
        """Connections of all workers."""
        return sum(map(self._total_of, range(self._workers)))

    def totals(self) -> list[int]:
        """Connections of each worker."""
        return [self._total_of(worker) for worker in range(self._workers)]

    def of_client(self, ip: str) -> int:
        """Connections that one client has, over all workers."""
        first, second = _buckets(ip)
        starts = range(0, self._workers * self._row, self._row)
        counters = self._counters
        return min(
            sum(counters[s + first] for s in starts), sum(counters[s + second] for s in starts)
        )

    def clear(self, worker: int) -> None:
        """Forget a dead worker's connections."""
        start = worker * self._row
        self._counters[start : start + self._row] = memoryview(bytes(self._row * 2)).cast("H")

    def of_worker(self, worker: int) -> "WorkerConnections":
        """Return the row that one worker writes."""
        return WorkerConnections(self, worker)

    def _total_of(self, worker: int) -> int:
        end = (worker + 1) * self._row
        return self._counters[end - 2] + (self._counters[end - 1] << 16)

    def _add(self, worker: int, ip: str, number: int) -> None:
        start = worker * self._row
        for bucket in _buckets(ip):
            self._counters[start + bucket] += number
        total = self._total_of(worker) + number
        self._counters[start + self._row - 2] = total & 0xFFFF
        self._counters[start + self._row - 1] = total >> 16


class WorkerConnections:
    """One worker's view: it counts its own connections and sees everybody's."""

    def __init__(self, table: ConnectionTable, worker: int) -> None:
        self._table = table
        self._worker = worker
        self.total: Callable[[], int] = table.total
        self.of_client: Callable[[str], int] = table.of_client

    def surplus(self) -> int:
        """How many connections more this worker has than the one with the fewest."""
        totals = self._table.totals()
        return totals[self._worker] - min(totals)

    def opened(self, ip: str) -> None:
        """Count a connection."""
        self._table._add(self._worker, ip, 1)

    def closed(self, ip: str) -> None:
        """Stop counting a connection."""
        self._table._add(self._worker, ip, -1)


def _buckets(ip: str) -> tuple[int, int]:
    hashed = crc32(ip.encode())
    return hashed % BUCKETS, BUCKETS + (hashed >> 16) % BUCKETS
