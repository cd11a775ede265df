"""When a deferred recipient is tried again, and when it no longer is.

    next_try(born, now, CHANNEL_SKIP["remote"])       -> seconds since the epoch
    next_try(born, now, 20, jitter=random())          from the third attempt on
    is_expired(born, now, lifetime)                   -> True: the next deferral is final

The schedule is qmail's, quadratic in the age of the message with no counter to store: attempt k
comes about ``(k * skip)`` squared seconds after birth (remote: 400 s, 1600 s, 1 h, 1:46:40 ...;
local: 100 s, 400 s, 15 min ...).  Jitter lengthens the wait by up to `JITTER`, so that what was
deferred together does not come back together; the first retries stay exact.

Units: seconds; `born` and `now` since the epoch (UTC).

Sources: spec/queue.md 2.1, B.5 (7); RFC 5321 4.5.4.1.  Not here: who is due (`queue.port`,
`schedule.window`).
"""

from collections.abc import Mapping
from math import isqrt
from typing import Final

CHANNEL_SKIP: Final[Mapping[str, int]] = {"local": 10, "remote": 20}
JITTER: Final = 0.05
GIVING_UP: Final = "I'm not going to try again; this message has been in the queue too long."


def next_try(born: float, now: float, skip: int, jitter: float = 0.0) -> float:
    """Return when to try again after an attempt at `now`; `jitter` is a number from 0 to 1."""
    age = now - born
    root = (isqrt(int(age)) if age > 0 else 0) + skip
    due = born + root * root
    return due + jitter * JITTER * (due - now)


def is_expired(born: float, now: float, lifetime: float) -> bool:
    """Whether an attempt that starts now is the last one."""
    return now > born + lifetime
