"""Timers: a heap of `(when, sequence, timer)` with cancellation by marking.

The reactor owns one `Timers` and runs what is due once per turn. Nearly every timer of a proxy is cancelled or moved before
it fires, so `cancel` only marks; marked entries are dropped when they reach the top, or all at once when they are
more than half of the heap. Tuples, not timer objects, are compared: 5 times cheaper than `__lt__` in Python.

Idle timers should be lazy: note the time of the last byte, and when the timer fires too early, schedule it again for
what is left. Then traffic costs no timer work at all.
"""

from __future__ import annotations

import heapq
import sys
from typing import Any, Callable, Final, List, Optional, Tuple

# Waits of more seconds than this get their timer only after so many: see `Reactor.settle_later`.
SETTLE_AFTER: Final = 1.0

# Below this size a heap full of cancelled entries is not worth rebuilding.
PRUNE_ABOVE = 64


def _nothing() -> None:
    """What a cancelled timer would call."""


class Timer:
    """One pending call. `when` is in the reactor's clock (seconds); `active` until it fired or was cancelled."""

    __slots__ = ("when", "callback", "owner", "active", "_timers")

    def __init__(self, timers: Timers, when: float, callback: Callable[[], None], owner: Any) -> None:
        self.when = when
        self.callback = callback
        self.owner = owner
        self.active = True
        self._timers = timers

    def cancel(self) -> None:
        """Never call the callback. Harmless on a timer that fired or was cancelled before."""
        if self.active:
            self.active = False
            self.callback = _nothing  # the entry stays in the heap for a while; what it would have called need not
            self.owner = None
            self._timers._cancelled()


class Timers:
    """All pending timers of one reactor."""

    __slots__ = ("_heap", "_sequence", "_dead")

    def __init__(self) -> None:
        self._heap: List[Tuple[float, int, Timer]] = []
        self._sequence = 0  # breaks ties: timers for one instant fire in the order they were set
        self._dead = 0

    def __len__(self) -> int:
        return len(self._heap) - self._dead

    def at(self, when: float, callback: Callable[[], None], owner: Any = None) -> Timer:
        """Call `callback` once the clock shows `when`. `owner`: the handler to close if the callback raises."""
        timer = Timer(self, when, callback, owner)
        self._sequence += 1
        heapq.heappush(self._heap, (when, self._sequence, timer))
        return timer

    def next_due(self) -> Optional[float]:
        """When the earliest live timer is due, or None."""
        heap = self._heap
        while heap and not heap[0][2].active:
            heapq.heappop(heap)
            self._dead -= 1
        return heap[0][0] if heap else None

    @property
    def newest(self) -> int:
        """The number of the timer that was set last."""
        return self._sequence

    def pop_due(self, now: float, newest: int = sys.maxsize) -> Optional[Timer]:
        """The next timer that is due at `now`, marked as fired; None when there is no more.

        newest: timers set after the one with this number are not due yet, so that one which sets itself again with no
        delay fires once a turn and not for ever.
        """
        due = self.next_due()
        if due is None or due > now or self._heap[0][1] > newest:
            return None
        timer = heapq.heappop(self._heap)[2]
        timer.active = False
        return timer

    def pending(self, owner: Any) -> List[Timer]:
        """The live timers of one owner, in no order. Walks all timers: for whoever asks why, not for the loop."""
        return [timer for _, _, timer in self._heap if timer.active and timer.owner is owner]

    def _cancelled(self) -> None:
        self._dead += 1
        if self._dead > PRUNE_ABOVE and self._dead * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].active]
            heapq.heapify(self._heap)
            self._dead = 0
