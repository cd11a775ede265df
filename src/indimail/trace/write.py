"""Writing the trace: cheap to add to, bounded on disk, and never in the way of mail.

    trace = TraceWriter("/var/indimail/trace", giver=1, disk=SystemDisk())
    trace.add(record); number = trace.added
    trace.flush()                  # every 0.2 s: what was added can be read by others
    trace.sync() >= number         # about once a second, on a thread: the record survives a power cut

`add` does no I/O: it keeps the record, and encodes a batch when enough have gathered.  The facts of
a record may be one mapping shared by many; nobody changes a mapping after it was added.

A disk that is full or fails never stops mail: what cannot be written waits in a bounded backlog
and is tried again, the oldest beyond the bound are dropped and counted; the log hears once that it
began and once that it is over.  Less than `min_free` octets left counts as full, so that the trace
never eats the space that is held back for the queue's marks.

A segment ends by size or after a day; old ones are removed by age and total size (all writers'
together; the newest of each writer stays).  Threads: one thread adds; `flush`, `sync` and `close`
may run on any.  Units: octets, days; times are those of the records.

Source: DESIGN 4 (outcomes), 6 (trace).  Not here: the format (`trace.segment`).
"""

import logging
import os
import threading
from collections import deque
from dataclasses import dataclass
from typing import Final

from indimail.durable.disk import Disk, sync_above
from indimail.mail.events import Record
from indimail.trace.segment import encode, segment_path, segments

MIB: Final = 1 << 20
DAY: Final = 86_400.0
BATCH: Final = 256  # records encoded in one go: about 0.2 ms of the event loop
BACKLOG: Final = 8 * MIB  # encoded records kept in memory until they are synced

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Batch:
    lines: bytes
    count: int
    before: int  # the number of the last record before it
    first_time: float
    last_time: float


