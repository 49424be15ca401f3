"""Weighted turns of hosts whose weights stay: the order of `edf`, at a cost that does not grow with the number of hosts.

Hosts of one weight are due at the same times, 1/weight apart, and always in the same order. So what has to be scheduled are
rounds: all hosts of one weight, one after the other. Of rounds that are due at once the one of the lighter hosts is first: it
waits longer. This is exactly the order in which Envoy's `EdfScheduler` picks the hosts, without its rounding errors.
"""

from __future__ import annotations

import heapq
import operator
import random
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple

from ..host import Host


class Place(NamedTuple):
    """Where in the rotation it is. time: between 0 and 1, then all begins again. weight: of the hosts whose round it is.
    left: how many of them have not had their turn."""

    time: float
    weight: int
    left: int


class Turns:
    """hosts: at least one. place: where to begin."""

    __slots__ = ("_groups", "_rounds", "_round", "_time", "_weight")

    def __init__(self, hosts: Sequence[Host], place: Place) -> None:
        self._groups: Dict[int, List[Host]] = {}
        for host in hosts:
            self._groups.setdefault(host.weight, []).append(host)
        self._time, self._weight = place.time, place.weight
        self._rounds: List[Tuple[float, int]] = [(self._following(weight), weight) for weight in self._groups]
        heapq.heapify(self._rounds)
        of_now = self._groups.get(place.weight, [])
        self._round: Iterator[Host] = iter(of_now[max(0, len(of_now) - place.left):])

    def pick(self) -> Host:
        """The next in turn."""
        for host in self._round:
            return host
        time, weight = self._rounds[0]
        self._time, self._weight = time, weight
        heapq.heapreplace(self._rounds, (self._following(weight), weight))
        self._round = iter(self._groups[weight])
        return next(self._round)

    @property
    def place(self) -> Place:
        """Where it is: a schedule of other hosts goes on there."""
        return Place(self._time % 1.0, self._weight, operator.length_hint(self._round))

    def _following(self, weight: int) -> float:
        """When the next round of these hosts is due, after or at the current one."""
        turns = round(self._time * weight)
        if turns / weight == self._time and weight > self._weight:
            return self._time  # due now, but behind the current round
        if turns / weight <= self._time:
            turns += 1
        return turns / weight


def random_place(hosts: Sequence[Host], rng: random.Random) -> Place:
    """Any place of the rotation, each as likely as the others."""
    host = rng.choices(hosts, [host.weight for host in hosts])[0]
    alike = sum(other.weight == host.weight for other in hosts)
    return Place(rng.randrange(host.weight) / host.weight, host.weight, 1 + rng.randrange(alike))
