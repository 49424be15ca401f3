"""One upstream connection and what is counted of it, from the first SYN to the close. Mirrors `ConnectionPool::ActiveClient`.

What it is for is a matter of the pool it belongs to, which derives from `HostConnection`. The numbers follow Envoy's, where a TCP
session also counts as one request of the cluster: pending while it waits for a connection, then active.
"""

from __future__ import annotations

import abc
from typing import Optional

from ..event.timers import Timer
from ..filters.api import CONNECTED, REMOTE_CLOSE, ConnectionEvent
from ..network.close import ABORT
from ..network.connection import Connection
from ..network.table import ConnectionTable
from ..observe.log import DEBUG, component_logger
from ..observe.reasons import PendingTimer, Reasons, setting_text
from .breaker import CircuitBreakers
from .cluster import Cluster
from .host import Host
from .reasons import why_host

_log = component_logger("pool")


class HostConnection(abc.ABC):
    """Gets the connection's events, keeps the time that connecting may take, and counts the connection."""

    __slots__ = ("connection", "cluster", "breakers", "host", "is_up", "timed_out", "_table", "_timer")

    def __init__(
        self, table: ConnectionTable, connection: Connection, cluster: Cluster, host: Host,
        breakers: Optional[CircuitBreakers] = None,
    ) -> None:
        """breakers: of its priority; None = DEFAULT."""
        self.connection = connection
        self.cluster = cluster
        self.breakers = cluster.breakers if breakers is None else breakers
        self.host = host
        self.is_up = False
        self.timed_out = False
        self._table = table
        self._timer: Optional[Timer] = None
        connection.callbacks += (self,)
        table.add(connection)
        cluster.stats.upstream_cx_active.value += 1
        host.counters.cx_active += 1
        self.breakers.connections.take()
        self.count_attempt()

    @abc.abstractmethod
    def on_up(self) -> None:
        """Connected."""

    @abc.abstractmethod
    def on_over(self, remote: bool) -> None:
        """Closed, and no longer counted as a connection. remote: by the host."""

    def start_timer(self) -> None:
        """The outcome is awaited from now on, unless it is known already."""
        if not self.is_up and self.connection.fd >= 0:
            reactor = self.connection.reactor
            self._timer = reactor.after(self.cluster.connect_timeout, self._on_timeout, self.connection)

    def count_attempt(self) -> None:
        """One more address of the host is tried: Envoy counts each of them, but what becomes of it only once."""
        self.cluster.stats.upstream_cx_total.value += 1
        self.host.counters.cx_total += 1

    def on_event(self, event: ConnectionEvent) -> None:
        """Connected or closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        connection, stats = self.connection, self.cluster.stats
        if event is CONNECTED:
            self.is_up = True
            stats.upstream_cx_connect_ms.record(int((connection.reactor.now - connection.opened_at) * 1000))
            self.on_up()
            return
        self._table.discard(connection)
        self._count_end(remote=event is REMOTE_CLOSE)
        if _log.level <= DEBUG:
            _log.debug("[C%d] upstream connection closed: %s", connection.id, connection.close_reason)
        self.on_over(event is REMOTE_CLOSE)
        self.cluster.on_connection_end()
        if self.cluster.host_limit is not None:
            self.cluster.host_limit.on_connection_end(self.host, connection.reactor)

    def on_above_write_buffer_high_watermark(self) -> None:
        """The session couples the two sides itself."""

    def on_below_write_buffer_low_watermark(self) -> None:
        """The session couples the two sides itself."""

    def reasons(self) -> Reasons:
        """See `observe.reasons.Explains`."""
        cluster, timer = self.cluster, self._timer
        facts = {"why_host": why_host(cluster, self.host)}
        if timer is None:
            return Reasons("connected" if self.is_up else "connecting", (), facts)
        is_default = cluster.config.connect_timeout is None
        source = setting_text("connect_timeout", cluster.connect_timeout, is_default, f"cluster {cluster.name}")
        return Reasons("connecting", (PendingTimer("connect_timeout", timer.when, source, timer),), facts)

    # -- counting --------------------------------------------------------------------------------------------------

    def count_attached(self) -> None:
        """A session has it now."""
        cluster, counters = self.cluster, self.host.counters
        cluster.stats.upstream_rq_total.value += 1
        cluster.stats.upstream_rq_active.value += 1
        counters.rq_total += 1
        counters.rq_active += 1
        cluster.breakers.requests.take()
        if self.host.outlier is not None:
            self.host.outlier.put_connected(final=True)

    def count_detached(self, remote: bool) -> None:
        """The connection of a session is over."""
        stats = self.cluster.stats
        stats.upstream_cx_destroy_with_active_rq.value += 1
        (stats.upstream_cx_destroy_remote_with_active_rq if remote
         else stats.upstream_cx_destroy_local_with_active_rq).value += 1
        stats.upstream_rq_active.dec()
        self.host.counters.rq_active -= 1
        self.cluster.breakers.requests.give_back()

    def count_failed(self, remote: bool) -> None:
        """It never came up, and not because nobody wanted it any more."""
        stats = self.cluster.stats
        stats.upstream_cx_connect_fail.inc()
        self.host.counters.cx_connect_fail += 1
        if not remote and not self.timed_out:
            stats.bind_errors.inc()

    def _count_end(self, remote: bool) -> None:
        stats, connection = self.cluster.stats, self.connection
        stats.upstream_cx_active.dec()
        self.host.counters.cx_active -= 1
        self.breakers.connections.give_back()
        stats.upstream_cx_destroy.value += 1
        (stats.upstream_cx_destroy_remote if remote else stats.upstream_cx_destroy_local).value += 1
        if self.is_up:
            stats.upstream_cx_length_ms.record(int((connection.reactor.now - connection.opened_at) * 1000))

    def _on_timeout(self) -> None:
        self._timer = None
        self.timed_out = True
        self.cluster.stats.upstream_cx_connect_timeout.inc()
        self.connection.close(
            ABORT, "connect_timeout", how="timeout", config=f"connect_timeout {self.cluster.connect_timeout:g}s"
        )


def count_pending(cluster: Cluster, host: Host) -> None:
    """Somebody waits for a connection."""
    cluster.stats.upstream_rq_pending_active.value += 1
    host.counters.rq_pending_active += 1
    cluster.breakers.pending_requests.take()


def count_no_longer_pending(cluster: Cluster, host: Host) -> None:
    """He has it, or there will be none."""
    cluster.stats.upstream_rq_pending_active.dec()
    host.counters.rq_pending_active -= 1
    cluster.breakers.pending_requests.give_back()


def count_pending_failure(connection: HostConnection, remote: bool) -> None:
    """There will be none, because the host could not be reached over `connection`."""
    cluster, host = connection.cluster, connection.host
    count_no_longer_pending(cluster, host)
    cluster.stats.upstream_rq_pending_failure_eject.inc()
    if host.outlier is not None and (connection.timed_out or remote):
        host.outlier.put_connect_failed(connection.timed_out)
