"""How a connection comes to its end: the steps of each close type, and the bounds on everything it may wait for.

    FlushWrite            send what is queued, then close; if the peer is still sending, half-close and drop its bytes for a
                          moment first, because closing a socket with unread bytes destroys the reply on its way
    FlushWriteAndDelay    the same, but wait for the peer's FIN or the delayed-close timer, and say nothing before
    FlushWriteAndReset    send what is queued, then RST, once it has been delivered
    NoFlush               close now, after one attempt to send what is queued
    Abort                 close now
    AbortReset            close now with RST

One timer per connection covers all waits. Which bounds apply is read off the connection's state when the timer fires, and
silence is measured from the last byte, so traffic costs no timer work.
"""

from __future__ import annotations

import functools
import socket
from typing import List, Optional, Protocol, Tuple

from ..buffer import Buffer
from ..errors import PeerError
from ..event.reactor import WRITE, Reactor
from ..event.timers import SETTLE_AFTER, Timer
from ..filters.api import LOCAL_CLOSE, REMOTE_CLOSE, ConnectionEvent
from ..filters.chain import ReadChain, WriteChain
from ..observe.stream_info import LOCAL_RESET, NORMAL, StreamInfo
from . import sockets, states
from .close import (
    ABORT, ABORT_RESET, FLUSH_WRITE, FLUSH_WRITE_AND_DELAY, FLUSH_WRITE_AND_RESET, NO_FLUSH, CloseReason, CloseType,
)
from .settings import READ_SIZE, ByteCounters, ConnectionSettings
from .states import (
    CLOSED, CLOSE_AFTER_FLUSH, CONNECTING, ENDED, ENDING, END_SENT, FLUSHING, LINGER, LINGERING, OPEN, STOP, Side,
)
from .transport import RAW, Transport

# Reads of input nobody wants, per turn, while lingering.
DISCARD_READS = 4
# Reads of what a peer that is gone had sent before. Its kernel can't add any more, so this is a limit, not a share.
LAST_READS = 64

TRANSPORT_SOCKET_TIMEOUT = "transport_socket_timeout"

# Seconds between two looks at whether the peer's kernel has everything. About as long as it may delay an acknowledgement.
ASK_AGAIN_AFTER = 0.04

FLUSHING_KINDS = frozenset({FLUSH_WRITE, FLUSH_WRITE_AND_DELAY, FLUSH_WRITE_AND_RESET})


class BoundedHolder(str):
    """The name of a pause whose holder sees to it itself that it ends, so that it needs no bound here."""

    __slots__ = ()


class Closable(Protocol):
    """What this module needs of a connection."""

    sock: socket.socket
    fd: int
    reactor: Reactor
    transport: Transport
    settings: ConnectionSettings
    read_state: Side
    write_state: Side
    read_buffer: Buffer
    write_buffer: Buffer
    read_chain: ReadChain
    write_chain: Optional[WriteChain]
    is_open: bool
    pauses: Tuple[str, ...]
    paused_at: float
    above_high: bool
    above_high_at: float
    last_read: float
    last_write: float
    bytes_read: int
    bytes_sent: int
    counters: ByteCounters
    mask: int
    local_close_details: str
    detected_close_type: str
    reset_on_close: bool
    close_event: ConnectionEvent
    close_kind: Optional[CloseType]
    close_reason: Optional[CloseReason]
    closing_at: float
    opened_at: float
    info: StreamInfo
    bound: Optional[Timer]

    def update_interest(self) -> None:
        """Watch for what the state asks for."""

    def set_interest(self, mask: int) -> None:
        """Make `mask` the whole interest in the socket."""

    def want_read(self) -> None:
        """Have what the transport holds read in this turn."""

    def close_socket(self, event: ConnectionEvent, reason: CloseReason) -> None:
        """Close now."""

    def settle(self) -> None:
        """Arm what was left to `Reactor.settle_later`."""

    def on_failure(self, error: Exception) -> None:
        """The reactor's handler of last resort."""

    def on_ready(self, mask: int) -> None:
        """The reactor's call."""


# -- the steps ---------------------------------------------------------------------------------------------------------

