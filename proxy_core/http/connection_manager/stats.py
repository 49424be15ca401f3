"""What a connection manager counts: `http.<stat_prefix>.`, and of the codec `http1.`."""

from __future__ import annotations

from ...network.connection import Connection
from ...observe import stat_tables as tables
from ...observe.stat_names_http import HttpStats
from ...observe.stats import StatsStore
from ..settings import UNEXPECTED_UNDERSCORE, ProtocolError

DELAYED_CLOSE_TIMEOUT = "triggered_delayed_close_timeout"


class ManagerStats(HttpStats):
    """`HttpStats` with the counting of connections. by_class: the response counters, 1xx first."""

    __slots__ = ("by_class", "_underscores", "_dropped")

    def __init__(self, store: StatsStore, stat_prefix: str) -> None:
        scope = store.scope(f"http.{stat_prefix}")
        super().__init__(scope)
        scope.zeros(counters=tables.ROUTER_COUNTERS)
        scope.scope("tracing").zeros(counters=tables.TRACING_COUNTERS)
        codec = store.scope("http1")
        codec.zeros(counters=tables.HTTP1_CODEC_COUNTERS)
        self._underscores = codec.counter("requests_rejected_with_underscores_in_headers")
        self._dropped = codec.counter("dropped_headers_with_underscores")
        self.by_class = (
            self.downstream_rq_1xx, self.downstream_rq_2xx, self.downstream_rq_3xx, self.downstream_rq_4xx,
            self.downstream_rq_5xx,
        )

    def connection_opened(self, encrypted: bool) -> None:
        """A connection is there."""
        self.downstream_cx_total.value += 1
        self.downstream_cx_active.value += 1
        if encrypted:
            self.downstream_cx_ssl_total.value += 1
            self.downstream_cx_ssl_active.value += 1

    def connection_closed(self, connection: Connection, remote: bool, spoke: bool, in_request: bool) -> None:
        """It is gone. remote: the client ended it. spoke: it had begun a request; in_request: one was under way."""
        self.downstream_cx_active.dec()
        if spoke:
            self.downstream_cx_http1_active.dec()
        if connection.transport.name == "tls":
            self.downstream_cx_ssl_active.dec()
        self.downstream_cx_destroy.inc()
        (self.downstream_cx_destroy_remote if remote else self.downstream_cx_destroy_local).inc()
        if in_request:
            self.downstream_cx_destroy_active_rq.inc()
            (self.downstream_cx_destroy_remote_active_rq if remote else self.downstream_cx_destroy_local_active_rq).inc()
        self.downstream_cx_length_ms.record(int((connection.reactor.now - connection.opened_at) * 1000))
        reason = connection.close_reason
        if reason is not None and reason.detail == DELAYED_CLOSE_TIMEOUT:
            self.downstream_cx_delayed_close_timeout.inc()

    def headers_dropped(self, count: int) -> None:
        """So many header lines of a request had names that are not wanted."""
        self._dropped.inc(count)

    def protocol_error(self, error: ProtocolError) -> None:
        """What came is not HTTP as we take it."""
        self.downstream_cx_protocol_error.inc()
        if error.details == UNEXPECTED_UNDERSCORE:
            self._underscores.inc()
