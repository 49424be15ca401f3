"""The limit on what comes from the client.

While bytes wait here nothing more is read: the rest of what the client sends stays in the kernel, which makes the client slow
down, and its FIN stays behind it. So what waits is never more than one read (or what a filter in front injects), and a FIN
comes after the last byte without being kept. Envoy reads on, up to the connection's buffer limit.

    came      new bytes, no tokens for them yet
    allowed   paid for, and perhaps seen by the filters behind, who have not drained them: they are shown again with what
              follows, as the bytes in a connection's read buffer are

Bytes of later filters who park are offered again at each tick, in case one of them has changed its mind meanwhile: these
bytes are not in the connection's buffer, where `continue_reading` would find them.
"""

from __future__ import annotations

from typing import Any, Final

from ....buffer import Buffer
from ....filters.api import (
    CONNECTED, CONTINUE, STOP_ITERATION, ConnectionEvent, FilterStatus, ReadFilterCallbacks,
)
from ....network.closing import BoundedHolder
from ....network.connection import READ_BUFFER_HOLDER, Connection
from .direction import Direction

# One that ends by itself, and one that does not: the limit is 0, and the bound on paused connections is to end it.
THROTTLED: Final = BoundedHolder("tcp_bandwidth_limit: waiting for tokens to read")
BLOCKED: Final = "tcp_bandwidth_limit: read_limit_kbps is 0"
_NOT_FROM_BEHIND: Final = frozenset({THROTTLED, BLOCKED, READ_BUFFER_HOLDER})


class ReadLimiter:
    """One connection's read filter. See the module docstring."""

    __slots__ = ("_direction", "_callbacks", "_connection", "_came", "_allowed", "_end", "_timer", "_pause")

    def __init__(self, direction: Direction) -> None:
        self._direction = direction
        self._came = Buffer()
        self._allowed = Buffer()
        self._end = False  # came, and was not passed on yet
        self._timer: Any = None
        self._pause = ""

    def initialize_read_filter_callbacks(self, callbacks: ReadFilterCallbacks) -> None:
        """Keep them."""
        self._callbacks = callbacks
        self._connection: Connection = callbacks.connection

    def on_new_connection(self) -> FilterStatus:
        """Connections are free, bytes cost."""
        return CONTINUE

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Pass on what there are tokens for, keep the rest."""
        direction = self._direction
        if not direction.enabled and self._timer is None:
            return CONTINUE
        direction.seen()
        before = self._came.size
        direction.waiting(data.size)
        self._came.move_from(data)
        self._end = self._end or end_stream
        if not before and not self._others_pause():
            self._pass_on()
        if self._came.size and self._connection.is_open:
            direction.throttled()
        self._wait_or_not()
        # Nothing is left of `data`, and an end was passed on or is kept: those behind are not called a second time.
        return STOP_ITERATION if self._timer is not None else CONTINUE

    def on_event(self, event: ConnectionEvent) -> None:
        """The connection is gone, and what waits with it."""
        if event is not CONNECTED:
            self._direction.waiting(-self._came.size)
            self._came.clear()
            self._allowed.clear()
            self._timer = None  # the chain has stopped it

    def _on_tick(self) -> None:
        self._timer = None
        if not self._others_pause():
            self._pass_on()
        self._wait_or_not()

    def _others_pause(self) -> bool:
        """Whether somebody behind takes no more now."""
        return any(holder not in _NOT_FROM_BEHIND for holder in self._connection.pauses)

    def _pass_on(self) -> None:
        came = self._came
        count = self._direction.allow(came.size)
        if count:
            self._direction.waiting(-count)
            if count == came.size:
                self._allowed.move_from(came)
            else:
                self._allowed.append(came.peek(count))
                came.drain(count)
        end = self._end and not came.size
        if self._allowed.size or end:
            self._end = self._end and not end
            self._callbacks.inject_read_data_to_filter_chain(self._allowed, end)

    def _wait_or_not(self) -> None:
        """Look again later as long as something waits, and read nothing while it is for tokens."""
        connection = self._connection
        if not connection.is_open:
            return
        waits = self._came.size > 0 or self._end
        if (waits or self._allowed.size) and self._timer is None:
            reason = "tokens of tcp_bandwidth_limit" if waits else "filters behind tcp_bandwidth_limit"
            self._timer = self._callbacks.schedule(self._direction.interval, self._on_tick, reason)
        if waits and not self._pause:
            self._pause = BLOCKED if self._direction.blocks_all else THROTTLED
            connection.pause_reading(self._pause)
        elif self._pause and not waits:
            pause, self._pause = self._pause, ""
            connection.resume_reading(pause)
