"""What the router says of a request when somebody asks why: where it is, why there, and what it waits for at most."""

from __future__ import annotations

from typing import Dict, Final, List, Optional

from ....event.timers import Timer
from ....http.connection_manager.explained import route_text
from ....http.route_api import Route, RouteAction
from ....observe.reasons import Explains, PendingTimer, Reasons, duration_text
from ....upstream.cluster import Cluster
from ....upstream.host import Host
from ....upstream.reasons import why_host
from .timeouts import Timeouts

OVERALL: Final = "route timeout"
AGAIN: Final = "waiting to send the request again"


def attempt_reasons(
    state: str, host: Optional[Host], timeouts: Timeouts, per_try: Optional[Timer], idle: Optional[Timer],
    duration: Optional[Timer],
) -> Reasons:
    """Of one attempt, and its timers; None for those that are not set. state: what it waits for, as a phrase."""
    timers: List[PendingTimer] = []
    for name, seconds, origin, timer in (
        ("per_try_timeout", timeouts.per_try, "of the retry policy or the request's headers", per_try),
        ("per_try_idle_timeout", timeouts.per_try_idle, "of the retry policy", idle),
        ("max_stream_duration", timeouts.max_duration, "of the cluster's common_http_protocol_options", duration),
    ):
        if timer is not None:
            timers.append(PendingTimer(name, timer.when, f"{name} {duration_text(seconds)} {origin}", timer))
    return Reasons(f"{state}, host {host.address}" if host is not None else state, tuple(timers))


def request_reasons(
    attempt: Optional[Explains], due: Optional[float], timeouts: Timeouts, route: Route, action: RouteAction, cluster: Cluster
) -> Reasons:
    """Of a request that has a cluster. attempt: the one under way; due: when the route's time is over."""
    said = attempt.reasons() if attempt is not None else Reasons(AGAIN)
    timers = list(said.timers)
    if due is not None:
        source = f"{OVERALL} {duration_text(timeouts.overall)}, {_origin(timeouts, route, action)}"
        timers.append(PendingTimer(OVERALL, due, source))
    facts: Dict[str, str] = {"why_cluster": route_text(route)}
    host: Optional[Host] = getattr(attempt, "host", None)
    if host is not None:
        facts["why_host"] = why_host(cluster, host)
    return Reasons(said.state, tuple(timers), facts)


def _origin(timeouts: Timeouts, route: Route, action: RouteAction) -> str:
    if timeouts.overall != action.timeout:
        return "as the request's headers say"
    return "default" if action.timeout_is_default else f"configured at {route_text(route)}"
