"""direct_response: says one thing to everybody and closes. Mirrors `envoy.filters.network.direct_response`.

What the client sends is not looked at. A client that does not read its reply is given up after the connection's flush timeout
(Envoy waits for ever).
"""

from __future__ import annotations

import dataclasses
from typing import Optional

from ...buffer import Buffer
from ...config.fields import Message, Nested, message, optional
from ...config.model.core import DataSource
from ...filters.api import STOP_ITERATION, FilterFactory, FilterManager, FilterStatus, NetworkFilter
from ...filters.registry import FactoryContext, NetworkExtension
from ...network.close import FLUSH_WRITE

NAME = "envoy.filters.network.direct_response"


@message("envoy.extensions.filters.network.direct_response.v3.Config")
@dataclasses.dataclass(eq=False, repr=False)
class DirectResponseConfig(Message):
    """A fixed reply."""

    response: Optional[DataSource] = optional(Nested(DataSource), help="What to send; nothing by default.")


class DirectResponse(NetworkFilter):
    """One connection's reply."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def on_new_connection(self) -> FilterStatus:
        """Say it and go."""
        connection = self.connection
        connection.info.response_code_details = "direct_response"
        connection.write(Buffer(self._body), False)
        connection.close(FLUSH_WRITE, how="FIN")
        return STOP_ITERATION

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Not interested."""
        data.clear()
        return STOP_ITERATION


def build(config: DirectResponseConfig, context: FactoryContext) -> FilterFactory:
    """The factory, with the body read once."""
    body = b""
    if config.response is not None:
        body = config.response.read(f"{context.path}.response")

    def add(manager: FilterManager) -> None:
        manager.add_read_filter(DirectResponse(body), NAME)
    return add


EXTENSION = NetworkExtension(DirectResponseConfig, True, build)
