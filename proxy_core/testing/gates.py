"""Filters that hold a chain up: put in front of or behind a filter under test, they pause it where a neighbour might.

A gate is open or shut. While it is shut nothing gets past it; when it is opened everything goes on.
"""

from __future__ import annotations

from typing import Optional

from ..buffer import Buffer
from ..filters.api import CONTINUE, STOP_ITERATION, FilterStatus, Hold, NetworkFilter


class Gate(NetworkFilter):
    """Leaves the bytes in the connection's buffer while it is shut, as a filter does that waits for an answer from elsewhere:
    the filters in front of it see them again with the next bytes."""

    def __init__(self, name: str = "gate") -> None:
        self.name = name
        self.withheld = b""  # what came this far and no further, yet or for ever
        self._hold: Optional[Hold] = None  # while shut
        self._stopped = False

    def shut(self) -> None:
        """Let nothing past from now on."""
        if self._hold is None:
            self._hold = self.callbacks.hold("the gate to be opened")

    def open(self) -> None:
        """Let everything past, what has come meanwhile first."""
        hold, self._hold = self._hold, None
        if hold is not None:
            self.go_on()
            hold.release()

    def go_on(self) -> None:
        """It was opened."""
        if self._stopped and self.connection.is_open:
            self._stopped = False
            self.withheld = b""
            self.callbacks.continue_reading()

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Stop while shut."""
        self._stopped = self._hold is not None
        self.withheld = bytes(data) if self._stopped else b""
        return STOP_ITERATION if self._stopped else CONTINUE


class TakingGate(Gate):
    """Takes the bytes while it is shut, as a filter does that delays or rearranges them, and injects them when it is opened."""

    def __init__(self, name: str = "gate") -> None:
        super().__init__(name)
        self._ended = False

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Take while shut."""
        if self._hold is None:
            return CONTINUE
        self.withheld += data.take()
        self._ended = self._ended or end_stream
        return STOP_ITERATION

    def go_on(self) -> None:
        """What was taken, if anything was."""
        if self.connection.is_open and (self.withheld or self._ended):
            taken, self.withheld = Buffer(self.withheld), b""
            self.callbacks.inject_read_data_to_filter_chain(taken, self._ended)
