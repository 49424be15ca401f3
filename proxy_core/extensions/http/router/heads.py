"""What the router changes in the head of a request, for its first attempt and for the others. In Envoy's order, which the
upstream can see."""

from __future__ import annotations

from typing import Final

from ....http.events import RequestHead
from ....http.route_api import Route, RouteAction
from ....http.routing.rewrite import rewrite_host
from ....observe.stream_info import StreamInfo
from ....upstream.host import Host
from .timeouts import Timeouts, write_expected

ATTEMPT_COUNT: Final = "x-envoy-attempt-count"
IS_TIMEOUT_RETRY: Final = "x-envoy-is-timeout-retry"


def prepare_first(
    head: RequestHead, route: Route, action: RouteAction, timeouts: Timeouts, host: Host, info: StreamInfo, adds_headers: bool
) -> None:
    """Before the first attempt. adds_headers: x-envoy-* headers are wanted."""
    if adds_headers:
        write_expected(head.headers, timeouts, 0.0)
    if route.virtual_host.include_request_attempt_count:
        head.headers.set(ATTEMPT_COUNT, "1")
    if route.changes_request:
        route.finalize_request(head, info)
    if action.auto_host_rewrite and host.hostname:
        rewrite_host(head, host.hostname, action.append_x_forwarded_host)


def prepare_next(
    head: RequestHead, route: Route, action: RouteAction, timeouts: Timeouts, host: Host, attempts: int, adds_headers: bool,
    elapsed: float,
) -> None:
    """Before each other. attempts: with this one; elapsed: seconds since the end of the request."""
    if action.auto_host_rewrite and host.hostname:
        head.authority = host.hostname
    if route.virtual_host.include_request_attempt_count:
        head.headers.set(ATTEMPT_COUNT, str(attempts))
    if adds_headers:
        write_expected(head.headers, timeouts, elapsed)
