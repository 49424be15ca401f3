"""Which pools there are: `HttpPools` of the process, `ClusterPools` of one cluster. Mirrors `ClusterManagerImpl::httpConnPool`.

A pool is found by host and priority. Where a connection is made for one client (a PROXY header, a server name from the request's
host, `connection_pool_per_downstream_connection`), that is part of the key as well.
"""

from __future__ import annotations

from typing import Any, Dict, Final, Hashable, List, Optional, Tuple

from ...event.reactor import Reactor
from ...http.events import RequestHead
from ...network.table import ConnectionTable
from ...observe.stream_info import StreamInfo, UpstreamInfo
from ..breaker import CircuitBreakers
from ..cluster import Cluster
from ..host import Host
from ..preconnect import MOST_AT_ONCE, wants_another
from ..tcp_pool import TcpPool
from .budget import TimeoutBudget
from .client import Http1Client
from .exchange import Exchange
from .host_pool import HostPool
from .options import HttpOptions, options_of
from .partition import FALLBACK, Partition, partition_of
from .stats import HttpClusterStats, ResponseStats

FILTER_NAME: Final = "http"
NO_CLIENT: Final = -1  # the downstream connection id of a connection that serves many


class ClusterPools:
    """The pools of one cluster, its HTTP options and stats. A `pool_api.HostPools`."""

    def __init__(self, cluster: Cluster, reactor: Reactor, table: ConnectionTable, tcp: TcpPool) -> None:
        self.cluster = cluster
        self.options: HttpOptions = options_of(cluster.config)
        self.stats = HttpClusterStats(cluster.scope)
        self.responses = ResponseStats(cluster.scope)
        self._reactor = reactor
        self._table = table
        self._tcp = tcp
        self._default: Dict[Host, HostPool] = {}
        self._high: Dict[Host, HostPool] = {}
        self._partitioned: Dict[Tuple[Host, bool, Hashable], HostPool] = {}
        self._partition_keys: Dict[HostPool, Tuple[Tuple[Host, bool, Hashable], Partition]] = {}
        self._is_partitioned = self.options.per_downstream or cluster.new_transport is not None
        tracked = cluster.config.track_cluster_stats
        self.budget = TimeoutBudget(cluster.scope) if tracked is not None and tracked.timeout_budgets else None
        cluster.pools.append(self)

    def pool(self, host: Host, high: bool, info: StreamInfo, head: RequestHead) -> Optional[HostPool]:
        """The pool for one request; None if `max_connection_pools` forbids another one. info: of its stream."""
        if self._is_partitioned:
            partition = partition_of(self.cluster, self.options, info, head)
            if partition is not None:
                return self._partitioned_pool(host, high, partition)
        pool = (self._high if high else self._default).get(host)
        return self._plain_pool(host, high) if pool is None else pool

    def look_ahead(self) -> None:
        """Make connections for requests that will probably come, to the hosts that will be picked then."""
        cluster, breakers = self.cluster, self.cluster.breakers
        for _ in range(MOST_AT_ONCE):
            active = breakers.requests.used
            capacity = breakers.connections.used - active
            if not wants_another(breakers.pending_requests.used, active, capacity, cluster.ratios.predictive, 1):
                return
            host = cluster.pick_ahead()
            pool = self._plain_pool(host, high=False) if host is not None else None
            if pool is None or not pool.fill_ahead():
                return

    @property
    def has_spare(self) -> bool:
        """See `pool_api.HostPools`."""
        return any(pool.idle for pool in self._all())

    def queued(self) -> List[HostPool]:
        """The pools in which requests wait for a connection, to look at."""
        return [pool for pool in self._all() if pool.pending]

    def drain(self, host: Host) -> None:
        """See `pool_api.HostPools`."""
        for pool in self._all():
            if pool.host is host:
                pool.drain()

    def open(self, pool: HostPool) -> Http1Client:
        """See `host_pool.Opener`."""
        partition = self._partition_keys.get(pool)
        info = StreamInfo(NO_CLIENT, 0.0, self._reactor.now)
        if partition is not None:
            partition[1].write(info)
        elif self._is_partitioned:
            info.filter_state = FALLBACK
        info.upstream = UpstreamInfo()
        info.upstream.cluster, info.upstream.cluster_raw = self.cluster.observability_name, self.cluster.name
        info.upstream.connecting_to = pool.host.address.text
        exchange = Exchange(pool.settings)
        table = self._table
        return self._tcp.open(
            self.cluster, pool.host, info, exchange, FILTER_NAME,
            lambda connection: Http1Client(pool, table, connection, exchange),
        )

    def forget(self, pool: HostPool) -> None:
        """See `host_pool.Opener`."""
        partition = self._partition_keys.pop(pool, None)
        if partition is not None:
            del self._partitioned[partition[0]]
        elif self._default.get(pool.host) is pool:
            del self._default[pool.host]
        elif self._high.get(pool.host) is pool:
            del self._high[pool.host]
        else:
            return
        pool.breakers.connection_pools.give_back()
        for gauges in (self.cluster.stats.default_breakers, self.cluster.stats.high_breakers):
            gauges.cx_pool_open.inc(0)  # Envoy writes those of all priorities then, which `usedonly` shows

    def _plain_pool(self, host: Host, high: bool) -> Optional[HostPool]:
        pools = self._high if high else self._default
        pool = pools.get(host)
        if pool is None:
            pool = self._make(host, high)
            if pool is not None:
                pools[host] = pool
        return pool

    def _partitioned_pool(self, host: Host, high: bool, partition: Partition) -> Optional[HostPool]:
        key = host, high, partition.key
        pool = self._partitioned.get(key)
        if pool is None:
            pool = self._make(host, high)
            if pool is not None:
                self._partitioned[key] = pool
                self._partition_keys[pool] = key, partition
        return pool

    def _make(self, host: Host, high: bool) -> Optional[HostPool]:
        cluster = self.cluster
        breakers: CircuitBreakers = cluster.high_breakers if high else cluster.breakers
        if not breakers.connection_pools.can_create:
            cluster.stats.upstream_cx_pool_overflow.inc()
            return None
        breakers.connection_pools.take()
        return HostPool(self._reactor, self, cluster, host, breakers, self.stats, self.options, self.budget)

    def _all(self) -> List[HostPool]:
        return [*self._default.values(), *self._high.values(), *self._partitioned.values()]


class HttpPools:
    """The pools of all clusters."""

    def __init__(self, tcp: TcpPool, reactor: Reactor, table: ConnectionTable) -> None:
        """tcp: makes the connections."""
        self._tcp = tcp
        self._reactor = reactor
        self._table = table

    def of(self, cluster: Cluster) -> ClusterPools:
        """What there is for one cluster."""
        found: Any = cluster.http
        if found is None:
            found = cluster.http = ClusterPools(cluster, self._reactor, self._table, self._tcp)
        assert isinstance(found, ClusterPools)
        return found
