"""The configuration messages of ext_authz. What only speaks of gRPC is not supported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Final, List, Optional

from ....config.fields import Bool, Enum, Message, Nested, Report, String, UInt32, mapping, message, optional, plain, repeated
from ....config.model.core import RuntimeFeatureFlag, RuntimeFractionalPercent
from ....config.model.header_value import HeaderValue
from ....config.model.http_status import HttpStatus
from ....config.model.http_uri import HttpUri
from ....config.model.matcher import ListStringMatcher, MetadataMatcher

_PACKAGE: Final = "envoy.extensions.filters.http.ext_authz.v3."
_DUPLICATE: Final = "Invalid duplicate configuration for allowed_headers."


@message(f"{_PACKAGE}BufferSettings")
@dataclass(eq=False, repr=False)
class BufferSettings(Message):
    """How much of the request's body the server gets."""

    max_request_bytes: int = plain(UInt32(gte=1))
    allow_partial_message: bool = plain(Bool(), help="Send the begin of a longer body; else such a request gets a 413.")
    pack_as_bytes: bool = plain(Bool(), help="Of no effect with HTTP.")


@message(f"{_PACKAGE}AuthorizationRequest")
@dataclass(eq=False, repr=False)
class AuthorizationRequest(Message):
    """The request to the server."""

    allowed_headers: Optional[ListStringMatcher] = optional(
        Nested(ListStringMatcher), deprecated=True, help="Use allowed_headers of the filter."
    )
    headers_to_add: List[HeaderValue] = repeated(Nested(HeaderValue))


@message(f"{_PACKAGE}AuthorizationResponse")
@dataclass(eq=False, repr=False)
class AuthorizationResponse(Message):
    """What of the server's answer goes on."""

    allowed_upstream_headers: Optional[ListStringMatcher] = optional(
        Nested(ListStringMatcher), help="To the upstream, instead of what the client has sent."
    )
    allowed_client_headers: Optional[ListStringMatcher] = optional(
        Nested(ListStringMatcher), help="To a client that is refused; default: all."
    )
    allowed_upstream_headers_to_append: Optional[ListStringMatcher] = optional(
        Nested(ListStringMatcher), help="To the upstream, beside what the client has sent."
    )
    allowed_client_headers_on_success: Optional[ListStringMatcher] = optional(
        Nested(ListStringMatcher), help="To a client whose request is allowed."
    )
    dynamic_metadata_from_headers: Optional[ListStringMatcher] = optional(Nested(ListStringMatcher))


@message(f"{_PACKAGE}HttpService", unsupported=("retry_policy",))
@dataclass(eq=False, repr=False)
class HttpService(Message):
    """The server that is asked."""

    server_uri: Optional[HttpUri] = optional(Nested(HttpUri), required=True, help="Cluster and timeout; the URL does not count.")
    path_prefix: str = plain(String(), help="In front of the request's path.")
    authorization_request: Optional[AuthorizationRequest] = optional(Nested(AuthorizationRequest))
    authorization_response: Optional[AuthorizationResponse] = optional(Nested(AuthorizationResponse))
    path_override: str = plain(String(), help="Instead of the request's path.")

    def check(self, report: Report) -> None:
        if self.path_prefix and self.path_override:
            report("path_override", "Only one of path_prefix or path_override may be set, not both.", uses=("path_prefix",))
        for field in ("path_prefix", "path_override"):
            value = getattr(self, field)
            if value and not value.startswith("/"):
                report(field, f'{field} should start with "/".')


@message(
    f"{_PACKAGE}ExtAuthz",
    unsupported=(
        "grpc_service", "metadata_context_namespaces", "include_peer_certificate", "bootstrap_metadata_labels_key",
        "typed_metadata_context_namespaces", "include_tls_session", "route_metadata_context_namespaces",
        "route_typed_metadata_context_namespaces", "encode_raw_headers", "validate_mutations", "decoder_header_mutation_rules",
        "enable_dynamic_metadata_ingestion", "filter_metadata", "emit_filter_state_stats", "enforce_response_header_limits",
        "shadow_mode", "emit_client_span", "clear_route_cache_headers",
    ),
    required_oneofs=("services",),
)
@dataclass(eq=False, repr=False)
class ExtAuthz(Message):
    """Asks a server over HTTP whether a request may pass."""

    failure_mode_allow: bool = plain(Bool(), help="Let requests pass when the server fails.")
    http_service: Optional[HttpService] = optional(Nested(HttpService), oneof="services")
    with_request_body: Optional[BufferSettings] = optional(Nested(BufferSettings))
    clear_route_cache: bool = plain(Bool(), help="Choose the route again when the server has changed headers.")
    status_on_error: Optional[HttpStatus] = optional(Nested(HttpStatus), help="Default 403.")
    filter_enabled: Optional[RuntimeFractionalPercent] = optional(
        Nested(RuntimeFractionalPercent), help="Share of requests to ask about; default all."
    )
    deny_at_disable: Optional[RuntimeFeatureFlag] = optional(
        Nested(RuntimeFeatureFlag), help="Refuse the others; default: let them pass."
    )
    transport_api_version: str = plain(Enum(AUTO=0, V2=1, V3=2), help="Of no effect with HTTP.")
    stat_prefix: str = plain(String(), help="Stats are named ext_authz.<stat_prefix>.")
    filter_enabled_metadata: Optional[MetadataMatcher] = optional(
        Nested(MetadataMatcher), help="Ask only about requests with this metadata."
    )
    allowed_headers: Optional[ListStringMatcher] = optional(
        Nested(ListStringMatcher), help="Request headers for the server, besides authorization."
    )
    failure_mode_allow_header_add: bool = plain(
        Bool(), help="Tell the upstream of a failure in x-envoy-auth-failure-mode-allowed."
    )
    charge_cluster_response_stats: Optional[bool] = optional(
        Bool(), help="Default true: count refusals as responses of the route's cluster."
    )
    disallowed_headers: Optional[ListStringMatcher] = optional(Nested(ListStringMatcher), help="Never for the server.")
    max_denied_response_body_bytes: int = plain(UInt32(), help="More of a refusal's body is cut off; 0 = no limit.")

    def check(self, report: Report) -> None:
        request = self.http_service.authorization_request if self.http_service is not None else None
        if request is not None and request.allowed_headers is not None and self.allowed_headers is not None:
            report("allowed_headers", _DUPLICATE, uses=("http_service",))


@message(f"{_PACKAGE}CheckSettings", unsupported=("grpc_service", "emit_client_span"))
@dataclass(eq=False, repr=False)
class CheckSettings(Message):
    """What is different for a route."""

    context_extensions: Dict[str, str] = mapping(String(), help="Of no effect with HTTP.")
    disable_request_body_buffering: bool = plain(Bool(), help="The server gets no body.")
    with_request_body: Optional[BufferSettings] = optional(Nested(BufferSettings))
    http_service: Optional[HttpService] = optional(Nested(HttpService), oneof="service_override")

    def check(self, report: Report) -> None:
        if self.disable_request_body_buffering and self.with_request_body is not None:
            rule = "Only one of disable_request_body_buffering or with_request_body can be set."
            text = f"Invalid configuration for check_settings. {rule}"
            report("with_request_body", text, uses=("disable_request_body_buffering",))


@message(f"{_PACKAGE}ExtAuthzPerRoute", required_oneofs=("override",))
@dataclass(eq=False, repr=False)
class ExtAuthzPerRoute(Message):
    """Off for a route, or different."""

    disabled: Optional[bool] = optional(Bool(), oneof="override")
    check_settings: Optional[CheckSettings] = optional(Nested(CheckSettings), oneof="override")
