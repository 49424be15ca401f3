"""envoy.config.bootstrap.v3, with what only it uses: runtime layers, stats tags, the overload manager."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Set

from ..descriptor import Empty, Message, Report, message, optional, plain, repeated
from ..kinds import Bool, Duration, Int64, String, Struct
from ..nested import AnyOf, AnyValue, Nested
from .access_log import AccessLog
from .address import Address, BindConfig
from .cluster import Cluster
from .config_source import ConfigSource
from .core import Node
from .listener import Listener
from .matcher import check_regex
from .outlier import ManagerOutlierDetection
from .secret import Secret


@message("envoy.config.bootstrap.v3.Bootstrap.StaticResources")
@dataclass(eq=False, repr=False)
class StaticResources(Message):
    """Listeners, clusters and secrets that are there from the start."""

    listeners: List[Listener] = repeated(Nested(Listener))
    clusters: List[Cluster] = repeated(Nested(Cluster))
    secrets: List[Secret] = repeated(Nested(Secret), help="For TLS contexts that name them.")


@message(
    "envoy.config.bootstrap.v3.Bootstrap.DynamicResources",
    unsupported=("ads_config", "lds_resources_locator", "cds_resources_locator"),
)
@dataclass(eq=False, repr=False)
class DynamicResources(Message):
    """Where listeners and clusters come from that may change while the proxy runs."""

    lds_config: Optional[ConfigSource] = optional(Nested(ConfigSource), help="Listeners.")
    cds_config: Optional[ConfigSource] = optional(Nested(ConfigSource), help="Clusters.")


@message("envoy.config.bootstrap.v3.Admin", unsupported=("socket_options", "allow_paths"))
@dataclass(eq=False, repr=False)
class Admin(Message):
    """The admin server. Anybody who reaches it can stop the proxy: bind it to loopback or to a pipe."""

    access_log_path: str = plain(String(), deprecated=True, help="Use access_log.")
    profile_path: str = plain(String(), help="Of no effect.")
    address: Optional[Address] = optional(Nested(Address), help="Default: no admin server.")
    access_log: List[AccessLog] = repeated(Nested(AccessLog))
    ignore_global_conn_limit: bool = plain(Bool())


@message(
    "envoy.config.bootstrap.v3.ClusterManager",
    unsupported=("load_stats_config", "enable_deferred_cluster_creation"),
)
@dataclass(eq=False, repr=False)
class ClusterManager(Message):
    """What all clusters share."""

    local_cluster_name: str = plain(String(), refers_to="cluster", help="The cluster this proxy belongs to.")
    outlier_detection: Optional[ManagerOutlierDetection] = optional(Nested(ManagerOutlierDetection))
    upstream_bind_config: Optional[BindConfig] = optional(
        Nested(BindConfig), help="For clusters without their own."
    )


@message(
    "envoy.config.bootstrap.v3.RuntimeLayer",
    unsupported=("disk_layer", "rtds_layer"), required_oneofs=("layer_specifier",),
)
@dataclass(eq=False, repr=False)
class RuntimeLayer(Message):
    """One layer of runtime values."""

    name: str = plain(String(min_len=1), help="Must be unique.")
    static_layer: Optional[Dict[str, Any]] = optional(Struct(), oneof="layer_specifier", help="The values.")
    admin_layer: Optional[Empty] = optional(
        Nested(Empty), oneof="layer_specifier", help="Set by /runtime_modify."
    )


@message("envoy.config.bootstrap.v3.LayeredRuntime")
@dataclass(eq=False, repr=False)
class LayeredRuntime(Message):
    """Values that can be overridden without a new configuration; a later layer wins."""

    layers: List[RuntimeLayer] = repeated(Nested(RuntimeLayer))

    def check(self, report: Report) -> None:
        seen: Set[str] = set()
        for index, layer in enumerate(self.layers):
            if layer.name and layer.name in seen:
                report(f"layers[{index}].name", f"Duplicate layer name: {layer.name}")
            seen.add(layer.name)
        if sum(layer.admin_layer is not None for layer in self.layers) > 1:
            limit = "at most one may be specified"
            report("layers", f"Too many admin layers specified in LayeredRuntime, {limit}")


@message("envoy.config.metrics.v3.TagSpecifier")
@dataclass(eq=False, repr=False)
class TagSpecifier(Message):
    """A tag that is taken out of stat names, or put on all stats."""

    tag_name: str = plain(String())
    regex: Optional[str] = optional(
        String(max_bytes=1024), oneof="tag_value", help="First group: cut out of the name."
    )
    fixed_value: Optional[str] = optional(String(), oneof="tag_value")

    def check(self, report: Report) -> None:
        check_regex(self.regex or "", report, "regex")


@message(
    "envoy.config.metrics.v3.StatsConfig",
    unsupported=("stats_matcher", "histogram_bucket_settings", "allow_default_tag_overrides"),
)
@dataclass(eq=False, repr=False)
class StatsConfig(Message):
    """Tags of stats."""

    stats_tags: List[TagSpecifier] = repeated(Nested(TagSpecifier))
    use_all_default_tags: Optional[bool] = optional(Bool(), help="Default true.")


@message("envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig")
@dataclass(eq=False, repr=False)
class DownstreamConnectionsConfig(Message):
    """The limit of open downstream connections of the whole process."""

    max_active_downstream_connections: int = plain(Int64(gte=1))


@message("envoy.config.overload.v3.ResourceMonitor")
@dataclass(eq=False, repr=False)
class ResourceMonitor(Message):
    """A resource that is watched."""

    name: str = plain(String(min_len=1))
    typed_config: Optional[AnyValue] = optional(AnyOf(), required=True, oneof="config_type")


@message(
    "envoy.config.overload.v3.OverloadManager",
    unsupported=("actions", "buffer_factory_config", "loadshed_points"),
)
@dataclass(eq=False, repr=False)
class OverloadManager(Message):
    """Limits of the whole process."""

    refresh_interval: Optional[float] = optional(Duration(), help="Default 1s.")
    resource_monitors: List[ResourceMonitor] = repeated(Nested(ResourceMonitor), min_items=1)


@message(
    "envoy.config.bootstrap.v3.Bootstrap",
    unsupported=(
        "flags_path", "stats_sinks", "watchdog", "tracing", "hds_config",
        "enable_dispatcher_stats", "header_prefix", "stats_server_version_override",
        "use_tcp_for_dns_lookups", "bootstrap_extensions", "config_sources", "default_config_source",
        "default_socket_interface", "certificate_provider_instances", "node_context_params", "watchdogs",
        "fatal_actions", "dns_resolution_config", "typed_dns_resolver_config", "inline_headers",
        "perf_tracing_file_path", "default_regex_engine", "xds_delegate_extension",
        "xds_config_tracker_extension", "listener_manager", "application_log_config", "deferred_stat_options",
        "grpc_async_client_manager_config", "memory_allocator_manager", "stats_eviction_interval",
        "enable_worker_cpu_affinity",
    ),
)
@dataclass(eq=False, repr=False)
class Bootstrap(Message):
    """The whole configuration file."""

    node: Optional[Node] = optional(Nested(Node))
    static_resources: Optional[StaticResources] = optional(Nested(StaticResources))
    dynamic_resources: Optional[DynamicResources] = optional(Nested(DynamicResources))
    cluster_manager: Optional[ClusterManager] = optional(Nested(ClusterManager))
    stats_flush_interval: Optional[float] = optional(Duration(gte=0.001, lt=300), help="Default 5s.")
    admin: Optional[Admin] = optional(Nested(Admin))
    stats_config: Optional[StatsConfig] = optional(Nested(StatsConfig))
    overload_manager: Optional[OverloadManager] = optional(Nested(OverloadManager))
    layered_runtime: Optional[LayeredRuntime] = optional(Nested(LayeredRuntime))
    stats_flush_on_admin: Optional[bool] = optional(
        Bool(), oneof="stats_flush", help="Flush when /stats is asked."
    )


CORE_TYPES = (DownstreamConnectionsConfig,)  # messages of this package that an `Any` may hold
