"""Consistent hashing: a table per priority gives the host of a hash; `ring_hash` and `maglev` say how tables are made.

Mirrors `ThreadAwareLoadBalancerBase`. The table of a priority holds its healthy hosts, all of them in a panic. It is made
when the first connection needs it, and again only when its hosts, their weights or their names have changed: a table of
thousands of hosts takes longer than one turn of the loop should.
"""

from __future__ import annotations

from typing import Callable, List, NamedTuple, Optional, Protocol, Sequence, Tuple

from ..host import Host
from ..host_set import HostSet
from ..priority_load import PriorityLoad
from . import PickContext
from .by_priority import Common


class Weighed(NamedTuple):
    """A host in a table. key: what is hashed for it. weight: its share; all shares of a table add up to 1."""

    key: str
    weight: float
    host: Host


class Table(Protocol):
    """Places hashes on hosts."""

    def choose(self, number: int, attempt: int) -> Optional[Host]:
        """The host of a 64-bit hash, None for a table without places. attempt: 0, or how many were refused before."""


class _Priority:
    """One priority: its hosts as they are now, and the table that was made of them or of the same ones before."""

    __slots__ = ("_host_set", "panic", "_entries", "_table_of", "_table")

    def __init__(self) -> None:
        self._host_set = HostSet(0, [])
        self.panic = False
        self._entries: Optional[List[Weighed]] = None
        self._table_of: Optional[List[Weighed]] = None
        self._table: Optional[Table] = None

    def update(self, host_set: HostSet, panic: bool) -> None:
        self._host_set = host_set
        self.panic = panic
        self._entries = None

    def entries(self, weigh: Callable[[HostSet, bool], List[Weighed]]) -> List[Weighed]:
        if self._entries is None:
            self._entries = weigh(self._host_set, self.panic)
        return self._entries

    def table(
        self, weigh: Callable[[HostSet, bool], List[Weighed]], make: Callable[[List[Weighed]], Table]
    ) -> Optional[Table]:
        if self._entries is None or self._table_of is not self._entries:
            entries = self.entries(weigh)
            if entries != self._table_of:
                self._table = make(entries) if entries else None
            self._table_of = entries
        return self._table


class Hashed:
    """Implements `Balancer`. make: a table of hosts, at least one. by_name: hash the hosts' names, empty or not.
    by_locality: the weights of localities count."""

    __slots__ = ("_make", "_common", "_by_name", "_by_locality", "_priorities", "_load")

    def __init__(
        self, make: Callable[[List[Weighed]], Table], common: Common, by_name: bool = False, by_locality: bool = False
    ) -> None:
        self._make = make
        self._common = common
        self._by_name = by_name
        self._by_locality = by_locality
        self._priorities: List[_Priority] = []
        self._load = PriorityLoad([100], [0], [True])

    def update(self, host_sets: Sequence[HostSet]) -> None:
        """These are the hosts now."""
        self._load = self._common.spread(host_sets)
        self._priorities += [_Priority() for _ in range(len(host_sets) - len(self._priorities))]
        del self._priorities[len(host_sets):]
        for priority, host_set, panic in zip(self._priorities, host_sets, self._load.panic):
            priority.update(host_set, panic)

    def pick(self, context: Optional[PickContext] = None) -> Optional[Host]:
        """The host of the context's hash; without one any host, by its share."""
        if not self._priorities:
            return None
        number = context.hash if context is not None else None
        if number is None:
            number = self._common.surroundings.random.getrandbits(64)
        priority = self._priorities[self._load.choose(number)[0]]
        if priority.panic:
            self._common.stats.lb_healthy_panic.inc()
        table = priority.table(self._weigh, self._make)
        if table is None:
            return None
        host = table.choose(number, 0)
        if context is not None and context.rejects is not None:
            attempt = 1
            while host is not None and attempt < context.most_attempts and context.rejects(host):
                host = table.choose(number, attempt)
                attempt += 1
        return host

    def shown(self) -> List[Weighed]:
        """The hosts of the last priority that has any: the gauges are about their table."""
        for priority in reversed(self._priorities):
            entries = priority.entries(self._weigh)
            if entries:
                return entries
        return []

    def _weigh(self, host_set: HostSet, panic: bool) -> List[Weighed]:
        if self._by_locality:
            groups = [(each.weight, each.hosts if panic else each.healthy) for each in host_set.localities()]
            total = sum(weight for weight, _ in groups)
            return [entry for weight, hosts in groups if weight for entry in self._shares(hosts, weight / total)]
        return self._shares(host_set.hosts if panic else host_set.healthy, 1.0)

    def _shares(self, hosts: Sequence[Host], share: float) -> List[Weighed]:
        total = sum(host.weight for host in hosts)
        by_name = self._by_name
        return [Weighed(_key(host, by_name), host.weight * share / total, host) for host in hosts]


def extremes(counts: Sequence[int]) -> Tuple[int, int]:
    """The fewest and the most."""
    return (min(counts), max(counts)) if counts else (0, 0)


def _key(host: Host, by_name: bool) -> str:
    """What stands for the host: a key given in its metadata, its host name if that is asked for, or its address."""
    given = host.metadata.get("envoy.lb")
    if given:
        key = given.get("hash_key")
        if isinstance(key, str) and key:
            return key
    return host.hostname if by_name else host.address.text
