"""One upstream connection per TCP session: made on demand, counted, timed, never reused. Mirrors `Tcp::ConnPoolImpl`.

A session asks for a connection and hears exactly one of `on_pool_ready` and `on_pool_failure`, unless it cancels first. The
numbers follow Envoy's, where a TCP session also counts as one request of the cluster.
"""

from __future__ import annotations

import enum
import socket
from typing import Final, Optional, Protocol

from ..event.reactor import Reactor
from ..event.timers import Timer
from ..filters.api import CONNECTED, REMOTE_CLOSE, ConnectionEvent, ReadFilter
from ..network import client, sockets
from ..network.address import Address
from ..network.close import ABORT, NO_FLUSH
from ..network.connection import Connection
from ..network.splice import PipePool
from ..network.table import ConnectionTable
from ..observe.log import component_logger
from ..observe.stream_info import StreamInfo
from .cluster import Cluster
from .host import Host


class PoolFailure(enum.Enum):
    """Why there is no connection."""

    REMOTE = "remote connection failure"  # refused, unreachable, reset while connecting
    LOCAL = "local connection failure"  # no descriptor, bind failed
    TIMEOUT = "connect timeout"
    OVERFLOW = "pending requests overflow"


REMOTE: Final = PoolFailure.REMOTE
LOCAL: Final = PoolFailure.LOCAL
TIMEOUT: Final = PoolFailure.TIMEOUT
OVERFLOW: Final = PoolFailure.OVERFLOW


class PoolCallbacks(Protocol):
    """A session that wants a connection."""

    def on_pool_ready(self, connection: Connection, host: Host) -> None:
        """Connected; the connection is the session's."""

    def on_pool_failure(self, failure: PoolFailure, reason: str, host: Host) -> None:
        """No connection. `reason`: Envoy's transport failure text, "" for a timeout."""

_log = component_logger("pool")


class TcpPool:
    """Makes the upstream connections of the whole process."""

    def __init__(self, reactor: Reactor, table: ConnectionTable) -> None:
        self._reactor = reactor
        self._table = table
        self.pipes = PipePool()  # for bulk between two connections

    def close(self) -> None:
        """Give back what is kept between connections."""
        self.pipes.close()

    def connect(
        self, cluster: Cluster, host: Host, info: StreamInfo, read_filter: ReadFilter, callbacks: PoolCallbacks
    ) -> Optional[PooledConnection]:
        """Start connecting to `host`. None when that is impossible now; `on_pool_failure` has been called then.

        read_filter: what takes the upstream's bytes; it is in place before the first can arrive.
        """
        stats = cluster.stats
        if not cluster.breakers.pending_requests.can_create:
            stats.upstream_rq_pending_overflow.inc()
            limit = cluster.breakers.pending_requests.limit
            callbacks.on_pool_failure(OVERFLOW, f"max_pending_requests {limit} reached", host)
            return None
        try:
            sock = _new_socket(cluster, host)
        except OSError as error:
            stats.upstream_cx_connect_fail.inc()
            callbacks.on_pool_failure(LOCAL, f"socket creation failure: {sockets.describe(error.errno)}", host)
            return None
        connection = Connection(
            self._table.next_id(), self._reactor, sock, info, cluster.settings, cluster.counters
        )
        connection.half_close_enabled = True
        connection.read_chain.add(read_filter, "upstream")
        pooled = PooledConnection(self._table, connection, cluster, host, callbacks)
        _log.debug("[C%d→C%d] connecting to %s of '%s'", info.connection_id, connection.id, host.address, cluster.name)
        client.connect(connection, host.address, _source_address(cluster))
        return pooled


