"""What HTTP filters are built with: `http.filter_api.HttpFactoryContext`."""

from __future__ import annotations

import dataclasses
from typing import Any

from ....filters.registry import FactoryContext
from ....http.routing.formatting import Formats
from ....observe.stats import Scope


@dataclasses.dataclass
class HttpFilterContext:
    """See `HttpFactoryContext`; pool: the `upstream.tcp_pool.TcpPool`; wall_clock: seconds since the epoch; node_cluster: of this
    proxy."""

    reactor: Any
    stats: Any
    scope: Scope
    clusters: Any
    pool: Any
    http_pools: Any
    access_logs: Any
    runtime: Any
    drain: Any
    random: Any
    singletons: Any
    formats: Formats
    wall_clock: Any
    node_cluster: str
    health_failed: Any
    stat_prefix: str
    name: str
    path: str


def filter_context(given: FactoryContext, formats: Formats, stat_prefix: str, name: str, path: str) -> HttpFilterContext:
    """The context of the HTTP filter of this name, whose configuration is at `path`. given: the manager's own."""
    services = given.http
    return HttpFilterContext(
        reactor=given.reactor, stats=given.stats, scope=given.stats.scope(f"http.{stat_prefix}"), clusters=given.clusters,
        pool=given.pool, http_pools=services.pools, access_logs=given.access_logs, runtime=given.runtime, drain=given.drain,
        random=given.random, singletons=given.singletons, formats=formats, wall_clock=services.wall_clock,
        node_cluster=services.node_cluster, health_failed=services.health_failed, stat_prefix=stat_prefix, name=name, path=path,
    )
