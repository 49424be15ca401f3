"""A cluster: a named set of hosts with a balancing policy, breakers and stats. Mirrors `Upstream::ClusterImplBase`.

Here a cluster is STATIC and balances ROUND_ROBIN; `problems` refuses what is not there yet, with the path.
"""

from __future__ import annotations

import random
from typing import List, Optional, Sequence

from ..config.model.cluster import Cluster as ClusterConfig
from ..errors import Problem
from ..network.address import address_of
from ..network.settings import DEFAULT_BUFFER_LIMIT, ByteCounters, ConnectionSettings, FlowCounters
from ..observe.log import component_logger
from ..observe.stat_names import ClusterStats
from ..observe.stats import Scope
from .balancer import Balancer
from .balancer.by_health import DEFAULT_OVERPROVISIONING, ByHealth
from .balancer.round_robin import RoundRobin
from .breaker import CircuitBreakers
from .host import Host

DEFAULT_CONNECT_TIMEOUT = 5.0
TELL_AGAIN_AFTER = 60.0  # seconds between two lines about one cluster's overflow

_log = component_logger("upstream")


class Cluster:
    """One running cluster. `name` is the configured name, `observability_name` what stats and logs call it."""

    def __init__(
        self, config: ClusterConfig, scope: Scope, settings: ConnectionSettings, rng: random.Random
    ) -> None:
        self.config = config
        self.name = config.name
        self.observability_name = config.alt_stat_name or config.name
        self.stats = ClusterStats(scope)
        self.counters = ByteCounters(self.stats.upstream_cx_rx_bytes_total, self.stats.upstream_cx_tx_bytes_total)
        self.flow = FlowCounters(
            self.stats.upstream_flow_control_paused_reading_total,
            self.stats.upstream_flow_control_resumed_reading_total,
        )
        self.settings = settings
        self.connect_timeout = DEFAULT_CONNECT_TIMEOUT if config.connect_timeout is None else config.connect_timeout
        self.breakers = self._breakers("DEFAULT")
        self.high_breakers = self._breakers("HIGH")
        self.hosts: List[Host] = []
        self._tell_again_at = 0.0
        self._balancer: Balancer = ByHealth(RoundRobin, self.stats.lb_healthy_panic, rng, _overprovisioning(config))
        self.stats.warming_state.set(0)
        self.update_hosts(static_hosts(config))

    def update_hosts(self, hosts: Sequence[Host]) -> None:
        """Replace the members."""
        self.hosts = list(hosts)
        self._balancer.update(self.hosts)
        if self.hosts:  # a first update that brings nobody is none for Envoy
            self.stats.membership_change.inc()
        self.stats.default_total_match_count.inc(len(self.hosts))  # each host finds the default transport socket
        self.stats.membership_total.set(len(self.hosts))
        self.stats.membership_healthy.set(sum(host.is_healthy for host in hosts))
        self.stats.membership_degraded.set(sum(host.is_degraded for host in hosts))
        self.stats.membership_excluded.set(sum(host.is_excluded for host in hosts))

    def tell_overflow(self, why: str, now: float) -> None:
        """A breaker refused a connection: a limit of 1024 that nobody set must not have to be guessed. Once a minute."""
        if now >= self._tell_again_at:
            self._tell_again_at = now + TELL_AGAIN_AFTER
            _log.warning("%s reached: connections are refused", why)

    def pick_host(self) -> Optional[Host]:
        """The host for one more connection; None when there is none."""
        return self._balancer.pick()

    def _breakers(self, priority: str) -> CircuitBreakers:
        gauges = self.stats.default_breakers if priority == "DEFAULT" else self.stats.high_breakers
        breakers = self.config.circuit_breakers
        for limits in breakers.thresholds if breakers is not None else []:
            if limits.priority == priority:
                return CircuitBreakers(gauges, limits)
        return CircuitBreakers(gauges)


def settings_for(config: ClusterConfig, base: ConnectionSettings) -> ConnectionSettings:
    """The base settings with this cluster's own buffer limit."""
    import dataclasses
    limit = config.per_connection_buffer_limit_bytes
    return dataclasses.replace(base, buffer_limit=DEFAULT_BUFFER_LIMIT if limit is None else limit)


def _overprovisioning(config: ClusterConfig) -> int:
    """Percent; how far the healthy hosts of a priority may fall before its load moves on."""
    assignment = config.load_assignment
    policy = assignment.policy if assignment is not None else None
    factor = policy.overprovisioning_factor if policy is not None else None
    return DEFAULT_OVERPROVISIONING if factor is None else factor


def static_hosts(config: ClusterConfig) -> List[Host]:
    """The endpoints of a STATIC cluster's `load_assignment`, in the order of the file."""
    hosts = []
    assignment = config.load_assignment
    for group in assignment.endpoints if assignment is not None else []:
        for member in group.lb_endpoints:
            endpoint = member.endpoint
            if endpoint is None or endpoint.address is None:
                continue
            host = Host(address_of(endpoint.address), member.load_balancing_weight or 1, member.health_status)
            host.hostname = endpoint.hostname
            host.priority = group.priority
            if group.locality is not None:
                host.region, host.zone = group.locality.region, group.locality.zone
                host.sub_zone = group.locality.sub_zone
            hosts.append(host)
    return hosts


def problems(config: ClusterConfig, path: str) -> List[Problem]:
    """What this cluster asks for that is not there yet."""
    found = []
    if config.type not in (None, "STATIC"):
        found.append(Problem(f"{path}.type", f"clusters of type {config.type} are not supported by proxy_core yet"))
    if config.lb_policy != "ROUND_ROBIN":
        found.append(Problem(f"{path}.lb_policy", f"{config.lb_policy} is not supported by proxy_core yet"))
    if config.transport_socket is not None:
        found.append(Problem(f"{path}.transport_socket", "upstream TLS is not supported by proxy_core yet"))
    if config.circuit_breakers is not None and config.circuit_breakers.per_host_thresholds:
        where = f"{path}.circuit_breakers.per_host_thresholds"
        found.append(Problem(where, "limits per host are not supported by proxy_core yet"))
    assignment = config.load_assignment
    if assignment is not None and assignment.policy is not None:
        for name in ("drop_overloads", "weighted_priority_health"):
            if getattr(assignment.policy, name):
                found.append(Problem(f"{path}.load_assignment.policy.{name}", f"{name} is not supported by proxy_core yet"))
    for index, group in enumerate(assignment.endpoints if assignment is not None else []):
        if group.priority:
            where = f"{path}.load_assignment.endpoints[{index}].priority"
            found.append(Problem(where, "priorities other than 0 are not supported by proxy_core yet"))
    return found
