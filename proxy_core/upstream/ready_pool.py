"""Connections that are made before a session needs them, for clusters with a `preconnect_policy`. Mirrors `ConnPoolImplBase` and
`ClusterManagerImpl::maybePreconnect`; the arithmetic is in `preconnect`.

    HostPool             the connections to one host, and the sessions that wait for one
    ReadyPool            the pools of one cluster

What a host says before anybody has its connection (a server that speaks first) waits in the read buffer for the session. A
connection that the host ends while nobody has it is not given to anybody, and neither is one that was idle for too long.

Two things are not as in Envoy. After a connection made in advance has failed, none is made until the next session comes: Envoy
tries again at once, without end, tens of thousands of times a second. And a connection that nobody uses never costs a session its
place below `max_connections`: the session gets it, or it makes room.
"""

from __future__ import annotations

from collections import deque
from typing import Callable, Deque, Dict, Final, List, Optional, Protocol

from ..config.model.cluster import TcpProtocolOptions
from ..config.model.core import TransportSocket
from ..filters.api import ReadFilter
from ..network import sockets
from ..network.connection import Connection
from ..network.table import ConnectionTable
from ..observe.stream_info import StreamInfo, UpstreamInfo
from .cluster import Cluster
from .host import Host
from .host_connection import count_no_longer_pending, count_pending, count_pending_failure
from .preconnect import MOST_AT_ONCE, is_excess, wants_another
from .ready_connection import ReadyConnection, Request
from .tcp_pool_api import LOCAL, PoolCallbacks, failure_of, may_wait
from .unclaimed import Unclaimed

DEFAULT_IDLE_TIMEOUT: Final = 600.0
NO_CLIENT: Final = -1  # the connection id of a stream that has no downstream connection (yet)

_OPTIONS: Final = "envoy.extensions.upstreams.tcp.v3.TcpProtocolOptions"
_PROXY_HEADER: Final = "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport"
_DECIDED_BY_FILTERS: Final = "envoy.network."  # what filters leave for the transport begins like this


class Open(Protocol):
    """`TcpPool.open`."""

    def __call__(
        self, cluster: Cluster, host: Host, info: StreamInfo, read_filter: ReadFilter, filter_name: str,
        account: Callable[[Connection], ReadyConnection],
    ) -> ReadyConnection:
        """See there."""


def may_share(cluster: Cluster, info: StreamInfo) -> bool:
    """Whether a connection that was made for nobody in particular will do for this stream: not if it begins with a PROXY header,
    or if filters have decided about its TLS."""
    if cluster.new_transport is None:
        return True
    config = cluster.config
    sockets_of_cluster = [config.transport_socket, *(one.transport_socket for one in config.transport_socket_matches)]
    return not any(map(_names_the_client, sockets_of_cluster)) and not any(
        key.startswith(_DECIDED_BY_FILTERS) for key in info.filter_state
    )


def _names_the_client(socket: Optional[TransportSocket]) -> bool:
    return socket is not None and socket.typed_config is not None and socket.typed_config.type_name == _PROXY_HEADER


class HostPool:
    """The connections to one host and who waits for them."""

    __slots__ = ("cluster", "host", "pending", "connecting", "ready", "active", "_pools")

    def __init__(self, pools: ReadyPool, host: Host) -> None:
        self.cluster = pools.cluster
        self.host = host
        self.pending: Deque[Request] = deque()
        self.connecting: List[ReadyConnection] = []
        self.ready: List[ReadyConnection] = []  # the one that came up last is taken first
        self.active = 0
        self._pools = pools

    @property
    def is_unused(self) -> bool:
        """Whether there is nothing in it."""
        return not (self.pending or self.connecting or self.ready or self.active)

    def connect(self, request: Request) -> Optional[Request]:
        """A connection for a session. None: it has been told what came of it, or may never hear of it again."""
        if self.ready:
            self._attach(self.ready.pop(), request)
            self.fill()
            return None
        if not may_wait(self.cluster, self.host, request.callbacks):
            return None
        self.cluster.stats.upstream_rq_pending_total.value += 1
        count_pending(self.cluster, self.host)
        self.pending.append(request)
        self.fill()
        return request

    def cancel(self, request: Request) -> None:
        """A session does not wait any longer; a connection that is made for nobody else then is given up."""
        self.pending.remove(request)
        count_no_longer_pending(self.cluster, self.host)
        self.cluster.stats.upstream_rq_cancelled.inc()
        capacity = len(self.connecting) + len(self.ready)
        if self.connecting and is_excess(len(self.pending), self.active, capacity, self.cluster.ratios.per_upstream):
            self.connecting[-1].give_up()

    def fill(self) -> None:
        """Make the connections that are missing, a few at most."""
        for _ in range(MOST_AT_ONCE):
            if not self._wants_another(self.cluster.ratios.per_upstream) or not self._open():
                return

    def fill_ahead(self) -> bool:
        """Make a connection for a session that will probably come. Whether there was anything to do, and it could be done."""
        return self._wants_another(self.cluster.ratios.predictive, anticipated=1) and self._open()

    def drain(self) -> None:
        """Close what nobody uses or waits for."""
        for connection in [*self.ready, *([] if self.pending else self.connecting)]:
            connection.give_up()

    def on_up(self, connection: ReadyConnection) -> None:
        """Connected: for the session that waits the longest, or for the next."""
        self.connecting.remove(connection)
        if self.pending:
            count_no_longer_pending(self.cluster, self.host)
            self._attach(connection, self.pending.popleft())
        else:
            self.ready.append(connection)
            connection.wait(self._pools.idle_timeout)

    def on_over(self, connection: ReadyConnection, remote: bool) -> None:
        """Closed. If it never came up, nobody waits any longer: his next attempt may go to another host."""
        if connection.in_use:
            self.active -= 1
        elif connection in self.ready:
            self.ready.remove(connection)
        else:
            self.connecting.remove(connection)
            if not connection.given_up:
                self._fail(connection, remote)
        if self.pending:  # a limit may have been in the way
            self.fill()
        self._pools.forget_unused(self)

    def _attach(self, connection: ReadyConnection, request: Request) -> None:
        self.active += 1
        connection.attach(request)

    def _wants_another(self, ratio: float, anticipated: int = 0) -> bool:
        """Nothing is made in advance for a host that is ill or comes last."""
        if not self.host.is_healthy:
            return len(self.pending) > len(self.connecting)
        return wants_another(len(self.pending), self.active, len(self.connecting) + len(self.ready), ratio, anticipated)

    def _open(self) -> bool:
        """One more connection, unless a limit is reached. A host without any gets one all the same. False: no more now."""
        cluster, limit = self.cluster, self.cluster.host_limit
        host_is_full = limit is not None and limit.is_reached(self.host)
        if len(self.pending) > len(self.connecting) and not host_is_full and not cluster.breakers.connections.can_create:
            self._pools.make_room()
        may_create = cluster.breakers.connections.can_create and not host_is_full
        if not may_create:
            cluster.stats.upstream_cx_overflow.inc()
            if self.active or self.connecting or self.ready:
                return False
        try:
            self._pools.open(self)  # `on_up` may have been called when this returns
        except OSError as error:
            self._fail_to_open(f"socket creation failure: {sockets.describe(error.errno)}")
            return False
        return may_create

    def _fail(self, connection: ReadyConnection, remote: bool) -> None:
        failure = failure_of(connection, remote)
        waiting, self.pending = self.pending, deque()
        for request in waiting:
            count_pending_failure(connection, remote)
            request.callbacks.on_pool_failure(*failure, self.host)

    def _fail_to_open(self, why: str) -> None:
        self.cluster.stats.upstream_cx_connect_fail.inc()
        waiting, self.pending = self.pending, deque()
        for request in waiting:
            count_no_longer_pending(self.cluster, self.host)
            request.callbacks.on_pool_failure(LOCAL, why, self.host)


