"""One real connection on a bench: its loop is turned by hand, its time is simulated, and its far end is in the test's hand.

The connection, the filter chains and the reactor are those that a running proxy has. What the socket is, is up to whoever makes
a `Bench`: a scripted one (see `harness`), or a real one.
"""

from __future__ import annotations

import selectors
from typing import Any, List, Optional

from ..event.reactor import Reactor
from ..network.close import CloseReason
from ..network.connection import Connection
from ..network.handshake import establish
from ..network.settings import ByteCounters, ConnectionSettings
from ..observe.stats import Counter
from ..observe.stream_info import StreamInfo
from .clock import SimulatedClock
from .recording import RecordingCallbacks

CONNECTION_ID = 7
WATERMARKS = ("high", "low")


class Bench:
    """See the module docstring. near: the connection's socket, which must not block; selector: one that knows it, None for the
    system's; settings: fields of `network.settings.ConnectionSettings`.

    errors: what left a handler; stalls: the filters that parked the chain with nothing left to wake it.
    """

    def __init__(self, near: Any, selector: Optional[selectors.BaseSelector] = None, **settings: Any) -> None:
        self.clock = SimulatedClock()
        self.errors: List[Exception] = []
        self.stalls: List[str] = []
        self.reactor = Reactor(self.clock, selector, self.errors.append)
        self.settings = ConnectionSettings(**settings)
        self.settings.on_stall = lambda connection, stall: self.stalls.append(stall.filter)
        self.counters = ByteCounters(Counter("rx"), Counter("tx"))
        info = StreamInfo(CONNECTION_ID, 0.0, self.reactor.now)
        self.connection = Connection(CONNECTION_ID, self.reactor, near, info, self.settings, self.counters)
        self.callbacks = RecordingCallbacks()
        self.connection.callbacks += (self.callbacks,)

    def establish(self) -> None:
        """Greet the filters and bring the connection up, as a listener does with an accepted socket."""
        self.connection.read_chain.initialize()
        if self.connection.fd >= 0:
            establish(self.connection)

    @property
    def events(self) -> List[str]:
        """The connection's events, as its callbacks heard them: "Connected", "RemoteClose", "LocalClose"."""
        return [what for _, what in self.callbacks.log if what not in WATERMARKS]

    @property
    def watermarks(self) -> List[str]:
        """The crossings of the write buffer's watermarks, as the callbacks heard them: "high", "low"."""
        return [what for _, what in self.callbacks.log if what in WATERMARKS]

    @property
    def closed(self) -> bool:
        """Whether the socket is closed."""
        return self.connection.fd < 0

    @property
    def close_reason(self) -> Optional[CloseReason]:
        """Who ended it, how and why; None while it is open."""
        return self.connection.close_reason
