"""Slow start: a host that has just become healthy gets a growing share. Mirrors the part of `EdfLoadBalancerBase` for it.

Its weight counts max((age / window) ^ (1 / aggression), min_weight_percent) until it is as old as the window. The age counts
from the health check that it passed, or from when the balancer first saw it healthy.
"""

from __future__ import annotations

import math
from typing import Final, Sequence

from ..host import Host
from . import Surroundings

LEAST_AGE: Final = 0.001  # seconds: a host of this instant is not weightless


class SlowStart:
    """window: seconds, above 0. aggression: 1 = linear; aggression_key: its runtime key, "" = none. least: a fraction."""

    __slots__ = ("_window", "_aggression", "_key", "_least", "_surroundings", "_latest")

    def __init__(
        self, window: float, aggression: float, aggression_key: str, least: float, surroundings: Surroundings
    ) -> None:
        self._window = window
        self._aggression = aggression
        self._key = aggression_key
        self._least = least
        self._surroundings = surroundings
        self._latest = surroundings.clock()  # when the youngest host became healthy, at the earliest now

    @property
    def is_on(self) -> bool:
        """Whether any host may still be in its window."""
        return self._surroundings.clock() - self._latest <= self._window

    def note(self, hosts: Sequence[Host]) -> None:
        """These hosts are there now: the window of new healthy ones begins."""
        now = self._surroundings.clock()
        for host in hosts:
            if not host.is_healthy:
                continue
            since = host.last_hc_pass_time
            if since is None:
                host.last_hc_pass_time = since = now
            if since > self._latest and now - since <= self._window:
                self._latest = since

    def factor(self, host: Host) -> float:
        """What the host's weight is multiplied with now."""
        since = host.last_hc_pass_time
        if since is None or not host.is_healthy:
            return 1.0
        age = self._surroundings.clock() - since
        if age >= self._window:
            return 1.0
        share = max(LEAST_AGE, age) / self._window
        aggression = self._surroundings.number(self._key, self._aggression)
        if aggression <= 0.0 or math.isnan(aggression):
            aggression = 1.0
        return max(share if aggression == 1.0 else share ** (1.0 / aggression), self._least)
