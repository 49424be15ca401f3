"""`route` of a route: how a request is forwarded. Mirrors `RouteEntryImplBase`."""

from __future__ import annotations

from typing import Any, Collection, Dict, Final, List, Mapping, NamedTuple, Optional, Sequence

from ...config.model.core import Metadata
from ...config.model.route_action import NOT_FOUND_CODES, InternalRedirectPolicy, RouteAction
from ...observe.stream_info import StreamInfo
from .. import route_api
from ..events import RequestHead
from .mirror import PreparedMirror
from .request_hash import RequestHash
from .retry import PreparedRetryPolicy
from .text import wire
from .values import request_value

DEFAULT_TIMEOUT: Final = 15.0
_REDIRECT_CODES: Final = frozenset((301, 302, 303, 307, 308))


class PreparedInternalRedirect:
    """`route_api.InternalRedirectPolicy`."""

    __slots__ = ("max_internal_redirects", "codes", "allow_cross_scheme_redirect", "response_headers_to_copy")

    def __init__(self, config: InternalRedirectPolicy) -> None:
        most = config.max_internal_redirects
        self.max_internal_redirects = 1 if most is None else most
        # Codes that are no redirects are dropped, as in Envoy.
        self.codes: Collection[int] = frozenset(config.redirect_response_codes or [302]) & _REDIRECT_CODES
        self.allow_cross_scheme_redirect = config.allow_cross_scheme_redirect
        self.response_headers_to_copy: Sequence[str] = [wire(name.lower()) for name in config.response_headers_to_copy]


class Target(NamedTuple):
    """The cluster of an action: by its name, or by the (lower-case) header that has it. metadata_match: of envoy.lb."""

    cluster: str = ""
    header: str = ""
    metadata_match: Optional[Mapping[str, Any]] = None


class Shared(NamedTuple):
    """What virtual host and route table add to an action."""

    mirrors: Sequence[PreparedMirror]
    retry: Optional[PreparedRetryPolicy]
    hash: Optional[RequestHash]


class ForwardAction:
    """`route_api.RouteAction`; of a weighted cluster one for each of its clusters."""

    __slots__ = (
        "timeout", "timeout_is_default", "idle_timeout", "max_stream_duration", "flush_timeout", "retry_policy",
        "mirror_policies", "internal_redirect_policy", "cluster_not_found_code", "high_priority", "metadata_match",
        "auto_host_rewrite",
        "append_x_forwarded_host", "connect_config", "include_vh_rate_limits", "_cluster",
        "_cluster_header", "_hash", "_upgrades",
    )

    def __init__(self, config: RouteAction, target: Target, shared: Shared) -> None:
        self.timeout = DEFAULT_TIMEOUT if config.timeout is None else config.timeout
        self.timeout_is_default = config.timeout is None
        self.idle_timeout = config.idle_timeout
        longest = config.max_stream_duration
        self.max_stream_duration = longest.max_stream_duration if longest is not None else None
        self.flush_timeout = config.flush_timeout
        self.retry_policy: Optional[route_api.RetryPolicy] = shared.retry
        self.mirror_policies: Sequence[route_api.MirrorPolicy] = shared.mirrors
        redirects = config.internal_redirect_policy
        self.internal_redirect_policy: Optional[route_api.InternalRedirectPolicy] = (
            PreparedInternalRedirect(redirects) if redirects is not None else None
        )
        self.cluster_not_found_code = NOT_FOUND_CODES[config.cluster_not_found_response_code]
        self.high_priority = config.priority == "HIGH"
        self.metadata_match = target.metadata_match
        self.auto_host_rewrite = bool(config.auto_host_rewrite)
        self.append_x_forwarded_host = config.append_x_forwarded_host
        self.connect_config = any(one.connect_config is not None for one in config.upgrade_configs)
        self.include_vh_rate_limits = bool(config.include_vh_rate_limits)
        self._cluster = target.cluster
        self._cluster_header = target.header
        self._hash = shared.hash
        self._upgrades: Dict[str, bool] = {
            one.upgrade_type.lower(): one.enabled is not False for one in config.upgrade_configs
        }

    def cluster_name(self, head: RequestHead) -> str:
        """See `route_api.RouteAction`."""
        return self._cluster or request_value(head, self._cluster_header) or ""

    def hash_key(self, head: RequestHead, info: StreamInfo, set_cookies: Optional[List[str]] = None) -> Optional[int]:
        """See `route_api.RouteAction`."""
        return None if self._hash is None else self._hash.of(head, info, set_cookies)

    def upgrade(self, upgrade_type: str) -> Optional[bool]:
        """See `route_api.RouteAction`."""
        return self._upgrades.get(upgrade_type)


def subset_of(*metadata: Optional[Metadata]) -> Optional[Mapping[str, Any]]:
    """What hosts must have, the later over the earlier; None if nothing is asked for."""
    found: Dict[str, Any] = {}
    for one in metadata:
        if one is not None:
            found.update(one.filter_metadata.get("envoy.lb", {}))
    return found or None
