"""Work in threads: what comes of it, how many there are, and that neither closing nor hanging work holds
anybody up."""

from __future__ import annotations

import queue
import threading
from typing import Any, Callable, Iterator, List, Tuple

import pytest

from proxy_core.event.background import Background

PATIENCE = 10.0  # seconds until a broken test fails instead of hanging


class Loop:
    """The loop's side: takes what is posted, when the test says so."""

    def __init__(self) -> None:
        self.posted: queue.Queue[Callable[[], None]] = queue.Queue()
        self.results: List[Tuple[Any, Any]] = []

    def run_one(self) -> None:
        self.posted.get(timeout=PATIENCE)()

    def done(self, result: Any, error: Any) -> None:
        self.results.append((result, error))


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def background(loop: Loop) -> Iterator[Background]:
    found = Background(loop.posted.put, 2)
    yield found
    found.close()


def test_there_is_no_thread_before_there_is_work(background: Background, loop: Loop) -> None:
    assert background.threads == 0
    background.run(lambda: 1, loop.done)
    loop.run_one()
    assert background.threads == 1


def test_a_result_and_an_exception_come_back_in_the_loop_and_not_in_the_thread(background: Background, loop: Loop) -> None:
    where: List[int] = []

    def work() -> int:
        where.append(threading.get_ident())
        return 42
    background.run(work, loop.done)
    loop.run_one()
    background.run(lambda: [][0], loop.done)
    loop.run_one()
    assert loop.results[0] == (42, None)
    assert isinstance(loop.results[1][1], IndexError)
    assert where[0] != threading.get_ident()


def test_no_more_threads_than_allowed_and_all_work_is_done(background: Background, loop: Loop) -> None:
    gate = threading.Event()
    for number in range(10):
        background.run(lambda number=number: (gate.wait(PATIENCE), number)[1], loop.done)  # type: ignore[misc]
    assert background.threads == 2
    gate.set()
    for _ in range(10):
        loop.run_one()
    assert sorted(result for result, _ in loop.results) == list(range(10))


def test_cancelled_work_is_never_heard_of(background: Background, loop: Loop) -> None:
    gate = threading.Event()
    first = background.run(lambda: gate.wait(PATIENCE), loop.done)
    first.cancel()
    background.run(lambda: 2, loop.done)
    gate.set()
    loop.run_one()
    while not loop.posted.empty():
        loop.run_one()
    assert [result for result, _ in loop.results if result is not None] == [2]


def test_closing_does_not_wait_for_work_that_hangs_and_drops_its_result(loop: Loop) -> None:
    background = Background(loop.posted.put, 1)
    gate, begun, over = threading.Event(), threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        gate.wait(PATIENCE)
        over.set()
    background.run(hang, loop.done)
    assert begun.wait(PATIENCE)
    background.close()
    background.close()
    gate.set()
    assert over.wait(PATIENCE)
    background.run(lambda: 1, loop.done)  # harmless
    assert background.threads == 0 and loop.results == []


def test_a_result_posted_before_closing_is_not_delivered_after_it(loop: Loop) -> None:
    background = Background(loop.posted.put, 1)
    background.run(lambda: 1, loop.done)
    deliver = loop.posted.get(timeout=PATIENCE)
    background.close()
    deliver()
    assert loop.results == []
