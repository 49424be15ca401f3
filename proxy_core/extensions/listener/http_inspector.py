"""http_inspector: finds out whether a client that does not use TLS speaks HTTP/1.0, HTTP/1.1 or HTTP/2, so that filter chains can
be chosen by `application_protocols`. Mirrors `envoy.filters.listener.http_inspector`.

It looks at the request line only, or at the preface of HTTP/2 (RFC 9113 section 3.4). What can't become either passes at once; a
line that grows beyond 64 KiB is closed. The stats are of the whole process.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Final

from ...config.fields import Message, message
from ...filters.api import CONTINUE, STOP_ITERATION, FilterStatus
from ...filters.listener_api import ListenerFilter, ListenerFilterCallbacks
from ...filters.registry import ListenerFilterContext, ListenerFilterExtension
from ...observe.log import component_logger
from ...observe.stats import Counter, Scope
from .http_request_line import DONE, FAILED, RequestLineReader, is_http11

NAME: Final = "envoy.filters.listener.http_inspector"
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_AT_FIRST: Final = 8192
_MOST: Final = 65536

_log = component_logger("filter")


@message("envoy.extensions.filters.listener.http_inspector.v3.HttpInspector")
@dataclasses.dataclass(eq=False, repr=False)
class HttpInspectorConfig(Message):
    """There is nothing to set."""


class HttpInspectorStats:
    """`http_inspector.`, shared by all listeners."""

    __slots__ = ("http10_found", "http11_found", "http2_found", "http_not_found", "read_error")

    def __init__(self, scope: Scope) -> None:
        self.http10_found = scope.counter("http10_found")
        self.http11_found = scope.counter("http11_found")
        self.http2_found = scope.counter("http2_found")
        self.http_not_found = scope.counter("http_not_found")
        self.read_error = scope.counter("read_error")


class HttpInspector(ListenerFilter):
    """One socket's inspection."""

    __slots__ = ("most_bytes", "_stats", "_line", "_callbacks")

    def __init__(self, stats: HttpInspectorStats) -> None:
        self._stats = stats
        self.most_bytes = _AT_FIRST
        self._line = RequestLineReader()
        self._callbacks: Any = None

    def on_accept(self, callbacks: ListenerFilterCallbacks) -> FilterStatus:
        """Behind TLS there is nothing to read."""
        self._callbacks = callbacks
        return STOP_ITERATION if callbacks.socket.transport_protocol in ("", "raw_buffer") else CONTINUE

    def on_data(self, data: bytearray, ended: bool) -> FilterStatus:
        """Look as far as the line goes; whether the client finished does not matter once it is there."""
        end = min(len(data), _MOST)
        if _PREFACE.startswith(data[:len(_PREFACE)]):
            return self._found("h2c", self._stats.http2_found) if end >= len(_PREFACE) else STOP_ITERATION
        state = self._line.read(data, end)
        if state == FAILED:
            self._stats.http_not_found.inc()
            _log.debug("[C%d] http_inspector: not HTTP", self._callbacks.socket.info.connection_id)
            return CONTINUE
        if state == DONE:
            if is_http11(bytes(data[:self._line.position])):
                return self._found("http/1.1", self._stats.http11_found)
            return self._found("http/1.0", self._stats.http10_found)
        return self._more(end)

    def _more(self, end: int) -> FilterStatus:
        if end >= _MOST:
            self._stats.read_error.inc()
            self._callbacks.reject(f"http_inspector: no end of a request line in {_MOST} bytes")
        elif end >= self.most_bytes:
            self.most_bytes = min(2 * self.most_bytes, _MOST)
        return STOP_ITERATION

    def _found(self, protocol: str, counter: Counter) -> FilterStatus:
        counter.inc()
        socket = self._callbacks.socket
        socket.application_protocols = (protocol,)
        _log.debug("[C%d] http_inspector: %s", socket.info.connection_id, protocol)
        return CONTINUE


def build(config: HttpInspectorConfig, context: ListenerFilterContext) -> Callable[[], HttpInspector]:
    """What makes each socket's filter, with the stats bound once."""
    stats = HttpInspectorStats(context.stats.scope("http_inspector"))
    return lambda: HttpInspector(stats)


EXTENSION = ListenerFilterExtension(HttpInspectorConfig, build)
