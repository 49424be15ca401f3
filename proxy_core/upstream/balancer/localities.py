"""Balancing by locality: a list of hosts for each, and shares by the weights of localities.

Mirrors `LocalityWrr` and the locality part of `HostSetImpl`: the weight of a locality counts as far as its hosts are available,
1.4 times over, and localities take turns earliest deadline first. A locality without a weight gets nothing; when none has one,
localities don't matter.
"""

from __future__ import annotations

import random
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from ..host_set import HostSet, Locality, LocalityName
from . import HostList
from .edf import Schedule


class LocalityLists:
    """The lists of one priority, by locality and by whether degraded hosts are meant. make: a new list."""

    __slots__ = ("_make", "_lists", "_order")

    def __init__(self, make: Callable[[], HostList]) -> None:
        self._make = make
        self._lists: Dict[Tuple[LocalityName, bool], HostList] = {}
        self._order: List[LocalityName] = []

    def update(self, localities: Sequence[Locality]) -> None:
        """These are the localities now. Those that stay keep their lists, and with these their turns."""
        before, self._lists = self._lists, {}
        self._order = [locality.name for locality in localities]
        for locality in localities:
            for is_degraded, hosts in ((False, locality.healthy), (True, locality.degraded)):
                hosts_of = before.get((locality.name, is_degraded)) or self._make()
                hosts_of.update(hosts)
                self._lists[locality.name, is_degraded] = hosts_of

    def at(self, index: int, is_degraded: bool) -> HostList:
        """The list of the locality that was given as number `index`."""
        return self._lists[self._order[index], is_degraded]


class WeightedLocalities:
    """Which locality of a priority is next, for `locality_weighted_lb_config`."""

    __slots__ = ("_lists", "_random", "_healthy", "_degraded")

    def __init__(self, make: Callable[[], HostList], rng: random.Random) -> None:
        self._lists = LocalityLists(make)
        self._random = rng
        self._healthy: Optional[Schedule[int]] = None
        self._degraded: Optional[Schedule[int]] = None

    def update(self, host_set: HostSet) -> None:
        """These are the hosts of the priority now."""
        localities = host_set.localities()
        self._lists.update(localities)
        factor = host_set.overprovisioning / 100.0
        self._healthy = self._schedule([_effective(each, len(each.healthy), factor) for each in localities])
        self._degraded = self._schedule([_effective(each, len(each.degraded), factor) for each in localities])

    def choose(self, is_degraded: bool) -> Optional[HostList]:
        """The list of the locality whose turn it is; None when no locality has a share."""
        schedule = self._degraded if is_degraded else self._healthy
        return None if schedule is None else self._lists.at(schedule.pick(), is_degraded)

    def _schedule(self, weights: List[float]) -> Optional[Schedule[int]]:
        able = [index for index, weight in enumerate(weights) if weight > 0]
        if not able:
            return None
        return Schedule(able, weights.__getitem__, self._random.random() / min(weights[index] for index in able))


def _effective(locality: Locality, eligible: int, factor: float) -> float:
    """The locality's weight, less the share that its hosts can't take."""
    counted = len(locality.hosts) - locality.excluded
    return locality.weight * min(1.0, factor * eligible / counted) if counted else 0.0
