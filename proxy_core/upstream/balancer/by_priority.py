"""Which list of hosts is asked: that of a priority, of its healthy or its degraded hosts, or of one locality.

Mirrors `ZoneAwareLoadBalancerBase`. All that can be decided when hosts change is decided then: while one priority takes
everything and localities don't matter, a pick is a pick of its healthy hosts and nothing else.
"""

from __future__ import annotations

from typing import Callable, List, Optional, Sequence

from ...observe.stat_names_balancer import BalancerStats
from ..host import Host
from ..host_set import HostSet
from ..priority_load import PriorityLoad, spread
from . import HostList, PickContext, Surroundings
from .localities import WeightedLocalities
from .zone_aware import ZoneAware, ZoneOptions

PANIC_THRESHOLD_KEY = "upstream.healthy_panic_threshold"


class Common:
    """What all policies of one cluster share. panic_threshold: percent. zones: None = no zone-aware routing."""

    __slots__ = ("surroundings", "stats", "_panic_threshold")

    def __init__(self, surroundings: Surroundings, stats: BalancerStats, panic_threshold: int) -> None:
        self.surroundings = surroundings
        self.stats = stats
        self._panic_threshold = panic_threshold

    def panic_threshold(self) -> int:
        """Percent; the runtime's value wins."""
        return min(100, int(self.surroundings.number(PANIC_THRESHOLD_KEY, self._panic_threshold)))

    def spread(self, host_sets: Sequence[HostSet]) -> PriorityLoad:
        """The load of the priorities."""
        return spread([host_set.level() for host_set in host_sets], self.panic_threshold())


class _Priority:
    """The lists of one priority. localities: for `locality_weighted_lb_config`."""

    __slots__ = ("all", "healthy", "degraded", "localities")

    def __init__(self, make: Callable[[], HostList], localities: Optional[WeightedLocalities]) -> None:
        self.all, self.healthy, self.degraded = make(), make(), make()
        self.localities = localities

    def update(self, host_set: HostSet) -> None:
        self.all.update(host_set.hosts)
        self.healthy.update(host_set.healthy)
        self.degraded.update(host_set.degraded)
        if self.localities is not None:
            self.localities.update(host_set)


class ByPriority:
    """Implements `Balancer`. make: a new list of the policy. by_locality: by the weights of localities; else zones may count."""

    __slots__ = ("_make", "_common", "_by_locality", "_zones", "_priorities", "_load", "_only")

    def __init__(
        self, make: Callable[[], HostList], common: Common, by_locality: bool = False, zones: Optional[ZoneOptions] = None
    ) -> None:
        self._make = make
        self._common = common
        self._by_locality = by_locality
        self._zones = ZoneAware(
            zones if zones is not None else ZoneOptions(), make, common.surroundings, common.stats, common.panic_threshold
        )
        self._priorities: List[_Priority] = []
        self._load = PriorityLoad([100], [0], [True])
        self._only: Optional[HostList] = None  # the list that takes everything

    def update(self, host_sets: Sequence[HostSet]) -> None:
        """These are the hosts now. Priorities that stay keep their lists, and with these their turns."""
        priorities = self._priorities
        while len(priorities) < len(host_sets):
            localities = WeightedLocalities(self._make, self._common.surroundings.random) if self._by_locality else None
            priorities.append(_Priority(self._make, localities))
        del priorities[len(host_sets):]
        for priority, host_set in zip(priorities, host_sets):
            priority.update(host_set)
        self._load = self._common.spread(host_sets)
        first = self._load.only()
        has_zones = bool(self._common.surroundings.local_cluster) and len(host_sets[0].localities()) > 1
        self._zones.update(host_sets[0])
        self._only = priorities[first].healthy if first >= 0 and not self._by_locality and not has_zones else None

    def pick(self, context: Optional[PickContext] = None) -> Optional[Host]:
        """The host for the next connection."""
        if context is None or context.rejects is None:
            return self._pick() if self._only is None else self._only.pick()
        host = None
        for _ in range(context.most_attempts):
            host = self._pick() if self._only is None else self._only.pick()
            if host is None or not context.rejects(host):
                break
        return host

    def _pick(self) -> Optional[Host]:
        common, load = self._common, self._load
        if not self._priorities:
            return None
        number, is_degraded = load.choose(int(common.surroundings.random.random() * 100))
        priority = self._priorities[number]
        if load.panic[number]:
            common.stats.lb_healthy_panic.inc()
            return None if self._zones.fails_on_panic else priority.all.pick()
        hosts: Optional[HostList] = None
        if priority.localities is not None:
            hosts = priority.localities.choose(is_degraded)
        elif number == 0 and common.surroundings.local_cluster:
            settled, hosts = self._zones.choose(is_degraded)
            if settled and hosts is None:
                return None
        if hosts is None:
            hosts = priority.degraded if is_degraded else priority.healthy
        return hosts.pick()
