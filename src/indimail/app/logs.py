"""Where log lines go: stderr, or files in ``<root>/log``; stamped, gathered, reopened.

    lines = LogLines(file="/var/indimail/log/delivery.log")
    lines.add("new msg 1838568448000000001 queue1")     # a LineSink (serve.maillog)
    lines.flush()                                       # every 0.2 s, by who runs the loop
    lines.reopen()                                      # on SIGUSR1, after a file was renamed
    set_up_logging(lines)                               # the standard library's records too

A file's lines begin with multilog's stamp, ``@`` and 24 hex digits of TAI64N, so that the tools
that read multilog's files read ours; on stderr there is none, as the supervisor that reads it
stamps.  `Stamp` overrides either; ``iso`` is for people (UTC).  A stamp is exact to a millisecond.

Several processes may write one file: it is opened for appending, and only whole lines are written.
A pipe takes at most `PIPE_BUF` octets in one piece, so what goes there is cut between lines.
A log that cannot be written never stops mail: lines are dropped and counted.

Sources: spec/queue.md 5.4 (multilog t), TAI64N (cr.yp.to/libtai/tai64.html), pipe(7).
"""

import logging
import os
import select
import stat
import threading
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final

from indimail.serve.maillog import LineSink

TAI_EPOCH: Final = 4_611_686_018_427_387_914  # 2^62 + 10: 1970-01-01 TAI64, as multilog counts
RESOLUTION: Final = 0.001  # lines within a millisecond share a stamp
GATHER: Final = 512  # lines kept at most before they are written
MODE: Final = 0o640


class Stamp(StrEnum):
    """What a line begins with."""

    NONE = "none"
    TAI64N = "tai64n"
    ISO = "iso"


def stamp_text(stamp: Stamp, now: float) -> str:
    """Return a stamp and the blank after it; nothing for `NONE`."""
    match stamp:
        case Stamp.NONE:
            return ""
        case Stamp.TAI64N:
            seconds, fraction = divmod(round(now * 1e6), 1_000_000)
            return f"@{TAI_EPOCH + seconds:016x}{fraction * 1000:08x} "
        case Stamp.ISO:
            whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
            return f"{whole}.{int(now * 1000) % 1000:03d}Z "


class LogLines:
    """A `LineSink` over a file, or over stderr where no file is named."""

    def __init__(
        self,
        file: str | None = None,
        stamp: Stamp | None = None,
        clock: Callable[[], float] = time.time,
        fd: int = 2,
    ) -> None:
        """`stamp` None means TAI64N in a file, none on `fd`.  Raises OSError for the file."""
        self.dropped = 0
        self._file = file
        self._stamp = stamp or (Stamp.NONE if file is None else Stamp.TAI64N)
        self._is_stamped = self._stamp is not Stamp.NONE
        self._clock = clock
        self._stamped_at = float("-inf")
        self._stamp_text = ""
        self._lines: list[str] = []
        self._writing = threading.RLock()  # re-entrant: reopen and close flush
        self._fd = fd if file is None else _opened(file)

    def add(self, line: str) -> None:
        """Take a line; it is written with those that gather."""
        if self._is_stamped:
            now = self._clock()
            if not 0 <= now - self._stamped_at < RESOLUTION:
                self._stamped_at, self._stamp_text = now, stamp_text(self._stamp, now)
            line = self._stamp_text + line
        self._lines.append(line)
        if len(self._lines) >= GATHER:
            self.flush()

    def urgent(self, line: str) -> None:
        """Take a line and write it, with all that gathered, at once."""
        self.add(line)
        self.flush()

    def flush(self) -> None:
        """Write what gathered."""
        if not self._lines:
            return
        with self._writing:
            lines = self._lines[:]
            del self._lines[: len(lines)]  # not a swap: another thread may add meanwhile
            text = "\n".join(lines) + "\n"
            try:
                _write(self._fd, text.encode("utf-8", "backslashreplace"))
            except OSError:  # a full disk, a reader that is gone: mail goes on
                self.dropped += len(lines)

    def reopen(self) -> None:
        """Go on in a new file of the same name; the old one stays where opening fails."""
        if self._file is None:
            return
        with self._writing:
            self.flush()
            fd = _opened(self._file)
            os.close(self._fd)
            self._fd = fd

    def close(self) -> None:
        """Write what gathered, and let the file go."""
        with self._writing:
            self.flush()
            if self._file is not None:
                os.close(self._fd)


class LineRecords(logging.Handler):
    """Hands the records of standard `logging` to a sink: warnings at once, the rest gathered."""

    def __init__(self, sink: LineSink) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        """Write ``level: text``; every line of a traceback becomes a line of its own."""
        try:
            level = _level_word(record.levelno)
            for line in self.format(record).splitlines():
                text = f"{level}: {line}"
                if record.levelno >= logging.WARNING:
                    self._sink.urgent(text)
                else:
                    self._sink.add(text)
        except Exception:
            self.handleError(record)


def set_up_logging(sink: LineSink, level: int = logging.INFO) -> None:
    """Send all records of standard `logging` to a sink, and nowhere else."""
    logging.raiseExceptions = False
    logging.basicConfig(handlers=[LineRecords(sink)], level=level, format="%(message)s", force=True)


def _level_word(level: int) -> str:
    """Return the word that the scheduler's own lines have for it (queue.md 5.4)."""
    if level >= logging.ERROR:
        return "alert"
    return "warn" if level >= logging.WARNING else "info"


def log_file(root: str, name: str) -> str:
    """Return the file of a log of an instance."""
    return f"{root}/log/{name}.log"


def _opened(file: str) -> int:
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, MODE)


def _write(fd: int, octets: bytes) -> None:
    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        _write_all(fd, octets)
        return
    for piece in _pieces(octets, select.PIPE_BUF):
        _write_all(fd, piece)


def _write_all(fd: int, octets: bytes) -> None:
    rest = memoryview(octets)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _pieces(octets: bytes, most: int) -> Iterator[bytes]:
    """Cut between lines, into pieces of at most `most` octets where lines allow it."""
    start = 0
    while len(octets) - start > most:
        cut = octets.rfind(b"\n", start, start + most) + 1
        if cut <= start:
            cut = octets.find(b"\n", start) + 1
        yield octets[start:cut]
        start = cut
    if start < len(octets):
        yield octets[start:]
