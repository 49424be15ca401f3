"""The fault filter of one connection: a link for each direction, and no way through them while there is no toxic."""

from __future__ import annotations

import random
from typing import Final, Optional, Protocol, Sequence

from ....buffer import Buffer
from ....filters.api import (
    CONNECTED, CONTINUE, STOP_ITERATION, ConnectionEvent, FilterStatus, ReadFilterCallbacks, WriteFilterCallbacks,
)
from ....network.close import ABORT_RESET
from ....network.connection import Connection
from .exits import DownstreamExit, UpstreamExit
from .link import Link
from .toxic import DOWNSTREAM, UPSTREAM, Toxic

DOWN: Final = "fault_down"


class Faults(Protocol):
    """What is in force now for all connections of a configured filter."""

    enabled: bool
    toxics: Sequence[Toxic]

    def join(self, member: FaultFilter) -> str:
        """Tell this connection of changes from now on. What everything that is drawn for it is drawn from."""

    def leave(self, member: FaultFilter) -> None:
        """It is over."""


class FaultFilter:
    """See the module docstring."""

    __slots__ = ("_faults", "_callbacks", "_write_callbacks", "connection", "_seed", "_upstream", "_downstream",
                 "_understands_half_close")

    inspects_data = True

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._seed = ""
        self._upstream: Optional[Link] = None
        self._downstream: Optional[Link] = None
        self._understands_half_close = True

    def initialize_read_filter_callbacks(self, callbacks: ReadFilterCallbacks) -> None:
        """Keep them."""
        self._callbacks = callbacks
        self.connection: Connection = callbacks.connection

    def initialize_write_filter_callbacks(self, callbacks: WriteFilterCallbacks) -> None:
        """Keep them."""
        self._write_callbacks = callbacks

    def on_new_connection(self) -> FilterStatus:
        """The toxics take effect before anything behind hears of the connection."""
        connection = self.connection
        if not self._faults.enabled:
            self.take_down()
            return STOP_ITERATION
        self._seed = self._faults.join(self)
        # The filters behind have said by now whether they do. With it off the client's end would close the connection
        # while bytes in front of it still wait here.
        self._understands_half_close = connection.half_close_enabled
        connection.half_close_enabled = True
        way_up = UpstreamExit(self._callbacks, self._understands_half_close)
        way_down = DownstreamExit(self._write_callbacks)
        self._upstream = way_down.other = Link(way_up, self._chance)
        self._downstream = way_up.other = Link(way_down, self._chance)
        if self._faults.toxics:
            self.set_toxics(self._faults.toxics)
        return CONTINUE if connection.is_open else STOP_ITERATION

    def _chance(self, toxic: str) -> random.Random:
        return random.Random(f"{self._seed}/{toxic}")

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """From the client. The end always goes through the link, which knows what those behind make of one."""
        link = self._upstream
        assert link is not None
        if link.is_clear and not end_stream:
            return CONTINUE
        link.receive(data, end_stream)
        if link.pending or end_stream and not self._understands_half_close:
            return STOP_ITERATION
        return CONTINUE  # nothing is left of `data`, and who was told the end is not told again

    def on_write(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """To the client. The end always goes through the link, which knows whether it may be sent now."""
        link = self._downstream
        if link is None or link.is_clear and not end_stream:
            return CONTINUE
        link.receive(data, end_stream)
        return STOP_ITERATION

    def on_event(self, event: ConnectionEvent) -> None:
        """The connection is gone, and what waits with it."""
        if event is CONNECTED:
            return
        self._faults.leave(self)
        for link in (self._upstream, self._downstream):
            if link is not None:
                link.clear()

    # -- changes at run time ---------------------------------------------------------------------------------------

    def set_toxics(self, toxics: Sequence[Toxic]) -> None:
        """These are in force from now on."""
        for stream, link in ((UPSTREAM, self._upstream), (DOWNSTREAM, self._downstream)):
            if link is not None:
                link.set_toxics([toxic for toxic in toxics if toxic.stream == stream])

    def take_down(self) -> None:
        """The service is down: so is this connection."""
        self.connection.close(ABORT_RESET, DOWN, how="RST", config="fault: enabled is false")
