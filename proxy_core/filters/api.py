"""What a network filter is, and what the engine gives it. Mirrors `envoy/network/filter.h` and `connection.h`.

A *read filter* sees bytes that came in, first configured first; a *write filter* sees bytes on their way out, last configured
first. Each connection has filter instances of its own. A filter is a plain object with the methods below; nothing needs to be
inherited, but `NetworkFilter` has harmless defaults for all of them.

What a status means:

    CONTINUE         the next filter gets its turn, with the same buffer less what was drained
    STOP_ITERATION   this pass ends here. No position is saved: when more bytes come, the pass starts at the first filter again
                     with everything that is still undrained. `callbacks.continue_reading()` runs the filters *after* the caller.

A filter that stops and means to go on later (a timer, an answer from elsewhere) should say so with `callbacks.hold(...)`
or use `callbacks.schedule(...)`: a chain that is parked with nothing left to wake it is reported as a stall.
"""

from __future__ import annotations

import enum
from typing import Any, Callable, Final, Protocol, Tuple

from ..buffer import Buffer


class FilterStatus(enum.Enum):
    """A filter's answer: go on to the next filter, or end this pass."""

    CONTINUE = "continue"
    STOP_ITERATION = "stop_iteration"


class ConnectionEvent(enum.Enum):
    """What `on_event` reports. After a close event nothing else is reported for that connection."""

    CONNECTED = "Connected"
    REMOTE_CLOSE = "RemoteClose"
    LOCAL_CLOSE = "LocalClose"


CONTINUE: Final = FilterStatus.CONTINUE
STOP_ITERATION: Final = FilterStatus.STOP_ITERATION
CONNECTED: Final = ConnectionEvent.CONNECTED
REMOTE_CLOSE: Final = ConnectionEvent.REMOTE_CLOSE
LOCAL_CLOSE: Final = ConnectionEvent.LOCAL_CLOSE


class ConnectionCallbacks(Protocol):
    """Whoever wants to know what happens to a connection. Filters hear events through `on_event` instead."""

    def on_event(self, event: ConnectionEvent) -> None:
        """Connected, RemoteClose or LocalClose."""

    def on_above_write_buffer_high_watermark(self) -> None:
        """More is queued than the limit: stop producing."""

    def on_below_write_buffer_low_watermark(self) -> None:
        """Half of the limit or less is queued: go on."""


class Hold(Protocol):
    """A filter's promise that something other than more bytes will wake the chain."""

    def release(self) -> None:
        """The promise is kept or void. Harmless to call twice."""


class ReadFilterCallbacks(Protocol):
    """The engine, as a read filter sees it. `connection` is the `network.connection.Connection` (typed loosely so that
    this package stays below it)."""

    connection: Any
    name: str

    def continue_reading(self) -> None:
        """Run the filters after this one with the bytes that are buffered. Return STOP_ITERATION afterwards."""

    def inject_read_data_to_filter_chain(self, data: Buffer, end_stream: bool) -> None:
        """Run the filters after this one with exactly these bytes; what they leave in `data` stays the caller's."""

    def hold(self, reason: str) -> Hold:
        """Declare what this parked filter waits for ("answer of the auth server"); shown to operators."""

    def schedule(self, delay: float, callback: Callable[[], None], reason: str) -> Any:
        """Call `callback` in `delay` seconds unless the connection has closed; counts as a hold until then."""


class WriteFilterCallbacks(Protocol):
    """The engine, as a write filter sees it."""

    connection: Any
    name: str

    def inject_write_data_to_filter_chain(self, data: Buffer, end_stream: bool) -> None:
        """Hand these bytes to the write filters after this one, then to the socket's buffer."""

    def hold(self, reason: str) -> Hold:
        """While held, a close that flushes waits: this filter still has bytes to inject."""


class ReadFilter(Protocol):
    """Sees what the peer sent."""

    def initialize_read_filter_callbacks(self, callbacks: ReadFilterCallbacks) -> None:
        """Once, before anything else, while the chain is being built."""

    def on_new_connection(self) -> FilterStatus:
        """Once, when iteration first reaches this filter."""

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Bytes arrived, or the peer finished (end_stream, told once). Drain what is consumed."""

    def on_event(self, event: ConnectionEvent) -> None:
        """The connection came up or closed."""


class WriteFilter(Protocol):
    """Sees what is about to be sent."""

    def initialize_write_filter_callbacks(self, callbacks: WriteFilterCallbacks) -> None:
        """Once, before anything else."""

    def on_write(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Bytes on their way out. On STOP_ITERATION the filter must have taken the bytes it means to inject later."""


class NetworkFilter:
    """A read and write filter that lets everything through. Inherit from it to write only what you need.

    Set before any other method is called: `callbacks` for filters that read, `write_callbacks` for those that write, and
    `connection` for both.
    """

    # False promises that bytes need not pass through this filter once it let the first ones through: bulk may then be moved
    # inside the kernel.
    inspects_data = True

    callbacks: ReadFilterCallbacks
    write_callbacks: WriteFilterCallbacks
    connection: Any

    def initialize_read_filter_callbacks(self, callbacks: ReadFilterCallbacks) -> None:
        """Keep the callbacks."""
        self.callbacks = callbacks
        self.connection = callbacks.connection

    def initialize_write_filter_callbacks(self, callbacks: WriteFilterCallbacks) -> None:
        """Keep the callbacks."""
        self.write_callbacks = callbacks
        self.connection = callbacks.connection

    def on_new_connection(self) -> FilterStatus:
        """Go on."""
        return CONTINUE

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Go on."""
        return CONTINUE

    def on_write(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Go on."""
        return CONTINUE

    def on_event(self, event: ConnectionEvent) -> None:
        """Nothing to do."""
        return None


def chains_of(made: Any) -> Tuple[bool, bool]:
    """Whether a filter is for the read chain, and whether for the write chain: by the methods that it has of its own. The
    defaults of `NetworkFilter` need not be run."""
    def own(method: str) -> bool:
        return getattr(type(made), method, None) not in (None, getattr(NetworkFilter, method))
    return own("on_data") or own("on_new_connection") or own("on_event"), own("on_write")


class FilterManager(Protocol):
    """What a filter factory is called with for each new connection."""

    connection: Any

    def add_read_filter(self, read_filter: ReadFilter, name: str) -> None:
        """Append to the read chain."""

    def add_write_filter(self, write_filter: WriteFilter, name: str) -> None:
        """Put in front of the write chain."""

    def add_filter(self, both: Any, name: str) -> None:
        """The same object in both chains."""


FilterFactory = Callable[[FilterManager], None]
