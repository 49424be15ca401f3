"""Circuit breakers: per cluster and priority, how many connections, pending requests, requests and retries may exist.

Mirrors `Upstream::ResourceManagerImpl`. For TCP, `max_connections` is asked by tcp_proxy before it connects and
`max_pending_requests` by the pool while a connection is being set up; `max_requests` does not apply.
"""

from __future__ import annotations

from typing import Final, Optional, Union

from ..config.model.cluster import Thresholds
from ..observe.stat_names import BreakerStats
from ..observe.stats import Gauge

DEFAULT_LIMITS: Final = {"connections": 1024, "pending_requests": 1024, "requests": 1024, "retries": 3}
DEFAULT_RETRY_SHARE: Final = 0.2
NO_LIMIT: Final = 2**64 - 1  # how Envoy shows that nothing bounds the number of pools


class Resource:
    """One counted thing with a limit.

    gauge: Envoy's `*_open`, 1 while the limit is reached; as in Envoy it is written from the first use on, so a limit of
    0 reads 0 until then. remaining: Envoy's `remaining_*`, where `track_remaining` asks for it.
    """

    __slots__ = ("limit", "is_default", "used", "_gauge", "_shown", "_remaining")

    def __init__(self, limit: int, is_default: bool, gauge: Gauge, remaining: Optional[Gauge] = None) -> None:
        self.limit = limit
        self.is_default = is_default
        self.used = 0
        self._gauge = gauge
        self._shown: Optional[int] = None
        self._remaining = remaining
        if remaining is not None:
            remaining.set(limit)

    @property
    def can_create(self) -> bool:
        """Whether one more fits."""
        return self.used < self.limit

    def take(self) -> None:
        """One more exists."""
        self.used += 1
        if self._shown != 0 or self.used >= self.limit or self._remaining is not None:
            self._show()

    def give_back(self) -> None:
        """One less exists."""
        assert self.used > 0, "a resource was given back that was never taken"
        self.used -= 1
        if self._shown != 0 or self._remaining is not None:
            self._show()

    def _show(self) -> None:
        open_now = 0 if self.used < self.limit else 1
        if self._shown != open_now:
            self._shown = open_now
            self._gauge.set(open_now)
        if self._remaining is not None:
            self._remaining.set(max(0, self.limit - self.used))


class RetryBudget:
    """A limit of retries that follows how busy the cluster is, instead of `max_retries`: a share of the requests that are active
    or pending, but never less than so many. Mirrors `ResourceManagerImpl::RetryBudgetImpl`.

    share: 0 to 1. requests, pending: what it is a share of. remaining: as for `Resource`; without meaning once it was used.
    """

    __slots__ = ("used", "_share", "_least", "_requests", "_pending", "_gauge", "_remaining")

    is_default = False

    def __init__(
        self, share: float, least: int, requests: Resource, pending: Resource, gauge: Gauge, remaining: Optional[Gauge] = None
    ) -> None:
        self.used = 0
        self._share = share
        self._least = least
        self._requests = requests
        self._pending = pending
        self._gauge = gauge
        self._remaining = remaining

    @property
    def limit(self) -> int:
        """Retries that may be under way now."""
        return max(self._least, int(self._share * (self._requests.used + self._pending.used)))

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
        assert self.used > 0, "a retry was given back that was never taken"
        self.used -= 1
        self._show()

    def _show(self) -> None:
        self._gauge.set(0 if self.can_create else 1)
        if self._remaining is not None:
            self._remaining.set(0)


class CircuitBreakers:
    """The resources of one priority. limits: as configured, None for Envoy's defaults."""

    __slots__ = ("connections", "pending_requests", "requests", "retries", "connection_pools")

    def __init__(self, gauges: BreakerStats, limits: Optional[Thresholds] = None) -> None:
        configured = limits if limits is not None else Thresholds()
        left = gauges.track_remaining() if configured.track_remaining else None
        self.connections = _resource(
            "connections", configured.max_connections, gauges.cx_open, left.cx if left is not None else None
        )
        self.pending_requests = _resource(
            "pending_requests", configured.max_pending_requests, gauges.rq_pending_open,
            left.pending if left is not None else None,
        )
        self.requests = _resource(
            "requests", configured.max_requests, gauges.rq_open, left.rq if left is not None else None
        )
        left_retries = left.retries if left is not None else None
        retries = _resource("retries", configured.max_retries, gauges.rq_retry_open, left_retries)
        self.retries: Union[Resource, RetryBudget] = retries
        budget = configured.retry_budget
        if budget is not None:
            percent, least = budget.budget_percent, budget.min_retry_concurrency
            self.retries = RetryBudget(
                DEFAULT_RETRY_SHARE if percent is None else percent.value / 100,
                DEFAULT_LIMITS["retries"] if least is None else least,
                self.requests, self.pending_requests, gauges.rq_retry_open, left_retries,
            )
        pools = configured.max_connection_pools
        self.connection_pools = Resource(
            NO_LIMIT if pools is None else pools, pools is None, gauges.cx_pool_open, left.cx_pools if left is not None else None
        )


def _resource(name: str, configured: Optional[int], gauge: Gauge, remaining: Optional[Gauge]) -> Resource:
    limit = DEFAULT_LIMITS[name] if configured is None else configured
    return Resource(limit, configured is None, gauge, remaining)
