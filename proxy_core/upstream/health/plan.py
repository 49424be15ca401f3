"""One health check of a cluster, prepared: everything that its sessions share. Making a plan finds every mistake."""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, List, Mapping, Optional, Sequence

from ...config.model.cluster import Cluster as ClusterConfig
from ...config.model.health_check import HealthCheck, Redis
from ...errors import ConfigError, Problem
from ...network.address import Address, address_of
from ...observe.stats import Scope
from ..event_log import Sinks
from ..host import Host
from .dialogue import Kind
from .events import EventLog, open_sinks
from .http import HttpKind
from .intervals import Intervals
from .redis import RedisKind
from .standing import Rules
from .stats import HealthCheckStats
from .tcp import TcpKind


@dataclasses.dataclass
class Plan:
    """scope, stats: of this check. timeout: seconds for an answer. reuse: whether connections are kept between probes.
    protocols: for ALPN, instead of what the transport socket says; empty for that. labels: what is looked for in the cluster's
    `transport_socket_matches`, None = what the host has."""

    cluster_config: ClusterConfig
    kind: Kind
    timeout: float
    intervals: Intervals
    rules: Rules
    reuse: bool
    protocols: Sequence[str]
    labels: Optional[Mapping[str, Any]]
    scope: Scope
    stats: HealthCheckStats
    log: EventLog

    def address_of(self, host: Host) -> Address:
        """Where a host is asked: its own address, or what its `health_check_config` says. The check's `alt_port` changes
        nothing in Envoy 1.40 (measured), so it does not here."""
        own = host.health_check
        if own is not None and own.address is not None:
            return address_of(own.address)
        port = own.port_value if own is not None else 0
        return Address.from_ip(host.address.ip, port) if port and host.address.ip else host.address

    def host_name_of(self, host: Host) -> str:
        """The name to ask it by; "" if the endpoint does not say."""
        return host.health_check.hostname if host.health_check is not None else ""


def make_plan(
    cluster: ClusterConfig, config: HealthCheck, stats_scope: Scope, intervals: Intervals, sinks: Sinks,
    wall_clock: Callable[[], float], path: str,
) -> Plan:
    """Prepare one check. stats_scope: `health_check` of the cluster. path: of the check. Raises ConfigError."""
    assert config.timeout is not None  # required, as are the thresholds
    scope = stats_scope.scope("name").scope(config.name) if config.name else stats_scope
    stats = HealthCheckStats(scope)
    kind = _kind(cluster, config, scope, stats, path)
    log = EventLog(open_sinks(config, sinks, path), kind.name, cluster.name, wall_clock)
    rules = Rules(
        config.healthy_threshold or 0, config.unhealthy_threshold or 0,
        config.always_log_health_check_failures, config.always_log_health_check_success,
    )
    protocols: List[str] = config.tls_options.alpn_protocols if config.tls_options is not None else []
    return Plan(
        cluster, kind, config.timeout, intervals, rules, config.reuse_connection is not False, protocols,
        config.transport_socket_match_criteria, scope, stats, log,
    )


def _kind(cluster: ClusterConfig, config: HealthCheck, scope: Scope, stats: HealthCheckStats, path: str) -> Kind:
    if config.http_health_check is not None:
        return HttpKind(config.http_health_check, cluster.name, stats.verify_cluster, f"{path}.http_health_check")
    if config.tcp_health_check is not None:
        return TcpKind(config.tcp_health_check)
    custom = config.custom_health_check
    message = custom.typed_config.message if custom is not None and custom.typed_config is not None else None
    if isinstance(message, Redis):
        return RedisKind(message, scope.scope("redis").counter("exists_failure"))
    raise ConfigError([Problem(f"{path}.custom_health_check.typed_config", "is not a kind of health check")])
