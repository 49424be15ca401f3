"""An accepted socket on its way to a filter chain: the listener-filter phase. Mirrors Envoy's `ActiveTcpSocket`.

Listener filters look at the first bytes, in order, each with all that was read and not consumed; when the last one is content
the socket goes to its listener, which picks a filter chain by the facts they found. Envoy peeks, so that the kernel gives the
same bytes again; here they are read once, kept, and handed to the connection (`network.handshake.preload`). A peek would wake a
level-triggered loop again and again, and hides a FIN or RST that stands behind the peeked bytes: Envoy rejects a client that
sent everything and then finished, and does not notice one that reset.

    NEW      -> READING, WAITING, PASSED, CLOSED    the filters run for the first time
    READING  -> the same four                       the current filter wants more bytes
    WAITING  -> the same four                       the current filter waits for an answer of its own
    PASSED   the listener has the socket            CLOSED   it is closed

A listener with `use_original_dst` hands a passed socket to the listener at its restored address, where the phase starts again,
once.

Never more is read than the current filter asks for (`most_bytes`), and one timer covers the whole phase, so a client that
dribbles costs a bounded amount for a bounded time.
"""

from __future__ import annotations

import enum
import socket
from typing import Final, Optional, Protocol, Sequence, Tuple

from ..event.reactor import READ, Reactor
from ..event.timers import Timer
from ..filters.api import CONTINUE, STOP_ITERATION, FilterStatus
from ..filters.listener_api import ListenerFilter
from ..network import sockets
from ..network.address import Address
from ..observe.stream_info import StreamInfo
from .listener_filters import PreparedListenerFilter


class Phase(enum.Enum):
    """Where an accepted socket is."""

    NEW = "new"
    READING = "reading"
    WAITING = "waiting"
    PASSED = "passed"
    CLOSED = "closed"


class Ending(enum.Enum):
    """Why a socket did not become a connection."""

    REJECTED = "rejected by a listener filter"
    REMOTE_CLOSE = "the peer finished before the listener filters had what they need"
    ERROR = "the socket failed during the listener filters"
    TIMEOUT = "listener_filters_timeout"
    SHUTDOWN = "the listener goes away"


READING: Final = Phase.READING
WAITING: Final = Phase.WAITING
PASSED: Final = Phase.PASSED
CLOSED: Final = Phase.CLOSED


class Owner(Protocol):
    """The listener that accepted the socket."""

    def on_passed(self, accepted: AcceptedSocket) -> None:
        """The filters are done; the socket and `data` are the owner's."""

    def on_continued(self) -> None:
        """The time is over; `on_passed` follows, because `continue_on_listener_filters_timeout` says so."""

    def on_refused(self, accepted: AcceptedSocket, ending: Ending, reason: str) -> None:
        """The socket is closed. reason: a sentence for the log."""


