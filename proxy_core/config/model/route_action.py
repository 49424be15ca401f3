"""envoy.config.route.v3.RouteAction and its parts: how a request is forwarded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Final, List, Optional

from ..descriptor import Message, Report, mapping, message, optional, plain, repeated
from ..kinds import Bool, Duration, Enum, String, UInt32
from ..nested import AnyOf, AnyValue, Nested
from .core import ROUTING_PRIORITY, Metadata, RuntimeFractionalPercent
from .header_mutation import HeaderMutation
from .header_value import HeaderText, HeaderValueOption
from .matcher import RegexMatchAndSubstitute
from .rate_limit import RateLimit
from .route_cors import CorsPolicy
from .route_hash import HashPolicy
from .route_retry import RetryPolicy

_NAME: Final = "envoy.config.route.v3.RouteAction"
_WEIGHTED: Final = "envoy.config.route.v3.WeightedCluster"
MOST_HEADERS: Final = 1000
NOT_FOUND_CODES: Final[Dict[str, int]] = {"SERVICE_UNAVAILABLE": 503, "NOT_FOUND": 404, "INTERNAL_SERVER_ERROR": 500}


@message(f"{_WEIGHTED}.ClusterWeight")
@dataclass(eq=False, repr=False)
class ClusterWeight(Message):
    """One cluster and its share of the requests."""

    name: str = plain(String())
    weight: Optional[int] = optional(UInt32(), required=True)
    metadata_match: Optional[Metadata] = optional(Nested(Metadata), help="Over that of the route, for subsets.")
    request_headers_to_add: List[HeaderValueOption] = repeated(Nested(HeaderValueOption), max_items=MOST_HEADERS)
    response_headers_to_add: List[HeaderValueOption] = repeated(Nested(HeaderValueOption), max_items=MOST_HEADERS)
    response_headers_to_remove: List[str] = repeated(HeaderText())
    request_headers_to_remove: List[str] = repeated(HeaderText())
    typed_per_filter_config: Dict[str, AnyValue] = mapping(AnyOf(), help="By the names of filters.")
    host_rewrite_literal: Optional[str] = optional(HeaderText(), oneof="host_rewrite_specifier")
    cluster_header: str = plain(HeaderText(), help="The header that names the cluster.")


@message(_WEIGHTED)
@dataclass(eq=False, repr=False)
class WeightedCluster(Message):
    """Clusters that share the requests by weight."""

    clusters: List[ClusterWeight] = repeated(Nested(ClusterWeight), min_items=1)
    runtime_key_prefix: str = plain(String(), help="<prefix>.<cluster> in the runtime is the weight then.")
    total_weight: Optional[int] = optional(UInt32(), deprecated=True, help="Of no effect: the sum counts.")
    header_name: Optional[str] = optional(
        HeaderText(), oneof="random_value_specifier", help="The header with the number that decides, not chance."
    )
    use_hash_policy: Optional[bool] = optional(Bool(), oneof="random_value_specifier")


@message(f"{_NAME}.RequestMirrorPolicy")
@dataclass(eq=False, repr=False)
class RequestMirrorPolicy(Message):
    """A copy of the request goes to another cluster; nobody waits for the answer."""

    cluster: str = plain(String())
    runtime_fraction: Optional[RuntimeFractionalPercent] = optional(Nested(RuntimeFractionalPercent), help="Default all.")
    trace_sampled: Optional[bool] = optional(Bool(), help="Of no effect: nothing is traced here.")
    cluster_header: str = plain(HeaderText(), help="The header that names the cluster.")
    disable_shadow_host_suffix_append: bool = plain(Bool(), help="Leave the host without -shadow.")
    request_headers_mutations: List[HeaderMutation] = repeated(Nested(HeaderMutation), max_items=MOST_HEADERS)
    host_rewrite_literal: str = plain(HeaderText())


@message(f"{_NAME}.UpgradeConfig.ConnectConfig", unsupported=("proxy_protocol_config", "allow_post"))
@dataclass(eq=False, repr=False)
class ConnectConfig(Message):
    """CONNECT ends here: what comes behind it goes to the upstream as raw bytes."""


@message(f"{_NAME}.UpgradeConfig")
@dataclass(eq=False, repr=False)
class UpgradeConfig(Message):
    """Whether a kind of upgrade is allowed on this route."""

    upgrade_type: str = plain(HeaderText(min_len=1), help='"websocket" or "CONNECT".')
    enabled: Optional[bool] = optional(Bool(), help="Default true.")
    connect_config: Optional[ConnectConfig] = optional(Nested(ConnectConfig), help="For CONNECT only.")

    def check(self, report: Report) -> None:
        if self.connect_config is not None and self.upgrade_type.lower() not in ("connect", "connect-udp"):
            text = f"Non-CONNECT upgrade type {self.upgrade_type} has ConnectConfig"
            report("connect_config", text, uses=("upgrade_type",))


@message(f"{_NAME}.MaxStreamDuration", unsupported=("grpc_timeout_header_max", "grpc_timeout_header_offset"))
@dataclass(eq=False, repr=False)
class MaxStreamDuration(Message):
    """How long a request with its response may take."""

    max_stream_duration: Optional[float] = optional(Duration(), help="0s: no limit, not that of the filter either.")


@message("envoy.config.route.v3.InternalRedirectPolicy", unsupported=("predicates",))
@dataclass(eq=False, repr=False)
class InternalRedirectPolicy(Message):
    """Redirects of the upstream are followed here."""

    max_internal_redirects: Optional[int] = optional(UInt32(), help="Default 1.")
    redirect_response_codes: List[int] = repeated(UInt32(), max_items=5, help="Default 302 alone.")
    allow_cross_scheme_redirect: bool = plain(Bool())
    response_headers_to_copy: List[str] = repeated(HeaderText(), help="From the redirect into the next request.")

    def check(self, report: Report) -> None:
        names = self.response_headers_to_copy
        for index, name in enumerate(names):
            if name in names[:index]:
                report(f"response_headers_to_copy[{index}]", f"'{name}' is there twice")
            if name.startswith(":") or name.lower() == "host":
                text = ":-prefixed headers or Hosts may not be specified here."
                report(f"response_headers_to_copy[{index}]", text)


@message(_NAME, unsupported=(
    "cluster_specifier_plugin", "inline_cluster_specifier_plugin", "early_data_policy", "retry_policy_typed_config",
    "max_grpc_timeout", "grpc_timeout_offset", "internal_redirect_action", "max_internal_redirects", "path_rewrite_policy",
    "hedge_policy",
), required_oneofs=("cluster_specifier",))
@dataclass(eq=False, repr=False)
class RouteAction(Message):
    """Forward the request to a cluster."""

    cluster: Optional[str] = optional(String(min_len=1), oneof="cluster_specifier")
    cluster_header: Optional[str] = optional(
        HeaderText(min_len=1), oneof="cluster_specifier", help="The header that names the cluster."
    )
    weighted_clusters: Optional[WeightedCluster] = optional(Nested(WeightedCluster), oneof="cluster_specifier")
    metadata_match: Optional[Metadata] = optional(Nested(Metadata), help="For subsets: what hosts have under envoy.lb.")
    prefix_rewrite: str = plain(HeaderText(), help="Takes the place of the prefix or path that the route matched.")
    host_rewrite_literal: Optional[str] = optional(HeaderText(), oneof="host_rewrite_specifier")
    auto_host_rewrite: Optional[bool] = optional(
        Bool(), oneof="host_rewrite_specifier", help="The host name of the endpoint that is chosen."
    )
    timeout: Optional[float] = optional(Duration(), help="From the end of the request; default 15s, 0s: none.")
    retry_policy: Optional[RetryPolicy] = optional(Nested(RetryPolicy), help="In place of the virtual host's.")
    priority: str = plain(ROUTING_PRIORITY)
    rate_limits: List[RateLimit] = repeated(Nested(RateLimit))
    include_vh_rate_limits: Optional[bool] = optional(Bool(), deprecated=True)
    hash_policy: List[HashPolicy] = repeated(Nested(HashPolicy))
    cors: Optional[CorsPolicy] = optional(Nested(CorsPolicy), deprecated=True, help="Use typed_per_filter_config.")
    cluster_not_found_response_code: str = plain(Enum(**{name: n for n, name in enumerate(NOT_FOUND_CODES)}))
    idle_timeout: Optional[float] = optional(Duration(), help="In place of stream_idle_timeout; 0s: none.")
    upgrade_configs: List[UpgradeConfig] = repeated(Nested(UpgradeConfig))
    host_rewrite_header: Optional[str] = optional(HeaderText(), oneof="host_rewrite_specifier")
    request_mirror_policies: List[RequestMirrorPolicy] = repeated(Nested(RequestMirrorPolicy))
    regex_rewrite: Optional[RegexMatchAndSubstitute] = optional(Nested(RegexMatchAndSubstitute))
    internal_redirect_policy: Optional[InternalRedirectPolicy] = optional(Nested(InternalRedirectPolicy))
    host_rewrite_path_regex: Optional[RegexMatchAndSubstitute] = optional(
        Nested(RegexMatchAndSubstitute), oneof="host_rewrite_specifier", help="Made of the path."
    )
    max_stream_duration: Optional[MaxStreamDuration] = optional(Nested(MaxStreamDuration))
    append_x_forwarded_host: bool = plain(Bool(), help="The old host, when it is rewritten.")
    flush_timeout: Optional[float] = optional(Duration(), help="In place of stream_flush_timeout.")
    host_rewrite: Optional[str] = optional(
        String(), oneof="host_rewrite_specifier", help="The new host with command operators such as %REQ(x-host)%."
    )
    path_rewrite: str = plain(String(), help="The new path with command operators; the query stays.")

    def check(self, report: Report) -> None:
        types = [config.upgrade_type.lower() for config in self.upgrade_configs]
        for index, name in enumerate(types):
            if name in types[:index]:
                report(f"upgrade_configs[{index}]", f"Duplicate upgrade {self.upgrade_configs[index].upgrade_type}")