def close(conn: Closable, kind: CloseType, event: ConnectionEvent, reason: CloseReason) -> None:
    """Begin to close. The connection is not open any more when this returns."""
    if conn.close_kind is not None:
        _close_again(conn, kind, event, reason)
    elif kind not in FLUSHING_KINDS or conn.write_state is CONNECTING and not conn.write_buffer.size and not _held(conn):
        if kind is NO_FLUSH:
            _send_once(conn)
        conn.close_kind = kind
        conn.reset_on_close = conn.reset_on_close or kind is ABORT_RESET
        conn.close_socket(event, reason)
    else:
        conn.is_open = False
        conn.closing_at = conn.reactor.now
        conn.close_event = event
        conn.close_kind = kind
        conn.close_reason = reason
        conn.read_state = states.next_read(conn.read_state, STOP)
        if conn.write_state is CONNECTING:
            arm_bound(conn)  # `establish` goes on from here
        elif conn.write_state is not ENDED and (conn.write_buffer.size or conn.transport.has_output or _held(conn)):
            conn.write_state = states.next_write(conn.write_state, CLOSE_AFTER_FLUSH)
            conn.update_interest()
            arm_bound(conn)
        else:
            _after_flush(conn)


def _send_once(conn: Closable) -> None:
    """NoFlush offers queued bytes to the kernel one time, as in Envoy: a filter may say why and close in one breath."""
    if not conn.write_buffer.size or conn.write_state is CONNECTING or conn.mask & WRITE:
        return
    try:
        sent = conn.transport.write(conn.sock, conn.write_buffer)
    except PeerError:
        return  # the peer is gone as well, and the reason for this close stands
    conn.bytes_sent += sent
    conn.counters.tx_total.value += sent


def _close_again(conn: Closable, kind: CloseType, event: ConnectionEvent, reason: CloseReason) -> None:
    """A second close while a flush is under way: another flush only re-labels it, anything else ends it."""
    if kind in FLUSHING_KINDS:
        if kind is not FLUSH_WRITE_AND_RESET:
            conn.close_kind = kind
        return
    conn.reset_on_close = conn.reset_on_close or kind is ABORT_RESET
    conn.close_socket(event, reason)


def peer_ended(conn: Closable) -> None:
    """The peer's FIN on a connection whose filters do not understand half-close: it ends the connection, but after the
    replies are out, and not while a filter is parked on bytes that it has not passed on (Envoy drops both)."""
    if not conn.is_open:
        return
    if conn.read_chain.parked_by and conn.read_buffer.size:
        arm_bound(conn)
    else:
        close(conn, FLUSH_WRITE, REMOTE_CLOSE, CloseReason("peer", "FIN"))


def flushed(conn: Closable) -> None:
    """Everything queued has been handed to the kernel; what the write state wanted that for happens now."""
    if conn.write_state is ENDING:
        conn.transport.send_end(conn.sock)
        if conn.transport.has_output:  # TLS could not say goodbye yet: the FIN goes behind it
            conn.set_interest(conn.mask | WRITE)
            return
        conn.write_state = states.next_write(conn.write_state, END_SENT)
        conn.last_write = conn.reactor.now
        if states.both_ended(conn.read_state, conn.write_state):
            conn.close_socket(LOCAL_CLOSE, CloseReason("local", "FIN", "both directions have ended"))
        else:
            arm_half_closed(conn)
    elif conn.write_state is FLUSHING and not _held(conn):
        _after_flush(conn)


def _after_flush(conn: Closable) -> None:
    """The queued bytes of a flushing close are out: close, or linger where closing now would hurt the peer."""
    if conn.fd < 0:
        return
    reason = conn.close_reason or CloseReason("local", "FIN")
    if conn.close_kind is FLUSH_WRITE_AND_RESET:
        if sockets.kernel_queues(conn.sock)[1]:
            _wait_for_delivery(conn)
            return
        conn.reset_on_close = True
    elif conn.read_state is not ENDED and _should_linger(conn):
        _linger(conn)
        return
    conn.close_socket(conn.close_event, reason)


