"""One upstream connection per TCP session: made on demand, counted, timed, never reused. Mirrors `Tcp::ConnPoolImpl`.

A session asks for a connection and hears exactly one of `on_pool_ready` and `on_pool_failure`, unless it cancels first. In a
cluster with a `preconnect_policy` it may get one that was made before (`ready_pool`); else the connection is its own from the
first SYN.
"""

from __future__ import annotations

import functools
from typing import Callable, Optional, TypeVar

from ..event.reactor import Reactor
from ..filters.api import ReadFilter
from ..network import client, sockets
from ..network.close import NO_FLUSH
from ..network.connection import Connection
from ..network.happy_eyeballs import Race
from ..network.handshake import establish
from ..network.splice import PipePool
from ..network.table import ConnectionTable
from ..network.transport import RAW
from ..observe.log import DEBUG, component_logger
from ..observe.reasons import Reasons
from ..observe.stream_info import StreamInfo
from .cluster import Cluster
from .host import Host
from .host_connection import HostConnection, count_no_longer_pending, count_pending, count_pending_failure
from .host_limit import HostLimit
from .ready_pool import ReadyPool, may_share
from .socket_options import addresses_in_turn, new_socket, source_address
from .tcp_pool_api import FILTER_NAME, LOCAL, PendingConnection, PoolCallbacks, failure_of, may_wait

_log = component_logger("pool")

C = TypeVar("C", bound=HostConnection)


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
        """Get a connection to `host`. None when the outcome is known already, and `callbacks` have been told.

        read_filter: what takes the upstream's bytes; it is in place before the first can arrive.
        """
        if cluster.preconnects and may_share(cluster, info):
            return self._ready_pool(cluster).connect(host, info, read_filter, callbacks)
        stats = cluster.stats
        if not may_wait(cluster, host, callbacks):
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
        def account(connection: Connection) -> PooledConnection:
            return PooledConnection(self._table, connection, cluster, host, callbacks)
        try:
            return self.open(cluster, host, info, read_filter, FILTER_NAME, account)
        except OSError as error:
            cluster.stats.upstream_cx_connect_fail.inc()
            callbacks.on_pool_failure(LOCAL, f"socket creation failure: {sockets.describe(error.errno)}", host)
            return None

    def open(
        self, cluster: Cluster, host: Host, info: StreamInfo, read_filter: ReadFilter, filter_name: str,
        account: Callable[[Connection], C],
    ) -> C:
        """A connection to `host` that is being made, or is up already: then `on_up` has been called.

        info: of the stream it is for. account: makes what counts it. Raises OSError if there can't even be a socket.
        """
        addresses = addresses_in_turn(cluster.config, host) if host.more_addresses else None
        sock = new_socket(cluster.config, host.address if addresses is None else addresses[0])
        connection = Connection(
            self._table.next_id(), self._reactor, sock, info, cluster.settings, cluster.counters,
            RAW if cluster.new_transport is None else cluster.new_transport(info, host),
        )
        connection.half_close_enabled = True
        connection.read_chain.add(read_filter, filter_name)
        counted = account(connection)
        if _log.level <= DEBUG:
            ids = info.connection_id, connection.id
            _log.debug("[C%d→C%d] connecting to %s of '%s'", *ids, host.address, cluster.name)
        source = source_address(cluster.config)
        if addresses is None:
            is_up = client.connect_at_once(connection, host.address, source)
        else:
            race = Race(connection, source, functools.partial(new_socket, cluster.config), counted.count_attempt)
            connection.finalizers += (lambda _: race.stop(),)
            is_up = race.start(addresses)
        if is_up:
            establish(connection)
        counted.start_timer()
        return counted

    def _ready_pool(self, cluster: Cluster) -> ReadyPool:
        """The one of this cluster, which knows it from now on."""
        for pool in cluster.pools:
            if isinstance(pool, ReadyPool):
                return pool
        made = ReadyPool(cluster, self._table, self.open)
        cluster.pools.append(made)
        return made


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

    def reasons(self) -> Reasons:
        """See `observe.reasons.Explains`."""
        if self._connecting is not None:
            return self._connecting.reasons()
        return Reasons(f"waiting: {self._host.address} has max_connections of per_host_thresholds")

    def cancel(self) -> None:
        """The session lost interest, while waiting or while connecting."""
        if self._connecting is not None:
            self._connecting.cancel()
            return
        self._limit.remove(self._host, self)
        count_no_longer_pending(self._cluster, self._host)
        self._cluster.stats.upstream_rq_cancelled.inc()


class PooledConnection(HostConnection):
    """A connection that is one session's from the start."""

    __slots__ = ("_callbacks",)

    def __init__(
        self, table: ConnectionTable, connection: Connection, cluster: Cluster, host: Host, callbacks: PoolCallbacks
    ) -> None:
        super().__init__(table, connection, cluster, host)
        self._callbacks: Optional[PoolCallbacks] = callbacks
        count_pending(cluster, host)

    def cancel(self) -> None:
        """The session lost interest while connecting."""
        self._callbacks = None
        self.cluster.stats.upstream_rq_cancelled.inc()
        self.connection.close(NO_FLUSH, "session ended while connecting")

    def on_up(self) -> None:
        """It is the session's now."""
        callbacks, self._callbacks = self._callbacks, None
        assert callbacks is not None
        count_no_longer_pending(self.cluster, self.host)
        self.count_attached()
        callbacks.on_pool_ready(self.connection, self.host)

    def on_over(self, remote: bool) -> None:
        """The session hears of an end after the beginning from the connection itself."""
        if self.is_up:
            self.count_detached(remote)
            return
        callbacks, self._callbacks = self._callbacks, None
        if callbacks is None:  # cancelled
            count_no_longer_pending(self.cluster, self.host)
            return
        self.count_failed(remote)
        count_pending_failure(self, remote)
        callbacks.on_pool_failure(*failure_of(self, remote), self.host)
