"""How the load of a cluster is spread over its priorities, healthy and degraded hosts apart, and when health is ignored.

The maths of Envoy's `LoadBalancerBase` (load_balancer_impl.cc: recalculatePerPriorityState, recalculatePerPriorityPanic,
recalculateLoadInTotalPanic), with its integer divisions: loads are whole percent that add up to 100.

A priority counts as fully available while 100 / overprovisioning of its hosts are healthy. What the first priority can't
take goes to the next ones, then to the degraded hosts in the same order. Panic: when all priorities together can't take the
load and fewer than a threshold of a priority's hosts are usable, balancing over the few that are left would break those too,
so health is ignored there. When every priority is in panic, load follows the number of hosts.
"""

from __future__ import annotations

from typing import Final, List, NamedTuple, Sequence, Tuple

DEFAULT_OVERPROVISIONING: Final = 140  # percent
DEFAULT_PANIC_THRESHOLD: Final = 50  # percent; Envoy's `healthy_panic_threshold`


class Level(NamedTuple):
    """What counts of one priority. healthy, degraded, counted: hosts, or their weights with `weighted_priority_health`;
    counted leaves out the hosts that are excluded. The other numbers are always of hosts; overprovisioning in percent.
    """

    healthy: int
    degraded: int
    counted: int
    healthy_hosts: int
    degraded_hosts: int
    counted_hosts: int
    all_hosts: int
    overprovisioning: int = DEFAULT_OVERPROVISIONING


class PriorityLoad(NamedTuple):
    """Percent for the healthy and for the degraded hosts of each priority, and whether it is in panic."""

    healthy: List[int]
    degraded: List[int]
    panic: List[bool]

    def choose(self, number: int) -> Tuple[int, bool]:
        """(priority, whether its degraded hosts are meant) for a random number or hash, of which the remainder by 100 counts."""
        left = number % 100
        for priority, load in enumerate(self.healthy):
            left -= load
            if left < 0:
                return priority, False
        for priority, load in enumerate(self.degraded):
            left -= load
            if left < 0:
                return priority, True
        return 0, False

    def only(self) -> int:
        """The priority whose healthy hosts get everything, -1 when the load is shared or some of it meets a panic."""
        found = [priority for priority, load in enumerate(self.healthy) if load]
        if len(found) != 1 or self.healthy[found[0]] != 100 or self.panic[found[0]]:
            return -1
        return found[0]


def spread(levels: Sequence[Level], panic_threshold: int = DEFAULT_PANIC_THRESHOLD) -> PriorityLoad:
    """The load of each priority. levels: by priority, at least one. panic_threshold: percent; 0 = never panic."""
    healthy = [_availability(level.healthy, level) for level in levels]
    degraded = [_availability(level.degraded, level) for level in levels]
    total = min(100, sum(healthy) + sum(degraded))
    panic = [total < 100 and is_in_panic(level, panic_threshold) for level in levels]
    if all(panic):
        return PriorityLoad(_by_number_of_hosts(levels), [0] * len(levels), panic)
    if total == 0:
        return PriorityLoad([100] + [0] * (len(levels) - 1), [0] * len(levels), panic)
    for_healthy, left = _distribute(healthy, 100, total)
    for_degraded, left = _distribute(degraded, left, total)
    if left:  # of rounding
        if any(healthy):
            for_healthy[_first(healthy)] += left
        else:
            for_degraded[_first(degraded)] += left
    return PriorityLoad(for_healthy, for_degraded, panic)


def _availability(usable: int, level: Level) -> int:
    return min(100, level.overprovisioning * usable // level.counted) if level.counted else 0


def is_in_panic(level: Level, threshold: int) -> bool:
    """Whether fewer than `threshold` percent of the hosts that count are usable."""
    usable = level.healthy_hosts + level.degraded_hosts
    return (100.0 * usable / level.counted_hosts if level.counted_hosts else 0.0) < threshold


def _distribute(availability: Sequence[int], load: int, total: int) -> Tuple[List[int], int]:
    """As much as possible to the first ones; the loads and what is left."""
    loads = []
    for available in availability:
        share = min(load, available * 100 // total)
        loads.append(share)
        load -= share
    return loads, load


def _by_number_of_hosts(levels: Sequence[Level]) -> List[int]:
    total = sum(level.all_hosts for level in levels)
    if not total:
        return [100] + [0] * (len(levels) - 1)
    loads = [100 * level.all_hosts // total for level in levels]
    loads[_first([level.all_hosts for level in levels])] += 100 - sum(loads)
    return loads


def _first(numbers: Sequence[int]) -> int:
    return next(index for index, number in enumerate(numbers) if number)
