"""The stats of an HTTP connection manager, the admin's server included, as attributes.

Same form as `stat_names`. `HttpStats` is `http.<stat_prefix>.`, `HttpListenerStats` the pair of it below the
listener.
"""

from __future__ import annotations

from . import stat_tables as tables
from .stats import Counter, Scope


class HttpStats:
    """`http.<stat_prefix>.`; the names that nothing writes exist with 0."""

    __slots__ = tables.HTTP_COUNTERS + tables.HTTP_GAUGES + tables.HTTP_HISTOGRAMS

    def __init__(self, scope: Scope) -> None:
        self._bind_connections(scope)
        self._bind_requests(scope)
        scope.zeros(counters=tables.HTTP_OTHER_COUNTERS, gauges=tables.HTTP_OTHER_GAUGES)

    def _bind_connections(self, scope: Scope) -> None:
        counter = scope.counter
        self.downstream_cx_total = counter("downstream_cx_total")
        self.downstream_cx_delayed_close_timeout = counter("downstream_cx_delayed_close_timeout")
        self.downstream_cx_destroy = counter("downstream_cx_destroy")
        self.downstream_cx_destroy_active_rq = counter("downstream_cx_destroy_active_rq")
        self.downstream_cx_destroy_local = counter("downstream_cx_destroy_local")
        self.downstream_cx_destroy_local_active_rq = counter("downstream_cx_destroy_local_active_rq")
        self.downstream_cx_destroy_remote = counter("downstream_cx_destroy_remote")
        self.downstream_cx_destroy_remote_active_rq = counter("downstream_cx_destroy_remote_active_rq")
        self.downstream_cx_drain_close = counter("downstream_cx_drain_close")
        self.downstream_cx_http1_total = counter("downstream_cx_http1_total")
        self.downstream_cx_idle_timeout = counter("downstream_cx_idle_timeout")
        self.downstream_cx_max_duration_reached = counter("downstream_cx_max_duration_reached")
        self.downstream_cx_max_requests_reached = counter("downstream_cx_max_requests_reached")
        self.downstream_cx_protocol_error = counter("downstream_cx_protocol_error")
        self.downstream_cx_rx_bytes_total = counter("downstream_cx_rx_bytes_total")
        self.downstream_cx_tx_bytes_total = counter("downstream_cx_tx_bytes_total")
        self.downstream_cx_ssl_total = counter("downstream_cx_ssl_total")
        self.downstream_cx_upgrades_total = counter("downstream_cx_upgrades_total")
        self.downstream_flow_control_paused_reading_total = counter(
            "downstream_flow_control_paused_reading_total"
        )
        self.downstream_flow_control_resumed_reading_total = counter(
            "downstream_flow_control_resumed_reading_total"
        )
        self.downstream_cx_active = scope.gauge("downstream_cx_active")
        self.downstream_cx_http1_active = scope.gauge("downstream_cx_http1_active")
        self.downstream_cx_rx_bytes_buffered = scope.gauge("downstream_cx_rx_bytes_buffered")
        self.downstream_cx_tx_bytes_buffered = scope.gauge("downstream_cx_tx_bytes_buffered")
        self.downstream_cx_ssl_active = scope.gauge("downstream_cx_ssl_active")
        self.downstream_cx_upgrades_active = scope.gauge("downstream_cx_upgrades_active")
        self.downstream_cx_length_ms = scope.histogram("downstream_cx_length_ms", "ms")

    def _bind_requests(self, scope: Scope) -> None:
        counter = scope.counter
        self.downstream_rq_total = counter("downstream_rq_total")
        self.downstream_rq_http1_total = counter("downstream_rq_http1_total")
        self.downstream_rq_1xx = counter("downstream_rq_1xx")
        self.downstream_rq_2xx = counter("downstream_rq_2xx")
        self.downstream_rq_3xx = counter("downstream_rq_3xx")
        self.downstream_rq_4xx = counter("downstream_rq_4xx")
        self.downstream_rq_5xx = counter("downstream_rq_5xx")
        self.downstream_rq_completed = counter("downstream_rq_completed")
        self.downstream_rq_failed_path_normalization = counter("downstream_rq_failed_path_normalization")
        self.downstream_rq_redirected_with_normalized_path = counter("downstream_rq_redirected_with_normalized_path")
        self.downstream_rq_header_timeout = counter("downstream_rq_header_timeout")
        self.downstream_rq_idle_timeout = counter("downstream_rq_idle_timeout")
        self.downstream_rq_max_duration_reached = counter("downstream_rq_max_duration_reached")
        self.downstream_rq_non_relative_path = counter("downstream_rq_non_relative_path")
        self.downstream_rq_response_before_rq_complete = counter("downstream_rq_response_before_rq_complete")
        self.downstream_rq_rx_reset = counter("downstream_rq_rx_reset")
        self.downstream_rq_tx_reset = counter("downstream_rq_tx_reset")
        self.downstream_rq_timeout = counter("downstream_rq_timeout")
        self.downstream_rq_too_large = counter("downstream_rq_too_large")
        self.downstream_rq_ws_on_non_ws_route = counter("downstream_rq_ws_on_non_ws_route")
        self.rs_too_large = counter("rs_too_large")
        self.downstream_rq_active = scope.gauge("downstream_rq_active")
        self.downstream_rq_time = scope.histogram("downstream_rq_time", "ms")

    def response_class(self, code: int) -> Counter:
        """The counter of a response code's class; codes outside 100..599 count as server errors."""
        classes = (
            self.downstream_rq_1xx, self.downstream_rq_2xx, self.downstream_rq_3xx, self.downstream_rq_4xx,
            self.downstream_rq_5xx,
        )
        return classes[code // 100 - 1] if 100 <= code <= 599 else self.downstream_rq_5xx


class HttpListenerStats:
    """`listener.<address>.http.<stat_prefix>.`: responses by class, seen from the listener."""

    __slots__ = ("by_class", "downstream_rq_completed")

    def __init__(self, scope: Scope) -> None:
        self.by_class = tuple(scope.counter(f"downstream_rq_{digit}xx") for digit in "12345")
        self.downstream_rq_completed = scope.counter("downstream_rq_completed")