class PooledConnection:
    """The accounting of one upstream connection, from the first SYN to the close. Gets the connection's events."""

    __slots__ = ("connection", "_table", "_cluster", "_host", "_callbacks", "_timer", "_timed_out", "_attached")

    def __init__(
        self, table: ConnectionTable, connection: Connection, cluster: Cluster, host: Host, callbacks: PoolCallbacks
    ) -> None:
        self.connection = connection
        self._table = table
        self._cluster = cluster
        self._host = host
        self._callbacks: Optional[PoolCallbacks] = callbacks
        self._timed_out = False
        self._attached = False
        reactor = connection.reactor
        self._timer: Optional[Timer] = reactor.after(cluster.connect_timeout, self._on_timeout, connection)
        connection.callbacks += (self,)
        table.add(connection)
        self._count_start()

    def cancel(self) -> None:
        """The session lost interest while connecting."""
        self._callbacks = None
        self._cluster.stats.upstream_rq_cancelled.inc()
        self.connection.close(NO_FLUSH, "session ended while connecting")

    def on_event(self, event: ConnectionEvent) -> None:
        """Connected or closed."""
        if event is CONNECTED:
            self._on_connected()
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._table.discard(self.connection)
        self._count_end(remote=event is REMOTE_CLOSE)
        _log.debug("[C%d] upstream connection closed: %s", self.connection.id, self.connection.close_reason)
        callbacks, self._callbacks = self._callbacks, None
        if callbacks is not None and not self._attached:
            if self._timed_out:
                callbacks.on_pool_failure(TIMEOUT, "", self._host)
            else:
                failure = REMOTE if event is REMOTE_CLOSE else LOCAL
                callbacks.on_pool_failure(failure, self.connection.transport_failure_reason, self._host)

    def on_above_write_buffer_high_watermark(self) -> None:
        """The session couples the two sides itself."""

    def on_below_write_buffer_low_watermark(self) -> None:
        """The session couples the two sides itself."""

    def _on_connected(self) -> None:
        assert self._timer is not None and self._callbacks is not None
        self._timer.cancel()
        self._timer = None
        self._attached = True
        self._count_attached()
        self._callbacks.on_pool_ready(self.connection, self._host)

    def _on_timeout(self) -> None:
        self._timer = None
        self._timed_out = True
        self._cluster.stats.upstream_cx_connect_timeout.inc()
        self.connection.close(
            ABORT, "connect_timeout", how="timeout", config=f"connect_timeout {self._cluster.connect_timeout:g}s"
        )

    def _count_start(self) -> None:
        stats, counters = self._cluster.stats, self._host.counters
        stats.upstream_cx_total.inc()
        stats.upstream_cx_active.inc()
        stats.upstream_rq_pending_total.inc()
        stats.upstream_rq_pending_active.inc()
        counters.cx_total += 1
        counters.cx_active += 1
        counters.rq_pending_active += 1
        self._cluster.breakers.connections.take()
        self._cluster.breakers.pending_requests.take()

    def _count_attached(self) -> None:
        connection, stats, counters = self.connection, self._cluster.stats, self._host.counters
        stats.upstream_cx_connect_ms.record(int((connection.reactor.now - connection.opened_at) * 1000))
        self._count_no_longer_pending()
        stats.upstream_rq_total.inc()
        stats.upstream_rq_active.inc()
        counters.rq_total += 1
        counters.rq_active += 1
        self._cluster.breakers.requests.take()

    def _count_no_longer_pending(self) -> None:
        self._cluster.stats.upstream_rq_pending_active.dec()
        self._host.counters.rq_pending_active -= 1
        self._cluster.breakers.pending_requests.give_back()

    def _count_end(self, remote: bool) -> None:
        stats, counters = self._cluster.stats, self._host.counters
        stats.upstream_cx_active.dec()
        counters.cx_active -= 1
        self._cluster.breakers.connections.give_back()
        stats.upstream_cx_destroy.inc()
        (stats.upstream_cx_destroy_remote if remote else stats.upstream_cx_destroy_local).inc()
        if self._attached:
            connection = self.connection
            stats.upstream_cx_length_ms.record(int((connection.reactor.now - connection.opened_at) * 1000))
            stats.upstream_cx_destroy_with_active_rq.inc()
            (stats.upstream_cx_destroy_remote_with_active_rq if remote
             else stats.upstream_cx_destroy_local_with_active_rq).inc()
            stats.upstream_rq_active.dec()
            counters.rq_active -= 1
            self._cluster.breakers.requests.give_back()
            return
        self._count_no_longer_pending()
        if self._callbacks is not None:  # not cancelled: it failed
            stats.upstream_cx_connect_fail.inc()
            stats.upstream_rq_pending_failure_eject.inc()
            counters.cx_connect_fail += 1
            if not remote and not self._timed_out:
                stats.bind_errors.inc()


def _new_socket(cluster: Cluster, host: Host) -> socket.socket:
    """A socket for `host` with the cluster's options. Raises OSError, also for an option that the kernel refuses."""
    options = cluster.config.upstream_connection_options
    keepalive = options.tcp_keepalive if options is not None else None
    sock = sockets.new_stream(host.address)
    if keepalive is not None:
        try:
            sockets.set_keepalive(
                sock, keepalive.keepalive_probes, keepalive.keepalive_time, keepalive.keepalive_interval
            )
        except OSError:
            sock.close()
            raise
    return sock


def _source_address(cluster: Cluster) -> Optional[Address]:
    bind = cluster.config.upstream_bind_config
    if bind is None or bind.source_address is None:
        return None
    return Address.from_ip(bind.source_address.address, bind.source_address.port_value or 0)
