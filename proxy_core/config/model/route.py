"""envoy.config.route.v3.RouteConfiguration: virtual hosts and their routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional

from ..context import Context, Json
from ..descriptor import Message, Report, mapping, message, optional, plain, repeated
from ..kinds import Bool, Enum, String, UInt32, UInt64
from ..nested import AnyOf, AnyValue, Nested
from .core import FractionalPercent, Metadata
from .header_value import HeaderText, HeaderValueOption
from .matcher import HeaderMatcher
from .rate_limit import RateLimit
from .route_action import MOST_HEADERS, RequestMirrorPolicy, RouteAction
from .route_answer import DirectResponseAction, NonForwardingAction, RedirectAction
from .route_cors import CorsPolicy
from .route_match import RouteMatch
from .route_retry import RetryPolicy


class AnyOrEmpty(AnyOf):
    """An `Any`; `{}` is one that holds nothing."""

    def decode(self, value: Json, path: str, context: Context) -> AnyValue:
        return self.placeholder() if value == {} else super().decode(value, path, context)

    def dump(self, value: AnyValue) -> Json:
        return super().dump(value) if value.type_url else {}


@message("envoy.config.route.v3.FilterConfig")
@dataclass(eq=False, repr=False)
class FilterConfig(Message):
    """A filter's configuration for a route, or that the filter is off there."""

    config: Optional[AnyValue] = optional(AnyOrEmpty(), help="{} switches the filter on.")
    is_optional: bool = plain(Bool(), help="Of no effect: the types of Envoy's that are not supported are refused.")
    disabled: bool = plain(Bool(), help="The filter is off.")


@message("envoy.config.route.v3.Decorator")
@dataclass(eq=False, repr=False)
class Decorator(Message):
    """For tracing. Of no effect: nothing is traced here."""

    operation: str = plain(String(min_len=1))
    propagate: Optional[bool] = optional(Bool())


@message("envoy.config.route.v3.Tracing", unsupported=("custom_tags",))
@dataclass(eq=False, repr=False)
class Tracing(Message):
    """For tracing. Of no effect: nothing is traced here."""

    client_sampling: Optional[FractionalPercent] = optional(Nested(FractionalPercent))
    random_sampling: Optional[FractionalPercent] = optional(Nested(FractionalPercent))
    overall_sampling: Optional[FractionalPercent] = optional(Nested(FractionalPercent))
    operation: str = plain(String())
    upstream_operation: str = plain(String())


@message("envoy.config.route.v3.VirtualCluster")
@dataclass(eq=False, repr=False)
class VirtualCluster(Message):
    """Requests that are counted together."""

    name: str = plain(String(min_len=1))
    headers: List[HeaderMatcher] = repeated(Nested(HeaderMatcher))

    def check(self, report: Report) -> None:
        if not self.headers:
            report("headers", "virtual clusters must define 'headers'")


@message("envoy.config.route.v3.Route", unsupported=("filter_action", "route_specifiers"), required_oneofs=("action",))
@dataclass(eq=False, repr=False)
class Route(Message):
    """Which requests, and what becomes of them."""

    match: Optional[RouteMatch] = optional(Nested(RouteMatch), required=True)
    route: Optional[RouteAction] = optional(Nested(RouteAction), oneof="action")
    redirect: Optional[RedirectAction] = optional(Nested(RedirectAction), oneof="action")
    metadata: Optional[Metadata] = optional(Nested(Metadata))
    decorator: Optional[Decorator] = optional(Nested(Decorator))
    direct_response: Optional[DirectResponseAction] = optional(Nested(DirectResponseAction), oneof="action")
    request_headers_to_add: List[HeaderValueOption] = repeated(Nested(HeaderValueOption), max_items=MOST_HEADERS)
    response_headers_to_add: List[HeaderValueOption] = repeated(Nested(HeaderValueOption), max_items=MOST_HEADERS)
    response_headers_to_remove: List[str] = repeated(HeaderText(min_len=1))
    request_headers_to_remove: List[str] = repeated(HeaderText(min_len=1))
    typed_per_filter_config: Dict[str, AnyValue] = mapping(AnyOf(), help="By the names of filters.")
    name: str = plain(String(), help="For logs and metadata.")
    tracing: Optional[Tracing] = optional(Nested(Tracing))
    per_request_buffer_limit_bytes: Optional[int] = optional(UInt32(), deprecated=True)
    non_forwarding_action: Optional[NonForwardingAction] = optional(Nested(NonForwardingAction), oneof="action")
    stat_prefix: str = plain(String(), help="Stats are named vhost.<virtual host>.route.<stat_prefix>.")
    request_body_buffer_limit: Optional[int] = optional(UInt64(), help="Bytes of a body that may be kept.")


