"""The limit on what is sent to the client.

What waits here counts as queued: above the connection's buffer limit the producer is told to stop, below half of it to go on, by
the same calls as for the write buffer itself. A close that flushes waits until the last byte is out (Envoy drops what its filter
holds), with the connection's bound on a flush that makes no progress.
"""

from __future__ import annotations

from typing import Optional

from ....buffer import Buffer
from ....event.timers import Timer
from ....filters.api import CONNECTED, CONTINUE, STOP_ITERATION, ConnectionEvent, FilterStatus, Hold, WriteFilterCallbacks
from ....network.connection import Connection
from .direction import Direction


class WriteLimiter:
    """One connection's write filter. See the module docstring."""

    __slots__ = ("_direction", "_callbacks", "_connection", "_came", "_end", "_timer", "_hold", "_told_high")

    inspects_data = True

    def __init__(self, direction: Direction) -> None:
        self._direction = direction
        self._came = Buffer()
        self._end = False  # came, and was not passed on yet
        self._timer: Optional[Timer] = None
        self._hold: Optional[Hold] = None  # while something waits: a flushing close waits as well
        self._told_high = False

    def initialize_write_filter_callbacks(self, callbacks: WriteFilterCallbacks) -> None:
        """Keep them."""
        self._callbacks = callbacks
        self._connection: Connection = callbacks.connection

    def on_write(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Pass on what there are tokens for, keep the rest."""
        direction = self._direction
        if not direction.enabled and self._hold is None:
            return CONTINUE
        direction.seen()
        if self._hold is None:
            if direction.covers(data.size):
                direction.allow(data.size)
                return CONTINUE
            allowed = direction.allow(self._room(data.size))
            if allowed:
                self._inject(data, allowed, False)
            self._hold = self._callbacks.hold("tokens of tcp_bandwidth_limit")
        direction.throttled()
        direction.waiting(data.size)
        self._came.move_from(data)
        self._end = self._end or end_stream
        self._arm()
        self._tell_producer()
        return STOP_ITERATION

    def on_event(self, event: ConnectionEvent) -> None:
        """The connection is gone, and what waits with it."""
        if event is CONNECTED:
            return
        self._direction.waiting(-self._came.size)
        self._came.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._tell_producer()

    def _on_tick(self) -> None:
        self._timer = None
        came = self._came
        count = self._direction.allow(self._room(came.size))
        end = self._end and count == came.size
        if count or end:
            self._direction.waiting(-count)
            self._inject(came, count, end)
        if self._connection.fd < 0:
            return
        if came.size:
            self._arm()
        elif self._hold is not None:
            hold, self._hold = self._hold, None
            self._end = False
            hold.release()
        self._tell_producer()

    def _inject(self, source: Buffer, count: int, end: bool) -> None:
        """Hand the first `count` bytes to the filters after this one."""
        piece = Buffer()
        if count == source.size:
            piece.move_from(source)
        else:
            piece.append(source.peek(count))
            source.drain(count)
        self._callbacks.inject_write_data_to_filter_chain(piece, end)

    def _room(self, wanted: int) -> int:
        """What of `wanted` bytes the write buffer takes without rising above its limit. So a producer that was told to stop by
        this filter is not told to go on by the write buffer, and a client that does not read has one full queue, not two."""
        limit = self._connection.settings.buffer_limit
        return min(wanted, max(0, limit - self._connection.write_buffer.size)) if limit else wanted

    def _arm(self) -> None:
        """Not through the callbacks of the chain: this timer has to fire while a close waits, too."""
        if self._timer is None:
            connection = self._connection
            self._timer = connection.reactor.after(self._direction.interval, self._on_tick, connection)

    def _tell_producer(self) -> None:
        settings, waiting = self._connection.settings, self._came.size
        if not self._told_high and waiting > settings.buffer_limit > 0:
            self._told_high = True
            for callbacks in self._connection.callbacks:
                callbacks.on_above_write_buffer_high_watermark()
        elif self._told_high and waiting <= settings.low_watermark:
            self._told_high = False
            for callbacks in self._connection.callbacks:
                callbacks.on_below_write_buffer_low_watermark()
