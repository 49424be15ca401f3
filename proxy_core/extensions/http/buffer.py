"""envoy.filters.http.buffer: keeps a request until all of it is there. Mirrors `BufferFilter`.

Place in the data's way: filters behind it, and the upstream, see a request whose length is known. One that is longer than
`max_request_bytes` is answered with 413 by the connection manager, in whose buffer it is kept.
"""

from __future__ import annotations

import dataclasses
from typing import Optional

from ...buffer import Buffer
from ...config.fields import Bool, Message, Nested, Report, UInt32, message, optional
from ...http.events import RequestHead
from ...http.filter_api import (
    CONTINUE, STOP_AND_BUFFER, STOP_ITERATION, FilterStatus, HttpFactoryContext, HttpFilter, HttpFilterFactory,
)
from ...http.headers import Headers
from ...http.registry import HttpExtension

_PACKAGE = "envoy.extensions.filters.http.buffer.v3."


@message(_PACKAGE + "Buffer")
@dataclasses.dataclass(eq=False, repr=False)
class BufferConfig(Message):
    """Keeps a request until all of it is there."""

    max_request_bytes: Optional[int] = optional(UInt32(gte=1), required=True, help="A longer body is answered with 413.")


@message(_PACKAGE + "BufferPerRoute", required_oneofs=("override",))
@dataclasses.dataclass(eq=False, repr=False)
class BufferPerRoute(Message):
    """What of it is different on a route."""

    disabled: Optional[bool] = optional(Bool(), oneof="override", help="Must be true.")
    buffer: Optional[BufferConfig] = optional(Nested(BufferConfig), oneof="override")

    def check(self, report: Report) -> None:
        """Envoy's rule."""
        if self.disabled is False:
            report("disabled", "value must equal true")


class _Limit:
    """bytes: 0 where nothing is to be kept."""

    __slots__ = ("bytes",)

    def __init__(self, config: Optional[BufferConfig]) -> None:
        self.bytes = (config.max_request_bytes or 0) if config is not None else 0


class BufferFilter(HttpFilter):
    """One request."""

    __slots__ = ("decoder", "encoder", "_limit", "_head", "_size")

    def __init__(self, limit: _Limit) -> None:
        self._limit = limit
        self._head: Optional[RequestHead] = None  # of a request that is kept
        self._size = 0

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        """Keep it, if there is a body to wait for."""
        if end_stream:
            return CONTINUE
        limit: _Limit = self.decoder.route_config() or self._limit
        if not limit.bytes:
            return CONTINUE
        self.decoder.set_decoder_buffer_limit(limit.bytes)
        self._head = head
        return STOP_ITERATION

    def decode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Wait for the end."""
        self._size += data.size
        if end_stream or self._head is None:
            self._say_length()
            return CONTINUE
        return STOP_AND_BUFFER

    def decode_trailers(self, trailers: Headers) -> FilterStatus:
        """It is there."""
        self._say_length()
        return CONTINUE

    def _say_length(self) -> None:
        if self._head is not None and "content-length" not in self._head.headers:
            self._head.headers.set("content-length", str(self._size))


def build(config: BufferConfig, context: HttpFactoryContext) -> HttpFilterFactory:
    """The factory."""
    limit = _Limit(config)
    return lambda: BufferFilter(limit)


def build_route(config: BufferPerRoute, context: HttpFactoryContext) -> _Limit:
    """The limit of a route."""
    return _Limit(config.buffer)


EXTENSION = HttpExtension(BufferConfig, build, BufferPerRoute, build_route)
