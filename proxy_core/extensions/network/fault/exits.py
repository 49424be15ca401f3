"""The two ways that bytes go through a connection, as a `Link` sees them.

upstream    from the client: what the read filters in front pass on goes to those behind. The producer is the client, told to
            stop by not reading. Filters behind that take nothing now are offered it again later.
downstream  to the client: what the write filters in front pass on goes to those behind, and to the write buffer. The
            producer is told through the connection's watermark callbacks, as if this were part of the write buffer; no more
            goes on than fits into that buffer's limit, so one full queue is not told to stop twice. A close that flushes
            waits for what is held here.

A connection of which both directions have ended is closed. So that nothing is lost then, the end that goes to the client waits
for what the client sent before its own end, and once it is sent, no more is read than is passed on at once.
"""

from __future__ import annotations

import functools
import selectors
from typing import Callable, Final, Optional

from ....buffer import Buffer
from ....filters.api import Hold, ReadFilterCallbacks, WriteFilterCallbacks
from ....network.connection import READ_BUFFER_HOLDER, Connection
from ....network.states import CONNECTING, ENDED, OPEN
from .link import Link

WRITE: Final = selectors.EVENT_WRITE  # a connection waits for that only while its socket is full
RETRY_AFTER: Final = 0.05
HOLDER: Final = "fault: its toxics hold enough"
REASON: Final = "toxics of the fault filter"
_NOT_FROM_BEHIND: Final = frozenset({HOLDER, READ_BUFFER_HOLDER})


class UpstreamExit:
    """From the client. `other` is set before the first byte comes."""

    __slots__ = ("connection", "other", "_callbacks", "_ends_with_fin")

    def __init__(self, callbacks: ReadFilterCallbacks, understands_half_close: bool) -> None:
        """understands_half_close: whether the filters behind want to be told the end instead of a close."""
        self.connection: Connection = callbacks.connection
        self.other: Link
        self._callbacks = callbacks
        self._ends_with_fin = understands_half_close

    def is_passable(self) -> bool:
        """As long as filters may run."""
        return self.connection.is_open

    def room(self, wanted: int) -> int:
        """All, unless somebody behind takes no more."""
        blocked = any(holder not in _NOT_FROM_BEHIND for holder in self.connection.pauses)
        return 0 if blocked else wanted

    def may_end(self) -> bool:
        """The client's end waits for nothing."""
        return True

    def deliver(self, data: Buffer, count: int, fin: bool) -> None:
        """To the filters behind, and the end: if they do not understand one, the connection closes after the bytes."""
        connection = self.connection
        self._callbacks.inject_read_data_to_filter_chain(data, fin and self._ends_with_fin)
        if fin and connection.is_open:
            # Nothing is read after this. What a filter behind left is where its `continue_reading` will find it.
            connection.read_buffer.move_from(data)
            if not self._ends_with_fin:
                connection.half_close_enabled = False
                connection.chain_moved()

    def wait_for_room(self, push: Callable[[], None]) -> Optional[float]:
        """Nobody tells when a filter behind would take more."""
        return RETRY_AFTER

    def hold(self) -> Hold:
        """Not a stall: a toxic has its time."""
        return self._callbacks.hold(REASON)

    def must_pause(self) -> bool:
        """Once the other direction has ended, the client's end would close the connection."""
        connection = self.connection
        return connection.read_state is OPEN and connection.write_state not in (OPEN, CONNECTING)

    def pause(self) -> None:
        """Read no more."""
        self.connection.pause_reading(HOLDER)

    def resume(self) -> None:
        """Read on."""
        self.connection.resume_reading(HOLDER)

    def on_idle(self) -> None:
        """The end of the other direction may have waited for that."""
        self.other.push()


class DownstreamExit:
    """To the client. `other` is set before the first byte comes."""

    __slots__ = ("connection", "other", "_callbacks")

    def __init__(self, callbacks: WriteFilterCallbacks) -> None:
        self.connection: Connection = callbacks.connection
        self.other: Link
        self._callbacks = callbacks

    def is_passable(self) -> bool:
        """Also while a close waits for the last bytes."""
        return self.connection.fd >= 0

    def room(self, wanted: int) -> int:
        """What fits into the write buffer without rising above its limit."""
        limit = self.connection.settings.buffer_limit
        return min(wanted, max(0, limit - self.connection.write_buffer.size)) if limit else wanted

    def may_end(self) -> bool:
        """Not as long as bytes of the client's would be cut off by that."""
        return not (self.connection.read_state is ENDED and self.other.pending)

    def deliver(self, data: Buffer, count: int, fin: bool) -> None:
        """To the write filters behind."""
        piece = Buffer()
        if count == data.size:
            piece.move_from(data)
        else:
            piece.append(data.peek(count))
            data.drain(count)
        self._callbacks.inject_write_data_to_filter_chain(piece, fin)
        if fin:
            self.other.push()

    def wait_for_room(self, push: Callable[[], None]) -> Optional[float]:
        """Until the socket has taken what is in the write buffer; that is soon, unless the client does not read."""
        connection = self.connection
        if not connection.mask & WRITE:
            return 0.0
        connection.on_drained = functools.partial(connection.reactor.defer, push, connection)
        return None

    def hold(self) -> Hold:
        """A flushing close waits."""
        return self._callbacks.hold(REASON)

    def must_pause(self) -> bool:
        """Only when too much waits."""
        return False

    def pause(self) -> None:
        """Tell the producer."""
        for callbacks in self.connection.callbacks:
            callbacks.on_above_write_buffer_high_watermark()

    def resume(self) -> None:
        """Tell the producer."""
        for callbacks in self.connection.callbacks:
            callbacks.on_below_write_buffer_low_watermark()

    def on_idle(self) -> None:
        """Nobody waits for that."""
