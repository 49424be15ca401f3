"""Weighted turns of entries whose weights may change: earliest deadline first, as Envoy's `EdfScheduler`.

An entry that is picked is due again 1/weight later, so weights 2:1 give two and one in every window of three, evenly spread;
of two that are due at once, the one that waits longer goes first. A pick costs O(log entries).

At time t an entry of weight w has been picked floor(t * w) times: a schedule can be made in the middle of its rotation,
without going through the picks before it.
"""

from __future__ import annotations

import heapq
import math
from typing import Callable, Final, Generic, List, Sequence, Tuple, TypeVar

T = TypeVar("T")

# Turns are whole numbers while weights stay as they are. Rounding errors are taken off, or after some rounds they would
# decide which of several entries that are due at once goes first.
CLOSE: Final = 1e-6


class Schedule(Generic[T]):
    """entries: at least one. weight: of an entry, above 0; asked each time it is put back. now: where in the rotation to
    begin."""

    __slots__ = ("_weight", "_queue", "_order")

    def __init__(self, entries: Sequence[T], weight: Callable[[T], float], now: float = 0.0) -> None:
        self._weight = weight
        self._queue: List[Tuple[float, int, T]] = []  # due, order, entry
        for order, entry in enumerate(entries):
            heaviness = weight(entry)
            self._queue.append(((math.floor(now * heaviness) + 1) / heaviness, order, entry))
        self._order = len(entries)
        heapq.heapify(self._queue)

    def pick(self) -> T:
        """The next in turn."""
        due, _, entry = self._queue[0]
        order = self._order
        self._order = order + 1
        weight = self._weight(entry)
        turns = due * weight + 1.0
        whole = round(turns)
        if -CLOSE < turns - whole < CLOSE:
            turns = whole
        heapq.heapreplace(self._queue, (turns / weight, order, entry))
        return entry