@message("envoy.config.route.v3.VirtualHost", unsupported=(
    "retry_policy_typed_config", "hedge_policy", "matcher", "route_specifiers",
))
@dataclass(eq=False, repr=False)
class VirtualHost(Message):
    """The routes of some host names."""

    name: str = plain(String(min_len=1))
    domains: List[str] = repeated(
        HeaderText(), min_items=1, help='"www.example.com", "*.example.com", "www.*" or "*", with a port if hosts have one.'
    )
    routes: List[Route] = repeated(Nested(Route), help="The first that takes a request has it.")
    require_tls: str = plain(Enum(NONE=0, EXTERNAL_ONLY=1, ALL=2), help="Others are redirected to https.")
    virtual_clusters: List[VirtualCluster] = repeated(Nested(VirtualCluster))
    rate_limits: List[RateLimit] = repeated(Nested(RateLimit))
    request_headers_to_add: List[HeaderValueOption] = repeated(Nested(HeaderValueOption), max_items=MOST_HEADERS)
    cors: Optional[CorsPolicy] = optional(Nested(CorsPolicy), deprecated=True, help="Use typed_per_filter_config.")
    response_headers_to_add: List[HeaderValueOption] = repeated(Nested(HeaderValueOption), max_items=MOST_HEADERS)
    response_headers_to_remove: List[str] = repeated(HeaderText(min_len=1))
    request_headers_to_remove: List[str] = repeated(HeaderText(min_len=1))
    include_request_attempt_count: bool = plain(Bool(), help="x-envoy-attempt-count to the upstream.")
    typed_per_filter_config: Dict[str, AnyValue] = mapping(AnyOf(), help="By the names of filters.")
    retry_policy: Optional[RetryPolicy] = optional(Nested(RetryPolicy))
    per_request_buffer_limit_bytes: Optional[int] = optional(UInt32(), deprecated=True)
    include_attempt_count_in_response: bool = plain(Bool(), help="x-envoy-attempt-count to the client.")
    request_mirror_policies: List[RequestMirrorPolicy] = repeated(Nested(RequestMirrorPolicy))
    include_is_timeout_retry_header: bool = plain(Bool(), help="x-envoy-is-timeout-retry to the upstream.")
    metadata: Optional[Metadata] = optional(Nested(Metadata))
    request_body_buffer_limit: Optional[int] = optional(UInt64(gte=1), help="Bytes of a body that may be kept.")


@message("envoy.config.route.v3.RouteConfiguration", unsupported=("vhds", "cluster_specifier_plugins", "route_specifiers"))
@dataclass(eq=False, repr=False)
class RouteConfiguration(Message):
    """A route table."""

    name: str = plain(String())
    virtual_hosts: List[VirtualHost] = repeated(Nested(VirtualHost))
    internal_only_headers: List[str] = repeated(HeaderText(), help="Removed from requests of the outside.")
    response_headers_to_add: List[HeaderValueOption] = repeated(Nested(HeaderValueOption), max_items=MOST_HEADERS)
    response_headers_to_remove: List[str] = repeated(HeaderText())
    request_headers_to_add: List[HeaderValueOption] = repeated(Nested(HeaderValueOption), max_items=MOST_HEADERS)
    validate_clusters: Optional[bool] = optional(Bool(), help="Unknown clusters are an error; default true unless from RDS.")
    request_headers_to_remove: List[str] = repeated(HeaderText())
    most_specific_header_mutations_wins: bool = plain(Bool(), help="Else the route table's come last.")
    max_direct_response_body_size_bytes: Optional[int] = optional(UInt32(), help="Default 4096.")
    request_mirror_policies: List[RequestMirrorPolicy] = repeated(Nested(RequestMirrorPolicy))
    ignore_port_in_host_matching: bool = plain(Bool())
    ignore_path_parameters_in_path_matching: bool = plain(Bool(), help='Paths match without the ";..." of their parts.')
    typed_per_filter_config: Dict[str, AnyValue] = mapping(AnyOf(), help="By the names of filters.")
    metadata: Optional[Metadata] = optional(Nested(Metadata))
    vhost_header: str = plain(HeaderText(), help="The header to choose the virtual host by, not the host.")
