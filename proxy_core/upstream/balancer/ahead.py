"""Picks that are made before they are asked for, so that connections to their hosts can be made in advance. Mirrors
`peekAnotherHost` and the stashed random numbers of Envoy's `LoadBalancerBase`.

Only where a pick does not depend on the connection, nor on what is busy when it is made: ROUND_ROBIN and RANDOM.
"""

from __future__ import annotations

from collections import deque
from typing import Deque, Optional, Sequence

from ..host import Host
from ..host_set import HostSet
from . import Balancer, PickContext


class Ahead:
    """Implements `Balancer`: what was picked ahead is picked first, in the same order."""

    __slots__ = ("_balancer", "_picked", "_most")

    def __init__(self, balancer: Balancer) -> None:
        self._balancer = balancer
        self._picked: Deque[Host] = deque()
        self._most = 0

    def update(self, host_sets: Sequence[HostSet]) -> None:
        """Other hosts: what was picked ahead does not hold any more."""
        self._picked.clear()
        self._most = sum(len(one.healthy) for one in host_sets)
        self._balancer.update(host_sets)

    def pick(self, context: Optional[PickContext] = None) -> Optional[Host]:
        """The host for the next connection."""
        if self._picked and (context is None or context.rejects is None):
            return self._picked.popleft()
        return self._balancer.pick(context)

    def pick_ahead(self) -> Optional[Host]:
        """The host of one more of the next connections; None for more connections than there are healthy hosts."""
        if len(self._picked) >= self._most:
            return None
        host = self._balancer.pick(None)
        if host is not None:
            self._picked.append(host)
        return host
