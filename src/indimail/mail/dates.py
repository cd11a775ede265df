"""Dates as headers have them: ``Mon, 23 Nov 2026 23:15:00 +0000`` (RFC 5322 3.3).

Not `email.utils`: that costs 20 microseconds, and a server writes the same second many times.
"""

import time
from functools import lru_cache
from typing import Final

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


def header_date(when: float) -> str:
    """Return the date-time of a moment (seconds since the epoch) in the machine's time zone."""
    return _of_second(int(when))


@lru_cache(maxsize=64)
def _of_second(second: int) -> str:
    t = time.localtime(second)
    minutes = t.tm_gmtoff // 60
    zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
    return (
        f"{_DAYS[t.tm_wday]}, {t.tm_mday} {_MONTHS[t.tm_mon - 1]} {t.tm_year}"
        f" {t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} {zone}"
    )
