"""The states of a connection: two machines, one per direction, and one joint rule. Only this file decides a state.

TCP is two one-way streams, and most bugs of proxies come from treating it as one. So reading and writing have a machine each,
written as tables; an event that a state has no entry for raises `IllegalTransition`.

    read   CONNECTING -> OPEN -> ENDED                         the peer's FIN was read
                          CONNECTING, OPEN -> STOPPED          we are closing; what still comes is dropped
                          any -> CLOSED
    write  CONNECTING -> OPEN -> ENDING -> ENDED               FIN queued behind the bytes, then sent
                          OPEN, ENDING -> FLUSHING             close once what is queued is sent
                          any but CONNECTING -> LINGERING      all sent; waiting for the peer or a timer
                          any -> CLOSED
    joint  (ENDED, ENDED): both streams are over; the connection closes the socket

Envoy's three states follow from these: Closed if CLOSED, Closing if FLUSHING or LINGERING, else Open.
"""

from __future__ import annotations

import enum
from typing import Dict, Final

from ..errors import IllegalTransition


class Side(enum.Enum):
    """A state of one direction; both machines draw from this one list."""

    CONNECTING = "connecting"
    OPEN = "open"
    ENDING = "ending"  # write only: end of stream is queued behind bytes
    ENDED = "ended"  # a FIN was read, or sent
    STOPPED = "stopped"  # read only: a close is under way
    FLUSHING = "flushing"  # write only: close once the buffer is empty
    LINGERING = "lingering"  # write only: sent everything, waits for the peer to finish
    CLOSED = "closed"

    # Enum's own hash is a Python function; these are keys of tables that every connection looks up a dozen times.
    __hash__ = object.__hash__


class Event(enum.Enum):
    """What can happen to a direction."""

    CONNECTED = "connected"
    PEER_ENDED = "peer ended"  # read: the peer's FIN, or TLS close_notify
    END_QUEUED = "end queued"  # write: end_stream was written
    END_SENT = "end sent"  # write: our FIN is on its way
    STOP = "stop"  # read: we are closing
    CLOSE_AFTER_FLUSH = "close after flush"  # write
    LINGER = "linger"  # write: flushed; wait for the peer
    CLOSE = "close"

    __hash__ = object.__hash__


CONNECTING: Final = Side.CONNECTING
OPEN: Final = Side.OPEN
ENDING: Final = Side.ENDING
ENDED: Final = Side.ENDED
STOPPED: Final = Side.STOPPED
FLUSHING: Final = Side.FLUSHING
LINGERING: Final = Side.LINGERING
CLOSED: Final = Side.CLOSED

# The events likewise: an attribute of an Enum class takes 0.2 us before Python 3.12.
CAME_UP: Final = Event.CONNECTED
PEER_ENDED: Final = Event.PEER_ENDED
END_QUEUED: Final = Event.END_QUEUED
END_SENT: Final = Event.END_SENT
STOP: Final = Event.STOP
CLOSE_AFTER_FLUSH: Final = Event.CLOSE_AFTER_FLUSH
LINGER: Final = Event.LINGER

READ_TABLE: Final[Dict[Side, Dict[Event, Side]]] = {
    CONNECTING: {Event.CONNECTED: OPEN, Event.STOP: STOPPED, Event.CLOSE: CLOSED},
    OPEN: {Event.PEER_ENDED: ENDED, Event.STOP: STOPPED, Event.CLOSE: CLOSED},
    ENDED: {Event.STOP: ENDED, Event.CLOSE: CLOSED},  # there is nothing left to stop
    STOPPED: {Event.CONNECTED: STOPPED, Event.STOP: STOPPED, Event.CLOSE: CLOSED},
    CLOSED: {},
}

WRITE_TABLE: Final[Dict[Side, Dict[Event, Side]]] = {
    CONNECTING: {
        Event.CONNECTED: OPEN,
        Event.CLOSE: CLOSED,
    },
    OPEN: {
        Event.END_QUEUED: ENDING,
        Event.CLOSE_AFTER_FLUSH: FLUSHING,
        Event.LINGER: LINGERING,
        Event.CLOSE: CLOSED,
    },
    ENDING: {
        Event.END_SENT: ENDED,
        Event.CLOSE_AFTER_FLUSH: FLUSHING,
        Event.LINGER: LINGERING,
        Event.CLOSE: CLOSED,
    },
    ENDED: {Event.LINGER: LINGERING, Event.CLOSE: CLOSED},
    FLUSHING: {Event.LINGER: LINGERING, Event.CLOSE: CLOSED},
    LINGERING: {Event.CLOSE: CLOSED},
    CLOSED: {},
}


def next_read(state: Side, event: Event) -> Side:
    """The read direction's state after `event`; IllegalTransition if it can't happen there."""
    try:
        return READ_TABLE[state][event]
    except KeyError:
        raise IllegalTransition(f"read side: {event.value!r} while {state.value}") from None


def next_write(state: Side, event: Event) -> Side:
    """The write direction's state after `event`; IllegalTransition if it can't happen there."""
    try:
        return WRITE_TABLE[state][event]
    except KeyError:
        raise IllegalTransition(f"write side: {event.value!r} while {state.value}") from None


def both_ended(read: Side, write: Side) -> bool:
    """The joint rule: each side has said all it had to say."""
    return read is ENDED and write is ENDED