class ReadyPool:
    """`pool_api.HostPools` of one cluster."""

    def __init__(self, cluster: Cluster, table: ConnectionTable, make: Open) -> None:
        self.cluster = cluster
        self.idle_timeout = _idle_timeout(cluster)
        self._table = table
        self._make = make
        self._pools: Dict[Host, HostPool] = {}

    def connect(
        self, host: Host, info: StreamInfo, read_filter: ReadFilter, callbacks: PoolCallbacks
    ) -> Optional[Request]:
        """A connection to `host`, as `TcpPool.connect`."""
        if self.cluster.ratios.look_ahead:
            self._look_ahead()
        pool = self._pool(host)
        request = pool.connect(Request(pool, info, read_filter, callbacks))
        self.forget_unused(pool)
        return request

    @property
    def has_spare(self) -> bool:
        """Whether some connection is ready and nobody uses it."""
        return any(pool.ready for pool in self._pools.values())

    def drain(self, host: Host) -> None:
        """No connection to this host is given to anybody any more; those that nobody uses are closed."""
        pool = self._pools.get(host)
        if pool is not None:
            pool.drain()

    def make_room(self) -> None:
        """A session needs a connection and there are as many as there may be: close one that nobody uses."""
        spare = next((pool.ready[0] for pool in self._pools.values() if pool.ready), None)
        if spare is not None:
            spare.give_up()

    def open(self, pool: HostPool) -> None:
        """Begin to make a connection for nobody in particular. Raises OSError if there can't even be a socket."""
        info = StreamInfo(NO_CLIENT, 0.0, 0.0)
        info.upstream = UpstreamInfo()
        info.upstream.cluster, info.upstream.cluster_raw = self.cluster.observability_name, self.cluster.name
        info.upstream.connecting_to = pool.host.address.text

        def account(connection: Connection) -> ReadyConnection:
            made = ReadyConnection(pool, self._table, connection)
            pool.connecting.append(made)
            return made
        self._make(self.cluster, pool.host, info, Unclaimed(), "no session yet", account)

    def forget_unused(self, pool: HostPool) -> None:
        """Hosts come and go: nothing is kept for one without connections."""
        if pool.is_unused:
            self._pools.pop(pool.host, None)

    def _pool(self, host: Host) -> HostPool:
        found = self._pools.get(host)
        if found is None:
            found = self._pools[host] = HostPool(self, host)
        return found

    def _look_ahead(self) -> None:
        """Before a session gets its connection: make connections to the hosts that the sessions after it will go to."""
        cluster = self.cluster
        for _ in range(MOST_AT_ONCE):
            active = cluster.breakers.requests.used
            capacity = cluster.breakers.connections.used - active
            if not wants_another(cluster.breakers.pending_requests.used, active, capacity, cluster.ratios.predictive, 1):
                return
            host = cluster.pick_ahead()
            if host is None:
                return
            pool = self._pool(host)
            if not pool.fill_ahead():
                self.forget_unused(pool)
                return


def _idle_timeout(cluster: Cluster) -> float:
    """Seconds that a connection waits for a session; 0 = as long as it takes."""
    options = cluster.config.typed_extension_protocol_options.get(_OPTIONS)
    message = options.message if options is not None else None
    if not isinstance(message, TcpProtocolOptions) or message.idle_timeout is None:
        return DEFAULT_IDLE_TIMEOUT
    return message.idle_timeout
