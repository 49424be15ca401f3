"""envoy.config.cluster.v3: where connections go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Final, List, Optional

from ..descriptor import Message, Report, mapping, message, optional, plain, repeated
from ..kinds import Bool, Double, Duration, Enum, String, Struct, UInt32
from ..nested import AnyOf, AnyValue, Nested
from .address import BindConfig, TcpKeepalive
from .cluster_lb import (
    CommonLbConfig, LbSubsetConfig, LeastRequestLbConfig, MaglevLbConfig, RingHashLbConfig, RoundRobinLbConfig,
)
from .core import ROUTING_PRIORITY, Metadata, Percent, TransportSocket, TypedExtensionConfig
from .discovery import (
    LOOKUP_FAMILY, SHORTEST_REFRESH, CustomClusterType, DnsCluster, EdsClusterConfig, OriginalDstLbConfig, RefreshRate,
)
from .endpoint import ClusterLoadAssignment
from .health_check import HealthCheck, check_names
from .load_balancing import LoadBalancingPolicy
from .outlier import OutlierDetection

DISCOVERY_TYPE = Enum(STATIC=0, STRICT_DNS=1, LOGICAL_DNS=2, EDS=3, ORIGINAL_DST=4)
CLUSTER_TYPES = {  # the extension for each of them
    "envoy.cluster.static": "STATIC", "envoy.cluster.strict_dns": "STRICT_DNS", "envoy.cluster.logical_dns": "LOGICAL_DNS",
    "envoy.cluster.eds": "EDS", "envoy.cluster.original_dst": "ORIGINAL_DST",
}
LB_POLICY = Enum(
    ROUND_ROBIN=0, LEAST_REQUEST=1, RING_HASH=2, RANDOM=3, MAGLEV=5, CLUSTER_PROVIDED=6,
    LOAD_BALANCING_POLICY_CONFIG=7,
)


FIRST_FAMILY = Enum(DEFAULT=0, V4=1, V6=2)
_NOT_PER_HOST: Final = ("max_pending_requests", "max_requests", "max_retries", "max_connection_pools", "retry_budget")


@message("envoy.config.cluster.v3.CircuitBreakers.Thresholds.RetryBudget", unsupported=("budget_interval",))
@dataclass(eq=False, repr=False)
class RetryBudget(Message):
    """A limit of retries that follows the number of requests."""

    budget_percent: Optional[Percent] = optional(Nested(Percent), help="Default 20.")
    min_retry_concurrency: Optional[int] = optional(UInt32(), help="Default 3.")


@message("envoy.config.cluster.v3.CircuitBreakers.Thresholds")
@dataclass(eq=False, repr=False)
class Thresholds(Message):
    """The limits for one priority."""

    priority: str = plain(ROUTING_PRIORITY)
    max_connections: Optional[int] = optional(UInt32(), help="Default 1024.")
    max_pending_requests: Optional[int] = optional(UInt32(), help="Default 1024.")
    max_requests: Optional[int] = optional(UInt32(), help="Default 1024; not for TCP.")
    max_retries: Optional[int] = optional(UInt32(), help="Default 3; not for TCP.")
    retry_budget: Optional[RetryBudget] = optional(Nested(RetryBudget), help="Instead of max_retries; not for TCP.")
    track_remaining: bool = plain(Bool(), help="Also keep gauges of what is left.")
    max_connection_pools: Optional[int] = optional(UInt32(), help="Default no limit.")


@message("envoy.config.cluster.v3.CircuitBreakers")
@dataclass(eq=False, repr=False)
class CircuitBreakers(Message):
    """How much may be under way to a cluster at once."""

    thresholds: List[Thresholds] = repeated(Nested(Thresholds), help="The first one of a priority counts.")
    per_host_thresholds: List[Thresholds] = repeated(Nested(Thresholds), help="Only max_connections may be set.")

    def check(self, report: Report) -> None:
        for index, limits in enumerate(self.per_host_thresholds):
            for name in _NOT_PER_HOST:
                if getattr(limits, name) is not None:
                    report(f"per_host_thresholds[{index}].{name}", "Unsupported field in per_host_thresholds")


@message("envoy.config.cluster.v3.UpstreamConnectionOptions.HappyEyeballsConfig")
@dataclass(eq=False, repr=False)
class HappyEyeballsConfig(Message):
    """The order in which the addresses of a host are tried."""

    first_address_family_version: str = plain(FIRST_FAMILY, help="DEFAULT: that of the first address.")
    first_address_family_count: Optional[int] = optional(
        UInt32(gte=1), help="How many of it before one of the other family; default 1."
    )


@message("envoy.config.cluster.v3.UpstreamConnectionOptions")
@dataclass(eq=False, repr=False)
class UpstreamConnectionOptions(Message):
    """Options of upstream connections."""

    tcp_keepalive: Optional[TcpKeepalive] = optional(Nested(TcpKeepalive))
    set_local_interface_name_on_upstream_connections: bool = plain(
        Bool(), help="Of no effect: it is for extensions of one's own in Envoy."
    )
    happy_eyeballs_config: Optional[HappyEyeballsConfig] = optional(Nested(HappyEyeballsConfig))


@message("envoy.config.cluster.v3.Cluster.TransportSocketMatch")
@dataclass(eq=False, repr=False)
class TransportSocketMatch(Message):
    """The transport socket of hosts that have certain metadata."""

    name: str = plain(String(min_len=1), help="For the stat <name>.total_match_count.")
    match: Optional[Dict[str, Any]] = optional(
        Struct(), help="What a host must have under envoy.transport_socket_match; nothing = each has it."
    )
    transport_socket: Optional[TransportSocket] = optional(Nested(TransportSocket), required=True)


@message("envoy.config.cluster.v3.Cluster.PreconnectPolicy")
@dataclass(eq=False, repr=False)
class PreconnectPolicy(Message):
    """How many connections are made before they are needed."""

    per_upstream_preconnect_ratio: Optional[float] = optional(
        Double(gte=1, lte=3), help="Connections for each client of a host, its own included; default 1."
    )
    predictive_preconnect_ratio: Optional[float] = optional(
        Double(gte=1, lte=3), help="The same over all hosts, at those whose turn is next: ROUND_ROBIN and RANDOM; default 0."
    )


@message(
    "envoy.config.cluster.v3.TrackClusterStats", unsupported=("request_response_sizes", "per_endpoint_stats"),
)
@dataclass(eq=False, repr=False)
class TrackClusterStats(Message):
    """Stats that cost more than others."""

    timeout_budgets: bool = plain(Bool(), help="How much of the route's timeout requests take.")


@message("envoy.extensions.upstreams.tcp.v3.TcpProtocolOptions")
@dataclass(eq=False, repr=False)
class TcpProtocolOptions(Message):
    """Options of the pool of TCP connections."""

    idle_timeout: Optional[float] = optional(
        Duration(), help="Of connections that wait for a client (preconnect_policy); default 10min, 0s = never."
    )


@message(
    "envoy.config.cluster.v3.Cluster",
    unsupported=(
        "max_requests_per_connection", "http_protocol_options", "http2_protocol_options", "dns_resolvers",
        "protocol_selection", "common_http_protocol_options", "filters", "lrs_server",
        "use_tcp_for_dns_lookups",
        "upstream_http_protocol_options", "track_timeout_budgets", "upstream_config",
        "dns_resolution_config",
        "lrs_report_endpoint_metrics", "transport_socket_matcher",
        "per_connection_buffer_high_watermark_timeout", "stats_matcher", "queuing_policies",
    ),
)
@dataclass(eq=False, repr=False)
class Cluster(Message):
    """A group of hosts that serve the same."""

    name: str = plain(String(min_len=1), help="Must be unique.")
    type: Optional[str] = optional(DISCOVERY_TYPE, oneof="cluster_discovery_type", help="Default STATIC.")
    eds_cluster_config: Optional[EdsClusterConfig] = optional(Nested(EdsClusterConfig), help="For type EDS.")
    connect_timeout: Optional[float] = optional(Duration(gt=0), help="Default 5s.")
    per_connection_buffer_limit_bytes: Optional[int] = optional(
        UInt32(), help="Default 1048576; 0 = no limit."
    )
    lb_policy: str = plain(LB_POLICY)
    health_checks: List[HealthCheck] = repeated(Nested(HealthCheck), help="A host is healthy while all of them pass.")
    circuit_breakers: Optional[CircuitBreakers] = optional(Nested(CircuitBreakers))
    dns_refresh_rate: Optional[float] = optional(
        Duration(gt=SHORTEST_REFRESH), deprecated=True, help="Default 5s."
    )
    dns_lookup_family: str = plain(LOOKUP_FAMILY, help="AUTO: IPv6, or else IPv4.")
    outlier_detection: Optional[OutlierDetection] = optional(Nested(OutlierDetection), help="Default: none.")
    cleanup_interval: Optional[float] = optional(
        Duration(gt=0), help="How long an ORIGINAL_DST host is kept that nobody uses; default 5s."
    )
    upstream_bind_config: Optional[BindConfig] = optional(Nested(BindConfig))
    lb_subset_config: Optional[LbSubsetConfig] = optional(Nested(LbSubsetConfig), help="Hosts by their metadata.")
    ring_hash_lb_config: Optional[RingHashLbConfig] = optional(Nested(RingHashLbConfig), oneof="lb_config")
    transport_socket: Optional[TransportSocket] = optional(
        Nested(TransportSocket), help="Default: raw bytes."
    )
    metadata: Optional[Metadata] = optional(Nested(Metadata))
    common_lb_config: Optional[CommonLbConfig] = optional(Nested(CommonLbConfig))
    alt_stat_name: str = plain(String(), help="Name used in stats and logs instead of `name`.")
    upstream_connection_options: Optional[UpstreamConnectionOptions] = optional(
        Nested(UpstreamConnectionOptions)
    )
    close_connections_on_host_health_failure: bool = plain(
        Bool(), help="Close the connections to a host that fails its health checks or is ejected."
    )
    ignore_health_on_host_removal: bool = plain(
        Bool(), help="A host that discovery removes leaves at once, also while its health checks pass."
    )
    load_assignment: Optional[ClusterLoadAssignment] = optional(Nested(ClusterLoadAssignment))
    original_dst_lb_config: Optional[OriginalDstLbConfig] = optional(
        Nested(OriginalDstLbConfig), oneof="lb_config", help="For type ORIGINAL_DST."
    )
    typed_extension_protocol_options: Dict[str, AnyValue] = mapping(
        AnyOf(), help="Key: the extension's name."
    )
    least_request_lb_config: Optional[LeastRequestLbConfig] = optional(Nested(LeastRequestLbConfig), oneof="lb_config")
    cluster_type: Optional[CustomClusterType] = optional(
        Nested(CustomClusterType), oneof="cluster_discovery_type", help="A type by its extension, instead of `type`."
    )
    respect_dns_ttl: bool = plain(
        Bool(), deprecated=True, help="Of no effect: the system's resolver does not tell."
    )
    load_balancing_policy: Optional[LoadBalancingPolicy] = optional(
        Nested(LoadBalancingPolicy), help="Policies as extensions, instead of lb_policy."
    )
    dns_failure_refresh_rate: Optional[RefreshRate] = optional(
        Nested(RefreshRate), deprecated=True, help="Default: dns_refresh_rate."
    )
    maglev_lb_config: Optional[MaglevLbConfig] = optional(Nested(MaglevLbConfig), oneof="lb_config")
    transport_socket_matches: List[TransportSocketMatch] = repeated(
        Nested(TransportSocketMatch), help="The first that fits a host counts; none: transport_socket."
    )
    wait_for_warm_on_init: Optional[bool] = optional(Bool(), help="Default true: accept when the first hosts are known.")
    typed_dns_resolver_config: Optional[TypedExtensionConfig] = optional(
        Nested(TypedExtensionConfig), help="The system's resolver is used in any case."
    )
    preconnect_policy: Optional[PreconnectPolicy] = optional(Nested(PreconnectPolicy))
    track_cluster_stats: Optional[TrackClusterStats] = optional(Nested(TrackClusterStats))
    connection_pool_per_downstream_connection: bool = plain(
        Bool(), help="For HTTP: no connection serves two clients."
    )
    round_robin_lb_config: Optional[RoundRobinLbConfig] = optional(Nested(RoundRobinLbConfig), oneof="lb_config")
    dns_jitter: Optional[float] = optional(
        Duration(gte=0), deprecated=True, help="At random up to this much later; default 0s."
    )

    def check(self, report: Report) -> None:
        check_names(self.health_checks, report)

    @property
    def dns_cluster(self) -> Optional[DnsCluster]:
        """The settings of the DNS cluster extension, if that is the type."""
        custom = self.cluster_type.typed_config if self.cluster_type is not None else None
        return custom.message if custom is not None and isinstance(custom.message, DnsCluster) else None

    @property
    def discovery_type(self) -> str:
        """`type`, or what `cluster_type` stands for, or Envoy's default; "" for a `cluster_type` that nobody knows."""
        if self.cluster_type is None:
            return self.type or "STATIC"
        if self.cluster_type.name != "envoy.cluster.dns":
            return CLUSTER_TYPES.get(self.cluster_type.name, "")
        dns = self.dns_cluster
        return "LOGICAL_DNS" if dns is not None and dns.all_addresses_in_single_endpoint else "STRICT_DNS"
