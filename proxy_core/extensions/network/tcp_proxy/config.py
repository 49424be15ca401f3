"""The configuration message of tcp_proxy, and `Prepared`: what all sessions of one filter chain share."""

from __future__ import annotations

import dataclasses
import itertools
import random
from typing import Any, List, Optional, Sequence

from ....config.fields import Bool, Duration, Enum, Message, Nested, Report, String, UInt32, message, optional
from ....config.fields import plain, repeated
from ....config.model.access_log import AccessLog
from ....config.model.core import BackoffStrategy, Metadata, Percent
from ....event.timers import SETTLE_AFTER
from ....errors import ConfigError, Problem
from ....filters.registry import FactoryContext
from ....network import splice
from ....network.settings import ByteCounters, FlowCounters
from ....observe.reasons import setting_text
from ....observe.stat_names import TcpProxyStats
from ....upstream.balancer import Criteria
from ....upstream.balancer.criteria import merged, of_metadata
from .picking import HashPolicy, Picking, Route

_NAME = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
DEFAULT_IDLE_TIMEOUT = 3600.0

IMMEDIATE = "IMMEDIATE"
ON_DOWNSTREAM_DATA = "ON_DOWNSTREAM_DATA"
CONNECT_MODES = Enum(IMMEDIATE=0, ON_DOWNSTREAM_DATA=1, ON_DOWNSTREAM_TLS_HANDSHAKE=2)


@message(f"{_NAME}.WeightedCluster.ClusterWeight")
@dataclasses.dataclass(eq=False, repr=False)
class ClusterWeight(Message):
    """One cluster and its share of the connections."""

    name: str = plain(String(min_len=1), refers_to="cluster")
    weight: int = plain(UInt32(gte=1))
    metadata_match: Optional[Metadata] = optional(Nested(Metadata), help="Over that of the filter, for subsets.")


@message(f"{_NAME}.WeightedCluster")
@dataclasses.dataclass(eq=False, repr=False)
class WeightedCluster(Message):
    """Clusters that share the connections by weight."""

    clusters: List[ClusterWeight] = repeated(Nested(ClusterWeight), min_items=1)


@message(f"{_NAME}.TcpAccessLogOptions")
@dataclasses.dataclass(eq=False, repr=False)
class TcpAccessLogOptions(Message):
    """When lines are written besides the one at the end."""

    access_log_flush_interval: Optional[float] = optional(Duration(gte=0.001))
    flush_access_log_on_connected: bool = plain(Bool())
    flush_access_log_on_start: bool = plain(Bool())


@message(_NAME, unsupported=(
    "downstream_idle_timeout", "upstream_idle_timeout", "tunneling_config", "on_demand", "proxy_protocol_tlvs",
    "proxy_protocol_tlv_merge_policy",
), required_oneofs=("cluster_specifier",))
@dataclasses.dataclass(eq=False, repr=False)
class TcpProxyConfig(Message):
    """Forwards bytes both ways between the client and a host of a cluster."""

    stat_prefix: str = plain(String(min_len=1), help="Stats are named tcp.<stat_prefix>.")
    cluster: Optional[str] = optional(String(), oneof="cluster_specifier", refers_to="cluster")
    access_log: List[AccessLog] = repeated(Nested(AccessLog))
    max_connect_attempts: Optional[int] = optional(UInt32(gte=1), help="Default 1.")
    idle_timeout: Optional[float] = optional(Duration(gte=0), help="Silence both ways; default 1h, 0s = never.")
    metadata_match: Optional[Metadata] = optional(Nested(Metadata), help="For subsets: what hosts have under envoy.lb.")
    weighted_clusters: Optional[WeightedCluster] = optional(Nested(WeightedCluster), oneof="cluster_specifier")
    hash_policy: List[HashPolicy] = repeated(Nested(HashPolicy), max_items=1, help="For RING_HASH and MAGLEV.")
    max_downstream_connection_duration: Optional[float] = optional(Duration(gte=0.001))
    max_downstream_connection_duration_jitter_percentage: Optional[Percent] = optional(Nested(Percent))
    access_log_flush_interval: Optional[float] = optional(Duration(gte=0.001), deprecated=True)
    flush_access_log_on_connected: bool = plain(Bool(), deprecated=True)
    access_log_options: Optional[TcpAccessLogOptions] = optional(Nested(TcpAccessLogOptions))
    backoff_options: Optional[BackoffStrategy] = optional(Nested(BackoffStrategy), help="Default: retry at once.")
    upstream_connect_mode: str = plain(CONNECT_MODES)
    max_early_data_bytes: Optional[int] = optional(UInt32(), help="Bytes to take before the upstream is connected.")
    check_drain_close: bool = plain(Bool(), help="Close when the listener drains, once the session is quiet.")

    def check(self, report: Report) -> None:
        """Envoy's rules between fields."""
        if self.upstream_connect_mode != IMMEDIATE and self.max_early_data_bytes is None:
            report(
                "max_early_data_bytes", "max_early_data_bytes must be set when upstream_connect_mode is not IMMEDIATE",
                uses=("upstream_connect_mode",),
            )
        if self.access_log_options is not None:
            for name in ("access_log_flush_interval", "flush_access_log_on_connected"):
                if getattr(self, name):
                    report(name, f"{name} can't be set together with access_log_options, which replaces it")


