"""Work that may wait for a disk or a database, beside the event loop.

aside = Aside(loop, threads=8)
aside(lambda: spool.seal(id), sealed)      # sealed(None), sealed(result) or sealed(exception)
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import get_native_id


class Aside:
    """A few threads; what they return or raise comes back on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, threads: int, nice: int = 0) -> None:
        """`nice` is how much the threads give way to the loop, as nice(1) has it."""
        self._loop = loop
        self._threads = ThreadPoolExecutor(
            threads, "aside", initializer=_anywhere, initargs=(nice,)
        )

    def __call__(self, work: Callable[[], object], then: Callable[[object], None]) -> None:
        """Run `work` on a thread, then `then` on the loop with what came of it."""

        def told(future: Future[object]) -> None:
            failure = future.exception()
            result = future.result() if failure is None else failure
            with suppress(RuntimeError):  # the loop has ended: nobody waits any more
                self._loop.call_soon_threadsafe(then, result)

        self._threads.submit(work).add_done_callback(told)

    def abandon(self) -> None:
        """Begin nothing more, and wait for nothing."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Let what runs end."""
        self._threads.shutdown(wait=True)


def _anywhere(nice: int) -> None:
    """Let this thread run on any processor, whatever the event loop keeps to."""
    if nice:
        os.setpriority(os.PRIO_PROCESS, get_native_id(), nice)  # of Linux: the thread alone
    if cpu_count := os.cpu_count():
        os.sched_setaffinity(0, range(cpu_count))