class TraceWriter:
    """The records of one process."""

    def __init__(
        self,
        directory: str,
        giver: int,
        disk: Disk,
        *,
        max_segment: int = 64 * MIB,
        max_age_days: float = 30.0,
        max_total_octets: int = 4096 * MIB,
        min_free: int = 64 * MIB,
    ) -> None:
        """`giver` is the number of the process in its ids; two live writers never share one."""
        self.added = 0  # the number of the last record added
        self.dropped = 0  # records that no segment will ever hold
        self._directory = directory
        self._giver = giver
        self._disk = disk
        self._max_segment = max_segment
        self._max_age = max_age_days * DAY
        self._max_total = max_total_octets
        self._min_free = min_free
        self._gathered: list[Record] = []
        self._encoded: deque[_Batch] = deque()
        self._encoded_octets = 0
        self._taken = 0  # the number of the last record that left _gathered
        self._path = ""
        self._opened = 0.0
        self._size = 0
        self._is_torn = False
        self._is_named = False  # the folder's own name is on disk
        self._unsynced: dict[str, bool] = {}  # path -> whether its name is not synced either
        self._retained: deque[_Batch] = deque()  # written, not synced
        self._retained_octets = 0
        self._expire_at: float | None = None
        self._covered = 0
        self._reported = ""
        self._lists = threading.Lock()  # _gathered.._taken; held for microseconds
        self._writing = threading.Lock()  # _path.._reported; held while the OS is written to
        self._syncing = threading.Lock()

    def add(self, record: Record) -> None:
        """Take a record; its number is `added` afterwards."""
        self.added += 1
        self._gathered.append(record)
        if len(self._gathered) >= BATCH:
            self._encode()

    def flush(self) -> None:
        """Hand everything added to the operating system, where readers see it."""
        with self._writing:
            self._write()

    def sync(self) -> int:
        """Make everything added before durable; return the number of the last record covered.

        Covered are also records that were dropped: nobody waits for them for ever.
        """
        with self._syncing:
            with self._writing:
                self._write()
                paths, self._unsynced = self._unsynced, {}
                handed, retained = self._written_or_dropped(), len(self._retained)
                expire_at, self._expire_at = self._expire_at, None
            try:
                self._make_durable(paths)
            except OSError as error:
                with self._writing:
                    self._write_again(error)
                return self._covered
            with self._writing:
                for _ in range(min(retained, len(self._retained))):
                    self._retained_octets -= len(self._retained.popleft().lines)
            if expire_at is not None:
                self._expire(expire_at)
            self._covered = max(self._covered, handed)
            return self._covered

    def close(self) -> None:
        """Make everything durable."""
        self.sync()

    def _encode(self) -> None:
        with self._lists:
            batch = self._gathered[:]
            if not batch:
                return
            del self._gathered[: len(batch)]  # not a swap: `add` may append at any moment
            lines, lost = encode(batch)
            self.dropped += lost
            times = [record.time for record in batch]
            count = len(batch) - lost
            self._encoded.append(_Batch(lines, count, self._taken, min(times), max(times)))
            self._taken += len(batch)
            self._encoded_octets += len(lines)
            self._drop_beyond_backlog()

    def _drop_beyond_backlog(self) -> None:
        while self._encoded_octets > BACKLOG:
            oldest = self._encoded.popleft()
            self._encoded_octets -= len(oldest.lines)
            self.dropped += oldest.count

    def _written_or_dropped(self) -> int:
        with self._lists:
            return self._encoded[0].before if self._encoded else self._taken

    def _write(self) -> None:
        self._encode()
        with self._lists:
            batches = list(self._encoded)
            self._encoded.clear()
            self._encoded_octets = 0
        if not batches:
            return
        try:
            self._append(batches)
        except OSError as error:
            self._is_torn = True
            self._put_back(batches)
            self._report(f"{error.strerror or error}; mail goes on without")
            return
        self._retain(batches)
        self._report("")

    def _append(self, batches: list[_Batch]) -> None:
        lines = b"".join([batch.lines for batch in batches])
        is_new = self._choose_segment(batches[0].first_time, batches[-1].last_time)
        if self._disk.free(self._directory) < self._min_free + len(lines):
            raise OSError(f"less than {self._min_free} octets are left")
        # A torn line that an earlier write left behind ends here, and readers pass over it.
        self._disk.append(self._path, (b"\n", lines) if self._is_torn else (lines,))
        self._is_torn = False
        self._size += len(lines)
        self._unsynced[self._path] = is_new or self._unsynced.get(self._path, False)

    def _choose_segment(self, first_time: float, now: float) -> bool:
        """Go on with the segment or begin one; tell whether its file is still to be made."""
        if self._path and self._size < self._max_segment and now - self._opened < DAY:
            return self._size == 0
        self._disk.make_directories(self._directory)
        self._path = segment_path(self._directory, first_time, self._giver)
        self._opened, self._size = first_time, 0
        # Outcomes that are recorded again after a crash have their old times, and so may lead to
        # the segment that an earlier try began; its last line may be torn.
        self._is_torn = self._disk.exists(self._path)
        self._expire_at = now
        return True

    def _put_back(self, batches: list[_Batch]) -> None:
        with self._lists:
            self._encoded.extendleft(reversed(batches))
            self._encoded_octets += sum(len(batch.lines) for batch in batches)
            self._drop_beyond_backlog()

    def _retain(self, batches: list[_Batch]) -> None:
        """Keep what was written until it is synced: after a failed sync it is written again."""
        self._retained.extend(batches)
        self._retained_octets += sum(len(batch.lines) for batch in batches)
        while self._retained_octets > BACKLOG:
            self._retained_octets -= len(self._retained.popleft().lines)

    def _make_durable(self, paths: dict[str, bool]) -> None:
        for path in paths:
            self._disk.sync_file(path)
        if any(paths.values()):
            self._disk.sync_directory(self._directory)
        if paths and not self._is_named:  # who made the folder may have failed to sync its name
            sync_above(self._disk, self._directory)
            self._is_named = True

    def _write_again(self, error: OSError) -> None:
        """Start a new segment: after a failed sync, nobody knows what the old one holds.

        A line may then stand in both; readers take equal lines for one.
        """
        again, self._retained = list(self._retained), deque()
        self._retained_octets = 0
        self._path = ""
        self._put_back(again)
        self._report(f"sync: {error.strerror or error}; mail goes on without")

    def _expire(self, now: float) -> None:
        """Remove segments that are too old, then the oldest until the total fits."""
        found = segments(self._directory, self._disk)
        newest = {segment.giver: segment.path for segment in found}
        sizes = {}
        for segment in found:
            try:
                sizes[segment.path] = self._disk.size(segment.path)
            except FileNotFoundError:  # another writer removed it
                continue
        total = sum(sizes.values())
        for segment in found:
            # A writer uses a segment for a day at most, so past that nobody appends to it.
            is_old = segment.first < now - self._max_age - DAY
            is_newest = newest[segment.giver] == segment.path
            if is_old or (total > self._max_total and not is_newest):
                self._remove(segment.path)
                total -= sizes.get(segment.path, 0)

    def _remove(self, path: str) -> None:
        try:
            self._disk.unlink(path)
        except OSError as error:
            _log.info("trace: %s: not removed: %s", os.path.basename(path), error.strerror)

    def _report(self, trouble: str) -> None:
        """Say once that writing fails, and once that it is over."""
        if trouble and not self._reported:
            _log.error("trace: %s: %s", self._directory, trouble)
        elif self._reported and not trouble:
            _log.warning("trace: %s: written again, dropped %d", self._directory, self.dropped)
        self._reported = trouble
