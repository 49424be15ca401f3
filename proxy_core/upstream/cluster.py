"""A cluster: a named set of hosts with a balancing policy, breakers and stats. Mirrors `Upstream::ClusterImplBase`.

Its hosts come from a `discovery` and are chosen by a balancer; `problems` refuses what can't be done, with the path.
"""

from __future__ import annotations

from typing import Callable, List, Optional, Sequence

from ..config.model.cluster import Cluster as ClusterConfig
from ..config.model.endpoint import LoadAssignmentPolicy
from ..errors import Problem
from ..network.settings import DEFAULT_BUFFER_LIMIT, ByteCounters, ConnectionSettings, FlowCounters
from ..observe.log import Seldom, component_logger
from ..observe.stat_names import ClusterStats
from ..observe.stats import Scope
from .balancer import PickContext, Surroundings
from .balancer.ahead import Ahead
from .balancer.factory import make_balancer
from .balancer.policies import problems as balancing_problems
from .breaker import CircuitBreakers
from .discovery import Discovery
from .discovery.check import discovery_problems
from .discovery.members import Change, all_new
from .discovery.original_dst import OriginalDstDiscovery
from .discovery.static import StaticDiscovery
from .host import FAILED_ACTIVE_HC, PENDING_DYNAMIC_REMOVAL, Host
from .host_limit import HostLimit
from .host_set import HostSet, by_priority
from .initialization import Initialization
from .monitor import Monitor
from .pool_api import HostPools
from .preconnect import ratios_of
from .priority_load import DEFAULT_OVERPROVISIONING
from .transport import NewTransport, TransportMatches

DEFAULT_CONNECT_TIMEOUT = 5.0

_log = component_logger("upstream")


