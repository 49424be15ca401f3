"""Who is told what about a connection: events at once, last log lines and counts at the end of the turn.

Nobody's exception keeps the others from hearing: accounting that misses a close is wrong for the rest of the process.
"""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Protocol, Tuple

from ..event.reactor import Handler, Reactor
from ..filters.api import CONNECTED, ConnectionCallbacks, ConnectionEvent
from ..filters.chain import EventListener, ReadChain, WriteChain


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
    listeners: List[EventListener] = conn.read_chain.listeners()
    if conn.write_chain is not None:
        listeners += conn.write_chain.listeners(except_for=listeners)
    for callbacks in conn.callbacks:
        listeners.append(callbacks.on_event)
    for tell in listeners:
        if event is CONNECTED and not conn.is_open:
            return
        try:
            tell(event)
        except Exception as error:
            conn.reactor.contain(error, conn)


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
    conn.write_chain = None
    conn.splicer = conn.on_drained = None