class Prepared:
    """Decided once per filter chain, read by every session."""

    def __init__(self, config: TcpProxyConfig, context: FactoryContext) -> None:
        options = config.access_log_options or TcpAccessLogOptions(
            config.access_log_flush_interval, config.flush_access_log_on_connected
        )
        self.context = context
        self.clusters = context.clusters
        self.pool = context.pool
        self.stats = TcpProxyStats(context.stats.scope(f"tcp.{config.stat_prefix}"))
        self.counters = ByteCounters(self.stats.downstream_cx_rx_bytes_total, self.stats.downstream_cx_tx_bytes_total)
        self.flow = FlowCounters(
            self.stats.downstream_flow_control_paused_reading_total,
            self.stats.downstream_flow_control_resumed_reading_total,
        )
        problems: List[Problem] = []
        self.access_logs: Sequence[Any] = context.access_logs.build(
            config.access_log, f"{context.path}.access_log", problems
        )
        if problems:
            raise ConfigError(problems)
        self.log_on_start = options.flush_access_log_on_start
        self.log_on_connected = options.flush_access_log_on_connected
        self.log_interval = options.access_log_flush_interval or 0.0
        self.idle_timeout = DEFAULT_IDLE_TIMEOUT if config.idle_timeout is None else config.idle_timeout
        self.idle_source = setting_text("idle_timeout", self.idle_timeout, config.idle_timeout is None, context.path)
        self.most_attempts = config.max_connect_attempts or 1
        self.connect_on_data = config.upstream_connect_mode == ON_DOWNSTREAM_DATA
        self.most_early_data = config.max_early_data_bytes
        self.can_splice = splice.available()
        self.check_drain_close = config.check_drain_close
        self.timers_can_wait = self.idle_timeout > SETTLE_AFTER and not (
            self.log_interval or self.check_drain_close or config.max_downstream_connection_duration
        )
        self._random: random.Random = context.random
        self.duration_source = setting_text(
            "max_downstream_connection_duration", config.max_downstream_connection_duration or 0.0, False, context.path
        )
        self._max_duration = config.max_downstream_connection_duration or 0.0
        jitter = config.max_downstream_connection_duration_jitter_percentage
        self._jitter = jitter.value / 100 if jitter is not None else 0.0
        self._backoff = config.backoff_options
        self.picking = Picking(config.hash_policy)
        self._criteria = _criteria(config.metadata_match)
        self._routes = _routes(config, self._criteria)
        self._cumulative = list(itertools.accumulate(_weights(config)))

    def route(self, chosen: Any = None) -> Route:
        """The cluster for one connect attempt: the only one, or one by weight. chosen: its name, if a filter has decided."""
        if chosen is not None:
            return Route(str(chosen), self._criteria)
        if len(self._routes) == 1:
            return self._routes[0]
        return self._random.choices(self._routes, cum_weights=self._cumulative)[0]

    def why_cluster(self, name: str, chosen: Any = None) -> str:
        """Why `route` answered with the cluster `name`, as a phrase."""
        if chosen is not None:
            return "a filter chose it (filter state envoy.tcp_proxy.cluster)"
        if len(self._routes) == 1:
            return "the filter's only cluster"
        weights = [last - before for before, last in zip([0, *self._cumulative], self._cumulative)]
        mine = sum(weight for route, weight in zip(self._routes, weights) if route.cluster == name)
        return f"by weight: {mine} of {self._cumulative[-1]}"

    def max_duration(self) -> float:
        """How long one session may live, with jitter added; 0 = any time."""
        if not self._max_duration or not self._jitter:
            return self._max_duration
        return self._max_duration * (1 + self._jitter * self._random.random())

    def retry_delay(self, failed_attempts: int) -> float:
        """Seconds before the next attempt: full jitter below an exponentially growing ceiling, as in Envoy."""
        if self._backoff is None:
            return 0.0
        base = self._backoff.base_interval or 0.0
        most = self._backoff.max_interval or 10 * base
        return min(most, base * 2.0 ** (failed_attempts - 1)) * self._random.random()


def _routes(config: TcpProxyConfig, criteria: Optional[Criteria]) -> List[Route]:
    if config.weighted_clusters is not None:
        return [
            Route(entry.name, merged(criteria, _criteria(entry.metadata_match)))
            for entry in config.weighted_clusters.clusters
        ]
    return [Route(config.cluster or "", criteria)]


def _criteria(metadata: Optional[Metadata]) -> Optional[Criteria]:
    return of_metadata(metadata.filter_metadata) if metadata is not None else None


def _weights(config: TcpProxyConfig) -> List[int]:
    if config.weighted_clusters is not None:
        return [entry.weight for entry in config.weighted_clusters.clusters]
    return [1]
