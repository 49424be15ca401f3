"""One connection: a socket, two buffers, two state machines, filters, watermarks. Mirrors `Network::ConnectionImpl`.

A byte's way in: `on_ready` -> `_read` -> read buffer -> `ReadChain`. A byte's way out: `write` -> `WriteChain` ->
write buffer -> `flush` (phase 5 of the turn) -> socket. Downstream and upstream connections are this same class; what differs
is who created the socket (`listener`, `network.client`) and which filters it has.

Flow control. The write buffer has a high watermark (the limit) and a low one (half of it). Crossing them is latched and told
once to the callbacks, who pause whoever produces the bytes. Reading is paused by a *count with named holders*: it goes on when
the last of them has let go, and then bytes that were buffered meanwhile are delivered although the kernel has nothing new.

What a paused connection still hears: a reset, where the system can report one without interest in reading (Linux, see
`event.hangup`), or a failed send. It does not hear a FIN: the FIN stands behind bytes that nobody may read yet. So that no
connection lives without a bound on what it waits for, `bounds` keeps a timer for each such wait.

Closing from inside any callback is safe: the socket is unregistered and closed at once, events are raised, and everyone up the
stack sees `is_open` False when control returns. What must come last (access logs) is run in the deferred phase.
"""

from __future__ import annotations

import functools
import socket
from typing import Callable, Final, Optional, Tuple

from ..buffer import Buffer
from ..event.reactor import HANGUP, READ, WRITE, Reactor
from ..event.timers import Timer
from ..filters.api import LOCAL_CLOSE, REMOTE_CLOSE, ConnectionCallbacks, ConnectionEvent
from ..filters.chain import ReadChain, WriteChain
from ..observe.stream_info import NORMAL, REMOTE_RESET, StreamInfo
from . import closing, notify, sockets, states
from .address import Address
from .close import ABORT, CloseReason, CloseType
from .handshake import UNREGISTERED, establish
from .settings import READ_SIZE, ByteCounters, ConnectionSettings, Stall
from .states import CONNECTING, ENDED, END_QUEUED, FLUSHING, LINGERING, OPEN, PEER_ENDED
from .transport import RAW, Transport

READ_BUFFER_HOLDER: Final = "own read buffer over its limit"


