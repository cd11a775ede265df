"""Work on threads beside an event loop, and how what came of it returns."""

import asyncio
import os
import threading
from collections.abc import Iterator

import pytest

from indimail.app.aside import Aside


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def test_a_result_comes_back_on_the_loops_thread(loop: asyncio.AbstractEventLoop) -> None:
    aside = Aside(loop, threads=2)
    told: list[object] = []

    def then(result: object) -> None:
        told.extend([result, threading.get_ident()])
        loop.stop()

    aside(threading.get_ident, then)
    loop.run_forever()
    aside.close()
    worker, here = told
    assert here == threading.get_ident() != worker


@pytest.mark.parametrize("failure", [OSError(28, "no space"), KeyError("x"), SystemExit(3)])
def test_a_failure_is_told_as_a_value_and_ends_nothing(
    loop: asyncio.AbstractEventLoop, failure: BaseException
) -> None:
    aside = Aside(loop, threads=1)
    told: list[object] = []

    def fail() -> None:
        raise failure

    def then(result: object) -> None:
        told.append(result)
        if len(told) == 2:
            loop.stop()

    aside(fail, then)
    aside(lambda: "the thread goes on", then)
    loop.run_forever()
    aside.close()
    assert told == [failure, "the thread goes on"]


def test_slow_work_keeps_neither_the_loop_nor_other_work(loop: asyncio.AbstractEventLoop) -> None:
    aside = Aside(loop, threads=2)
    gate, told = threading.Event(), list[object]()

    def then(result: object) -> None:
        told.append(result)
        gate.set()
        if len(told) == 2:
            loop.stop()

    aside(lambda: gate.wait(20) and "slow", then)
    aside(lambda: "quick", then)
    loop.run_forever()
    aside.close()
    assert told == ["quick", "slow"]


def test_what_was_not_begun_is_abandoned(loop: asyncio.AbstractEventLoop) -> None:
    aside = Aside(loop, threads=1)
    gate, begun = threading.Event(), threading.Event()
    ran: list[str] = []

    def first() -> None:
        begun.set()
        gate.wait(20)
        ran.append("first")

    aside(first, lambda _: None)
    aside(lambda: ran.append("second"), lambda _: None)
    begun.wait(20)
    aside.abandon()
    gate.set()
    aside.close()
    assert ran == ["first"]


def test_what_comes_after_the_loops_end_is_no_error(
    loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that is cut off does not wait for a disk that hangs."""
    gate = threading.Event()
    aside = Aside(loop, threads=1)
    aside(lambda: gate.wait(20), lambda _: None)
    loop.close()
    gate.set()
    aside.close()
    assert caplog.records == []


def test_its_threads_run_on_any_processor_whatever_the_loop_keeps_to(
    loop: asyncio.AbstractEventLoop,
) -> None:
    allowed = os.sched_getaffinity(0)
    told: list[object] = []

    def then(result: object) -> None:
        told.append(result)
        loop.stop()

    os.sched_setaffinity(0, {min(allowed)})  # of this thread
    try:
        aside = Aside(loop, threads=1)
        aside(lambda: os.sched_getaffinity(0), then)
        loop.run_forever()
        aside.close()
    finally:
        os.sched_setaffinity(0, allowed)
    assert told == [allowed]
