"""What filters have in common that make up their mind when a connection comes and then let every byte pass."""

from __future__ import annotations

from typing import Any

from ...buffer import Buffer
from ...filters.api import CONTINUE, STOP_ITERATION, ConnectionEvent, FilterStatus, ReadFilterCallbacks
from ...network.close import NO_FLUSH


class PolicyFilter:
    """Inherit from it and write `on_new_connection`. Small, because every connection has one of each."""

    __slots__ = ("connection",)

    inspects_data = False

    def initialize_read_filter_callbacks(self, callbacks: ReadFilterCallbacks) -> None:
        """Keep the connection, which is all that most of them need."""
        self.connection: Any = callbacks.connection

    def on_new_connection(self) -> FilterStatus:
        """Let it in."""
        return CONTINUE

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Let it pass."""
        return CONTINUE

    def on_event(self, event: ConnectionEvent) -> None:
        """Nothing to do."""

    def refuse(self, details: str, config: str = "") -> FilterStatus:
        """Close without a word. details: Envoy's local close reason; config: the setting behind it."""
        self.connection.close(NO_FLUSH, details, how="policy", config=config)
        return STOP_ITERATION
