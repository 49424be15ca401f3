"""Which hosts are chosen from: the healthy ones, the degraded ones for what those can't take, all of them in a panic.

Mirrors the part of `LoadBalancerBase` (load_balancer_base.cc) that works on the one priority that there is. A set of hosts
counts as fully available while 100 / overprovisioning of it is healthy. Panic: when fewer than half of the hosts may be
used, balancing over the few that are left would break those too, so health is ignored.
"""

from __future__ import annotations

import random
from typing import Callable, Final, Optional, Sequence

from ...observe.stats import Counter
from ..host import Host
from . import Balancer

DEFAULT_OVERPROVISIONING: Final = 140  # percent
PANIC_THRESHOLD: Final = 50  # percent; Envoy's `healthy_panic_threshold`


class ByHealth:
    """Chooses the set, then lets that set's own balancer choose. Implements `Balancer`.

    make: a new balancer for one set. panics: counts each pick made in a panic. overprovisioning: percent.
    """

    __slots__ = ("_all", "_healthy", "_degraded", "_panics", "_random", "_overprovisioning", "_panic", "_healthy_share")

    def __init__(
        self, make: Callable[[], Balancer], panics: Counter, rng: random.Random,
        overprovisioning: int = DEFAULT_OVERPROVISIONING,
    ) -> None:
        self._all, self._healthy, self._degraded = make(), make(), make()
        self._panics = panics
        self._random = rng
        self._overprovisioning = overprovisioning
        self._panic = True
        self._healthy_share = 100

    def update(self, hosts: Sequence[Host]) -> None:
        """These are all hosts now, whatever their health."""
        healthy = [host for host in hosts if host.is_healthy]
        degraded = [host for host in hosts if host.is_degraded]
        self._all.update(hosts)
        self._healthy.update(healthy)
        self._degraded.update(degraded)
        counted = len(hosts) - sum(host.is_excluded for host in hosts)
        for_healthy = self._availability(len(healthy), counted)
        total = min(100, for_healthy + self._availability(len(degraded), counted))
        usable = 100 * (len(healthy) + len(degraded)) / counted if counted else 0.0
        self._panic = total < 100 and usable < PANIC_THRESHOLD
        self._healthy_share = 100 if not degraded or not total else min(100, for_healthy * 100 // total)

    def pick(self) -> Optional[Host]:
        """The host for the next connection."""
        if self._panic:
            self._panics.inc()
            return self._all.pick()
        share = self._healthy_share
        if share == 100 or (share and self._random.randrange(100) < share):
            return self._healthy.pick()
        return self._degraded.pick()

    def _availability(self, usable: int, counted: int) -> int:
        return min(100, self._overprovisioning * usable // counted) if counted else 0