def _wait_for_delivery(conn: Closable) -> None:
    """A RST destroys what our kernel has not delivered yet, so it comes when everything is acknowledged. The kernel does not
    report that, it has to be asked."""
    if conn.write_state is OPEN or conn.write_state is ENDING:
        conn.write_state = states.next_write(conn.write_state, CLOSE_AFTER_FLUSH)
    conn.update_interest()
    arm_bound(conn)
    conn.reactor.after(ASK_AGAIN_AFTER, functools.partial(_after_flush, conn), conn)


def _should_linger(conn: Closable) -> bool:
    """Whether the peer is to close first: because it was asked for, or because a RST would destroy a reply.

    The kernel answers `close` with RST if it holds bytes of the peer that nobody read, or if more arrive afterwards, and the
    peer then loses what it had not received yet. So it matters only if we sent something.
    """
    if _waits_for_peer(conn):
        return True
    if not conn.bytes_sent or not conn.settings.linger_timeout:
        return False
    unread, unacknowledged = sockets.kernel_queues(conn.sock)
    return bool(unread or unacknowledged)


def _waits_for_peer(conn: Closable) -> bool:
    """FlushWriteAndDelay: the peer is to close first, and is told so by the bytes it got (`connection: close`), not by a FIN."""
    return conn.close_kind is FLUSH_WRITE_AND_DELAY and conn.settings.delayed_close_timeout > 0


def _linger(conn: Closable) -> None:
    """Say that we are done, unless the peer is to say it first, and take what still comes without looking at it."""
    if conn.write_state is not ENDED and not _waits_for_peer(conn):
        conn.transport.send_end(conn.sock)
        if conn.transport.has_output:
            conn.set_interest(conn.mask | WRITE)
    conn.write_state = states.next_write(conn.write_state, LINGER)
    conn.closing_at = conn.reactor.now
    conn.update_interest()
    if conn.transport.has_input:
        conn.want_read()
    arm_bound(conn)


def _held(conn: Closable) -> bool:
    return conn.write_chain is not None and bool(conn.write_chain.holds)


def discard_input(conn: Closable) -> None:
    """Drop what the peer still sends; its FIN or RST ends the wait."""
    if conn.write_state is not LINGERING:
        return
    try:
        for _ in range(DISCARD_READS):
            data = conn.transport.read(conn.sock, READ_SIZE)
            if data is None:
                return
            if not data:
                break
        else:
            return
    except sockets.ConnectionLost as lost:
        conn.reset_on_close = lost.reset
    event = REMOTE_CLOSE if _waits_for_peer(conn) else conn.close_event
    conn.close_socket(event, conn.close_reason or CloseReason("local", "FIN"))


def take_last_bytes(conn: Closable) -> None:
    """Sending failed because the peer is gone. What it said before is still in the kernel: it is read and passed on first,
    else the answer of a server that answers and closes early is lost whenever our bytes cross it."""
    for _ in range(LAST_READS):
        if conn.read_state is not OPEN or conn.pauses or not conn.is_open:
            return
        try:
            data = conn.transport.read(conn.sock, READ_SIZE)
        except PeerError:
            return
        if not data:
            return
        conn.bytes_read += len(data)
        conn.counters.rx_total.value += len(data)
        conn.read_buffer.append(data)
        conn.read_chain.run(conn.read_buffer, False)


def release(conn: Closable, reason: CloseReason) -> None:
    """Give back everything that a connection holds of the kernel and the reactor."""
    conn.reactor.unwatch(conn.fd)
    conn.fd = -1
    conn.is_open = False
    conn.read_state = conn.write_state = CLOSED  # from every other state, say both tables
    if conn.close_reason is None:
        conn.close_reason = reason
    if conn.bound is not None:
        conn.bound.cancel()
        conn.bound = None
    conn.reactor.unsettled.pop(conn, None)
    if conn.read_chain.holds:
        conn.read_chain.drop_holds()
    if conn.reset_on_close and conn.detected_close_type == NORMAL:
        conn.detected_close_type = LOCAL_RESET
    if conn.read_buffer.size:
        conn.read_buffer.clear()
    if conn.write_buffer.size:
        conn.write_buffer.clear()
    if conn.transport is not RAW:
        conn.transport.close(conn.sock, goodbye=not conn.reset_on_close and conn.close_kind is not ABORT)
    sockets.close(conn.sock, reset=conn.reset_on_close)


