"""raw_buffer: no security layer; what a chain has that names no transport socket."""

from __future__ import annotations

import dataclasses
from typing import Callable

from ...config.fields import Message, message
from ...filters.registry import FactoryContext, TransportExtension
from ...network.transport import RAW, Transport


@message("envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer")
@dataclasses.dataclass(eq=False, repr=False)
class RawBuffer(Message):
    """Bytes as they are. No fields."""


def build(config: RawBuffer, context: FactoryContext) -> Callable[[], Transport]:
    """Every connection shares the one stateless transport."""
    return lambda: RAW


EXTENSION = TransportExtension(RawBuffer, build)
