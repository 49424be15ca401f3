"""The configuration message of the router, and `Prepared`: what all requests of one connection manager share."""

from __future__ import annotations

import dataclasses
import random
from typing import Any, Dict, Final, List, Optional, Tuple

from ....config.fields import Bool, Message, String, message, optional, plain, repeated
from ....http.filter_api import HttpFactoryContext
from ....network.own_address import own_ip
from ....observe.stats import Counter, Scope
from ....upstream.cluster import Cluster
from ....upstream.http_pool import HttpPools
from ....upstream.http_pool.stats import ResponseStats

_NAME: Final = "envoy.extensions.filters.http.router.v3.Router"
ASYNC_CLIENT: Final = "http.async-client"  # the stats of requests that no client has sent
_CHECKABLE: Final = (
    "x-envoy-upstream-rq-timeout-ms", "x-envoy-upstream-rq-per-try-timeout-ms", "x-envoy-max-retries", "x-envoy-retry-grpc-on",
    "x-envoy-retry-on",
)


@message(_NAME, unsupported=(
    "upstream_log", "suppress_grpc_request_failure_code_stats", "upstream_http_filters", "upstream_log_options",
    "reject_connect_request_early_data",
))
@dataclasses.dataclass(eq=False, repr=False)
class Router(Message):
    """Forwards requests to the cluster of their route."""

    dynamic_stats: Optional[bool] = optional(Bool(), help="Default true: count responses by their code.")
    start_child_span: bool = plain(Bool(), help="Of no effect: there is no tracing.")
    suppress_envoy_headers: bool = plain(Bool(), help="Add no x-envoy-* headers.")
    strict_check_headers: List[str] = repeated(
        String(choices=_CHECKABLE), help="Refuse requests in which one of these makes no sense."
    )
    respect_expected_rq_timeout: bool = plain(Bool(), help="Take the timeout from x-envoy-expected-rq-timeout-ms.")


class RouterStats:
    """`http.<stat_prefix>.`, the router's part."""

    __slots__ = (
        "no_cluster", "no_route", "rq_direct_response", "rq_total",
        "bad_location", "no_redirect_route", "predicate", "too_many_redirects", "unsafe_scheme",
    )

    def __init__(self, scope: Scope) -> None:
        self.no_cluster = scope.counter("no_cluster")
        self.no_route = scope.counter("no_route")
        self.rq_direct_response = scope.counter("rq_direct_response")
        self.rq_total = scope.counter("rq_total")
        passthrough = "passthrough_internal_redirect_"
        self.bad_location = scope.counter(f"{passthrough}bad_location")
        self.no_redirect_route = scope.counter(f"{passthrough}no_route")
        self.predicate = scope.counter(f"{passthrough}predicate")
        self.too_many_redirects = scope.counter(f"{passthrough}too_many_redirects")
        self.unsafe_scheme = scope.counter(f"{passthrough}unsafe_scheme")
        scope.zeros(counters=("rq_redirect", "rq_overload_local_reply", "rq_reset_after_downstream_response_started"))


class GroupStats:
    """`vhost.<name>.vcluster.<name>.` or `vhost.<name>.route.<prefix>.`: requests that are counted together."""

    __slots__ = ("upstream_rq_retry", "upstream_rq_retry_limit_exceeded", "upstream_rq_retry_overflow",
                 "upstream_rq_retry_success", "upstream_rq_timeout", "upstream_rq_total", "responses")

    def __init__(self, scope: Scope) -> None:
        self.upstream_rq_retry: Counter = scope.counter("upstream_rq_retry")
        self.upstream_rq_retry_limit_exceeded: Counter = scope.counter("upstream_rq_retry_limit_exceeded")
        self.upstream_rq_retry_overflow: Counter = scope.counter("upstream_rq_retry_overflow")
        self.upstream_rq_retry_success: Counter = scope.counter("upstream_rq_retry_success")
        self.upstream_rq_timeout: Counter = scope.counter("upstream_rq_timeout")
        self.upstream_rq_total: Counter = scope.counter("upstream_rq_total")
        self.responses = ResponseStats(scope)


class Prepared:
    """Decided once per connection manager, read by every request."""

    def __init__(self, config: Router, context: HttpFactoryContext, scope: Optional[Scope] = None) -> None:
        """scope: of the router's stats, None for the connection manager's."""
        self.stats = RouterStats(context.scope if scope is None else scope)
        self.detached_total: Counter = context.stats.scope(ASYNC_CLIENT).counter("rq_total")
        self.clusters = context.clusters
        self.pools: HttpPools = context.http_pools
        self.tcp_pool = context.pool
        self.runtime = context.runtime
        self.random: random.Random = context.random
        self.wall_clock = context.wall_clock
        self.charges = config.dynamic_stats is not False
        self.adds_headers = not config.suppress_envoy_headers
        self.zone: str = context.clusters.zone
        self.own_ip = own_ip()  # for mirrored requests
        self.checked_headers = config.strict_check_headers
        self.respects_expected_timeout = config.respect_expected_rq_timeout
        self._store = context.stats
        self._groups: Dict[Tuple[str, str, str], GroupStats] = {}

    def in_maintenance(self, cluster: Cluster) -> bool:
        """Whether the runtime says that this cluster is to be left alone now: `upstream.maintenance_mode.<name>`, percent."""
        percent = self.runtime.integer(f"upstream.maintenance_mode.{cluster.name}")
        return bool(percent) and self.random.random() * 100 < percent

    def group(self, virtual_host: str, kind: str, name: str) -> GroupStats:
        """The stats of a virtual cluster (kind "vcluster") or of routes with a `stat_prefix` (kind "route")."""
        key = virtual_host, kind, name
        found = self._groups.get(key)
        if found is None:
            scope: Any = self._store.scope(f"vhost.{virtual_host}").scope(f"{kind}.{name}")
            found = self._groups[key] = GroupStats(scope)
        return found
