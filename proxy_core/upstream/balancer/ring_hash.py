"""RING_HASH: hosts have many points on a ring of 64-bit hashes, and a hash belongs to the next point. Mirrors
`RingHashLoadBalancer::Ring` (ketama), with its placement: the points of a host are the hashes of "<key>_0", "<key>_1" ...

The least of the hosts gets a whole number of points, so that equal hosts get equally many and the ring has at least the minimum
size, within the maximum.
"""

from __future__ import annotations

import bisect
import math
from typing import Callable, Final, List, NamedTuple, Optional, Sequence, Tuple

from ...hashing import murmur2, xxhash64
from ..host import Host
from .hashed import Weighed, extremes

DEFAULT_MINIMUM: Final = 1024
DEFAULT_MAXIMUM: Final = 8 * 1024 * 1024


class RingOptions(NamedTuple):
    """minimum, maximum: points. murmur: MURMUR_HASH_2 instead of XX_HASH."""

    minimum: int = DEFAULT_MINIMUM
    maximum: int = DEFAULT_MAXIMUM
    murmur: bool = False


class Ring:
    """A `Table`. entries: at least one."""

    __slots__ = ("_points", "_hosts")

    def __init__(self, entries: Sequence[Weighed], options: RingOptions) -> None:
        points: List[Tuple[int, int]] = []
        number_of = murmur2 if options.murmur else xxhash64
        counts = points_per_host(entries, options)[1]
        for index, (entry, count) in enumerate(zip(entries, counts)):
            prefix = entry.key.encode() + b"_"
            points += [(_point(number_of, prefix, turn), index) for turn in range(count)]
        points.sort()
        self._points = [number for number, _ in points]
        self._hosts: List[Host] = [entries[index].host for _, index in points]

    def choose(self, number: int, attempt: int) -> Optional[Host]:
        """The host of the next point; a further attempt goes that many points further."""
        if not self._hosts:  # a ring of size 0 was asked for
            return None
        return self._hosts[(bisect.bisect_left(self._points, number) + attempt) % len(self._hosts)]


def points_per_host(entries: Sequence[Weighed], options: RingOptions) -> Tuple[int, List[int]]:
    """The size of the ring and how many points each host has on it."""
    if not entries:
        return 0, []
    least = min(entry.weight for entry in entries)
    scale = min(math.ceil(least * options.minimum) / least, float(options.maximum))
    counts = []
    made = 0
    target = 0.0
    for entry in entries:
        target += scale * entry.weight
        count = max(0, math.ceil(target) - made)
        counts.append(count)
        made += count
    return math.ceil(scale), counts


def numbers(entries: Sequence[Weighed], options: RingOptions) -> Tuple[int, int, int]:
    """What the gauges show: size, fewest and most points of a host."""
    size, counts = points_per_host(entries, options)
    return (size, *extremes(counts))


def _point(number_of: Callable[[bytes], int], prefix: bytes, turn: int) -> int:
    return number_of(b"%b%d" % (prefix, turn))