class Connection:
    """See the module docstring. Made in state CONNECTING; `handshake.establish` brings it up."""

    __slots__ = (
        "id", "reactor", "sock", "fd", "transport", "info", "settings", "owner", "local_address", "remote_address",
        "read_buffer", "write_buffer", "read_state", "write_state", "is_open", "half_close_enabled",
        "read_chain", "write_chain", "callbacks", "finalizers", "pauses", "paused_at", "above_high", "above_high_at",
        "bytes_read", "bytes_queued", "bytes_sent", "last_read", "last_write", "opened_at",
        "close_kind", "close_reason", "close_event", "closing_at", "local_close_details", "detected_close_type",
        "transport_failure_reason", "reset_on_close", "bound", "mask", "end_when_connected",
        "counters", "splicer", "on_drained", "read_size", "_high", "_low", "_flush_queued",
    )

    def __init__(
        self, connection_id: int, reactor: Reactor, sock: socket.socket, info: StreamInfo, settings: ConnectionSettings,
        counters: ByteCounters, transport: Transport = RAW,
    ) -> None:
        now = reactor.now
        limit = settings.buffer_limit
        self.id = connection_id
        self.reactor = reactor
        self.sock = sock
        self.fd = sock.fileno()
        self.transport = transport
        self.info = info
        self.settings = settings
        self.owner: object = None  # of a downstream connection: its filter chain
        self.local_address: Optional[Address] = None
        self.remote_address: Optional[Address] = None
        self.read_buffer = Buffer()
        self.write_buffer = Buffer()
        self.read_state: states.Side = CONNECTING
        self.write_state: states.Side = CONNECTING
        self.is_open = True  # Envoy's State::Open, which includes connecting
        self.half_close_enabled = False
        self.read_chain = ReadChain(self)
        self.write_chain: Optional[WriteChain] = None
        # Tuples, not lists: nearly always empty or set once, and an empty tuple costs an idle connection nothing.
        self.callbacks: Tuple[ConnectionCallbacks, ...] = ()
        self.finalizers: Tuple[Callable[[Connection], None], ...] = ()
        self.pauses: Tuple[str, ...] = ()
        self.paused_at = 0.0
        self.above_high = False
        self.above_high_at = 0.0
        self.bytes_read = 0
        self.bytes_queued = 0  # entered the write buffer, sent or not: what access logs call BYTES_SENT
        self.bytes_sent = 0
        self.opened_at = self.last_read = self.last_write = now
        self.close_kind: Optional[CloseType] = None
        self.close_reason: Optional[CloseReason] = None
        self.close_event: ConnectionEvent = LOCAL_CLOSE
        self.closing_at = 0.0
        self.local_close_details = ""
        self.detected_close_type = NORMAL
        self.transport_failure_reason = ""
        self.reset_on_close = False
        self.bound: Optional[Timer] = None
        self.mask = UNREGISTERED
        self.end_when_connected = False
        self.counters = counters
        self.splicer: Optional[Callable[[], bool]] = None  # see `splice`: asked before a bulk read into memory
        self.on_drained: Optional[Callable[[], None]] = None  # told when a blocked write buffer is empty again
        self._high = limit
        self._low = settings.low_watermark
        self.read_size = settings.read_size
        self._flush_queued = False

    @property
    def read_ended(self) -> bool:
        """Whether filters are to be told end_stream: the peer has finished and half-close is understood here."""
        return self.read_state is ENDED and self.half_close_enabled

    @property
    def may_read_more(self) -> bool:
        """Whether bytes can still come without anybody draining the read buffer first."""
        if self.read_state is not OPEN and self.read_state is not CONNECTING:
            return False
        return not self.pauses or any(holder != READ_BUFFER_HOLDER for holder in self.pauses)

    @property
    def accepts_writes(self) -> bool:
        """Whether bytes may still be queued for sending."""
        return self.write_state is OPEN or self.write_state is CONNECTING or self.write_state is FLUSHING

    # -- readiness -------------------------------------------------------------------------------------------------

    def on_ready(self, mask: int) -> None:
        """The connection's share of a turn: one read and one pass through the chain. What comes most is done here."""
        if mask != READ or self.read_state is not OPEN:
            self._on_other(mask)
            return
        if self.read_size > READ_SIZE and self.splicer is not None and self.splicer():
            return
        try:
            if self.transport is RAW:
                data: Optional[bytes] = self.sock.recv(self.read_size)
            else:
                data = self.transport.read(self.sock, self.read_size)
        except (OSError, sockets.ConnectionLost) as error:
            lost = sockets.lost_by(error)
            if lost is not None:
                self.on_lost(lost)
                del lost  # its traceback refers to this frame: a cycle
            return
        if data:
            size = len(data)
            self.bytes_read += size
            self.counters.rx_total.value += size
            self.last_read = self.reactor.now
            if size >= READ_SIZE:  # bulk: fewer, larger reads as long as they come back full
                self.read_size = self.settings.bulk_read_size
            elif self.read_size > READ_SIZE:
                self.read_size = READ_SIZE
            buffer = self.read_buffer
            if buffer.size:
                buffer.append(data)
            else:  # `append` without the call, which is 1 % of a round trip
                buffer.chunks.append(data)
                buffer.size = size
            lone = self.read_chain.lone
            if lone is not None:
                lone.on_data(buffer, False)
            else:
                self.read_chain.run(buffer, False)
            if buffer.size > self._high > 0 and self.is_open and READ_BUFFER_HOLDER not in self.pauses:
                self.pause_reading(READ_BUFFER_HOLDER)  # a parked chain drains nothing: stop until it does
                self.read_chain.check_stall()
        elif data is not None:
            self.peer_ended()

    def _on_other(self, mask: int) -> None:
        """Every readiness but the plain one. Writes go first, as in Envoy: they may close, and they free memory."""
        if self.write_state is CONNECTING:
            establish(self)
            return
        if mask & WRITE:
            self.flush()
        if mask & READ and self.fd >= 0 and self.mask & READ:  # flushing may have closed or paused it
            if self.read_state is OPEN:
                self.on_ready(READ)
            else:
                closing.discard_input(self)
        elif mask & HANGUP:
            number = sockets.pending_error(self.sock)
            if number:
                self.on_lost(sockets.lost(number))

    def update_interest(self) -> None:
        """Tell the reactor what this connection waits for now, if that has changed and it knows the socket at all."""
        if self.fd < 0 or self.mask == UNREGISTERED:
            return
        output_blocked = bool(self.mask & WRITE) and (self.write_buffer.size > 0 or self.transport.has_output)
        if self.write_state is CONNECTING:
            mask = READ | (WRITE if self.transport.has_output else 0)
        elif self.read_state is OPEN and not self.pauses or self.write_state is LINGERING:
            mask = READ | (WRITE if output_blocked else 0)
        else:
            mask = WRITE if output_blocked else 0
        self.set_interest(mask)

    def set_interest(self, mask: int) -> None:
        """Make `mask` the whole interest in the socket."""
        if mask != self.mask:
            self.mask = mask
            self.reactor.watch(self.fd, mask, self)

    # -- reading ---------------------------------------------------------------------------------------------------

    def peer_ended(self) -> None:
        """The peer's FIN; everything before it is in the read buffer."""
        self.read_state = states.next_read(self.read_state, PEER_ENDED)
        self.last_read = self.reactor.now
        self.read_chain.run(self.read_buffer, self.half_close_enabled)
        if not self.half_close_enabled:
            closing.peer_ended(self)
        elif self.is_open and not self.write_buffer.size and states.both_ended(self.read_state, self.write_state):
            self.close_socket(REMOTE_CLOSE, CloseReason("peer", "FIN", "both directions have ended"))
            return
        self.update_interest()
        if self.half_close_enabled and self.is_open:
            self.read_chain.check_stall()
            closing.arm_half_closed(self)

    def chain_moved(self) -> None:
        """Filters ran because one of them continued or injected, so the read buffer may have shrunk."""
        if not self.is_open:
            return
        if self.read_buffer.size <= self._low and READ_BUFFER_HOLDER in self.pauses:
            self.resume_reading(READ_BUFFER_HOLDER)
        if self.read_state is ENDED and not self.half_close_enabled:
            closing.peer_ended(self)

    def pause_reading(self, holder: str) -> None:
        """Read no more until `holder` resumes. Counted: each pause needs its own resume."""
        self.pauses += (holder,)
        if len(self.pauses) == 1 and self.is_open:
            self.paused_at = self.reactor.now
            self.update_interest()
            if self.write_state is not CONNECTING:
                closing.arm_bound(self)

    def resume_reading(self, holder: str) -> None:
        """`holder` objects no more. After the last one reading goes on, and what was buffered comes in this turn's last phase."""
        at = self.pauses.index(holder)
        self.pauses = self.pauses[:at] + self.pauses[at + 1:]
        if self.pauses or not self.is_open:
            return
        self.update_interest()
        if self.read_buffer.size:
            self.reactor.defer(self.deliver_buffered, self)
        if self.transport.has_input:
            self.want_read()

    def want_read(self) -> None:
        """The transport holds bytes, or the peer's end, that the socket will not announce: read in this turn's last phase."""
        self.reactor.defer(self._read_held, self)

    def _read_held(self) -> None:
        if self.transport.has_input and self.fd >= 0 and self.mask & READ:
            self._on_other(READ)

    def deliver_buffered(self) -> None:
        """Bytes wait in the read buffer that no readiness will announce: give them to the filters."""
        if self.is_open and not self.pauses and self.write_state is not CONNECTING:
            self.read_chain.run(self.read_buffer, self.read_ended)
            self.chain_moved()

    # -- writing ---------------------------------------------------------------------------------------------------

    def write(self, data: Buffer, end_stream: bool) -> None:
        """Queue all of `data` (it is empty afterwards), then the end of the stream if asked. Never sends, never raises."""
        if self.write_state is OPEN and self.is_open and self.write_chain is None and not end_stream:
            self.bytes_queued += data.size  # the rest of `queue_write`, for the case that is nearly every case
            buffer = self.write_buffer
            buffer.move_from(data)
            if not self._flush_queued and not self.mask & WRITE:
                self._flush_queued = True
                (self.reactor.to_flush if buffer.size < READ_SIZE else self.reactor.bulk).append(self)
            if buffer.size > self._high > 0 and not self.above_high:
                notify.rose_above_high(self)
        elif not self.is_open or self.write_state is not OPEN and self.write_state is not CONNECTING:
            data.clear()
        elif self.write_chain is None or self.write_chain.run(data, end_stream):
            self.queue_write(data, end_stream)

    def write_bytes(self, data: bytes) -> None:
        """`write(Buffer(data), False)` in half of the time: 0.25 us less for each of the three writes of an HTTP request."""
        if self.write_state is not OPEN or not self.is_open or self.write_chain is not None:
            self.write(Buffer(data), False)
            return
        buffer = self.write_buffer
        self.bytes_queued += len(data)
        buffer.append(data)
        if not self._flush_queued and not self.mask & WRITE:
            self._flush_queued = True
            (self.reactor.to_flush if buffer.size < READ_SIZE else self.reactor.bulk).append(self)
        if buffer.size > self._high > 0 and not self.above_high:
            notify.rose_above_high(self)

    def queue_write(self, data: Buffer, end_stream: bool) -> None:
        """Past the write filters: into the write buffer, and have it flushed at the end of the turn."""
        state = self.write_state
        if state is not OPEN and not self.accepts_writes:
            data.clear()
            return
        buffer = self.write_buffer
        self.bytes_queued += data.size
        buffer.move_from(data)
        if state is CONNECTING:
            self.end_when_connected = self.end_when_connected or end_stream
        else:
            if end_stream and state is OPEN:
                self.write_state = states.next_write(state, END_QUEUED)
            self.want_flush()
        if buffer.size > self._high > 0 and not self.above_high:
            notify.rose_above_high(self)

    def want_flush(self) -> None:
        """Have `flush` called in this turn's flush phase, unless the socket is known to be full."""
        if not self._flush_queued and not self.mask & WRITE:
            self._flush_queued = True
            self.reactor.to_flush.append(self)

    def flush(self) -> None:
        """Send what the socket takes. Only if it does not take all of it, writability is watched."""
        self._flush_queued = False
        if self.fd < 0 or self.write_state is CONNECTING:
            return
        buffer = self.write_buffer
        transport = self.transport
        if buffer.size or transport.has_output:
            try:
                sent = transport.write(self.sock, buffer)
            except sockets.ConnectionLost as lost:
                closing.take_last_bytes(self)
                self.on_lost(lost)
                return
            if sent:
                self.bytes_sent += sent
                self.counters.tx_total.value += sent
                self.last_write = self.reactor.now
                if self.above_high and buffer.size <= self._low:
                    notify.fell_to_low(self)
                    if self.fd < 0:
                        return
            if buffer.size or transport.has_output:
                self.set_interest(self.mask | WRITE)
                return
        if self.mask & WRITE:
            self.set_interest(self.mask & ~WRITE)
            if self.on_drained is not None:
                self.on_drained()
        if self.write_state is not OPEN:
            closing.flushed(self)

    # -- closing (the steps are in `closing`) ----------------------------------------------------------------------

    def close(self, kind: CloseType, details: str = "", how: str = "policy", config: str = "") -> None:
        """Close as `kind` says. details: Envoy's local close reason ("tcp_session_idle_timeout"); how and config complete the
        recorded `CloseReason`. Ignored on a closed connection."""
        if self.fd < 0:
            return
        if details and not self.local_close_details:
            self.local_close_details = details
        closing.close(self, kind, LOCAL_CLOSE, CloseReason("local", how, details, config))

    def close_socket(self, event: ConnectionEvent, reason: CloseReason) -> None:
        """Close now and tell everybody: filters first, then the callbacks, then, at the end of the turn, the finalizers."""
        if self.fd < 0:
            return
        closing.release(self, reason)
        self.reactor.defer(functools.partial(notify.finalize, self))
        try:
            if self.above_high:  # whoever was paused for our sake must not stay so
                notify.fell_to_low(self)
        finally:
            notify.raise_event(self, event)

    def on_lost(self, lost: sockets.ConnectionLost) -> None:
        """The socket reported that the peer is gone."""
        if self.fd < 0:
            return
        if lost.reset:
            self.reset_on_close = True
            self.detected_close_type = REMOTE_RESET
        self.transport_failure_reason = lost.transport_failure or self.transport_failure_reason
        self.close_socket(REMOTE_CLOSE, CloseReason("peer", "RST" if lost.reset else "error", str(lost)))

    def on_failure(self, error: Exception) -> None:
        """A bug, or a filter's exception: this connection ends, the process goes on."""
        self.close(ABORT, f"exception in a handler: {type(error).__name__}", how="error")

    def settle(self) -> None:
        """Half-closed for longer than most: see `closing.arm_half_closed`."""
        closing.arm_bound(self)

    def stalled(self, filter_name: str, since: float) -> None:
        """The chain is parked and nothing is left to wake it; whoever made the settings wants to know."""
        self.settings.on_stall(self, Stall(filter_name, since, self.read_buffer.size, self.may_read_more))
