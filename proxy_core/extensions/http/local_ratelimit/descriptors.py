"""What a request is counted as: by the `rate_limits` of the filter, or of its route and virtual host. Mirrors
`Filter::populateDescriptors`.
"""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence, Tuple

from ....http.events import RequestHead
from ....http.route_api import Route
from ....http.routing.rate_limits import Asked, Descriptor, RateLimit
from ....observe.stream_info import StreamInfo
from .config import INCLUDE, OVERRIDE


def own_descriptors(
    limits: Sequence[RateLimit], head: RequestHead, info: StreamInfo, service: str, route: Optional[Route]
) -> List[Descriptor]:
    """By the filter's `rate_limits`. service: of this proxy."""
    asked = Asked(head, info, service, *_of_route(route, head))
    return _made(limits, asked)


def route_descriptors(
    stage: int, of_host: str, head: RequestHead, info: StreamInfo, service: str, route: Optional[Route]
) -> List[Descriptor]:
    """By those of the route, and of its virtual host as far as `of_host`, the filter's `vh_rate_limits`, says."""
    action = route.action if route is not None else None
    if route is None or action is None:
        return []
    limits = list(_applicable(route.rate_limits, stage))
    if action.include_vh_rate_limits or of_host == INCLUDE or (of_host == OVERRIDE and not route.rate_limits):
        limits += _applicable(route.virtual_host.rate_limits, stage)
    return _made(limits, Asked(head, info, service, *_of_route(route, head))) if limits else []


def _applicable(limits: Sequence[RateLimit], stage: int) -> List[RateLimit]:
    """As Envoy's this filter leaves out those that may be switched off."""
    return [one for one in limits if one.stage == stage and not one.disable_key]


def _made(limits: Sequence[RateLimit], asked: Asked) -> List[Descriptor]:
    found = [one.descriptor(asked) for one in limits]
    return [descriptor for descriptor in found if descriptor is not None]


def _of_route(route: Optional[Route], head: RequestHead) -> Tuple[str, Mapping[str, Any]]:
    """Cluster and metadata."""
    if route is None:
        return "", {}
    return (route.action.cluster_name(head) if route.action is not None else ""), route.metadata
