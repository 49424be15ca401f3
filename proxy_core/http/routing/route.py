"""One prepared route, and the virtual host it belongs to: what the connection manager, the router and filters see.

Implements `route_api.Route` and `route_api.VirtualHost`. A route is made when its table is loaded and shared by all requests.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple, Optional, Sequence, Tuple

from ...config.model.route_cors import CorsPolicy
from ...observe.stream_info import NOTHING, StreamInfo
from .. import route_api
from ..events import RequestHead, ResponseHead
from ..route_api import DirectResponse, RouteAction
from .filter_settings import NO_SETTINGS, Settings
from .header_mutation import Change
from .rate_limits import RateLimit
from .virtual_clusters import VirtualClusters

Rewrite = Callable[[RequestHead, StreamInfo], None]


class VirtualHost:
    """`route_api.VirtualHost`. cors: the older kind of policy, for the filter that knows it."""

    __slots__ = (
        "name", "include_request_attempt_count", "include_attempt_count_in_response", "include_is_timeout_retry_header",
        "rate_limits", "cors", "metadata", "_clusters",
    )

    def __init__(self, config: Any, clusters: VirtualClusters, rate_limits: Sequence[RateLimit]) -> None:
        """config: the `VirtualHost` message."""
        self.name: str = config.name
        self.include_request_attempt_count: bool = config.include_request_attempt_count
        self.include_attempt_count_in_response: bool = config.include_attempt_count_in_response
        self.include_is_timeout_retry_header: bool = config.include_is_timeout_retry_header
        self.rate_limits: Sequence[Any] = rate_limits
        self.cors: Optional[CorsPolicy] = config.cors
        self.metadata: Mapping[str, Any] = config.metadata.filter_metadata if config.metadata is not None else NOTHING
        self._clusters = clusters

    def virtual_cluster(self, head: RequestHead) -> str:
        """See `route_api.VirtualHost`."""
        return self._clusters.of(head)


class Facts(NamedTuple):
    """What a route is besides its action."""

    name: str
    virtual_host: VirtualHost
    metadata: Mapping[str, Mapping[str, Any]] = NOTHING
    request_body_buffer_limit: Optional[int] = None
    rate_limits: Sequence[RateLimit] = ()
    stat_prefix: str = ""
    cors: Tuple[CorsPolicy, ...] = ()
    filters: Settings = NO_SETTINGS


class PreparedRoute:
    """`route_api.Route`."""

    __slots__ = (
        "name", "virtual_host", "direct_response", "action", "metadata", "request_body_buffer_limit", "rate_limits",
        "stat_prefix", "cors", "changes_request", "changes_response", "_filters", "_request", "_response", "_rewrite",
    )

    def __init__(
        self, facts: Facts, direct_response: Optional[DirectResponse] = None, action: Optional[RouteAction] = None,
        request: Optional[Change] = None, response: Optional[Change] = None, rewrite: Optional[Rewrite] = None,
    ) -> None:
        """request, response: changes of headers of all levels. rewrite: of host and path, after them."""
        self.name = facts.name
        self.virtual_host: route_api.VirtualHost = facts.virtual_host
        self.metadata = facts.metadata
        self.request_body_buffer_limit = facts.request_body_buffer_limit
        self.rate_limits: Sequence[Any] = facts.rate_limits
        self.stat_prefix = facts.stat_prefix
        self.cors: Sequence[Any] = facts.cors
        self.direct_response = direct_response
        self.action = action
        self.changes_request = request is not None or rewrite is not None
        self.changes_response = response is not None
        self._filters = facts.filters
        self._request = request
        self._response = response
        self._rewrite = rewrite

    def filter_config(self, name: str) -> Optional[Any]:
        """See `route_api.Route`."""
        setting = self._filters.get(name)
        return setting.configs[-1] if setting is not None and setting.configs else None

    def filter_configs(self, name: str) -> Sequence[Any]:
        """See `route_api.Route`."""
        setting = self._filters.get(name)
        return setting.configs if setting is not None else ()

    def filter_disabled(self, name: str) -> Optional[bool]:
        """See `route_api.Route`."""
        setting = self._filters.get(name)
        return setting.disabled if setting is not None else None

    def finalize_request(self, head: RequestHead, info: StreamInfo) -> None:
        """See `route_api.Route`."""
        if self._request is not None:
            self._request(head.headers, info)
        if self._rewrite is not None:
            self._rewrite(head, info)

    def finalize_response(self, head: ResponseHead, info: StreamInfo) -> None:
        """See `route_api.Route`."""
        if self._response is not None:
            facts: Any = info.http
            if facts is not None:
                facts.response = head  # what the formats of the headers ask for
            self._response(head.headers, info)
