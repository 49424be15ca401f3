"""What a route is to those who use it: the connection manager, the router and the filters. Mirrors `envoy/router/router.h`.

Place in the data's way: `http.routing` prepares a `RouteTable` when a route configuration is loaded; the connection manager asks
it for the `Route` of each request. Everything here is prepared: a request only looks things up.
"""

from __future__ import annotations

from typing import Any, Collection, List, Mapping, Optional, Protocol, Sequence

from ..observe.stream_info import StreamInfo
from .events import RequestHead, ResponseHead


class RouteTable(Protocol):
    """One prepared route configuration."""

    name: str

    @property
    def internal_only_headers(self) -> Collection[str]:
        """What is taken out of requests from outside, lower case."""

    def route(self, head: RequestHead, info: StreamInfo, random_value: int) -> Optional[Route]:
        """The route of this request, None if there is none. random_value: the stream's, 0 to 2**64-1, for fractions and
        weighted clusters: the same request gets the same route however often it asks."""


class RouteSource(Protocol):
    """Where a connection manager finds its present table: written in its configuration, or from RDS."""

    @property
    def table(self) -> Optional[RouteTable]:
        """The table of now; None before the first answer of RDS."""


class DirectResponse(Protocol):
    """A redirect or a `direct_response`."""

    status: int

    def location(self, head: RequestHead, info: StreamInfo) -> str:
        """The `location` header, "" for none. Ask once: a redirect that rewrites the path changes it in the head, as in Envoy."""

    def body(self, head: RequestHead, info: StreamInfo) -> bytes:
        """The body, b"" for none."""

    content_type: str  # of the body; "" if the route may say


class RetryPolicy(Protocol):
    """`retry_policy`, prepared. Times in seconds, 0.0 for none."""

    retry_on: Collection[str]
    num_retries: int
    per_try_timeout: float
    per_try_idle_timeout: float
    base_interval: float
    max_interval: float
    retriable_status_codes: Collection[int]
    host_selection_retry_max_attempts: int
    avoids_previous_hosts: bool
    omits_canary_hosts: bool
    omitted_metadata: Sequence[Mapping[str, Any]]  # below envoy.lb: no host that has all of one of these

    def retriable_headers(self, head: ResponseHead) -> bool:
        """Whether a configured `retriable_headers` matcher matches."""

    def retriable_request(self, head: RequestHead) -> bool:
        """Whether the `retriable_request_headers` allow it (True without any)."""

    def reset_interval(self, head: ResponseHead, now: float) -> Optional[float]:
        """Seconds to wait from a `rate_limited_retry_back_off` header, None without one. now: seconds since the epoch."""


class MirrorPolicy(Protocol):
    """`request_mirror_policies` entry."""

    def cluster(self, head: RequestHead) -> str:
        """The name of the cluster, "" for none."""

    def is_on(self, random_value: int) -> bool:
        """Whether this request is mirrored."""

    def change_head(self, head: RequestHead, info: StreamInfo) -> None:
        """Make the copied head the mirror's: host suffix or rewrite, header mutations."""


class InternalRedirectPolicy(Protocol):
    """`internal_redirect_policy`."""

    max_internal_redirects: int
    codes: Collection[int]
    allow_cross_scheme_redirect: bool
    response_headers_to_copy: Sequence[str]


class RouteAction(Protocol):
    """`route` of a route: forward it. Times in seconds; 0.0 means no limit, None "as the connection manager says"."""

    timeout: float
    timeout_is_default: bool  # not set in the configuration
    idle_timeout: Optional[float]
    max_stream_duration: Optional[float]
    flush_timeout: Optional[float]
    retry_policy: Optional[RetryPolicy]
    mirror_policies: Sequence[MirrorPolicy]
    internal_redirect_policy: Optional[InternalRedirectPolicy]
    cluster_not_found_code: int
    high_priority: bool
    metadata_match: Optional[Mapping[str, Any]]  # of the namespace envoy.lb, for subsets
    auto_host_rewrite: bool
    append_x_forwarded_host: bool
    include_vh_rate_limits: bool
    connect_config: bool  # CONNECT is ended here and its payload forwarded as TCP

    def cluster_name(self, head: RequestHead) -> str:
        """The name of the cluster ("" if a header that should have it is missing). Weighted clusters were decided when the
        route was chosen."""

    def hash_key(self, head: RequestHead, info: StreamInfo, set_cookies: Optional[List[str]] = None) -> Optional[int]:
        """The hash of `hash_policy`, None without one that yields something. set_cookies: gets the values of the `set-cookie`
        lines that the response needs."""

    def upgrade(self, upgrade_type: str) -> Optional[bool]:
        """Whether the route allows or forbids this upgrade (lower case), None if it does not say."""


class VirtualHost(Protocol):
    """The virtual host of a route."""

    name: str
    include_request_attempt_count: bool
    include_attempt_count_in_response: bool
    include_is_timeout_retry_header: bool
    rate_limits: Sequence[Any]  # `http.routing.rate_limits.RateLimit`
    metadata: Mapping[str, Any]

    def virtual_cluster(self, head: RequestHead) -> str:
        """The name of the virtual cluster ("other" if none matches), "" where none is configured."""


class Route(Protocol):
    """One matched route. Exactly one of `direct_response` and `action` is there."""

    name: str
    virtual_host: VirtualHost
    direct_response: Optional[DirectResponse]
    action: Optional[RouteAction]
    metadata: Mapping[str, Mapping[str, Any]]
    request_body_buffer_limit: Optional[int]
    rate_limits: Sequence[Any]  # `http.routing.rate_limits.RateLimit`
    stat_prefix: str  # "" or that of the stats vhost.<virtual host>.route.<stat_prefix>.
    cors: Sequence[Any]  # older CorsPolicy messages (route.v3): of the virtual host, of the route
    # Whether the two methods below change anything at all.
    changes_request: bool
    changes_response: bool

    def filter_config(self, name: str) -> Optional[Any]:
        """The most specific prepared configuration of the filter of this configured name."""

    def filter_configs(self, name: str) -> Sequence[Any]:
        """All of them, from the route table to the most specific one."""

    def filter_disabled(self, name: str) -> Optional[bool]:
        """True or False where a per-route `FilterConfig` switches the filter off or on, else None."""

    def finalize_request(self, head: RequestHead, info: StreamInfo) -> None:
        """Header mutations, host and path rewrites, in Envoy's order. Once per stream, before the first attempt."""

    def finalize_response(self, head: ResponseHead, info: StreamInfo) -> None:
        """`response_headers_to_add` and `..._to_remove` of all levels."""
