"""One upstream connection per TCP session: made on demand, counted, timed, never reused. Mirrors `Tcp::ConnPoolImpl`.

A session asks for a connection and hears exactly one of `on_pool_ready` and `on_pool_failure`, unless it cancels first. The
numbers follow Envoy's, where a TCP session also counts as one request of the cluster.
"""

from __future__ import annotations

import enum
import functools
from typing import Final, Optional, Protocol

from ..event.reactor import Reactor
from ..event.timers import Timer
from ..filters.api import CONNECTED, REMOTE_CLOSE, ConnectionEvent, ReadFilter
from ..network import client, sockets
from ..network.close import ABORT, NO_FLUSH
from ..network.connection import Connection
from ..network.happy_eyeballs import Race
from ..network.handshake import establish
from ..network.splice import PipePool
from ..network.table import ConnectionTable
from ..network.transport import RAW
from ..observe.log import DEBUG, component_logger
from ..observe.stream_info import StreamInfo
from .cluster import Cluster
from .host import Host
from .host_limit import HostLimit
from .socket_options import addresses_in_turn, new_socket, source_address


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


class PendingConnection(Protocol):
    """What a session has until it hears of its connection."""

    def cancel(self) -> None:
        """The session lost interest. It hears nothing more."""


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
    ) -> Optional[PendingConnection]:
        """Start connecting to `host`. None when that is impossible now; `on_pool_failure` has been called then.

        read_filter: what takes the upstream's bytes; it is in place before the first can arrive.
        """
        stats = cluster.stats
        if not cluster.breakers.pending_requests.can_create:
            stats.upstream_rq_pending_overflow.inc()
            most = cluster.breakers.pending_requests.limit
            callbacks.on_pool_failure(OVERFLOW, f"max_pending_requests {most} reached", host)
            return None
        stats.upstream_rq_pending_total.value += 1
        limit = cluster.host_limit
        if limit is not None and limit.is_reached(host):
            stats.upstream_cx_overflow.inc()
            if limit.must_wait(host):
                return WaitingRequest(self, cluster, limit, host, info, read_filter, callbacks)
        return self.start(cluster, host, info, read_filter, callbacks)

    def start(
        self, cluster: Cluster, host: Host, info: StreamInfo, read_filter: ReadFilter, callbacks: PoolCallbacks
    ) -> Optional[PooledConnection]:
        """`connect`, where no limit has anything against it."""
        stats = cluster.stats
        addresses = addresses_in_turn(cluster.config, host) if host.more_addresses else None
        try:
            sock = new_socket(cluster.config, host.address if addresses is None else addresses[0])
        except OSError as error:
            stats.upstream_cx_connect_fail.inc()
            callbacks.on_pool_failure(LOCAL, f"socket creation failure: {sockets.describe(error.errno)}", host)
            return None
        connection = Connection(
            self._table.next_id(), self._reactor, sock, info, cluster.settings, cluster.counters,
            RAW if cluster.new_transport is None else cluster.new_transport(info, host),
        )
        connection.half_close_enabled = True
        connection.read_chain.add(read_filter, "upstream")
        pooled = PooledConnection(self._table, connection, cluster, host, callbacks)
        if _log.level <= DEBUG:
            ids = info.connection_id, connection.id
            _log.debug("[C%d→C%d] connecting to %s of '%s'", *ids, host.address, cluster.name)
        source = source_address(cluster.config)
        if addresses is None:
            is_up = client.connect_at_once(connection, host.address, source)
        else:
            race = Race(connection, source, functools.partial(new_socket, cluster.config), pooled.count_attempt)
            connection.finalizers += (lambda _: race.stop(),)
            is_up = race.start(addresses)
        if is_up:
            establish(connection)
        pooled.start_timer()
        return pooled


