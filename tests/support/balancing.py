"""Hosts, and balancers made from a cluster's configuration as JSON, without a server."""

from __future__ import annotations

import math
import random
from collections import Counter as Tally
from typing import Any, Dict, List, Optional, Sequence

from proxy_core.config.decode import decode
from proxy_core.config.model.cluster import Cluster as ClusterConfig
from proxy_core.config.model.load_balancing import POLICIES
from proxy_core.config.registry import TypeRegistry
from proxy_core.network.address import Address
from proxy_core.observe.stats import StatsStore
from proxy_core.testing.clock import SimulatedClock
from proxy_core.upstream.balancer import PickContext, Surroundings
from proxy_core.upstream.balancer.factory import make_balancer
from proxy_core.upstream.host import Host
from proxy_core.upstream.host_set import by_priority

Json = Dict[str, Any]
HEALTH = {"h": "HEALTHY", "d": "DEGRADED", "u": "UNHEALTHY", "x": "DRAINING", "t": "TIMEOUT"}
PACKAGE = "type.googleapis.com/envoy.extensions.load_balancing_policies."


def host(number: int, weight: int = 1, kind: str = "h", priority: int = 0, zone: str = "", **fields: Any) -> Host:
    """127.0.0.1 with port `number`. kind: one of HEALTH. fields: `metadata` is what is below envoy.lb; else attributes."""
    made = Host(Address.from_ip("127.0.0.1", number), weight, HEALTH[kind])
    made.priority = priority
    made.zone = zone
    for name, value in fields.items():
        setattr(made, name, {"envoy.lb": value} if name == "metadata" else value)
    return made


def hosts(*weights: int) -> List[Host]:
    """Hosts 1, 2, 3 ... with these weights."""
    return [host(number, weight) for number, weight in enumerate(weights, 1)]


def kinds(*levels: str) -> List[Host]:
    """Hosts 1, 2, 3 ... by their health, one word for each priority: kinds("hu", "h")."""
    found: List[Host] = []
    for priority, level in enumerate(levels):
        for kind in level:
            found.append(host(len(found) + 1, 1, kind, priority))
    return found


def extension(kind: str, name: str, **fields: Any) -> Json:
    """A `load_balancing_policy` of one policy."""
    typed = {"name": kind, "typed_config": {"@type": f"{PACKAGE}{kind}.v3.{name}", **fields}}
    return {"policies": [{"typed_extension_config": typed}]}


def configured(**fields: Any) -> ClusterConfig:
    """A cluster's configuration."""
    return decode(ClusterConfig, {"name": "c", **fields}, TypeRegistry(POLICIES))


class Balanced:
    """A balancer and what it writes. Its fields are those of the cluster."""

    def __init__(
        self, members: Sequence[Host] = (), seed: int = 1, surroundings: Optional[Surroundings] = None,
        overprovisioning: int = 140, weighted_health: bool = False, **fields: Any,
    ) -> None:
        self.clock = SimulatedClock()
        self.store = StatsStore(self.clock)
        self.active = 0
        self.runtime: Dict[str, Any] = {}
        self._sets = (overprovisioning, weighted_health)
        around = surroundings or Surroundings(random.Random(seed), self.clock, self.runtime.get)
        made = make_balancer(configured(**fields), self.store.scope("cluster.c"), around, lambda: self.active)
        self.balancer, self.uses_hash, self.uses_criteria, _ = made
        self.update(members)

    def update(self, members: Sequence[Host]) -> None:
        """These are the hosts now."""
        self.balancer.update(by_priority(members, *self._sets))

    def one(self, context: Optional[PickContext] = None) -> int:
        """The number of the next host, 0 for none."""
        found = self.balancer.pick(context)
        return found.address.port if found is not None else 0

    def some(self, count: int, context: Optional[PickContext] = None) -> List[int]:
        """The numbers of the next hosts."""
        return [self.one(context) for _ in range(count)]

    def tally(self, count: int, context: Optional[PickContext] = None) -> Dict[int, int]:
        """How often each host is picked."""
        return dict(Tally(self.some(count, context)))

    def stat(self, name: str) -> int:
        """A counter or gauge below the cluster's name."""
        full = f"cluster.c.{name}"
        return self.store.gauges[full].value if full in self.store.gauges else self.store.counters[full].value


def is_near(count: int, total: int, share: float) -> bool:
    """Whether `count` of `total` is what a share leads to by chance: within 5 standard deviations."""
    return abs(count - total * share) <= 5 * math.sqrt(total * share * (1 - share)) + 1


def same_turns(first: Sequence[int], second: Sequence[int], period: int) -> bool:
    """Whether two sequences of one period are the same but for where they begin."""
    return any(list(first[shift:shift + period]) == list(second[:period]) for shift in range(period))
