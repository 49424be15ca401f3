"""What joins the two connections of a session: the upstream's bytes and events, and back-pressure both ways.

A full write buffer on one side pauses reading on the other, and the pause carries a name that says so.
"""

from __future__ import annotations

from typing import Final, Protocol

from ....buffer import Buffer
from ....filters.api import CONTINUE, STOP_ITERATION, ConnectionEvent, FilterStatus, ReadFilterCallbacks
from ....network.connection import Connection
from ....network.settings import FlowCounters

UPSTREAM_FULL: Final = "upstream write buffer over its limit"
DOWNSTREAM_FULL: Final = "downstream write buffer over its limit"


class UpstreamEvents(Protocol):
    """The session, as the upstream side sees it."""

    def on_upstream_event(self, event: ConnectionEvent) -> None:
        """The upstream connection changed."""


class UpstreamFilter:
    """The only read filter of an upstream connection: bytes go to the client, events to the session."""

    __slots__ = ("_session", "_downstream")

    def __init__(self, session: UpstreamEvents, downstream: Connection) -> None:
        self._session = session
        self._downstream = downstream

    def initialize_read_filter_callbacks(self, callbacks: ReadFilterCallbacks) -> None:
        """Nothing to keep: the session is given the connection by the pool."""

    def on_new_connection(self) -> FilterStatus:
        """Bytes are welcome."""
        return CONTINUE

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """From the upstream to the client."""
        self._downstream.write(data, end_stream)
        return STOP_ITERATION

    def on_event(self, event: ConnectionEvent) -> None:
        """Passed on."""
        self._session.on_upstream_event(event)


class BackPressure:
    """Callbacks of one connection that pause and resume reading of the other."""

    __slots__ = ("_source", "_holder", "_flow", "_holds")

    def __init__(self, source: Connection, holder: str, flow: FlowCounters) -> None:
        self._source = source
        self._holder = holder
        self._flow = flow
        self._holds = False

    def on_event(self, event: ConnectionEvent) -> None:
        """The filters of both sides handle events."""

    def on_above_write_buffer_high_watermark(self) -> None:
        """Stop the producer, unless it has ended anyway."""
        if self._source.is_open and not self._holds:
            self._holds = True
            self._flow.paused.value += 1
            self._source.pause_reading(self._holder)

    def on_below_write_buffer_low_watermark(self) -> None:
        """Let the producer go on."""
        if self._holds:
            self._holds = False
            if self._source.is_open:
                self._flow.resumed.value += 1
                self._source.resume_reading(self._holder)
