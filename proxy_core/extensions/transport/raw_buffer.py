"""raw_buffer: no security layer; what a chain has that names no transport socket."""

from __future__ import annotations

import dataclasses
from typing import Any, Callable

from ...config.fields import Message, message
from ...filters.registry import (
    FactoryContext, TransportExtension, UpstreamTransportContext, UpstreamTransportExtension,
)
from ...network.transport import RAW, Transport


@message("envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer")
@dataclasses.dataclass(eq=False, repr=False)
class RawBuffer(Message):
    """Bytes as they are. No fields."""


def build(config: RawBuffer, context: FactoryContext) -> Callable[[], Transport]:
    """Every connection shares the one stateless transport."""
    return lambda: RAW


def build_upstream(config: RawBuffer, context: UpstreamTransportContext) -> Callable[[Any, Any], Transport]:
    """The same towards upstreams."""
    return lambda info, host: RAW


EXTENSION = TransportExtension(RawBuffer, build)
UPSTREAM_EXTENSION = UpstreamTransportExtension(RawBuffer, build_upstream)
