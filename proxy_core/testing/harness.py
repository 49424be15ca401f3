"""`ChainHarness`: a filter chain in memory, between a peer and an upstream that the test plays.

    feed, end, reset ->  [ scripted socket | Connection | filter | filter | last filter ]  -> onward
    sent             <-                                                                     <- write

The connection, its buffers and watermarks, the filter chains and the reactor are the real ones; the socket is scripted and the
time is simulated. Everything that a test does is followed by turns of the loop until nothing moves any more, and no time passes
but by `advance`. So a test reads as what happened:

    with ChainHarness([UpperLines({})]) as harness:
        harness.feed(b"he")
        assert harness.onward == b"" and harness.parked_by == "UpperLines"
        harness.feed(b"llo\\n")
        assert harness.onward == b"HELLO\\n"
        harness.end()
        assert harness.onward_ends == 1

An exception that leaves a filter is raised where the test caused it; the `with` block fails at its end for what the engine
survives but is a bug (see `watched`), and for a chain that is parked with nothing left to wake it.
"""

from __future__ import annotations

from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

from ..buffer import Buffer
from ..filters.api import STOP_ITERATION, FilterStatus, NetworkFilter, ReadFilterCallbacks, chains_of
from ..listener.filter_chain import Assembly
from ..network.address import Address
from ..network.close import NO_FLUSH, CloseReason, CloseType
from ..network.connection import Connection
from ..network.settings import Stall
from .bench import Bench
from .scripted import ScriptedPeer, ScriptedSelector, ScriptedSocket
from .watched import Call, WatchedFilter, Witness

MOST_TURNS = 10_000
ONWARD = "onward"


class Arrival(NamedTuple):
    """What the last filter was given. at: simulated seconds since the harness was made."""

    at: float
    data: bytes
    end_stream: bool


class Sent(NamedTuple):
    """What one turn of the loop sent to the peer."""

    at: float
    data: bytes


class _Onward(NetworkFilter):
    """Takes everything, as tcp_proxy does for its upstream."""

    def __init__(self, half_close: bool, arrived: Callable[[bytes, bool], None]) -> None:
        self._half_close = half_close
        self._arrived = arrived

    def initialize_read_filter_callbacks(self, callbacks: ReadFilterCallbacks) -> None:
        super().initialize_read_filter_callbacks(callbacks)
        if self._half_close:
            self.connection.half_close_enabled = True

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        self._arrived(data.take(), end_stream)
        return STOP_ITERATION


