"""tls_inspector: finds out whether a client speaks TLS, and which server name and protocols it asks for, before a filter chain is
chosen. Mirrors `envoy.filters.listener.tls_inspector`.

Nothing is consumed: the TLS stack behind it, here or at an upstream, gets the same bytes. Bytes that are no ClientHello pass as
they are, unless the configuration says to close. A hello larger than allowed, or of a version other than TLS 1.0 to 1.3, is
always closed. The stats are of the whole process.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Final, Optional

from ...config.fields import Bool, Message, UInt32, message, optional, plain
from ...filters.api import CONTINUE, STOP_ITERATION, FilterStatus
from ...filters.listener_api import ListenerFilter, ListenerFilterCallbacks
from ...filters.registry import ListenerFilterContext, ListenerFilterExtension
from ...observe.log import component_logger
from ...observe.stats import Scope
from .client_hello import ALPN, ClientHello, HelloReader, NotAHello, Reason, application_protocols, parse
from .fingerprints import ja3, ja4

NAME: Final = "envoy.filters.listener.tls_inspector"
_LARGEST_HELLO: Final = 16384
_VERSIONS: Final = range(0x0301, 0x0305)

_log = component_logger("filter")


@message("envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector")
@dataclasses.dataclass(eq=False, repr=False)
class TlsInspectorConfig(Message):
    """How to look for a ClientHello."""

    enable_ja3_fingerprinting: Optional[bool] = optional(Bool(), help="Work out the client's JA3 hash.")
    initial_read_buffer_size: Optional[int] = optional(
        UInt32(256, 65536), help="Bytes to read at first; doubled up to the largest hello. Default: all of it at once."
    )
    enable_ja4_fingerprinting: Optional[bool] = optional(Bool(), help="Work out the client's JA4 fingerprint.")
    close_connection_on_client_hello_parsing_errors: bool = plain(
        Bool(), help="Close connections that do not begin with a ClientHello."
    )
    max_client_hello_size: Optional[int] = optional(
        UInt32(256, _LARGEST_HELLO), help="Connections with a larger hello are closed. Default: 16384 bytes."
    )


class TlsInspectorStats:
    """`tls_inspector.`, shared by all listeners."""

    __slots__ = (
        "tls_found", "tls_not_found", "alpn_found", "alpn_not_found", "sni_found", "sni_not_found", "client_hello_too_large",
        "bytes_processed",
    )

    def __init__(self, scope: Scope) -> None:
        self.tls_found = scope.counter("tls_found")
        self.tls_not_found = scope.counter("tls_not_found")
        self.alpn_found = scope.counter("alpn_found")
        self.alpn_not_found = scope.counter("alpn_not_found")
        self.sni_found = scope.counter("sni_found")
        self.sni_not_found = scope.counter("sni_not_found")
        self.client_hello_too_large = scope.counter("client_hello_too_large")
        self.bytes_processed = scope.histogram("bytes_processed", "bytes")


class TlsInspector(ListenerFilter):
    """One socket's inspection."""

    __slots__ = ("most_bytes", "_config", "_stats", "_largest", "_reader", "_callbacks")

    def __init__(self, config: TlsInspectorConfig, stats: TlsInspectorStats) -> None:
        self._config = config
        self._stats = stats
        self._largest = config.max_client_hello_size or _LARGEST_HELLO
        self.most_bytes = min(config.initial_read_buffer_size or self._largest, self._largest)
        self._reader = HelloReader()
        self._callbacks: Any = None

    def on_accept(self, callbacks: ListenerFilterCallbacks) -> FilterStatus:
        """The client speaks first."""
        self._callbacks = callbacks
        return STOP_ITERATION

    def on_data(self, data: bytearray, ended: bool) -> FilterStatus:
        """Look as far as the limit; whether the client finished does not matter once its hello is there."""
        end = min(len(data), self._largest)
        try:
            body = self._reader.read(data, end)
            hello = None if body is None else parse(body)
        except NotAHello as problem:
            self._stats.bytes_processed.record(self._reader.consumed)
            return self._not_a_hello(problem.reason, end)
        if hello is None:
            return self._more(end)
        self._stats.bytes_processed.record(self._reader.consumed)
        return self._found(hello)

    def _more(self, end: int) -> FilterStatus:
        if end >= self._largest:
            self._stats.bytes_processed.record(end)
            self._too_large()
            return self._close(f"the ClientHello is larger than {self._largest} bytes")
        if end >= self.most_bytes:
            self.most_bytes = min(2 * end, self._largest)
        return STOP_ITERATION

    def _found(self, hello: ClientHello) -> FilterStatus:
        self._set_facts(hello)
        if hello.version not in _VERSIONS:
            self._stats.tls_not_found.inc()
            self._failed("ClientHelloInvalidTlsVersion")
            self._explain(Reason.CONNECTION_REJECTED)
            return self._close(f"a ClientHello of version {hello.version:#06x}, which is none of TLS 1.0 to 1.3")
        socket = self._callbacks.socket
        self._stats.tls_found.inc()
        (self._stats.alpn_found if socket.application_protocols else self._stats.alpn_not_found).inc()
        socket.transport_protocol = "tls"
        _log.debug(
            "[C%d] tls_inspector: TLS, server name '%s', protocols %s", socket.info.connection_id, socket.requested_server_name,
            list(socket.application_protocols),
        )
        return CONTINUE

    def _set_facts(self, hello: ClientHello) -> None:
        """Names are bytes: what is not UTF-8 is kept by surrogates."""
        socket = self._callbacks.socket
        info = socket.info
        if self._config.enable_ja3_fingerprinting:
            socket.ja3_hash = info.ja3_hash = ja3(hello)
        if self._config.enable_ja4_fingerprinting:
            socket.ja4_hash = info.ja4_hash = ja4(hello)
        protocols = application_protocols(hello.extensions.get(ALPN, b""))
        if protocols:
            socket.application_protocols = tuple(name.decode("utf-8", "surrogateescape") for name in protocols)
        (self._stats.sni_found if hello.server_name else self._stats.sni_not_found).inc()
        if hello.server_name:
            name = hello.server_name.lower().decode("utf-8", "surrogateescape")
            socket.requested_server_name = info.requested_server_name = name

    def _not_a_hello(self, reason: Reason, end: int) -> FilterStatus:
        self._explain(reason)
        if self._config.close_connection_on_client_hello_parsing_errors and end >= self._largest:
            self._too_large()
            return self._close(f"{reason.name}, and larger than {self._largest} bytes")
        self._stats.tls_not_found.inc()
        self._failed("ClientHelloNotDetected")
        if self._config.close_connection_on_client_hello_parsing_errors:
            return self._close(f"not a ClientHello: {reason.name}")
        _log.debug("[C%d] tls_inspector: not TLS, %s", self._callbacks.socket.info.connection_id, reason.name)
        return CONTINUE

    def _too_large(self) -> None:
        self._stats.client_hello_too_large.inc()
        self._failed("ClientHelloTooLarge")

    def _failed(self, reason: str) -> None:
        self._callbacks.socket.info.set_dynamic_metadata(NAME, {"failure_reason": reason})

    def _explain(self, reason: Reason) -> None:
        self._callbacks.socket.info.downstream_transport_failure_reason = f"TLS_error|{reason}:TLS_error_end"

    def _close(self, sentence: str) -> FilterStatus:
        self._callbacks.reject(f"tls_inspector: {sentence}")
        return STOP_ITERATION


def build(config: TlsInspectorConfig, context: ListenerFilterContext) -> Callable[[], TlsInspector]:
    """What makes each socket's filter, with the stats bound once."""
    stats = TlsInspectorStats(context.stats.scope("tls_inspector"))
    return lambda: TlsInspector(config, stats)


EXTENSION = ListenerFilterExtension(TlsInspectorConfig, build)
