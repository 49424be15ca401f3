"""envoy.config.cluster.v3: where connections go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional

from ..descriptor import Message, mapping, message, optional, plain, repeated
from ..kinds import Bool, Duration, Enum, String, UInt32
from ..nested import AnyOf, AnyValue, Nested
from .address import BindConfig, TcpKeepalive
from .core import ROUTING_PRIORITY, Metadata, TransportSocket
from .endpoint import ClusterLoadAssignment

DISCOVERY_TYPE = Enum(STATIC=0, STRICT_DNS=1, LOGICAL_DNS=2, EDS=3, ORIGINAL_DST=4)
LB_POLICY = Enum(
    ROUND_ROBIN=0, LEAST_REQUEST=1, RING_HASH=2, RANDOM=3, MAGLEV=5, CLUSTER_PROVIDED=6,
    LOAD_BALANCING_POLICY_CONFIG=7,
)


@message("envoy.config.cluster.v3.CircuitBreakers.Thresholds", unsupported=("retry_budget",))
@dataclass(eq=False, repr=False)
class Thresholds(Message):
    """The limits for one priority."""

    priority: str = plain(ROUTING_PRIORITY)
    max_connections: Optional[int] = optional(UInt32(), help="Default 1024.")
    max_pending_requests: Optional[int] = optional(UInt32(), help="Default 1024.")
    max_requests: Optional[int] = optional(UInt32(), help="Default 1024; not for TCP.")
    max_retries: Optional[int] = optional(UInt32(), help="Default 3.")
    track_remaining: bool = plain(Bool(), help="Also keep gauges of what is left.")
    max_connection_pools: Optional[int] = optional(UInt32(), help="Default no limit.")


@message("envoy.config.cluster.v3.CircuitBreakers")
@dataclass(eq=False, repr=False)
class CircuitBreakers(Message):
    """How much may be under way to a cluster at once."""

    thresholds: List[Thresholds] = repeated(Nested(Thresholds), help="The first one of a priority counts.")
    per_host_thresholds: List[Thresholds] = repeated(Nested(Thresholds), help="Only max_connections is read.")


@message(
    "envoy.config.cluster.v3.UpstreamConnectionOptions",
    unsupported=("set_local_interface_name_on_upstream_connections", "happy_eyeballs_config"),
)
@dataclass(eq=False, repr=False)
class UpstreamConnectionOptions(Message):
    """Options of upstream connections."""

    tcp_keepalive: Optional[TcpKeepalive] = optional(Nested(TcpKeepalive))


@message(
    "envoy.config.cluster.v3.Cluster",
    unsupported=(
        "eds_cluster_config", "health_checks", "max_requests_per_connection", "http_protocol_options",
        "http2_protocol_options", "dns_refresh_rate", "dns_lookup_family", "dns_resolvers",
        "outlier_detection", "cleanup_interval", "lb_subset_config", "ring_hash_lb_config",
        "protocol_selection", "common_lb_config", "common_http_protocol_options",
        "close_connections_on_host_health_failure", "ignore_health_on_host_removal", "original_dst_lb_config",
        "least_request_lb_config", "cluster_type", "respect_dns_ttl", "filters", "load_balancing_policy",
        "lrs_server", "transport_socket_matches", "dns_failure_refresh_rate", "use_tcp_for_dns_lookups",
        "upstream_http_protocol_options", "track_timeout_budgets", "upstream_config", "track_cluster_stats",
        "preconnect_policy", "connection_pool_per_downstream_connection", "maglev_lb_config",
        "dns_resolution_config", "wait_for_warm_on_init", "typed_dns_resolver_config",
        "round_robin_lb_config", "lrs_report_endpoint_metrics", "dns_jitter", "transport_socket_matcher",
        "per_connection_buffer_high_watermark_timeout", "stats_matcher", "queuing_policies",
    ),
)
@dataclass(eq=False, repr=False)
class Cluster(Message):
    """A group of hosts that serve the same."""

    name: str = plain(String(min_len=1), help="Must be unique.")
    type: Optional[str] = optional(DISCOVERY_TYPE, oneof="cluster_discovery_type", help="Default STATIC.")
    connect_timeout: Optional[float] = optional(Duration(gt=0), help="Default 5s.")
    per_connection_buffer_limit_bytes: Optional[int] = optional(
        UInt32(), help="Default 1048576; 0 = no limit."
    )
    lb_policy: str = plain(LB_POLICY)
    circuit_breakers: Optional[CircuitBreakers] = optional(Nested(CircuitBreakers))
    upstream_bind_config: Optional[BindConfig] = optional(Nested(BindConfig))
    transport_socket: Optional[TransportSocket] = optional(
        Nested(TransportSocket), help="Default: raw bytes."
    )
    metadata: Optional[Metadata] = optional(Nested(Metadata))
    alt_stat_name: str = plain(String(), help="Name used in stats and logs instead of `name`.")
    upstream_connection_options: Optional[UpstreamConnectionOptions] = optional(
        Nested(UpstreamConnectionOptions)
    )
    load_assignment: Optional[ClusterLoadAssignment] = optional(Nested(ClusterLoadAssignment))
    typed_extension_protocol_options: Dict[str, AnyValue] = mapping(
        AnyOf(), help="Key: the extension's name."
    )

    @property
    def discovery_type(self) -> str:
        """`type`, or Envoy's default."""
        return self.type or "STATIC"
