"""echo: writes every byte back. The smallest filter; read it first. Mirrors `envoy.filters.network.echo`.

Unlike Envoy's it understands half-close: a client that sends and then finishes gets everything back before the connection ends.
"""

from __future__ import annotations

import dataclasses

from ...buffer import Buffer
from ...config.fields import Message, message
from ...filters.api import STOP_ITERATION, FilterFactory, FilterManager, FilterStatus, NetworkFilter, ReadFilterCallbacks
from ...filters.registry import FactoryContext, NetworkExtension


@message("envoy.extensions.filters.network.echo.v3.Echo")
@dataclasses.dataclass(eq=False, repr=False)
class EchoConfig(Message):
    """Sends back what it receives. No fields."""


class Echo(NetworkFilter):
    """One connection's echo."""

    def initialize_read_filter_callbacks(self, callbacks: ReadFilterCallbacks) -> None:
        """Ask for end_stream instead of a close."""
        super().initialize_read_filter_callbacks(callbacks)
        self.connection.half_close_enabled = True

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Back where it came from."""
        self.connection.write(data, end_stream)
        return STOP_ITERATION


def build(config: EchoConfig, context: FactoryContext) -> FilterFactory:
    """The factory: nothing to prepare."""
    def add(manager: FilterManager) -> None:
        manager.add_read_filter(Echo(), "envoy.filters.network.echo")
    return add


EXTENSION = NetworkExtension(EchoConfig, True, build)