class ChainHarness(Bench):
    """See the module docstring.

    filters: in the order of a configuration; each gets into the read or the write chain by the methods that it has of its own.
    terminal: whether the last of them ends the chain; by default what its class says (`terminal = True`). Otherwise a last filter
    of the harness stands behind them; half_close: whether that one understands half-close, as tcp_proxy does.
    remote, local: the connection's addresses. raise_errors: False leaves exceptions of filters in `errors`, where the engine
    closes the connection and goes on. start: False to prepare `connection` first and call `start`.
    settings: fields of `network.settings.ConnectionSettings`, such as buffer_limit in bytes.

    stalls: the filters that parked the chain with nothing left to wake it. suspects: those of which the engine would say so in
    its log, since they kept bytes back for a while and no more came; whoever waits for the rest of a message may do that.
    """

    def __init__(
        self, filters: Sequence[Any] = (), *, terminal: Optional[bool] = None, half_close: bool = True,
        remote: str = "127.0.0.1:50000", local: str = "127.0.0.1:10000", raise_errors: bool = True, start: bool = True,
        **settings: Any,
    ) -> None:
        self._socket = ScriptedSocket()
        self._selector = ScriptedSelector()
        self._selector.add(self._socket)
        super().__init__(self._socket, self._selector, **settings)
        self.peer = ScriptedPeer(self._socket)
        self.arrivals: List[Arrival] = []
        self.sends: List[Sent] = []
        self.filters = list(filters)
        self._sent_seen = 0
        self.suspects: List[str] = []
        self.settings.on_stall = self._stalled
        self._raise_errors = raise_errors
        self._raised = 0
        self._began = self.clock.now
        self._witness = Witness(lambda: self.now)
        self.connection.remote_address = _address(remote)
        self.connection.local_address = _address(local)
        ends_chain = terminal if terminal is not None else bool(self.filters) and getattr(self.filters[-1], "terminal", False)
        self._build(half_close, ends_chain)
        if start:
            self.start()

    def _build(self, half_close: bool, terminal: bool) -> None:
        assembly = Assembly(self.connection)
        for one in self.filters:
            name = getattr(one, "name", None) or type(one).__name__
            watched = WatchedFilter(one, name, self._witness)
            reads, writes = chains_of(one)
            if reads:
                assembly.add_read_filter(watched, name)
            if writes:
                assembly.add_write_filter(watched, name)
        if not terminal:
            assembly.add_read_filter(_Onward(half_close, self._arrived), ONWARD)

    def _arrived(self, data: bytes, end_stream: bool) -> None:
        self.arrivals.append(Arrival(self.now, data, end_stream))

    def _stalled(self, connection: Connection, stall: Stall) -> None:
        (self.suspects if stall.more_may_come else self.stalls).append(stall.filter)

    # -- what the test does ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Bring the connection up. Once, and only with start=False."""
        self.act(self.establish)

    def feed(self, data: bytes, end_stream: bool = False) -> None:
        """The peer sends `data` in one segment, and with `end_stream` its FIN after it."""
        if data:
            self.peer.send(data)
        if end_stream:
            self.peer.finish()
        self.settle()

    def end(self) -> None:
        """The peer's FIN."""
        self.feed(b"", end_stream=True)

    def reset(self) -> None:
        """The peer's RST."""
        self.peer.reset()
        self.settle()

    def write(self, data: bytes, end_stream: bool = False) -> None:
        """The upstream answers: through the write filters, to the peer."""
        self.act(lambda: self.connection.write(Buffer(data), end_stream))

    def block(self) -> None:
        """The peer reads no more: its kernel takes nothing."""
        self.peer.block()
        self.settle()

    def unblock(self) -> None:
        """The peer reads again."""
        self.peer.unblock()
        self.settle()

    def pause(self, holder: str = "test") -> None:
        """Read nothing, as when an upstream takes no more."""
        self.act(lambda: self.connection.pause_reading(holder))

    def resume(self, holder: str = "test") -> None:
        """The end of `pause`."""
        self.act(lambda: self.connection.resume_reading(holder))

    def close(self, kind: CloseType = NO_FLUSH, details: str = "") -> None:
        """Close from this side."""
        self.act(lambda: self.connection.close(kind, details))

    def act(self, what: Callable[[], None]) -> None:
        """Call `what` as the loop would call a handler of the connection."""
        self.reactor.defer(what, self.connection)
        self.settle()

    def advance(self, seconds: float) -> None:
        """Let simulated time pass. It stops at every timer that is due on the way."""
        self.wait_until(self.now + seconds)

    def wait_until(self, when: float) -> None:
        """`advance` to the moment at which `now` is `when`. Never back."""
        while self.advance_to_next_timer(when):
            pass
        self._go_to(when)

    def advance_to_next_timer(self, latest: float) -> bool:
        """`advance` to when the next timer is due and let it fire; False, and nothing, if none is due until `latest`."""
        due = self.reactor.timers.next_due()
        if due is None or due - self._began > latest:
            return False
        self._go_to(due - self._began)
        return True

    def _go_to(self, when: float) -> None:
        self.clock.now = max(self.clock.now, self._began + when)
        self.reactor.now = self.clock.now  # else the next turn takes itself for one that slept, and what it starts is left
        self.settle()

    def settle(self) -> None:
        """Turn the loop until nothing moves. Raises what a filter raised."""
        for _ in range(MOST_TURNS):
            self.reactor.turn()
            if len(self._socket.sent) > self._sent_seen:
                self.sends.append(Sent(self.now, bytes(self._socket.sent[self._sent_seen:])))
                self._sent_seen = len(self._socket.sent)
            if self._selector.idle:
                break
        else:
            raise AssertionError(f"the loop is still busy after {MOST_TURNS} turns")
        if self._raise_errors and len(self.errors) > self._raised:
            error = self.errors[self._raised]
            self._raised = len(self.errors)
            raise error

    # -- what came of it -------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Simulated seconds since the harness was made."""
        return self.clock.now - self._began

    @property
    def onward(self) -> bytes:
        """The bytes that came past all filters."""
        return b"".join(arrival.data for arrival in self.arrivals)

    @property
    def onward_ends(self) -> int:
        """How often the end of the stream came past all filters."""
        return sum(arrival.end_stream for arrival in self.arrivals)

    @property
    def sent(self) -> bytes:
        """The bytes that reached the peer."""
        return bytes(self._socket.sent)

    @property
    def sent_end(self) -> bool:
        """Whether a FIN reached the peer."""
        return self._socket.fin_sent

    @property
    def parked_by(self) -> str:
        """The filter that stopped the read chain, "" if none did."""
        return self.connection.read_chain.parked_by

    @property
    def waits(self) -> List[str]:
        """What filters say they wait for: the reasons of `hold` and `schedule`."""
        write_chain = self.connection.write_chain
        holds = (*self.connection.read_chain.holds, *(write_chain.holds if write_chain is not None else ()))
        return [hold.reason for hold in holds]

    @property
    def paused_by(self) -> Tuple[str, ...]:
        """Who holds reading back."""
        return self.connection.pauses

    @property
    def calls(self) -> List[Call]:
        """Every call of a filter with its answer, and every continue and inject, in order."""
        return self._witness.calls

    @property
    def misuses(self) -> List[str]:
        """How filters broke their contract, in sentences."""
        return self._witness.misuses

    def statuses(self, filter_name: str, method: str = "on_data") -> List[Optional[FilterStatus]]:
        """What a filter answered, in order."""
        return [call.status for call in self.calls if (call.filter, call.method) == (filter_name, method)]

    def assert_closed(self, reason: str = "", by: str = "", how: str = "") -> CloseReason:
        """The connection is closed, and for this reason: `detail` or the whole text of the `CloseReason`; by: "peer" or "local";
        how: "FIN", "RST", "timeout", "policy", "error". "" = any. Returns the reason."""
        found = self.close_reason
        if not self.closed or found is None:
            raise AssertionError(f"the connection is open: {self.describe()}")
        if reason not in ("", found.detail, str(found)) or by not in ("", found.by) or how not in ("", found.how):
            expected = ", ".join(f"{name} {value!r}" for name, value in (("by", by), ("how", how), ("reason", reason)) if value)
            raise AssertionError(f"expected a close {expected}, but it was: by {found.by!r}, how {found.how!r}, "
                                 f"reason {found.detail!r}")
        return found

    def describe(self) -> str:
        """What the connection waits for, in one line."""
        parts = [f"reading {self.connection.read_state.value}, writing {self.connection.write_state.value}"]
        if self.parked_by:
            parts.append(f"parked by {self.parked_by}")
        if self.waits:
            parts.append("waiting for " + ", ".join(self.waits))
        if self.paused_by:
            parts.append("reading paused by " + ", ".join(self.paused_by))
        return "; ".join(parts)

    def check(self) -> None:
        """Raise AssertionError for misuses of the filter contract, exceptions that were not raised yet, and stalls."""
        problems = list(self.misuses)
        problems += [f"exception: {error!r}" for error in self.errors[self._raised:]]
        problems += [
            f"{name} parked the chain with no timer, hold or further bytes that could wake it: call hold() or schedule(), "
            "or continue" for name in self.stalls
        ]
        if problems:
            raise AssertionError("\n".join(problems))

    def __enter__(self) -> ChainHarness:
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if error is None:
            self.check()


def _address(text: str) -> Address:
    """"127.0.0.1:80", "[::1]:80" or a path."""
    if text[:1] in "/@":
        return Address.from_path(text)
    ip, _, port = text.rpartition(":")
    return Address.from_ip(ip.strip("[]"), int(port))
