"""Circuit breakers: per cluster and priority, how many connections, pending requests, requests and retries may exist.

Mirrors `Upstream::ResourceManagerImpl`. For TCP, `max_connections` is asked by tcp_proxy before it connects and
`max_pending_requests` by the pool while a connection is being set up; `max_requests` does not apply.
"""

from __future__ import annotations

from typing import Final, Optional

from ..observe.stat_names import BreakerStats
from ..observe.stats import Gauge

DEFAULT_LIMITS: Final = {"connections": 1024, "pending_requests": 1024, "requests": 1024, "retries": 3}


class Resource:
    """One counted thing with a limit. `gauge` is Envoy's `*_open`: 1 while the limit is reached."""

    __slots__ = ("limit", "is_default", "used", "_gauge")

    def __init__(self, limit: int, is_default: bool, gauge: Gauge) -> None:
        self.limit = limit
        self.is_default = is_default
        self.used = 0
        self._gauge = gauge
        self._show()

    @property
    def can_create(self) -> bool:
        """Whether one more fits."""
        return self.used < self.limit

    def take(self) -> None:
        """One more exists."""
        self.used += 1
        self._show()

    def give_back(self) -> None:
        """One less exists."""
        assert self.used > 0, "a resource was given back that was never taken"
        self.used -= 1
        self._show()

    def _show(self) -> None:
        open_now = 0 if self.used < self.limit else 1
        if self._gauge.value != open_now:
            self._gauge.set(open_now)


class CircuitBreakers:
    """The resources of one priority. Arguments are the configured limits, None for Envoy's default."""

    __slots__ = ("connections", "pending_requests", "requests", "retries")

    def __init__(
        self,
        gauges: BreakerStats,
        connections: Optional[int] = None,
        pending_requests: Optional[int] = None,
        requests: Optional[int] = None,
        retries: Optional[int] = None,
    ) -> None:
        self.connections = _resource("connections", connections, gauges.cx_open)
        self.pending_requests = _resource("pending_requests", pending_requests, gauges.rq_pending_open)
        self.requests = _resource("requests", requests, gauges.rq_open)
        self.retries = _resource("retries", retries, gauges.rq_retry_open)


def _resource(name: str, configured: Optional[int], gauge: Gauge) -> Resource:
    limit = DEFAULT_LIMITS[name] if configured is None else configured
    return Resource(limit, configured is None, gauge)
