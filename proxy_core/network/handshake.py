"""From a connected socket to an open connection: the transport's handshake, then Connected.

For raw connections this is one synchronous step. For TLS it is called again on every readiness until the handshake is done;
until then writes wait in the buffer and nothing is read into the filters.
"""

from __future__ import annotations

from typing import Final, Protocol

from ..filters.api import CONNECTED
from . import closing, notify, sockets, states
from .states import CAME_UP, CLOSE_AFTER_FLUSH, END_QUEUED, OPEN
from .transport import RAW


# Interest masks before the first registration. Both have the READ and WRITE bits clear.
UNREGISTERED: Final = -8  # the reactor is not to be told of this socket yet
REGISTER_NEXT: Final = -4  # the next interest, even none at all, is to be registered


class Establishable(closing.Closable, notify.Notifier, Protocol):
    """What this module needs of a connection."""

    end_when_connected: bool

    def want_flush(self) -> None:
        """Have the write buffer sent at the end of the turn."""

    def on_lost(self, lost: sockets.ConnectionLost) -> None:
        """The peer is gone."""

    def deliver_buffered(self) -> None:
        """Give the filters what the read buffer holds."""


def preload(conn: Establishable, data: bytes) -> None:
    """Make `data`, which listener filters read from the socket, the first bytes of a connection. Before `establish`."""
    plain = conn.transport.preload(data)
    if plain:
        conn.bytes_read += len(plain)
        conn.counters.rx_total.value += len(plain)
        conn.read_buffer.append(plain)
        conn.reactor.defer(conn.deliver_buffered)


def establish(conn: Establishable) -> None:
    """Go as far as possible now; raise Connected when bytes can flow."""
    if conn.mask == UNREGISTERED:
        conn.mask = REGISTER_NEXT
        conn.transport.attach(conn)
    try:
        ready = conn.transport.handshake(conn.sock)
    except sockets.ConnectionLost as lost:
        conn.on_lost(lost)
        return
    if ready:
        conn.read_state = states.next_read(conn.read_state, CAME_UP)
        conn.write_state = states.next_write(conn.write_state, CAME_UP)
        if conn.transport is not RAW:
            conn.transport.publish(conn.info)
    conn.update_interest()
    if not ready:
        closing.arm_bound(conn)
        return
    if conn.is_open:
        notify.raise_event(conn, CONNECTED)
        if conn.pauses:
            closing.arm_bound(conn)  # a filter paused it before it was up
    if conn.write_state is not OPEN:
        return  # closed by someone who heard it
    if not conn.is_open:  # a flushing close came before the handshake was done
        conn.write_state = states.next_write(conn.write_state, CLOSE_AFTER_FLUSH)
    elif conn.end_when_connected:
        conn.write_state = states.next_write(conn.write_state, END_QUEUED)
    if conn.write_buffer.size or conn.write_state is not OPEN:
        conn.want_flush()
