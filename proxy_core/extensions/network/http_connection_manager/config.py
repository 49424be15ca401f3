"""The message HttpConnectionManager: Envoy's fields in the order of its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, List, Optional

from ....config.fields import (
    Bool, Duration, Message, Nested, Report, String, UInt32, message, optional, plain, repeated,
)
from ....config.model.access_log import AccessLog
from ....config.model.core import Percent
from ....config.model.http_protocol import CommonHttpProtocolOptions, Http1ProtocolOptions
from ....config.model.route import RouteConfiguration
from .parts import (
    CLIENT_CERT, CODEC_TYPE, ESCAPED_SLASHES, HEADER, PACKAGE, SERVER_HEADER, AccessLogOptions, HttpFilter,
    InternalAddressConfig, LocalReplyConfig, Rds, SchemeHeaderTransformation, SetCurrentClientCertDetails, UpgradeConfig,
)

_UNSUPPORTED: Final = (
    "tracing", "http2_protocol_options", "represent_ipv4_remote_address_as_ipv4_mapped_ipv6", "scoped_routes",
    "request_id_extension", "path_normalization_options", "http3_protocol_options", "original_ip_detection_extensions",
    "proxy_status_config", "typed_header_validation_config", "early_header_mutation_extensions", "append_local_overload",
    "http1_safe_max_connection_duration", "forward_client_cert_matcher", "forward_proto_config",
    "record_route_resolution_stats",
)


@message(PACKAGE + "HttpConnectionManager", unsupported=_UNSUPPORTED, required_oneofs=("route_specifier",))
@dataclass(eq=False, repr=False)
class HttpConnectionManager(Message):
    """Speaks HTTP/1.1 with clients, runs HTTP filters and routes requests."""

    codec_type: str = plain(CODEC_TYPE, help="AUTO and HTTP1 are the same here.")
    stat_prefix: str = plain(String(min_len=1), help="Stats are named http.<stat_prefix>.")
    rds: Optional[Rds] = optional(Nested(Rds), oneof="route_specifier")
    route_config: Optional[RouteConfiguration] = optional(Nested(RouteConfiguration), oneof="route_specifier")
    http_filters: List[HttpFilter] = repeated(Nested(HttpFilter), help="In this order; the router last.")
    add_user_agent: Optional[bool] = optional(Bool(), help="Requests say which service they come from.")
    http_protocol_options: Optional[Http1ProtocolOptions] = optional(Nested(Http1ProtocolOptions))
    server_name: str = plain(HEADER, help='The server header. Default "envoy".')
    drain_timeout: Optional[float] = optional(Duration(), help="From the last request to the close. Default 5s.")
    access_log: List[AccessLog] = repeated(Nested(AccessLog))
    use_remote_address: Optional[bool] = optional(Bool(), help="Clients connect directly: trust none of their x-forwarded-for.")
    generate_request_id: Optional[bool] = optional(Bool(), help="Default true.")
    forward_client_cert_details: str = plain(CLIENT_CERT, help="What becomes of x-forwarded-client-cert.")
    set_current_client_cert_details: Optional[SetCurrentClientCertDetails] = optional(Nested(SetCurrentClientCertDetails))
    proxy_100_continue: bool = plain(Bool(), help="Leave Expect: 100-continue to the upstream.")
    xff_num_trusted_hops: int = plain(UInt32(), help="Proxies in front of this one that are trusted.")
    skip_xff_append: bool = plain(Bool())
    via: str = plain(HEADER, help="Added to the via header of requests and responses.")
    upgrade_configs: List[UpgradeConfig] = repeated(Nested(UpgradeConfig))
    stream_idle_timeout: Optional[float] = optional(Duration(), help="Default 5m; 0s = none.")
    internal_address_config: Optional[InternalAddressConfig] = optional(Nested(InternalAddressConfig))
    delayed_close_timeout: Optional[float] = optional(Duration(), help="For a client to see its last response. Default 1s.")
    request_timeout: Optional[float] = optional(Duration(), help="For a whole request to come. Default: none.")
    max_request_headers_kb: Optional[int] = optional(UInt32(gte=1, lte=8192), help="Default 60.")
    normalize_path: Optional[bool] = optional(Bool(), help="Default: runtime key http_connection_manager.normalize_path.")
    preserve_external_request_id: bool = plain(Bool())
    merge_slashes: bool = plain(Bool())
    server_header_transformation: str = plain(SERVER_HEADER)
    common_http_protocol_options: Optional[CommonHttpProtocolOptions] = optional(Nested(CommonHttpProtocolOptions))
    always_set_request_id_in_response: bool = plain(Bool())
    local_reply_config: Optional[LocalReplyConfig] = optional(Nested(LocalReplyConfig))
    strip_matching_host_port: bool = plain(Bool(), help="The port of the listener.")
    stream_error_on_invalid_http_message: Optional[bool] = optional(
        Bool(), help="Keep the connection after an invalid request whose end is known."
    )
    request_headers_timeout: Optional[float] = optional(Duration(), help="For a request's head to come. Default: none.")
    strip_any_host_port: Optional[bool] = optional(Bool(), oneof="strip_port_mode")
    path_with_escaped_slashes_action: str = plain(ESCAPED_SLASHES, help="What becomes of %2F and %5C in paths.")
    strip_trailing_host_dot: bool = plain(Bool())
    scheme_header_transformation: Optional[SchemeHeaderTransformation] = optional(Nested(SchemeHeaderTransformation))
    append_x_forwarded_port: bool = plain(Bool())
    add_proxy_protocol_connection_state: Optional[bool] = optional(Bool(), help="Of no effect on HTTP/1.")
    access_log_flush_interval: Optional[float] = optional(Duration(gte=0.001), deprecated=True, help="Use access_log_options.")
    flush_access_log_on_new_request: bool = plain(Bool(), deprecated=True, help="Use access_log_options.")
    access_log_options: Optional[AccessLogOptions] = optional(Nested(AccessLogOptions))
    stream_flush_timeout: Optional[float] = optional(
        Duration(), help="Of no effect on HTTP/1, as in Envoy: there is nothing between stream and connection."
    )
    drain_timeout_jitter: Optional[Percent] = optional(Nested(Percent))

    def check(self, report: Report) -> None:
        """Envoy's rules between fields, and what is not spoken here."""
        if self.codec_type in ("HTTP2", "HTTP3"):
            report("codec_type", f"{self.codec_type} is not supported yet: expected AUTO or HTTP1")
        common = self.common_http_protocol_options
        if common is not None and common.max_response_headers_kb is not None:
            report(
                "common_http_protocol_options.max_response_headers_kb",
                "max_response_headers_kb cannot be set on http_connection_manager.",
            )
        if self.strip_matching_host_port and self.strip_any_host_port:
            text = "can't be set together with strip_matching_host_port"
            report("strip_any_host_port", text, uses=("strip_matching_host_port",))
        if self.access_log_options is not None:
            for name in ("access_log_flush_interval", "flush_access_log_on_new_request"):
                if getattr(self, name):
                    report(name, f"{name} can't be set together with access_log_options, which replaces it")
        if not self.http_filters:
            report("http_filters", "at least one filter is needed: the router")

    @property
    def log_options(self) -> AccessLogOptions:
        """`access_log_options`, or what the older fields say."""
        return self.access_log_options or AccessLogOptions(
            self.access_log_flush_interval, self.flush_access_log_on_new_request
        )