class WaitingRequest:
    """A session whose host has as many connections as it may have; in the queue of a `HostLimit`."""

    __slots__ = ("_pool", "_cluster", "_limit", "_host", "_info", "_read_filter", "_callbacks", "_connecting")

    def __init__(
        self, pool: TcpPool, cluster: Cluster, limit: HostLimit, host: Host, info: StreamInfo, read_filter: ReadFilter,
        callbacks: PoolCallbacks,
    ) -> None:
        self._pool = pool
        self._cluster = cluster
        self._limit = limit
        self._host = host
        self._info = info
        self._read_filter = read_filter
        self._callbacks = callbacks
        self._connecting: Optional[PooledConnection] = None
        count_pending(cluster, host)
        limit.add(host, self)
        if _log.level <= DEBUG:
            _log.debug("[C%d] waiting: %s of '%s' has max_connections of per_host_thresholds", info.connection_id,
                       host.address, cluster.name)

    def go_on(self) -> None:
        """There is room: connect. A connection that is being made counts as pending itself."""
        count_no_longer_pending(self._cluster, self._host)
        self._connecting = self._pool.start(
            self._cluster, self._host, self._info, self._read_filter, self._callbacks
        )

    def cancel(self) -> None:
        """The session lost interest, while waiting or while connecting."""
        if self._connecting is not None:
            self._connecting.cancel()
            return
        self._limit.remove(self._host, self)
        count_no_longer_pending(self._cluster, self._host)
        self._cluster.stats.upstream_rq_cancelled.inc()


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
        self._timer: Optional[Timer] = None
        connection.callbacks += (self,)
        table.add(connection)
        self._count_start()

    def start_timer(self) -> None:
        """The outcome is awaited from now on, unless it is known already."""
        connection = self.connection
        if not self._attached and connection.fd >= 0:
            self._timer = connection.reactor.after(self._cluster.connect_timeout, self._on_timeout, connection)

    @property
    def host(self) -> Host:
        """Whom it connects to."""
        return self._host

    def count_attempt(self) -> None:
        """One more address of the host is tried: Envoy counts each of them, but what becomes of it only once."""
        self._cluster.stats.upstream_cx_total.value += 1
        self._host.counters.cx_total += 1

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
        self._cluster.on_connection_end()
        if self._cluster.host_limit is not None:
            self._cluster.host_limit.on_connection_end(self._host, self.connection.reactor)
        if _log.level <= DEBUG:
            _log.debug("[C%d] upstream connection closed: %s", self.connection.id, self.connection.close_reason)
        callbacks, self._callbacks = self._callbacks, None
        if callbacks is not None and not self._attached:
            if self._host.outlier is not None and (self._timed_out or event is REMOTE_CLOSE):
                self._host.outlier.put_connect_failed(self._timed_out)
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
        assert self._callbacks is not None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._attached = True
        if self._host.outlier is not None:
            self._host.outlier.put_connected(final=True)
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
        stats.upstream_cx_total.value += 1
        stats.upstream_cx_active.value += 1
        counters.cx_total += 1
        counters.cx_active += 1
        self._cluster.breakers.connections.take()
        count_pending(self._cluster, self._host)

    def _count_attached(self) -> None:
        connection, stats, counters = self.connection, self._cluster.stats, self._host.counters
        stats.upstream_cx_connect_ms.record(int((connection.reactor.now - connection.opened_at) * 1000))
        count_no_longer_pending(self._cluster, self._host)
        stats.upstream_rq_total.value += 1
        stats.upstream_rq_active.value += 1
        counters.rq_total += 1
        counters.rq_active += 1
        self._cluster.breakers.requests.take()

    def _count_end(self, remote: bool) -> None:
        stats, counters = self._cluster.stats, self._host.counters
        stats.upstream_cx_active.dec()
        counters.cx_active -= 1
        self._cluster.breakers.connections.give_back()
        stats.upstream_cx_destroy.value += 1
        (stats.upstream_cx_destroy_remote if remote else stats.upstream_cx_destroy_local).value += 1
        if self._attached:
            connection = self.connection
            stats.upstream_cx_length_ms.record(int((connection.reactor.now - connection.opened_at) * 1000))
            stats.upstream_cx_destroy_with_active_rq.value += 1
            (stats.upstream_cx_destroy_remote_with_active_rq if remote
             else stats.upstream_cx_destroy_local_with_active_rq).value += 1
            stats.upstream_rq_active.dec()
            counters.rq_active -= 1
            self._cluster.breakers.requests.give_back()
            return
        count_no_longer_pending(self._cluster, self._host)
        if self._callbacks is not None:  # not cancelled: it failed
            stats.upstream_cx_connect_fail.inc()
            stats.upstream_rq_pending_failure_eject.inc()
            counters.cx_connect_fail += 1
            if not remote and not self._timed_out:
                stats.bind_errors.inc()
