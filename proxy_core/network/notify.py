"""Who is told what about a connection: events and watermarks at once, last log lines and counts at the end of the turn.

Nobody's exception keeps the others from hearing: accounting that misses a close is wrong for the rest of the process.
"""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Protocol, Tuple

from ..event.reactor import Handler, Reactor
from ..filters.api import CONNECTED, ConnectionCallbacks, ConnectionEvent
from ..filters.chain import NO_FILTERS, ReadChain, WriteChain
from . import closing


class Notifier(Handler, Protocol):
    """What this module needs of a connection."""

    reactor: Reactor
    is_open: bool
    read_chain: ReadChain
    write_chain: Optional[WriteChain]
    callbacks: Tuple[ConnectionCallbacks, ...]
    splicer: Optional[Callable[[], bool]]
    on_drained: Optional[Callable[[], None]]
    finalizers: Tuple[Callable[[Any], None], ...]


def raise_event(conn: Notifier, event: ConnectionEvent) -> None:
    """Filters first, then callbacks in the order they registered. A close reaches everyone, whatever one of them raises;
    Connected stops at whoever closes the connection."""
    filters: List[Any] = [slot.filter for slot in conn.read_chain.slots]
    if conn.write_chain is not None:
        filters += conn.write_chain.listeners(except_for=filters)
    for listener in (*filters, *conn.callbacks):
        if event is CONNECTED and not conn.is_open:
            return
        try:
            listener.on_event(event)
        except Exception as error:
            conn.reactor.contain(error, conn)


class Watermarked(closing.Closable, Protocol):
    """What the watermarks need of a connection."""

    callbacks: Tuple[ConnectionCallbacks, ...]


def rose_above_high(conn: Watermarked) -> None:
    """The write buffer is over its limit: whoever fills it is to stop."""
    conn.above_high = True
    conn.above_high_at = conn.reactor.now
    closing.arm_bound(conn)
    for callbacks in conn.callbacks:
        callbacks.on_above_write_buffer_high_watermark()


def fell_to_low(conn: Watermarked) -> None:
    """Half of the limit or less is left, or the connection is over: go on."""
    conn.above_high = False
    for callbacks in conn.callbacks:
        callbacks.on_below_write_buffer_low_watermark()


def finalize(conn: Notifier) -> None:
    """Last log lines and counts; then break the reference cycles between connection, filters and session, so that
    nearly all of this is freed now and not when the garbage collector comes."""
    steps, conn.finalizers = conn.finalizers, ()
    for step in steps:
        try:
            step(conn)
        except Exception as error:
            conn.reactor.contain(error, None)
    conn.callbacks = ()
    conn.read_chain.clear()
    conn.read_chain = NO_FILTERS
    conn.write_chain = None
    conn.splicer = conn.on_drained = None
