"""What an HTTP pool and the router count for a cluster beyond `ClusterStats`: requests, retries, and responses by their code.

Mirrors the HTTP part of `ClusterTrafficStats`, and `Http::CodeStatsImpl`. Counters by code are made at their first use.
"""

from __future__ import annotations

from typing import Dict, Final, Sequence, Tuple

from ...observe import stat_tables as tables
from ...observe.histogram import Histogram
from ...observe.stats import Counter, Scope

RETRY: Final = "retry"


class HttpClusterStats:
    """`cluster.<name>.`, the HTTP part; the names are there from the beginning, through `ClusterStats`."""

    __slots__ = (
        "upstream_cx_http1_total", "upstream_internal_redirect_failed_total",
        "upstream_internal_redirect_succeeded_total", "upstream_rq_active_overflow", "upstream_rq_maintenance_mode",
        "upstream_rq_max_duration_reached", "upstream_rq_per_try_idle_timeout", "upstream_rq_per_try_timeout",
        "upstream_rq_retry", "upstream_rq_retry_backoff_exponential", "upstream_rq_retry_backoff_ratelimited",
        "upstream_rq_retry_limit_exceeded", "upstream_rq_retry_overflow", "upstream_rq_retry_success",
        "upstream_rq_timeout", "_codec", "_has_codec",
    )

    def __init__(self, scope: Scope) -> None:
        counter = scope.counter
        self.upstream_cx_http1_total = counter("upstream_cx_http1_total")
        self.upstream_internal_redirect_failed_total = counter("upstream_internal_redirect_failed_total")
        self.upstream_internal_redirect_succeeded_total = counter("upstream_internal_redirect_succeeded_total")
        self.upstream_rq_active_overflow = counter("upstream_rq_active_overflow")
        self.upstream_rq_maintenance_mode = counter("upstream_rq_maintenance_mode")
        self.upstream_rq_max_duration_reached = counter("upstream_rq_max_duration_reached")
        self.upstream_rq_per_try_idle_timeout = counter("upstream_rq_per_try_idle_timeout")
        self.upstream_rq_per_try_timeout = counter("upstream_rq_per_try_timeout")
        self.upstream_rq_retry = counter("upstream_rq_retry")
        self.upstream_rq_retry_backoff_exponential = counter("upstream_rq_retry_backoff_exponential")
        self.upstream_rq_retry_backoff_ratelimited = counter("upstream_rq_retry_backoff_ratelimited")
        self.upstream_rq_retry_limit_exceeded = counter("upstream_rq_retry_limit_exceeded")
        self.upstream_rq_retry_overflow = counter("upstream_rq_retry_overflow")
        self.upstream_rq_retry_success = counter("upstream_rq_retry_success")
        self.upstream_rq_timeout = counter("upstream_rq_timeout")
        self._codec = scope.scope("http1")
        self._has_codec = False

    def connection_made(self) -> None:
        """A connection for HTTP/1 is begun. What its codec counts is there from the first one on."""
        self.upstream_cx_http1_total.value += 1
        if not self._has_codec:
            self._has_codec = True
            self._codec.zeros(counters=tables.HTTP1_CODEC_COUNTERS)


class ResponseStats:
    """Responses of one cluster (or virtual cluster) by code, class and completion, and how long they took."""

    __slots__ = ("_scope", "_counters", "_times")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._counters: Dict[Tuple[int, Tuple[str, ...]], Sequence[Counter]] = {}
        self._times: Dict[Tuple[str, ...], Sequence[Histogram]] = {}

    def charge(self, status: int, kinds: Tuple[str, ...]) -> None:
        """Count one response. kinds: the groups it belongs to: "" for all, "internal", "external", "canary", "retry",
        "zone.<from>.<to>"."""
        counters = self._counters.get((status, kinds))
        if counters is None:
            counters = self._counters[status, kinds] = [one for kind in kinds for one in self._make(status, kind)]
        for counter in counters:
            counter.value += 1

    def record_time(self, milliseconds: int, kinds: Tuple[str, ...]) -> None:
        """How long one response took, from the end of the request."""
        times = self._times.get(kinds)
        if times is None:
            times = self._times[kinds] = [self._histogram(kind) for kind in kinds]
        for time in times:
            time.record(milliseconds)

    def _make(self, status: int, kind: str) -> Sequence[Counter]:
        counter = self._of(kind).counter
        names = [f"upstream_rq_{status}", "upstream_rq_completed"]
        if 100 <= status < 600:
            names.append(f"upstream_rq_{status // 100}xx")
        return [counter(name) for name in names]

    def _histogram(self, kind: str) -> Histogram:
        return self._of(kind).histogram("upstream_rq_time", "ms")

    def _of(self, kind: str) -> Scope:
        return self._scope.scope(kind) if kind else self._scope
