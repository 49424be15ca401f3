"""What ext_authz decides once per configuration, and once per route."""

from __future__ import annotations

from typing import Any, Dict, Final, Optional

from ....errors import ConfigError, Problem
from ....http.events import RequestHead
from ....http.filter_api import HttpFactoryContext
from ....http.route_api import Route
from ....http.routing.conditions import metadata_matcher
from ....observe.stats import Counter
from ....observe.stream_info import StreamInfo
from ....upstream.http_pool.stats import ResponseStats
from ...feature_flag import FeatureFlag
from ..async_client import AsyncClient
from ..chance import chance
from ..router.charging import Charges
from .config import BufferSettings, ExtAuthz, ExtAuthzPerRoute
from .service import Service

_FORBIDDEN: Final = 403
_COUNTED: Final = ("ok", "denied", "error", "disabled", "failure_mode_allowed")
_ZEROS: Final = (
    "filter_state_name_collision", "ignored_dynamic_metadata", "invalid", "omitted_response_headers",
    "request_header_limits_reached", "response_header_limits_reached", "shadow_denied", "shadow_error",
)


class Settings:
    """See the module docstring. most_of_refusal: bytes, 0 for all."""

    __slots__ = ("service", "client", "buffering", "charges", "status_on_error", "allows_on_failure", "tells_failure",
                 "clears_route", "most_of_refusal", "_denies", "_is_on", "_is_wanted", "_stat_prefix", "_clusters",
                 "_counters")

    def __init__(self, config: ExtAuthz, context: HttpFactoryContext) -> None:
        """Raises `ConfigError`."""
        if config.http_service is None:
            raise ConfigError([Problem(context.path, "http_service is required")])
        where = f"{context.path}.http_service"
        self.service = Service(config.http_service, config.allowed_headers, config.disallowed_headers, context, where)
        self.client = AsyncClient(context)
        self.buffering = config.with_request_body
        self._stat_prefix = f"ext_authz.{config.stat_prefix}" if config.stat_prefix else "ext_authz"
        scope = context.scope.scope("ext_authz")
        if config.stat_prefix:
            scope = scope.scope(config.stat_prefix)
        self._counters: Dict[str, Counter] = {name: scope.counter(name) for name in _COUNTED}
        scope.zeros(counters=_ZEROS)
        self.charges = config.charge_cluster_response_stats is not False
        self.status_on_error = (config.status_on_error.number if config.status_on_error is not None else 0) or _FORBIDDEN
        self.allows_on_failure = config.failure_mode_allow
        self.tells_failure = config.failure_mode_allow_header_add
        self.clears_route = config.clear_route_cache
        self.most_of_refusal = config.max_denied_response_body_bytes
        self._denies = FeatureFlag(config.deny_at_disable, context.runtime) if config.deny_at_disable is not None else None
        self._is_on = chance(config.filter_enabled, context, unset=True)
        wanted = config.filter_enabled_metadata
        self._is_wanted = metadata_matcher(wanted) if wanted is not None else None
        self._clusters: Any = context.clusters

    @property
    def denies_others(self) -> bool:
        """Whether requests that are not asked about are refused."""
        return self._denies is not None and self._denies.enabled

    def applies(self, info: StreamInfo) -> bool:
        """Whether this request is to be asked about."""
        return self._is_on() and (self._is_wanted is None or self._is_wanted(info))

    def count_disabled(self) -> None:
        """A request that was not asked about."""
        self._counters["disabled"].inc()

    def count(self, name: str, route: Optional[Route], request: RequestHead) -> None:
        """A verdict, here and below the cluster that the request goes to."""
        self._counters[name].inc()
        cluster = self._cluster(route, request)
        if cluster is not None:
            cluster.scope.counter(f"{self._stat_prefix}.{name}").inc()

    def charge_route(self, route: Optional[Route], request: RequestHead, status: int) -> None:
        """A refusal, counted as a response of the cluster that would have had the request."""
        cluster = self._cluster(route, request)
        if cluster is not None:
            Charges(ResponseStats(cluster.scope), (), request, self._clusters.zone).charge(status, None)

    def _cluster(self, route: Optional[Route], request: RequestHead) -> Any:
        action = route.action if route is not None else None
        return self._clusters.get(action.cluster_name(request)) if action is not None else None


class RouteSettings:
    """An `ExtAuthzPerRoute`, prepared. service: another server, None for the filter's."""

    __slots__ = ("disabled", "service", "_buffers_nothing", "_buffering")

    def __init__(self, config: ExtAuthzPerRoute, context: HttpFactoryContext) -> None:
        """Raises `ConfigError`."""
        self.disabled = bool(config.disabled)
        own = config.check_settings
        self._buffers_nothing = own is not None and own.disable_request_body_buffering
        self._buffering = own.with_request_body if own is not None else None
        self.service: Optional[Service] = None
        if own is not None and own.http_service is not None:
            where = f"{context.path}.check_settings.http_service"
            self.service = Service(own.http_service, None, None, context, where)

    def buffering_for(self, of_filter: Optional[BufferSettings]) -> Optional[BufferSettings]:
        """How much of the body the server gets on this route."""
        return None if self._buffers_nothing else self._buffering or of_filter
