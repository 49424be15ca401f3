"""ROUND_ROBIN: strict turns among equal hosts, shares in proportion among weighted ones.

Weighted turns use an earliest-deadline-first queue as Envoy's `EdfScheduler`: a host that is picked is due again 1/weight
later, so weights 2:1 give two and one in every window of three, evenly spread, and a pick costs O(log hosts).
"""

from __future__ import annotations

import heapq
from typing import List, Optional, Sequence, Tuple

from ..host import Host


class RoundRobin:
    """See the module docstring. Implements `Balancer`."""

    def __init__(self) -> None:
        self._hosts: List[Host] = []
        self._next = 0
        self._weighted = False
        self._queue: List[Tuple[float, int, Host]] = []
        self._order = 0  # of two hosts due at once, the one that waited longer goes first

    def update(self, hosts: Sequence[Host]) -> None:
        """Start over with these hosts."""
        self._hosts = list(hosts)
        self._next = 0
        self._queue = []
        self._weighted = len({host.weight for host in hosts}) > 1
        if self._weighted:
            for host in hosts:
                self._push(host, 0.0)

    def pick(self) -> Optional[Host]:
        """The next in turn."""
        if not self._hosts:
            return None
        if self._weighted:
            due, _, host = heapq.heappop(self._queue)
            self._push(host, due)
            return host
        host = self._hosts[self._next]
        self._next = (self._next + 1) % len(self._hosts)
        return host

    def _push(self, host: Host, now: float) -> None:
        self._order += 1
        heapq.heappush(self._queue, (now + 1.0 / host.weight, self._order, host))