# -- bounds ------------------------------------------------------------------------------------------------------------

def bounds(conn: Closable) -> List[Tuple[float, float, str]]:
    """What this connection waits for now: (since, seconds allowed, name of the setting) for each wait."""
    settings = conn.settings
    found = []
    if conn.write_state is CONNECTING:
        found.append((conn.opened_at, conn.transport.connect_timeout, "transport_socket_connect_timeout"))
    if conn.write_state is LINGERING:
        if conn.close_kind is FLUSH_WRITE_AND_DELAY and settings.delayed_close_timeout:
            found.append((conn.closing_at, settings.delayed_close_timeout, "delayed_close_timeout"))
        else:
            found.append((conn.closing_at, settings.linger_timeout, "linger_timeout"))
    elif not conn.is_open:
        found.append((max(conn.closing_at, conn.last_write), settings.flush_timeout, "flush_timeout"))
    else:
        quiet_since = max(conn.last_read, conn.last_write)
        if conn.read_state is ENDED or conn.write_state is ENDED:
            found.append((quiet_since, settings.half_closed_timeout, "half_closed_timeout"))
        if conn.pauses and any(type(holder) is not BoundedHolder for holder in conn.pauses):
            found.append((max(conn.paused_at, quiet_since), settings.paused_timeout, "paused_timeout"))
        if conn.above_high:
            found.append((conn.above_high_at, settings.high_watermark_timeout, "buffer_high_watermark_timeout"))
    return [bound for bound in found if bound[1] > 0]


def arm_bound(conn: Closable) -> None:
    """See to it that the bound timer fires no later than the first bound that applies now."""
    if conn.fd < 0:
        return
    due = min([since + allowed for since, allowed, _ in bounds(conn)], default=0.0)
    if not due:
        return
    if conn.bound is not None:
        if conn.bound.when <= due:
            return
        conn.bound.cancel()
    conn.bound = conn.reactor.timers.at(due, functools.partial(_on_bound, conn), conn)


def arm_half_closed(conn: Closable) -> None:
    """`arm_bound` for the one wait that every connection of a pair comes to: one direction has just ended."""
    if conn.bound is None and conn.settings.half_closed_timeout > SETTLE_AFTER and not conn.pauses and not conn.above_high:
        conn.reactor.settle_later(conn)
    else:
        arm_bound(conn)


def _on_bound(conn: Closable) -> None:
    """The bound timer fired: end the connection if a bound has run out, else wait for the rest."""
    conn.bound = None
    for since, allowed, name in bounds(conn):
        if conn.reactor.now >= since + allowed:  # in the form in which `arm_bound` computed it: rounding
            _end_by_bound(conn, name, allowed)
            return
    arm_bound(conn)


def _end_by_bound(conn: Closable, name: str, allowed: float) -> None:
    if name == "linger_timeout" and conn.close_reason is not None:
        reason = conn.close_reason  # the wait was for the peer's good; it is not why the connection ended
    else:
        reason = CloseReason("local", "timeout", BOUND_DETAILS[name], f"{name} {allowed:g}s")
        conn.close_reason = None
        conn.local_close_details = conn.local_close_details or BOUND_DETAILS[name]
    if name == "transport_socket_connect_timeout":
        conn.info.connection_termination_details = "transport socket timeout was reached"
    event = conn.close_event if not conn.is_open else LOCAL_CLOSE
    conn.close_socket(event, reason)


# Envoy's local close reasons where it has them.
BOUND_DETAILS = {
    "transport_socket_connect_timeout": TRANSPORT_SOCKET_TIMEOUT,
    "delayed_close_timeout": "triggered_delayed_close_timeout",
    "flush_timeout": "flush_timeout",
    "half_closed_timeout": "half_closed_timeout",
    "paused_timeout": "paused_timeout",
    "buffer_high_watermark_timeout": "buffer_high_watermark_timeout_reached",
}
