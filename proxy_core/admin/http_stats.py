"""What the admin counts of its own HTTP: `http.admin.` and `listener.admin.http.admin.`, named and moved as
in Envoy.
"""

from __future__ import annotations

from ..network.settings import ByteCounters
from ..observe.stat_names_http import HttpListenerStats, HttpStats
from ..observe.stats import StatsStore


class AdminStats:
    """One per admin. Ages are in seconds."""

    def __init__(self, store: StatsStore) -> None:
        self._http = http = HttpStats(store.scope("http.admin"))
        self._listener = HttpListenerStats(store.scope("listener.admin.http.admin"))
        self.counters = ByteCounters(http.downstream_cx_rx_bytes_total, http.downstream_cx_tx_bytes_total)

    def connection_opened(self) -> None:
        """A connection is there."""
        http = self._http
        http.downstream_cx_total.inc()
        http.downstream_cx_http1_total.inc()
        http.downstream_cx_active.inc()
        http.downstream_cx_http1_active.inc()

    def connection_closed(self, remote: bool, age: float) -> None:
        """It is gone. remote: the client ended it."""
        http = self._http
        http.downstream_cx_active.dec()
        http.downstream_cx_http1_active.dec()
        http.downstream_cx_destroy.inc()
        (http.downstream_cx_destroy_remote if remote else http.downstream_cx_destroy_local).inc()
        http.downstream_cx_length_ms.record(int(age * 1000))

    def connection_idle(self) -> None:
        """It is about to be closed because nothing moved on it."""
        self._http.downstream_cx_idle_timeout.inc()

    def request_started(self) -> None:
        """A request's head is there."""
        self._http.downstream_rq_total.inc()
        self._http.downstream_rq_http1_total.inc()
        self._http.downstream_rq_active.inc()

    def protocol_error(self, in_request: bool) -> None:
        """What came is not HTTP. It is answered, so it counts as active for a moment even if it never was a
        request.
        """
        self._http.downstream_cx_protocol_error.inc()
        if not in_request:
            self._http.downstream_rq_active.inc()

    def request_ended(self, status: int, age: float) -> None:
        """It was answered."""
        self._http.downstream_rq_active.dec()
        self._http.downstream_rq_time.record(int(age * 1000))
        self.response(status)

    def request_lost(self, remote: bool) -> None:
        """The connection closed before it was answered."""
        http = self._http
        http.downstream_cx_destroy_active_rq.inc()
        if remote:
            http.downstream_cx_destroy_remote_active_rq.inc()
        else:
            http.downstream_cx_destroy_local_active_rq.inc()
        http.downstream_rq_active.dec()
        http.downstream_rq_rx_reset.inc()

    def response(self, status: int) -> None:
        """A response, 1xx too."""
        self._http.response_class(status).inc()
        self._listener.by_class[min(max(status // 100, 1), 5) - 1].inc()
        if status >= 200:
            self._http.downstream_rq_completed.inc()
            self._listener.downstream_rq_completed.inc()
