"""envoy.filters.http.health_check: answers the health checks of a load balancer in front. Mirrors `HealthCheckFilter`.

Place in the data's way: a request whose head matches is answered here, or with `pass_through_mode` by the upstream, whose answer
may be remembered for `cache_time`. While the operator has the proxy look ill (`/healthcheck/fail`), every health check is
answered with 503, and every response says so. `cluster_min_healthy_percentages`: answer by the health of clusters.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Final, List, NamedTuple, Optional, Tuple

from ...buffer import Buffer
from ...config.fields import Bool, Duration, Message, Nested, mapping, message, optional, repeated
from ...config.model.core import Percent
from ...config.model.matcher import HeaderMatcher
from ...errors import ConfigError, Problem
from ...http.events import RequestHead, ResponseHead
from ...http.filter_api import (
    CONTINUE, STOP_ITERATION, STOP_NO_BUFFER, FilterStatus, HttpFactoryContext, HttpFilter, HttpFilterFactory,
)
from ...http.headers import Headers
from ...http.registry import HttpExtension
from ...http.routing.conditions import request_matcher
from ...http.routing.text import wire
from ...observe.stats import Scope

OK: Final = "health_check_ok"
CACHED: Final = "health_check_cached"
FAILED: Final = "health_check_failed"
CLUSTER_HEALTHY: Final = "health_check_ok_cluster_healthy"
CLUSTER_NOT_FOUND: Final = "health_check_failed_no_cluster_found"
CLUSTER_EMPTY: Final = "health_check_failed_cluster_empty"
CLUSTER_UNHEALTHY: Final = "health_check_failed_cluster_unhealthy"
CHECKED_CLUSTER: Final = "x-envoy-upstream-healthchecked-cluster"
IMMEDIATE_FAIL: Final = "x-envoy-immediate-health-check-fail"
DEGRADED: Final = "x-envoy-degraded"
FLAG: Final = "LH"


@message("envoy.extensions.filters.http.health_check.v3.HealthCheck")
@dataclasses.dataclass(eq=False, repr=False)
class HealthCheckConfig(Message):
    """Answers health checks."""

    pass_through_mode: Optional[bool] = optional(Bool(), required=True, help="Let the upstream answer.")
    cache_time: Optional[float] = optional(Duration(), help="How long an answer of the upstream counts.")
    cluster_min_healthy_percentages: Dict[str, Percent] = mapping(
        Nested(Percent), help="By cluster: fewer healthy hosts, and the answer is 503. Without pass_through_mode."
    )
    headers: List[HeaderMatcher] = repeated(Nested(HeaderMatcher), help="Which requests are health checks: all of these match.")


class _Stats:
    """`http.<stat_prefix>.health_check.`"""

    __slots__ = ("request_total", "ok", "failed", "cached_response", "degraded", "by_details")

    def __init__(self, scope: Scope) -> None:
        self.request_total = scope.counter("request_total")
        self.ok = scope.counter("ok")
        self.failed = scope.counter("failed")
        self.cached_response = scope.counter("cached_response")
        self.degraded = scope.counter("degraded")
        self.by_details = {
            CLUSTER_NOT_FOUND: scope.counter("failed_cluster_not_found"),
            CLUSTER_EMPTY: scope.counter("failed_cluster_empty"),
            CLUSTER_UNHEALTHY: scope.counter("failed_cluster_unhealthy"),
        }


class Answer(NamedTuple):
    """To a health check."""

    status: int
    details: str
    degraded: bool = False


class Cache:
    """The last answer of the upstream. As in Envoy it counts until the next tick of a clock that ticks each `period` seconds
    from the load on, and not for so long from when it came. clock: has `now`, seconds."""

    __slots__ = ("_clock", "_period", "_begin", "_status", "_degraded", "_tick")

    def __init__(self, clock: Any, period: float) -> None:
        self._clock = clock
        self._period = period
        self._begin: float = clock.now
        self._status = 0
        self._degraded = False
        self._tick = -1

    def store(self, status: int, degraded: bool) -> None:
        """The upstream has answered."""
        self._status, self._degraded, self._tick = status, degraded, self._now()

    def get(self) -> Optional[Answer]:
        """Its last answer, if that still counts."""
        return Answer(self._status, CACHED, self._degraded) if self._tick == self._now() else None

    def _now(self) -> int:
        return int((self._clock.now - self._begin) / self._period)


class _Prepared:
    """What all requests share."""

    __slots__ = ("matches", "passes_through", "cache", "stats", "health_failed", "checked_cluster", "_clusters", "_wanted")

    def __init__(self, config: HealthCheckConfig, context: HttpFactoryContext) -> None:
        self.matches = request_matcher(config.headers)
        self.passes_through = bool(config.pass_through_mode)
        self.cache = Cache(context.reactor, config.cache_time) if config.cache_time else None
        self.stats = _Stats(context.scope.scope("health_check"))
        self.health_failed = context.health_failed
        self.checked_cluster = wire(context.node_cluster)
        self._clusters = context.clusters
        # Whole percents, as in Envoy.
        self._wanted: List[Tuple[str, int]] = [
            (name, int(percent.value)) for name, percent in config.cluster_min_healthy_percentages.items()
        ]

    def handles(self) -> bool:
        """Whether a health check that comes now is answered here."""
        return not self.passes_through or self.health_failed() or (self.cache is not None and self.cache.get() is not None)

    def answer(self) -> Answer:
        """To a health check that is."""
        if self.health_failed():
            return Answer(503, FAILED)
        cached = self.cache.get() if self.cache is not None else None
        return cached or self._of_clusters()

    def _of_clusters(self) -> Answer:
        for name, percent in self._wanted:
            cluster = self._clusters.get(name)
            if cluster is None:
                return Answer(503, CLUSTER_NOT_FOUND)
            stats = cluster.stats
            total = stats.membership_total.value
            if not total and percent:
                return Answer(503, CLUSTER_EMPTY)
            if 100 * (stats.membership_healthy.value + stats.membership_degraded.value) < total * percent:
                return Answer(503, CLUSTER_UNHEALTHY)
        return Answer(200, CLUSTER_HEALTHY if self._wanted else OK)


class HealthCheckFilter(HttpFilter):
    """One request. `_handles`: it is a health check that is answered here, once it is complete."""

    __slots__ = ("decoder", "encoder", "_prepared", "_is_check", "_handles")

    def __init__(self, prepared: _Prepared) -> None:
        self._prepared = prepared
        self._is_check = False
        self._handles = False

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        """Is it one?"""
        if not self._prepared.matches(head):
            return CONTINUE
        self._is_check = True
        facts: Any = self.decoder.info.http
        facts.health_check = True
        self._handles = self._prepared.handles()
        if not self._handles:
            return CONTINUE
        if end_stream:
            self._answer()
        return STOP_ITERATION

    def decode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """The body of a health check interests nobody."""
        if not self._handles:
            return CONTINUE
        data.clear()
        if end_stream:
            self._answer()
        return STOP_NO_BUFFER

    def decode_trailers(self, trailers: Headers) -> FilterStatus:
        """Its end."""
        if not self._handles:
            return CONTINUE
        self._answer()
        return STOP_ITERATION

    def encode_headers(self, head: ResponseHead, end_stream: bool) -> FilterStatus:
        """Remember an upstream's answer, and say who was checked and whether the proxy looks ill."""
        prepared, headers = self._prepared, head.headers
        if self._is_check:
            if prepared.cache is not None and not self._handles:
                prepared.cache.store(head.status, DEGRADED in headers)
            headers.set(CHECKED_CLUSTER, prepared.checked_cluster)
        if prepared.health_failed():
            headers.set(IMMEDIATE_FAIL, "true")
        return CONTINUE

    def _answer(self) -> None:
        answer, stats = self._prepared.answer(), self._prepared.stats
        healthy = 200 <= answer.status < 300
        stats.request_total.inc()
        (stats.ok if healthy else stats.failed).inc()
        if answer.details == CACHED:
            stats.cached_response.inc()
        if answer.degraded:
            stats.degraded.inc()
        if answer.details in stats.by_details:
            stats.by_details[answer.details].inc()
        if not healthy:
            self.decoder.info.add_flag(FLAG)
        self.decoder.send_local_reply(answer.status, b"", answer.details, _say_degraded if answer.degraded else None)


def _say_degraded(headers: Headers) -> None:
    headers.set(DEGRADED, "")


def build(config: HealthCheckConfig, context: HttpFactoryContext) -> HttpFilterFactory:
    """The factory. Raises ConfigError for a cache without an upstream to ask."""
    if config.cache_time and not config.pass_through_mode:
        text = "cache_time_ms must not be set when path_through_mode is disabled"
        raise ConfigError([Problem(f"{context.path}.cache_time", text)])
    prepared = _Prepared(config, context)
    return lambda: HealthCheckFilter(prepared)


EXTENSION = HttpExtension(HealthCheckConfig, build)
