"""MAGLEV: a table of a prime size whose places the hosts take in turns, each in its own order; a hash goes to a place.

Mirrors `MaglevTable`, with its placement (listing 1 of Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load
Balancer", NSDI 2016). When a host comes or goes, nearly all hashes of the others stay where they were.
"""

from __future__ import annotations

import itertools
from typing import Final, Iterator, List, Sequence, Tuple

from ...hashing import xxhash64
from ..host import Host
from .hashed import Weighed, extremes

DEFAULT_SIZE: Final = 65537
MAXIMUM_SIZE: Final = 5_000_011
_ALL: Final = (1 << 64) - 1


class Maglev:
    """A `Table`. entries: at least one. size: a prime number."""

    __slots__ = ("_size", "_places", "_hosts")

    def __init__(self, entries: Sequence[Weighed], size: int) -> None:
        in_order = _in_order(entries)
        self._size = size
        self._hosts: List[Host] = [entry.host for entry in in_order]
        self._places = _fill(in_order, size)

    def choose(self, number: int, attempt: int) -> Host:
        """The host of the hash; a further attempt changes most of its bits."""
        if attempt:
            number ^= (_ALL - attempt + 1) & _ALL
        return self._hosts[self._places[number % self._size]]


def numbers(entries: Sequence[Weighed], size: int) -> Tuple[int, int]:
    """What the gauges show: the fewest and the most places of a host. Who gets a turn does not depend on the hashes."""
    if not entries:
        return 0, 0
    counts = [0] * len(entries)
    for index in itertools.islice(_turns([entry.weight for entry in _in_order(entries)]), size):
        counts[index] += 1
    return extremes(counts)


def is_prime(number: int) -> bool:
    """Whether it has no divisors; quick enough for the sizes that are allowed."""
    if number < 4:
        return number > 1
    return number % 2 != 0 and all(number % divisor for divisor in range(3, int(number ** 0.5) + 1, 2))


def _in_order(entries: Sequence[Weighed]) -> List[Weighed]:
    """By key: the order of the hosts in the configuration does not matter."""
    return sorted(entries, key=_key)


def _key(entry: Weighed) -> str:
    return entry.key


def _turns(weights: Sequence[float]) -> Iterator[int]:
    """The index of the host that takes a place next, without end: one of half the greatest weight every second time."""
    most = max(weights)
    if min(weights) == most:
        return itertools.chain.from_iterable(itertools.repeat(range(len(weights))))
    return itertools.chain.from_iterable(_weighed_turns(weights, most))


def _weighed_turns(weights: Sequence[float], most: float) -> Iterator[List[int]]:
    targets = [0.0] * len(weights)

    def round_of(iteration: int) -> List[int]:
        able = [index for index, weight in enumerate(weights) if iteration * weight >= targets[index]]
        for index in able:
            targets[index] += most
        return able
    return map(round_of, itertools.count(1))


def _fill(entries: Sequence[Weighed], size: int) -> List[int]:
    """The index of the host of each place."""
    keys = [entry.key.encode() for entry in entries]
    following = [xxhash64(key) % size for key in keys]  # the next place of each host's own order
    skips = [xxhash64(key, 1) % (size - 1) + 1 for key in keys]
    places = [-1] * size
    for index in itertools.islice(_turns([entry.weight for entry in entries]), size):
        place = following[index]
        skip = skips[index]
        while places[place] >= 0:
            place += skip
            if place >= size:
                place -= size
        places[place] = index
        place += skip
        following[index] = place if place < size else place - size
    return places
