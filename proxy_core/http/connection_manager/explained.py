"""What a client's connection says of itself when somebody asks why: what it does, and its waits with the settings behind them.

Place in the data's way: none. Everything is worked out from what the connection and its stream keep anyway.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, List, Optional, Tuple

from ...observe.reasons import PendingTimer, Reasons, ago_text, duration_text, reasons_of
from . import expiry
from .settings import ManagerTimeouts
from .stall import parked, request_line
from .states import AWAITED, NONE, RECEIVING
from .timeouts import Wait

# What happens when a wait is over -> its setting, the field of `ManagerTimeouts`.
_SETTINGS: Final[Dict[Callable[[Any], None], Tuple[str, str]]] = {
    expiry.idle: ("idle_timeout", "idle"),
    expiry.max_duration: ("max_connection_duration", "max_connection_duration"),
    expiry.drain_over: ("drain_timeout", "drain"),
    expiry.request_headers: ("request_headers_timeout", "request_headers"),
    expiry.request: ("request_timeout", "request"),
    expiry.stream_idle: ("stream_idle_timeout", "stream_idle"),
    expiry.max_stream_duration: ("max_stream_duration", "max_stream_duration"),
    expiry.log_interval: ("access_log_flush_interval", "log_interval"),
}


def explained(owner: Any) -> Reasons:
    """`reasons` of a `connection.HttpConnection`."""
    timers = [_timer(owner, wait) for wait in owner.timeouts.waits()]
    for stream in owner.streams():
        timers += stream_timers(stream)
    return Reasons(_state(owner), tuple(timers))


def _state(owner: Any) -> str:
    stream = owner.stream
    if stream is not None:
        return f"request {owner.requests}: {request_line(stream)}: {waits_for(stream)}"
    draining = "drains, " if owner.drain_ends_at else ""
    if not owner.requests:
        return f"{draining}no request yet"
    idle = ago_text(owner.connection.reactor.now - owner.idle_since)
    return f"{draining}keep-alive, idle for {idle} after {owner.requests} request{'s' if owner.requests != 1 else ''}"


def waits_for(stream: Any) -> str:
    """What an `ActiveStream` does or waits for, as a phrase."""
    if stream.tunnel:
        return "a tunnel"
    if stream.request_state is AWAITED:
        return "the head of the request has not come whole"
    found = parked(stream)
    if found is not None:
        return f"filter '{found.name}' has stopped the {found.direction}"
    if stream.response_state is not NONE:
        return "the response is being sent"
    for one in reversed(stream.filters):  # the last one has the request now
        said = reasons_of(one)
        if said is not None and said.state:
            return said.state
    return "the request is being received" if stream.request_state is RECEIVING else "waiting for the response"


def stream_timers(stream: Any) -> List[PendingTimer]:
    """The timers that are one stream's own: of its filters, and of what they have scheduled."""
    timers = [
        PendingTimer(hold.reason, hold.timer.when, "set by a filter", hold.timer)
        for hold in stream.holds if hold.timer is not None
    ]
    for one in stream.filters:
        said = reasons_of(one)
        if said is not None:
            timers += said.timers
    return timers


def _timer(owner: Any, wait: Wait) -> PendingTimer:
    when, happens = wait
    name, field = _SETTINGS[happens]
    settings: ManagerTimeouts = owner.manager.timeouts
    of_route = _of_route(owner.stream, happens)
    if of_route is not None:
        return PendingTimer(name, when, of_route, owner.timeouts.timer)
    seconds = owner.timeouts.max_duration if happens is expiry.max_duration else getattr(settings, field)
    place = settings.configured.get(field)
    origin = f"configured at {place}" if place is not None else "default"
    return PendingTimer(name, when, f"{name} {duration_text(seconds)}, {origin}", owner.timeouts.timer)


def _of_route(stream: Any, happens: Callable[[Any], None]) -> Optional[str]:
    """Where the value of a stream's limit comes from if that is its route, else None."""
    route = stream.facts.route if stream is not None else None
    action = route.action if route is not None else None
    if action is None:
        return None
    if happens is expiry.stream_idle and action.idle_timeout is not None:
        return f"idle_timeout {duration_text(action.idle_timeout)}, configured at {route_text(route)}"
    if happens is expiry.max_stream_duration and action.max_stream_duration is not None:
        return f"max_stream_duration {duration_text(action.max_stream_duration)}, configured at {route_text(route)}"
    return None


def route_text(route: Any) -> str:
    """A `route_api.Route` by its names."""
    name = f"route '{route.name}'" if route.name else "a route without a name"
    return f"{name} of virtual host '{route.virtual_host.name}'"
