"""Zone-aware routing: hosts in the proxy's own zone first, as far as that leaves all hosts equally loaded.

Mirrors `ZoneAwareLoadBalancerBase` (regenerateLocalityRoutingStructures, tryChooseLocalLocalityHosts). Only for priority 0, and
only when the server names the cluster of proxies it is part of (`cluster_manager.local_cluster_name`). If the zone's share of the
upstream hosts is at least its share of the proxies, all of its connections stay. Otherwise as many stay as there is room for, and
the others go to zones with room to spare.
"""

from __future__ import annotations

import enum
from typing import Callable, Final, List, NamedTuple, Optional, Sequence, Tuple

from ...observe.stat_names_balancer import BalancerStats
from ..host import Host
from ..host_set import HostSet, Locality, LocalityName
from ..priority_load import is_in_panic
from . import HostList, LocalHosts, Surroundings
from .localities import LocalityLists

WHOLE: Final = 10_000  # shares are ten-thousandths

ENABLED_KEY: Final = "upstream.zone_routing.enabled"
LEAST_SIZE_KEY: Final = "upstream.zone_routing.min_cluster_size"


class ZoneOptions(NamedTuple):
    """routing_enabled: percent of the picks. least_local: hosts that the own zone must have to get everything; None = no such
    rule. by_weight: whether shares are shares of weight."""

    routing_enabled: int = 100
    min_cluster_size: int = 6
    fail_traffic_on_panic: bool = False
    least_local: Optional[int] = None
    by_weight: bool = False


class _Way(enum.Enum):
    """What was found out about the zones."""

    NONE = "zones don't matter"
    DIRECT = "all to the own zone"
    RESIDUAL = "some to the own zone"


class ZoneAware:
    """Which zone is next. panic_threshold: percent, for the cluster of proxies."""

    __slots__ = ("_options", "_surroundings", "_stats", "_panic_threshold", "_lists", "_host_set", "_seen", "_way",
                 "_local_share", "_room", "_local_panics")

    def __init__(
        self, options: ZoneOptions, make: Callable[[], HostList], surroundings: Surroundings, stats: BalancerStats,
        panic_threshold: Callable[[], int],
    ) -> None:
        self._options = options
        self._surroundings = surroundings
        self._stats = stats
        self._panic_threshold = panic_threshold
        self._lists = LocalityLists(make)
        self._host_set: Optional[HostSet] = None
        self._seen: Optional[Sequence[HostSet]] = None
        self._way = _Way.NONE
        self._local_share = 0
        self._room: List[int] = []  # accumulated over the zones
        self._local_panics = False

    def update(self, host_set: HostSet) -> None:
        """These are the hosts of priority 0 now."""
        self._host_set = host_set
        if not self._surroundings.local_cluster or not host_set.hosts:
            return
        local = self._surroundings.local()
        if local is None:
            self._stats.lb_recalculate_zone_structures.inc()
            return
        self._regenerate(local.host_sets[0])
        self._look_at(local)

    @property
    def fails_on_panic(self) -> bool:
        """Whether a panic means that nobody is picked."""
        return self._options.fail_traffic_on_panic

    def choose(self, is_degraded: bool) -> Tuple[bool, Optional[HostList]]:
        """(whether that settles it, the list of the zone to go to)."""
        local = self._surroundings.local()
        if local is None:
            return False, None
        self._look_at(local)
        if self._way is _Way.NONE or not self._is_enabled():
            return False, None
        if self._local_panics:
            self._stats.lb_local_cluster_not_ok.inc()
            return self._options.fail_traffic_on_panic, None
        return True, self._lists.at(self._zone(), is_degraded)

    def _look_at(self, local: LocalHosts) -> None:
        """Reckon anew if the proxies are other ones than before."""
        if local.host_sets is not self._seen:
            self._seen = local.host_sets
            self._regenerate(local.host_sets[0])

    def _is_enabled(self) -> bool:
        percent = self._surroundings.number(ENABLED_KEY, self._options.routing_enabled)
        return percent >= 100 or self._surroundings.random.random() * 100 < percent

    def _zone(self) -> int:
        stats, number = self._stats, self._surroundings.random.randrange
        if self._way is _Way.DIRECT:
            stats.lb_zone_routing_all_directly.inc()
            return 0
        if number(WHOLE) < self._local_share:
            stats.lb_zone_routing_sampled.inc()
            return 0
        stats.lb_zone_routing_cross_zone.inc()
        if not self._room[-1]:
            stats.lb_zone_no_capacity_left.inc()
            return number(len(self._room))
        place = number(self._room[-1])
        return next(index for index, room in enumerate(self._room) if place < room)

    def _regenerate(self, local: HostSet) -> None:
        self._stats.lb_recalculate_zone_structures.inc()
        self._local_panics = is_in_panic(local.level(), self._panic_threshold())
        assert self._host_set is not None
        zones, has_own = _own_first(self._host_set, self._surroundings.locality)
        self._lists.update(zones)
        if not self._may_route(zones, local):
            self._way = _Way.NONE
            return
        shares = self._shares(zones, local)
        ours, theirs = shares[0]
        least = self._options.least_local
        forced = least is not None and len(zones[0].healthy) >= least
        if has_own and theirs > 0 and (forced or theirs >= ours):
            self._way = _Way.DIRECT
            return
        self._way = _Way.RESIDUAL
        self._local_share = theirs * WHOLE // ours if has_own and ours else 0
        self._room, total = [], 0
        for index, (ours, theirs) in enumerate(shares):
            if index or not has_own:
                total += max(0, theirs - ours)
            self._room.append(total)

    def _may_route(self, zones: Sequence[Locality], local: HostSet) -> bool:
        local_zones, has_own = _own_first(local, self._surroundings.locality)
        if len(zones) < 2 or len(local_zones) < 2:
            return False
        if not has_own:
            self._stats.lb_local_cluster_not_ok.inc()
            return False
        healthy = sum(len(zone.healthy) for zone in zones)
        if healthy < self._surroundings.number(LEAST_SIZE_KEY, self._options.min_cluster_size):
            self._stats.lb_zone_cluster_too_small.inc()
            return False
        return True

    def _shares(self, zones: Sequence[Locality], local: HostSet) -> List[Tuple[int, int]]:
        """For each zone its share of the proxies and of the hosts."""
        proxies = {zone.name: self._size(zone.healthy) for zone in local.localities()}
        hosts = [self._size(zone.healthy) for zone in zones]
        all_proxies, all_hosts = sum(proxies.values()), sum(hosts)
        return [
            (_share(proxies.get(zone.name, 0), all_proxies) if count else 0, _share(count, all_hosts))
            for zone, count in zip(zones, hosts)
        ]

    def _size(self, hosts: Sequence[Host]) -> int:
        return sum(host.weight for host in hosts) if self._options.by_weight else len(hosts)


def _share(part: int, whole: int) -> int:
    return WHOLE * part // whole if whole else 0


def _own_first(host_set: HostSet, own: LocalityName) -> Tuple[List[Locality], bool]:
    """The localities with the proxy's own in front, and whether it is there."""
    zones = host_set.localities()
    ours = [zone for zone in zones if zone.name == own]
    return ours + [zone for zone in zones if zone.name != own], bool(ours)
