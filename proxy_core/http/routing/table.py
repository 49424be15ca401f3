"""A prepared route configuration: the way from a request to its route. Mirrors `RouteMatcher` and `ConfigImpl`."""

from __future__ import annotations

from typing import Collection, Final, List, Optional, Sequence

from ...config.model.route import RouteConfiguration, VirtualHost
from ...errors import ConfigError, Problem
from ...observe.stream_info import StreamInfo
from ..events import RequestHead
from .build import Above, RouteBuilder
from .context import TableContext
from .host_routes import HostRoutes, Rule
from .hosts import HostMap, without_port
from .levels import Level, prepare_level
from .mirror import PreparedMirror, mirrors_of
from .rate_limits import prepare_rate_limits
from .redirect import TlsRedirect
from .route import Facts, PreparedRoute
from .route import VirtualHost as PreparedHost
from .text import wire
from .virtual_clusters import VirtualClusters

MOST_BODY_BYTES: Final = 4096  # of a direct response, unless the table says otherwise

_COUNTED: Final = (
    "upstream_rq_retry", "upstream_rq_retry_limit_exceeded", "upstream_rq_retry_overflow", "upstream_rq_retry_success",
    "upstream_rq_timeout", "upstream_rq_total",
)
_TWO_WILDCARDS: Final = "Only a single wildcard domain is permitted in route {}"
_TWICE: Final = "Only unique values for domains are permitted. Duplicate entry of domain {} in route {}"


class Table:
    """`route_api.RouteTable`. internal_only_headers: what the connection manager takes out of requests from outside."""

    __slots__ = ("name", "internal_only_headers", "_hosts", "_host_header", "_ignores_port")

    def __init__(self, config: RouteConfiguration, hosts: HostMap[HostRoutes]) -> None:
        self.name = config.name
        self.internal_only_headers: Collection[str] = frozenset(wire(name.lower()) for name in config.internal_only_headers)
        self._hosts = hosts
        self._host_header = wire(config.vhost_header.lower())
        self._ignores_port = config.ignore_port_in_host_matching

    def route(self, head: RequestHead, info: StreamInfo, random_value: int) -> Optional[PreparedRoute]:
        """See `route_api.RouteTable`."""
        host = (head.headers.get(self._host_header) if self._host_header else head.authority) or ""
        if self._ignores_port:
            host = without_port(host)
        routes = self._hosts.find(host)
        return None if routes is None else routes.route(head, info, random_value)


def build_table(config: RouteConfiguration, context: TableContext, path: str, validates_clusters: bool) -> Table:
    """Prepare the RouteConfiguration at `path`.

    validates_clusters: what `validate_clusters` is where it is not set: true for tables in the bootstrap, false for RDS. Raises
    ConfigError with every problem.
    """
    problems: List[Problem] = []
    if config.validate_clusters is not None:
        validates_clusters = config.validate_clusters
    level = prepare_level(config, context, path, problems)
    has_cluster = context.has_cluster if validates_clusters else None
    mirrors = mirrors_of(config.request_mirror_policies, context, has_cluster, path, problems)
    hosts: HostMap[HostRoutes] = HostMap()
    for index, host in enumerate(config.virtual_hosts):
        where = f"{path}.virtual_hosts[{index}]"
        routes = _host_routes(config, host, context, level, mirrors, validates_clusters, where, problems)
        for number, domain in enumerate(host.domains):
            if not hosts.add(wire(domain), routes):
                text = _TWO_WILDCARDS.format(config.name) if domain == "*" else _TWICE.format(domain, config.name)
                problems.append(Problem(f"{where}.domains[{number}]", text))
    if problems:
        raise ConfigError(problems)
    return Table(config, hosts)


def _host_routes(
    config: RouteConfiguration, host: VirtualHost, context: TableContext, level: Level, mirrors: Sequence[PreparedMirror],
    validates_clusters: bool, path: str, problems: List[Problem],
) -> HostRoutes:
    """The virtual host at `path`."""
    clusters = VirtualClusters(host.virtual_clusters)
    for name in clusters.names:
        context.stats.scope(f"vhost.{host.name}.vcluster.{name}").zeros(counters=_COUNTED)
    limits = prepare_rate_limits(host.rate_limits, context.formats, f"{path}.rate_limits", problems)
    prepared = PreparedHost(host, clusters, limits)
    has_cluster = context.has_cluster if validates_clusters else None
    own_mirrors = mirrors_of(host.request_mirror_policies, context, has_cluster, path, problems)
    limit = config.max_direct_response_body_size_bytes
    above = Above(
        context, prepared, host, (level, prepare_level(host, context, path, problems)),
        config.most_specific_header_mutations_wins, own_mirrors or mirrors, validates_clusters,
        MOST_BODY_BYTES if limit is None else limit,
    )
    builder = RouteBuilder(above, problems)
    rules: List[Rule] = []
    for index, route in enumerate(host.routes):
        if route.stat_prefix:
            context.stats.scope(f"vhost.{host.name}.route.{route.stat_prefix}").zeros(counters=_COUNTED)
        rule = builder.build(route, f"{path}.routes[{index}]")
        if rule is not None:
            rules.append(rule)
    redirect = None if host.require_tls == "NONE" else PreparedRoute(Facts("", prepared), TlsRedirect())
    return HostRoutes(rules, redirect, host.require_tls == "ALL", config.ignore_path_parameters_in_path_matching)