class Cluster:
    """One running cluster. `name` is the configured name, `observability_name` what stats and logs call it."""

    def __init__(
        self, config: ClusterConfig, scope: Scope, settings: ConnectionSettings, surroundings: Surroundings,
        new_transport: Optional[NewTransport] = None, discovery: Optional[Discovery] = None,
        monitor: Optional[Monitor] = None, transport_matches: Optional[TransportMatches] = None,
    ) -> None:
        """new_transport: what connections have between them and their sockets; None = nothing. discovery: where the hosts come
        from, once `start` is called; None = the configuration, at once if there is no monitor. monitor: who watches them.
        transport_matches: what `new_transport` is for each host; None = the same for all."""
        self.config = config
        self.new_transport = new_transport if transport_matches is None else transport_matches.new_transport
        self.transport_matches = transport_matches
        self.name = config.name
        self.observability_name = config.alt_stat_name or config.name
        self.scope = scope
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
        self.host_limit = _host_limit(config)
        self.ratios = ratios_of(config)
        self.preconnects = self.ratios.ask_for_more
        self.pools: List[HostPools] = []  # that keep connections to its hosts; they register themselves
        self.http: Optional[HostPools] = None  # those for HTTP among them, once there are any
        self.hosts: List[Host] = []
        assignment = config.load_assignment
        self.policy: Optional[LoadAssignmentPolicy] = assignment.policy if assignment is not None else None
        self._tell_overflow = Seldom()
        made = make_balancer(config, scope, surroundings, lambda: self.stats.upstream_rq_active.value)
        self._balancer = made.balancer
        self._ahead: Optional[Ahead] = None
        if self.ratios.look_ahead and made.can_look_ahead:
            self._balancer = self._ahead = Ahead(made.balancer)
        self.uses_info = isinstance(discovery, OriginalDstDiscovery)  # whether the connection itself does
        if isinstance(discovery, OriginalDstDiscovery):
            self._balancer, self._ahead = discovery, None
        self.uses_hash = made.uses_hash  # whether the hash of a `PickContext` counts
        self.uses_criteria = made.uses_criteria
        self.host_sets: List[HostSet] = by_priority([])
        self._balancer.update(self.host_sets)
        self.stats.warming_state.set(0)
        self.discovery: Discovery = discovery if discovery is not None else StaticDiscovery()
        self.initialization = Initialization()
        self.is_started = False
        self.on_connection_end: Callable[[], None] = _nothing  # the manager's
        self.on_update: Callable[[], None] = _nothing  # as well: of each update after the first hosts
        self.monitor = monitor
        if monitor is not None:
            monitor.attach(self)
        elif discovery is None:
            self.start()

    def start(self) -> None:
        """Begin to look for the hosts; `initialization` says when the first ones are known."""
        self.is_started = True
        self.discovery.start(self, self._on_first_hosts)

    def close(self) -> None:
        """No new connections are made: nobody needs to know the hosts any more."""
        self.discovery.close()
        if self.monitor is not None:
            self.monitor.close()
        self._balancer.update(by_priority([]))
        self.drain(self.hosts)

    def _on_first_hosts(self) -> None:
        if self.monitor is None:
            self.initialization.complete()
        else:
            self.monitor.start(self.initialization.complete)

    @property
    def assignment_name(self) -> str:
        """What the assignment of its hosts is called: by itself, by EDS, or as the cluster."""
        eds, assignment = self.config.eds_cluster_config, self.config.load_assignment
        if assignment is not None:
            return assignment.cluster_name
        return eds.service_name or self.name if eds is not None else self.name

    def update_hosts(self, hosts: Sequence[Host]) -> None:
        """Replace the members: all of them are new."""
        self.apply(all_new(hosts))

    def keeps(self, host: Host) -> bool:
        """See `discovery.Target`."""
        config = self.config
        is_ill = host.flags & FAILED_ACTIVE_HC or host.health in ("UNHEALTHY", "TIMEOUT")
        if not config.health_checks or config.ignore_health_on_host_removal or is_ill:
            return False
        host.flags |= PENDING_DYNAMIC_REMOVAL
        return True

    def set_policy(self, policy: LoadAssignmentPolicy) -> None:
        """See `discovery.Target`."""
        self.policy = policy

    def apply(self, change: Change) -> None:
        """See `discovery.Target`."""
        self.hosts = change.hosts
        if self.monitor is not None:
            self.monitor.on_members(change.added, change.removed)
        self.stats.membership_change.inc(len(change.touched))  # once per priority, as in Envoy
        if self.transport_matches is None:
            self.stats.default_total_match_count.inc(len(change.added))  # each host finds the default transport socket
        else:
            self.transport_matches.count(change.added)
        if self.initialization.is_complete:
            self.on_update()
        self.refresh()
        common = self.config.common_lb_config
        if common is not None and common.close_connections_on_host_set_change and (change.added or change.removed):
            self.drain([*change.hosts, *change.removed])
        else:
            self.drain(change.removed)

    def refresh(self) -> None:
        """Hosts came or went, or a host's health, weight, metadata or place is another one: balance anew."""
        policy = self.policy
        factor = policy.overprovisioning_factor if policy is not None else None
        sets = self.host_sets = by_priority(
            self.hosts, DEFAULT_OVERPROVISIONING if factor is None else factor,
            policy is not None and policy.weighted_priority_health,
        )
        self._balancer.update(sets)
        self.stats.membership_total.set(len(self.hosts))
        self.stats.membership_healthy.set(sum(len(each.healthy) for each in sets))
        self.stats.membership_degraded.set(sum(len(each.degraded) for each in sets))
        self.stats.membership_excluded.set(sum(len(each.excluded) for each in sets))

    def fail_host(self, host: Host) -> None:
        """The host has asked, in an answer (x-envoy-immediate-health-check-fail), to be left alone at once."""
        if self.monitor is not None:
            self.monitor.fail(host)

    def drain(self, hosts: Sequence[Host]) -> None:
        """Connections to these hosts that nobody uses are closed, and no other one is given to anybody again."""
        for pool in self.pools:
            for host in hosts:
                pool.drain(host)

    @property
    def drop_overload(self) -> float:
        """The share of HTTP requests that is turned away, 0 to 1."""
        drops = self.policy.drop_overloads if self.policy is not None else ()
        percentage = drops[0].drop_percentage if drops else None
        return percentage.fraction if percentage is not None else 0.0

    @property
    def may_connect(self) -> bool:
        """Whether one more session may have a connection: a breaker that is full of connections which nobody uses is not."""
        return self.breakers.connections.can_create or any(pool.has_spare for pool in self.pools)

    def tell_overflow(self, why: str, now: float) -> None:
        """A breaker refused a connection: a limit of 1024 that nobody set must not have to be guessed. Once a minute."""
        if self._tell_overflow.due(now):
            _log.warning("%s reached: connections are refused", why)

    def pick_host(self, context: Optional[PickContext] = None) -> Optional[Host]:
        """The host for one more connection; None when there is none. context: None = nothing is known that could count."""
        return self._balancer.pick(context)

    def pick_other_host(self, context: Optional[PickContext], tried: Sequence[Host]) -> Optional[Host]:
        """As `pick_host`, for a session whose connections to the hosts `tried`, in this order, have failed: another one, if the
        balancer has any, and when all were tried all over again. Envoy may pick the same at once."""
        return self.pick_host((context or PickContext()).avoiding(tried[len(tried) - len(tried) % max(1, len(self.hosts)):]))

    def pick_ahead(self) -> Optional[Host]:
        """Where a session that is not there yet will go; None when that can't be told."""
        return self._ahead.pick_ahead() if self._ahead is not None else None

    def _breakers(self, priority: str) -> CircuitBreakers:
        gauges = self.stats.default_breakers if priority == "DEFAULT" else self.stats.high_breakers
        breakers = self.config.circuit_breakers
        for limits in breakers.thresholds if breakers is not None else []:
            if limits.priority == priority:
                return CircuitBreakers(gauges, limits)
        return CircuitBreakers(gauges)


def _host_limit(config: ClusterConfig) -> Optional[HostLimit]:
    """How many connections each host may have; None = nobody has set that. tcp_proxy's connections have DEFAULT priority."""
    breakers = config.circuit_breakers
    for limits in breakers.per_host_thresholds if breakers is not None else []:
        if limits.priority == "DEFAULT":
            return HostLimit(limits.max_connections) if limits.max_connections is not None else None
    return None


def _nothing() -> None:
    """For a cluster without a manager."""


def settings_for(config: ClusterConfig, base: ConnectionSettings) -> ConnectionSettings:
    """The base settings with this cluster's own buffer limit."""
    import dataclasses
    limit = config.per_connection_buffer_limit_bytes
    return dataclasses.replace(base, buffer_limit=DEFAULT_BUFFER_LIMIT if limit is None else limit)


def problems(config: ClusterConfig, path: str) -> List[Problem]:
    """What this cluster asks for that can't be done. path: where it stands."""
    return [*discovery_problems(config, path), *balancing_problems(config, path)]
