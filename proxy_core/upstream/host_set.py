"""The hosts of one priority, sorted by what balancing may do with them: `HostSet`. Mirrors `Upstream::HostSetImpl`.

Made anew from the list of hosts whenever a host comes, goes, or changes its health or weight: one pass over the hosts, since
that may happen often with thousands of them. By locality only when a balancer asks.
"""

from __future__ import annotations

from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .host import Host
from .priority_load import DEFAULT_OVERPROVISIONING, Level

LocalityName = Tuple[str, str, str]  # region, zone, sub_zone


class Locality(NamedTuple):
    """The hosts of one locality in one priority. weight: 0 = none given. excluded: how many do not count."""

    name: LocalityName
    weight: int
    hosts: List[Host]
    healthy: List[Host]
    degraded: List[Host]
    excluded: int


class HostSet:
    """See the module docstring.

    hosts: all of this priority, in the order of the configuration. overprovisioning: percent. weighted_health: whether shares
    of health are shares of weight. weights: of localities, where these are not the ones that the hosts bring.
    """

    __slots__ = ("priority", "hosts", "healthy", "degraded", "excluded", "overprovisioning", "weighted_health", "_weights",
                 "_localities")

    def __init__(
        self, priority: int, hosts: Sequence[Host], overprovisioning: int = DEFAULT_OVERPROVISIONING,
        weighted_health: bool = False, weights: Optional[Mapping[LocalityName, int]] = None,
    ) -> None:
        self.priority = priority
        self.hosts: List[Host] = list(hosts)
        self.healthy, self.degraded, self.excluded = _by_health(self.hosts)
        self.overprovisioning = overprovisioning
        self.weighted_health = weighted_health
        self._weights = weights
        self._localities: Optional[List[Locality]] = None

    def level(self) -> Level:
        """What counts of it when load is spread over the priorities."""
        hosts = (len(self.healthy), len(self.degraded), len(self.hosts) - len(self.excluded))
        counted = hosts
        if self.weighted_health:
            all_weights = _weight(self.hosts) - _weight(self.excluded)
            counted = (_weight(self.healthy), _weight(self.degraded), all_weights)
        return Level(*counted, *hosts, len(self.hosts), self.overprovisioning)

    def localities(self) -> List[Locality]:
        """The hosts by locality, localities in alphabetical order as in Envoy."""
        if self._localities is None:
            found: Dict[LocalityName, List[Host]] = {}
            for host in self.hosts:
                found.setdefault((host.region, host.zone, host.sub_zone), []).append(host)
            self._localities = [self._locality(name, found[name]) for name in sorted(found)]
        return self._localities

    def only(self, hosts: Sequence[Host], weights: Optional[Mapping[LocalityName, int]] = None) -> HostSet:
        """The same priority with some of its hosts. weights: of localities, None = as they are."""
        return HostSet(self.priority, hosts, self.overprovisioning, self.weighted_health, weights)

    def _locality(self, name: LocalityName, hosts: List[Host]) -> Locality:
        healthy, degraded, excluded = _by_health(hosts)
        weights = self._weights
        weight = max(host.locality_weight for host in hosts) if weights is None else weights.get(name, 0)
        if not any(name):
            weight = 0  # Envoy has no weight for hosts that are nowhere
        return Locality(name, weight, hosts, healthy, degraded, len(excluded))


def by_priority(
    hosts: Sequence[Host], overprovisioning: int = DEFAULT_OVERPROVISIONING, weighted_health: bool = False
) -> List[HostSet]:
    """One set for each priority from 0 to the last one that is used, at least one; one that is left out is an empty set."""
    lists: List[List[Host]] = [[]]
    for host in hosts:
        priority = host.priority
        while priority >= len(lists):
            lists.append([])
        lists[priority].append(host)
    return [HostSet(priority, members, overprovisioning, weighted_health) for priority, members in enumerate(lists)]


def _by_health(hosts: List[Host]) -> Tuple[List[Host], List[Host], List[Host]]:
    """(healthy, degraded, excluded). A set of which all are healthy shares its list."""
    healthy = [host for host in hosts if host.is_healthy]
    if len(healthy) == len(hosts):
        return hosts, [], [host for host in hosts if host.is_excluded]
    return healthy, [host for host in hosts if host.is_degraded], [host for host in hosts if host.is_excluded]


def _weight(hosts: Sequence[Host]) -> int:
    return sum(host.weight for host in hosts)
