"""Every connection of the process: ids for new ones, who is alive, who ended last. What the admin lists and a dump prints.

What one idle proxied pair (client and upstream) holds in memory, in bytes, traced on Python 3.11 with `tracemalloc`:

    two `Connection`s                                        832
    their read chains: chain, slot, list                     540
    their four `Buffer`s, empty                              440
    two Python sockets and the addresses                     710
    `StreamInfo` and `UpstreamInfo`, with their texts        590
    the tcp_proxy session, its idle timer                    520
    the pool's accounting, back-pressure both ways           490
    how to get splicers, should bulk come                     60
    reactor, poller and table entries                        340
    lists, tuples and ints here and there                    130
    together                                                4656

The process grows by 4.3 KiB a pair (Envoy 17.5, nginx 9.6, HAProxy 3.3, `python3 -m perf.compare --work idle`). Whatever an idle
connection does not need is an empty tuple, None, or not there: pauses, callbacks, holds, metadata, a write chain.
"""

from __future__ import annotations

import functools
from typing import Callable, Dict, List, Optional, Tuple

from ..observe.reasons import ClosedRing
from ..observe.stats import Counter, StatsStore
from ..observe.stream_info import StreamInfo
from .close import CloseReason
from .connection import Connection

RX_BUFFERED = "_rx_bytes_buffered"
TX_BUFFERED = "_tx_bytes_buffered"


class ConnectionTable:
    """One counter for downstream, upstream and admin connections, from 0, as in Envoy. closed: the last ones that ended."""

    def __init__(self) -> None:
        self._next_id = 0
        self._live: Dict[int, Connection] = {}
        self.closed = ClosedRing()
        self.on_discard: Optional[Callable[[], None]] = None

    def next_id(self) -> int:
        """A fresh connection id."""
        connection_id = self._next_id
        self._next_id += 1
        return connection_id

    def add(self, connection: Connection) -> None:
        """From now on until `discard` this connection is alive."""
        self._live[connection.id] = connection

    def discard(self, connection: Connection, remember: bool = True) -> None:
        """This connection is over. remember: keep a record of it."""
        self._live.pop(connection.id, None)
        if remember:
            self._remember(connection)
        if self.on_discard is not None:
            self.on_discard()

    def _remember(self, connection: Connection) -> None:
        """A plain tuple of what is there anyway, in the order of `ClosedConnection`; it keeps no connection in memory."""
        info = connection.info
        upstream = info.upstream
        cluster, host, upstream_id, local = "", "", 0, connection.local_address
        if upstream is not None:
            cluster, host, upstream_id = upstream.cluster_raw, upstream.connecting_to, upstream.connection_id
        self.closed.append((
            connection.id, info.connection_id, connection.opened_at, connection.reactor.now, connection.bytes_read,
            connection.bytes_sent, connection.bytes_queued, connection.remote_address,
            local if local is not None or upstream is None else upstream.local_address,
            info.listener_name, info.filter_chain_name, cluster, host, upstream_id, connection.close_reason, info.response_flags,
            connection.pauses, connection.read_chain.parked_by,
        ))

    def remember_refused(self, info: StreamInfo, remote: object, local: object, reason: CloseReason) -> None:
        """A socket that did not become a connection. `info.end_mono` is set."""
        self.closed.append((
            None, None, info.start_mono, info.end_mono, 0, 0, 0, remote, local, info.listener_name, "", "", "", 0,
            reason, info.response_flags, (), "",
        ))

    def get(self, connection_id: int) -> Optional[Connection]:
        """The live connection with this id."""
        return self._live.get(connection_id)

    def live(self) -> List[Connection]:
        """The live connections by id, oldest first. A copy: they may close while it is walked."""
        return list(self._live.values())

    def __len__(self) -> int:
        return len(self._live)

    def buffered(self, counter: Counter) -> Tuple[int, int]:
        """Bytes in the read and write buffers of the connections that count what they receive in `counter`."""
        mine = [connection for connection in self.live() if connection.counters.rx_total is counter]
        return sum(one.read_buffer.size for one in mine), sum(one.write_buffer.size for one in mine)


def expose_buffered(store: StatsStore, table: ConnectionTable) -> None:
    """Make the `*_bytes_buffered` gauges of tcp_proxies and clusters tell the truth when somebody asks, and cost nothing when
    nobody does. Envoy's are written at each read, before the filters drain, and lag."""
    for name in list(store.gauges):
        if not name.endswith(RX_BUFFERED):
            continue
        prefix, _, stat = name.rpartition(".")
        stem = stat[:-len(RX_BUFFERED)]
        counter = store.counters.get(f"{prefix}.{stem}_rx_bytes_total")
        if counter is not None:
            scope = store.scope(prefix)
            sent = store.counters[f"{prefix}.{stem}_tx_bytes_total"]
            for which, (stat, total) in enumerate(((RX_BUFFERED, counter), (TX_BUFFERED, sent))):
                scope.computed(stem + stat, functools.partial(_buffered, table, counter, which), functools.partial(_used, total))


def _used(counter: Counter) -> bool:
    return counter.used


def _buffered(table: ConnectionTable, counter: Counter, which: int) -> int:
    return table.buffered(counter)[which]
