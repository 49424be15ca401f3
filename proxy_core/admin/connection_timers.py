"""What will happen to a connection by itself: every timer that is set for it, with the time left and the setting behind it.

Three kinds: the bounds that a connection keeps on its own waits (`network.closing.bounds`), the timers that filters and
callbacks claim in their `reasons`, and the rest, which are named after what they will call, so that none is hidden.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Final, Iterator, List, Mapping

from ..network.closing import bounds
from ..network.connection import Connection
from ..observe.reasons import PendingTimer, Reasons, duration_text
from .host import AdminHost

# The field of the configuration that sets a bound, where it is not a runtime key of ours.
_FIELDS: Final[Mapping[str, str]] = {
    "buffer_high_watermark_timeout": "per_connection_buffer_high_watermark_timeout",
    "delayed_close_timeout": "delayed_close_timeout",
}
_HANDSHAKE: Final = "transport_socket_connect_timeout"
_HANDSHAKE_KEY: Final = "proxy_core.handshake_timeout_ms"


def pending_timers(host: AdminHost, connection: Connection, said: List[Reasons]) -> List[PendingTimer]:
    """All timers of `connection`, the next to fire first. said: the reasons of its filters and callbacks."""
    found = [
        PendingTimer(name, since + allowed, f"{name} {duration_text(allowed)}, {_origin(host, connection, name)}")
        for since, allowed, name in bounds(connection)
    ]
    found += [timer for one in said for timer in one.timers]
    found += [
        PendingTimer(hold.reason, hold.timer.when, "set by a filter", hold.timer)
        for hold in _holds(connection) if hold.timer is not None
    ]
    claimed = {id(timer.timer) for timer in found} | {id(connection.bound)}
    found += [
        PendingTimer(_name_of(timer.callback), timer.when, "set in code", timer)
        for timer in connection.reactor.timers.pending(connection) if id(timer) not in claimed
    ]
    return sorted(found, key=lambda timer: timer.due)


def _holds(connection: Connection) -> Iterator[Any]:
    yield from connection.read_chain.holds
    if connection.write_chain is not None:
        yield from connection.write_chain.holds


def _origin(host: AdminHost, connection: Connection, name: str) -> str:
    """Where the value of a bound comes from."""
    if name in _FIELDS:
        return f"configured as {_FIELDS[name]}"
    if name == _HANDSHAKE:
        config = getattr(connection.owner, "config", None)
        if getattr(config, _HANDSHAKE, None):
            return f"configured as {_HANDSHAKE}"
        return _by_key(host, _HANDSHAKE_KEY)
    return _by_key(host, f"proxy_core.{name}_ms")


def _by_key(host: AdminHost, key: str) -> str:
    return "default" if host.runtime.get(key) is None else f"runtime key {key}"


def _name_of(callback: Callable[..., Any]) -> str:
    """A callback as the code calls it: "Checker._on_timeout"."""
    if isinstance(callback, functools.partial):
        callback = callback.func
    return str(getattr(callback, "__qualname__", callback))