class AcceptedSocket:
    """The facts of one socket and its way through the listener filters: `AcceptedSocket` and `ListenerFilterCallbacks` of
    `filters.listener_api` in one object."""

    __slots__ = (
        "sock", "reactor", "info", "remote_address", "direct_remote_address", "local_address", "local_restored",
        "transport_protocol", "application_protocols", "requested_server_name", "ja3_hash", "ja4_hash", "data", "ended", "phase",
        "handed_over", "_owner", "_filters", "_position", "_current", "_timer", "_in_hook", "_answer", "_continue_on_timeout",
    )

    def __init__(self, sock: socket.socket, reactor: Reactor, info: StreamInfo, peer: Address, local: Address) -> None:
        self.sock = sock
        self.reactor = reactor
        self.info = info
        self.remote_address = self.direct_remote_address = peer
        self.local_address = local
        self.local_restored = False
        self.transport_protocol = ""
        self.application_protocols: Tuple[str, ...] = ()
        self.requested_server_name = ""
        self.ja3_hash = ""
        self.ja4_hash = ""
        self.data = bytearray()
        self.ended = False
        self.phase = Phase.NEW
        self.handed_over = False  # by the listener that accepted it, to the one at its original destination
        self._owner: Optional[Owner] = None
        self._filters: Sequence[PreparedListenerFilter] = ()
        self._position = 0
        self._current: Optional[ListenerFilter] = None
        self._timer: Optional[Timer] = None
        self._in_hook = False
        self._answer: Optional[bool] = None
        self._continue_on_timeout = False

    @property
    def socket(self) -> AcceptedSocket:
        """The facts, as `ListenerFilterCallbacks` names them."""
        return self

    def start(
        self, filters: Sequence[PreparedListenerFilter], owner: Owner, timeout: float, continue_on_timeout: bool
    ) -> None:
        """Run the filters; `owner` hears how it ended, perhaps before this returns. timeout in seconds, 0 = none."""
        self.phase = Phase.NEW
        self._filters = filters
        self._position = 0
        self._owner = owner
        self._continue_on_timeout = continue_on_timeout
        try:
            self._run()
        except Exception as error:
            self.on_failure(error)
            raise
        if timeout and (self.phase is READING or self.phase is WAITING):
            self._timer = self.reactor.after(timeout, self._on_timeout, self)

    # -- for the filters -------------------------------------------------------------------------------------------

    def consume(self, count: int) -> None:
        """Take bytes out of the stream."""
        del self.data[:count]

    def reject(self, reason: str, details: str = "") -> None:
        """Close the socket."""
        if details:
            self.info.response_code_details = details
        self._close(Ending.REJECTED, reason)

    def continue_filter_chain(self, success: bool) -> None:
        """The answer that the current filter waited for."""
        if self.phase is PASSED or self.phase is CLOSED:
            return
        self._answer = success
        if not self._in_hook:
            self._run()

    # -- readiness -------------------------------------------------------------------------------------------------

    def on_ready(self, mask: int) -> None:
        """Called by the reactor: bytes, the peer's end, or a reset while nobody reads."""
        if self.phase is WAITING:
            number = sockets.pending_error(self.sock)
            if number:
                self._close(Ending.ERROR, sockets.describe(number))
            return
        if self.phase is not READING or self._current is None:
            return
        try:
            data = sockets.receive(self.sock, max(1, self._current.most_bytes - len(self.data)))
        except sockets.ConnectionLost as lost:
            self._close(Ending.ERROR, str(lost))
            return
        if data is None:
            return
        self.data += data
        self.ended = not data
        self._run()

    def on_failure(self, error: Exception) -> None:
        """A filter's exception: this socket ends, the process goes on."""
        self._close(Ending.ERROR, f"exception in a listener filter: {type(error).__name__}")

    def close(self) -> None:
        """The listener goes away."""
        self._close(Ending.SHUTDOWN, Ending.SHUTDOWN.value)

    def _on_timeout(self) -> None:
        self._timer = None
        if not self._continue_on_timeout:
            self._close(Ending.TIMEOUT, f"{Ending.TIMEOUT.value} reached")
            return
        self._tell_closed()
        if self._owner is not None:
            self._owner.on_continued()
        self._pass()

    # -- the filters, one after the other --------------------------------------------------------------------------

    def _run(self) -> None:
        """From the current filter on, until one waits or all are content."""
        while self._position < len(self._filters):
            status = self._ask()
            if self.phase is CLOSED:
                return
            answer, self._answer = self._answer, None
            if answer is False:
                self._close(Ending.REJECTED, "a listener filter answered no")
                return
            if status is STOP_ITERATION and answer is None:
                self._wait()
                return
            self._position += 1
            self._current = None
        self._pass()

    def _ask(self) -> FilterStatus:
        """Call into the current filter; what it answers by `continue_filter_chain` meanwhile is looked at afterwards."""
        self._in_hook = True
        try:
            return self._ask_current()
        finally:
            self._in_hook = False

    def _ask_current(self) -> FilterStatus:
        if self._answer is not None:  # nothing to ask
            return STOP_ITERATION
        current = self._current
        if current is None:
            prepared = self._filters[self._position]
            if prepared.disabled is not None and prepared.disabled(self.local_address):
                return CONTINUE
            self._current = current = prepared.new()
            status = current.on_accept(self)
            if status is CONTINUE or self.phase is CLOSED or not current.most_bytes or not (self.data or self.ended):
                return status
        return current.on_data(self.data, self.ended)

    def _wait(self) -> None:
        assert self._current is not None
        most = self._current.most_bytes
        if not most:
            self.phase = WAITING
            self.reactor.watch(self.sock.fileno(), 0, self)
        elif self.ended:
            self._close(Ending.REMOTE_CLOSE, Ending.REMOTE_CLOSE.value)
        elif len(self.data) >= most:
            self._close(Ending.ERROR, f"a listener filter wants more than its {most} bytes")
        else:
            self.phase = READING
            self.reactor.watch(self.sock.fileno(), READ, self)

    # -- the two ends ----------------------------------------------------------------------------------------------

    def _pass(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.phase = PASSED
        self._current = None
        owner, self._owner = self._owner, None
        assert owner is not None
        owner.on_passed(self)

    def _close(self, ending: Ending, reason: str) -> None:
        if self.phase is PASSED or self.phase is CLOSED:
            return
        self.phase = CLOSED
        if self._timer is not None:
            self._timer.cancel()
        if ending is not Ending.REJECTED:
            self._tell_closed()
        self.release()
        owner, self._owner = self._owner, None
        assert owner is not None
        owner.on_refused(self, ending, reason)

    def release(self) -> None:
        """Close the socket itself. A client whose bytes nobody took sees a RST, as it does where they were only peeked at."""
        self.reactor.unwatch(self.sock.fileno())
        sockets.close(self.sock, reset=bool(self.data))

    def _tell_closed(self) -> None:
        current, self._current = self._current, None
        if current is not None:
            current.on_close()
