"""Everything a client's connection may wait for, on one lazy timer.

    connection    idle_timeout without a request, then drain; max_connection_duration, then drain; the drain itself
    stream        stream_idle_timeout and a route's idle_timeout; request_headers_timeout; request_timeout;
                  max_stream_duration and a route's; the periodic access log

Place in the data's way: none. Bytes and requests only leave behind when they came; `due` reads off what applies now, and a timer
that fires too early is set again for the rest. A new request costs one comparison, since its earliest wait can't be over before
the shortest configured one has passed.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Final, List, Optional, Tuple

from ...event.timers import SETTLE_AFTER, Timer
from . import expiry
from .settings import ManagerTimeouts
from .states import AWAITED, COMPLETE

# (when it is over, what happens then)
Wait = Tuple[float, Callable[[Any], None]]

NEVER: Final = math.inf


class Timeouts:
    """The waits of one `connection.HttpConnection`. timer: for what is due first, None if it is not set. A connection that is
    over waits for nothing."""

    __slots__ = ("_owner", "_settings", "_reactor", "timer", "_due", "max_duration")

    def __init__(self, owner: Any, settings: ManagerTimeouts, max_duration: float) -> None:
        """max_duration: seconds this connection may live, jitter included, 0 for any time."""
        self._owner = owner
        self._settings = settings
        self._reactor = owner.connection.reactor
        self.timer: Optional[Timer] = None
        self._due = NEVER
        self.max_duration = max_duration

    def start(self) -> None:
        """The connection is there. Most are over before a long wait is worth a timer (see `Reactor.settle_later`)."""
        soonest = min([wait for wait in (self._settings.idle, self.max_duration) if wait], default=0.0)
        if soonest > SETTLE_AFTER:
            self._reactor.settle_later(self)
        elif soonest:
            self.settle()

    def settle(self) -> None:
        """Set the timer for what is due first now."""
        self._set(min([when for when, _ in self.waits()], default=NEVER))

    def stop(self) -> None:
        """The connection is over. It is forgotten, since it refers to this: see `lifecycle.settle_garbage_collector`."""
        self._reactor.unsettled.pop(self, None)
        self._set(NEVER)
        self._owner = None

    def stream_began(self) -> None:
        """A request begins: its waits may be due before the timer."""
        shortest = self._settings.shortest_of_stream
        if shortest and self._due > self._reactor.now + shortest:
            if shortest > SETTLE_AFTER and self.timer is None:
                self._reactor.settle_later(self)
            else:
                self.settle()

    def stream_ended(self) -> None:
        """The idle time begins: it may be over before what the timer was set for while there was a stream."""
        idle = self._settings.idle
        if idle and self._due > self._reactor.now + idle:
            if idle > SETTLE_AFTER and self.timer is None:
                self._reactor.settle_later(self)
            else:
                self.settle()

    def earlier_wait(self) -> None:
        """A wait came into being that may be due before the timer."""
        self.settle()

    def _set(self, due: float) -> None:
        if due == self._due:
            return
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self._due = due
        if due != NEVER:
            self.timer = self._reactor.timers.at(due, self._on_timer, self._owner.connection)

    def _on_timer(self) -> None:
        owner = self._owner
        self.timer = None
        self._due = NEVER
        if not owner.connection.is_open:
            return
        for when, happens in self.waits():
            if self._reactor.now >= when:
                happens(owner)
                break
        if owner.connection.is_open:
            self.settle()

    def waits(self) -> List[Wait]:
        """All that apply now, in no order."""
        owner = self._owner
        waits: List[Wait] = []
        if owner is None:
            return waits
        if owner.drain_ends_at:
            waits.append((owner.drain_ends_at, expiry.drain_over))
        elif self.max_duration:
            waits.append((owner.connection.opened_at + self.max_duration, expiry.max_duration))
        if owner.stream is not None:
            waits += self._stream_waits(owner.stream)
        elif self._settings.idle and not owner.drain_ends_at:
            waits.append((owner.idle_since + self._settings.idle, expiry.idle))
        return waits

    def _stream_waits(self, stream: Any) -> List[Wait]:
        settings, connection = self._settings, self._owner.connection
        started = stream.info.start_mono
        waits: List[Wait] = []
        if stream.request_state is AWAITED and settings.request_headers:
            waits.append((started + settings.request_headers, expiry.request_headers))
        if stream.request_state is not COMPLETE and settings.request and not stream.tunnel:
            waits.append((started + settings.request, expiry.request))
        if stream.max_duration:
            waits.append((started + stream.max_duration, expiry.max_stream_duration))
        if stream.idle_timeout:
            # A head that comes byte by byte must not hold the connection for ever.
            is_slow = stream.request_state is AWAITED
            active = started if is_slow else max(started, connection.last_read, connection.last_write)
            waits.append((active + stream.idle_timeout, expiry.stream_idle))
        if settings.log_interval:
            waits.append((stream.logged_at + settings.log_interval, expiry.log_interval))
        return waits
