"""Who is next: one file per policy. A balancer is given the hosts when they change and asked once per connection.

    ahead           remembers picks that were made in advance, for preconnecting
    subset          picks the balancer of a subset of the hosts, by their metadata
      by_priority   picks a list: a priority, its healthy or degraded hosts, or one locality of these
        round_robin, least_request, random_hosts      pick a host of the list
      hashed        picks the table of a priority
        ring_hash, maglev (bounded_load)              pick the host of a hash

`factory` puts them together from the configuration. Mirrors Envoy's `LoadBalancer` and its context.
"""

from __future__ import annotations

import random
from typing import Any, Callable, Collection, Final, Mapping, NamedTuple, Optional, Protocol, Sequence, Tuple

from ...observe.stream_info import StreamInfo
from ..host import Host
from ..host_set import HostSet

# To avoid a host that LEAST_REQUEST prefers, because nothing is connected to it: of two, three picks in four are that one.
MOST_PICKS: Final = 50

Criteria = Tuple[Tuple[str, Any], ...]
"""What the metadata of a host must say, below "envoy.lb": (key, value as `criteria.frozen` makes it), sorted by key."""


class PickContext:
    """What is known of the connection (or request) that needs a host. One without any of it is None.

    hash: 64 bits, None when no hash policy gave one. criteria: for subsets; None when nothing was asked for, which is not the
    same as (). info: the connection, for a cluster that goes where it wanted to. rejects: a host that should rather not be
    picked; then another one is tried, `most_attempts` times in all.
    """

    __slots__ = ("hash", "criteria", "rejects", "most_attempts", "info")

    def __init__(
        self, hash: Optional[int] = None, criteria: Optional[Criteria] = None,
        rejects: Optional[Callable[[Host], bool]] = None, most_attempts: int = 1, info: Optional[StreamInfo] = None,
    ) -> None:
        self.hash = hash
        self.criteria = criteria
        self.rejects = rejects
        self.most_attempts = most_attempts
        self.info = info

    def with_criteria(self, criteria: Criteria) -> PickContext:
        """The same for another subset."""
        return PickContext(self.hash, criteria, self.rejects, self.most_attempts, self.info)

    def avoiding(self, tried: Collection[Host]) -> PickContext:
        """The same, but rather none of these."""
        return PickContext(self.hash, self.criteria, tried.__contains__, MOST_PICKS, self.info)


class Balancer(Protocol):
    """One cluster's policy."""

    def update(self, host_sets: Sequence[HostSet]) -> None:
        """These are the hosts to choose from now, one set per priority."""

    def pick(self, context: Optional[PickContext] = None) -> Optional[Host]:
        """The host for the next connection; None when there is none."""


class HostList(Protocol):
    """A policy for one list of hosts: what `by_priority` chooses between."""

    def update(self, hosts: Sequence[Host]) -> None:
        """These are the hosts of the list now. What must be worked out is, when the next host is asked for."""

    def pick(self) -> Optional[Host]:
        """The next host; None when the list is empty."""


class LocalHosts(Protocol):
    """The proxies of which this one is one: the cluster that `local_cluster_name` names. For zone-aware routing."""

    @property
    def host_sets(self) -> Sequence[HostSet]:
        """They have one priority."""


class Surroundings(NamedTuple):
    """What balancers need of the server. clock: monotonic seconds. runtime: the value of a key, None when it is not set.

    locality: where this proxy runs, (region, zone, sub_zone). local_cluster: the name of the cluster it is part of, "" = none;
    local: that cluster, None when it is not there (yet).
    """

    random: random.Random
    clock: Callable[[], float] = lambda: 0.0
    runtime: Callable[[str], Any] = lambda key: None
    locality: Tuple[str, str, str] = ("", "", "")
    local_cluster: str = ""
    local: Callable[[], Optional[LocalHosts]] = lambda: None

    def number(self, key: str, default: float) -> float:
        """The runtime's number for `key`, or the default when there is none or it is no number."""
        value = self.runtime(key) if key else None
        if value is None or isinstance(value, (bool, Mapping)):
            return default
        try:
            return float(value)
        except (TypeError, ValueError):
            return default
