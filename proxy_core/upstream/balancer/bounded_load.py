"""Consistent hashing with bounded loads (`hash_balance_factor`): a host that is too busy passes its hash on.

Mirrors `BoundedLoadHashingLoadBalancer` (Mirrokni et al., arXiv 1608.01350; the jump to the next host is that of arXiv
1908.08762). No host may have more than factor percent of its fair share of the requests. The order in which others are tried
is random but the same for the same hash.
"""

from __future__ import annotations

import math
import random
from typing import Callable, Iterator, Optional, Sequence

from ..host import Host
from .hashed import Table, Weighed


class BoundedLoad:
    """A `Table` around another one. factor: percent, at least 100. active: the requests (connections) of the whole cluster."""

    __slots__ = ("_table", "_entries", "_shares", "_factor", "_active")

    def __init__(self, table: Table, entries: Sequence[Weighed], factor: int, active: Callable[[], int]) -> None:
        self._table = table
        self._entries = entries
        self._shares = {entry.host: entry.weight for entry in entries}
        self._factor = factor
        self._active = active

    def choose(self, number: int, attempt: int) -> Optional[Host]:
        """The host of the hash, or the first of its substitutes that has room; if none has, the least overloaded."""
        best = first = self._table.choose(number, attempt)
        if first is None:
            return None
        least = self._overload(first, self._shares[first])
        if least <= 1.0:
            return first
        for index in _shuffled(len(self._entries), number):
            entry = self._entries[index]
            if entry.host is first:
                continue
            overload = self._overload(entry.host, entry.weight)
            if overload <= 1.0:
                return entry.host
            if overload < least:
                best, least = entry.host, overload
        return best

    def _overload(self, host: Host, share: float) -> float:
        """How much of its slots the host uses; above 1 = too much."""
        slots = ((self._active() + 1) * self._factor + 99) // 100
        return host.counters.rq_active / max(math.ceil(slots * share), 1)


def _shuffled(count: int, seed: int) -> Iterator[int]:
    """0 to count - 1 in the order that C++'s std::mt19937 gives with this seed, as far as asked for."""
    number = _twister(seed)
    order = list(range(count))
    for place in range(count):
        rest = count - place
        step = (1 << 32) // rest
        jump = number() // step
        while jump >= rest:
            jump = number() // step
        order[place], order[place + jump] = order[place + jump], order[place]
        yield order[place]


def _twister(seed: int) -> Callable[[], int]:
    """The 32-bit numbers of std::mt19937. Python has the same generator but spreads a seed over its state in another way."""
    state = [seed & 0xFFFFFFFF]
    for index in range(1, 624):
        last = state[-1]
        state.append((1812433253 * (last ^ last >> 30) + index) & 0xFFFFFFFF)
    generator = random.Random()
    generator.setstate((3, (*state, 624), None))
    return lambda: generator.getrandbits(32)
