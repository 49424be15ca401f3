"""One connection of a `HostPool`: what is counted of it, and when it is closed. Mirrors `Http1::ActiveClient`.

    CONNECTING -> IDLE         TCP, and what lies over it, is up
    IDLE -> BUSY               a stream has it
    BUSY -> IDLE               request and response are complete, and both sides stay
    BUSY -> DRAINING           the stream is the last one: of so many, or the host is to be left
    any -> CLOSED
"""

from __future__ import annotations

import enum
from typing import Any, Dict, Final, Iterator, Optional, Protocol

from ...event.timers import Timer
from ...network.close import NO_FLUSH
from ...network.connection import Connection
from ...network.facts import local_address_text
from ...network.table import ConnectionTable
from ...observe.reasons import PendingTimer, Reasons, ago_text, setting_text
from ...observe.stream_info import StreamInfo
from ..breaker import CircuitBreakers
from ..cluster import Cluster
from ..host import Host
from ..host_connection import HostConnection
from .api import (
    CONNECTION_TERMINATION, CONNECTION_TIMEOUT, LOCAL_CONNECTION_FAILURE, REMOTE_CONNECTION_FAILURE, ResetReason, Stream,
)
from .exchange import Exchange
from .options import DEFAULT_IDLE_TIMEOUT
from .stats import HttpClusterStats


class ClientState(enum.Enum):
    """See the module docstring."""

    CONNECTING = "connecting"
    IDLE = "idle"
    BUSY = "busy"
    DRAINING = "busy for the last time"
    CLOSED = "closed"


CONNECTING: Final = ClientState.CONNECTING
IDLE: Final = ClientState.IDLE
BUSY: Final = ClientState.BUSY
DRAINING: Final = ClientState.DRAINING
CLOSED: Final = ClientState.CLOSED


class Pool(Protocol):
    """`HostPool`, as its connections see it."""

    cluster: Cluster
    host: Host
    breakers: CircuitBreakers
    stats: HttpClusterStats
    max_connection_duration: float
    idle_timeout: float
    clients: Dict[Http1Client, None]

    def on_up(self, client: Http1Client) -> None:
        """Connected."""

    def on_idle(self, client: Http1Client) -> None:
        """It can take the next request."""

    def on_over(self, client: Http1Client, was: ClientState, remote: bool) -> None:
        """Closed."""


class Http1Client(HostConnection):
    """See the module docstring. `served`: how many streams had it; `idle_since`: in the reactor's time."""

    __slots__ = ("exchange", "state", "served", "idle_since", "unwanted", "is_leaving", "_pool", "_duration")

    def __init__(self, pool: Pool, table: ConnectionTable, connection: Connection, exchange: Exchange) -> None:
        super().__init__(table, connection, pool.cluster, pool.host, pool.breakers)
        connection.half_close_enabled = False  # who has said all that he will say is of no use to the next request
        self.exchange = exchange
        exchange.owner = self
        self.state = CONNECTING
        self.served = 0
        self.idle_since = 0.0
        self.unwanted = False  # closed while connecting, because nobody needs it
        self.is_leaving = False  # its host was given up while it was connecting
        self._pool = pool
        self._duration: Optional[Timer] = None
        pool.clients[self] = None
        pool.stats.connection_made()

    # -- for the pool ----------------------------------------------------------------------------------------------

    def attach(self, stream: Stream, is_last: bool) -> None:
        """It is this stream's from now on. is_last: nobody else will have it."""
        self.state = DRAINING if is_last else BUSY
        self.served += 1
        stats, counters = self.cluster.stats, self.host.counters
        stats.upstream_rq_total.value += 1
        stats.upstream_rq_active.value += 1
        counters.rq_total += 1
        counters.rq_active += 1
        self.breakers.requests.take()
        self.exchange.stream = stream
        if self.connection.above_high:  # the host has answered the request before without reading all of it
            stream.on_above_write_buffer_high_watermark()
        stream.on_pool_ready(self.exchange, self.host)

    def drain(self) -> None:
        """Close as soon as no stream has it."""
        if self.state is BUSY:
            self.state = DRAINING
        elif self.state is IDLE:
            self.close("drained", how="drain")

    def close(self, why: str, how: str = "policy") -> None:
        """Close now. why: a few words for the record."""
        self.connection.close(NO_FLUSH, how=how, config=why)

    def give_up_connecting(self) -> None:
        """Nobody needs it any more."""
        self.unwanted = True
        self.close("no request needs this connection")

    # -- from the exchange -----------------------------------------------------------------------------------------

    def on_response_over(self, may_stay: bool, was_sent: bool) -> None:
        """See `exchange.Owner`."""
        if not was_sent:
            self.close("response before request complete")
            return
        was, self.state = self.state, IDLE
        self._count_stream_over()
        if may_stay and was is BUSY and self.connection.fd >= 0:
            self._pool.on_idle(self)
        else:
            self.close("the last response of this connection" if may_stay else "the server does not keep it open")

    def give_up(self, why: str) -> None:
        """See `exchange.Owner`."""
        self.close(why)

    def on_close_notified(self) -> None:
        """See `exchange.Owner`."""
        self.cluster.stats.upstream_cx_close_notify.inc()

    def on_protocol_error(self) -> None:
        """See `exchange.Owner`."""
        self.cluster.stats.upstream_cx_protocol_error.inc()

    # -- from the connection ---------------------------------------------------------------------------------------

    def on_up(self) -> None:
        """See `HostConnection`."""
        self.state = IDLE
        connection, known = self.connection, self.connection.info.upstream
        if known is not None:  # what all requests on it will tell of it
            known.connection_id = connection.id
            known.connected_at = connection.reactor.now
            known.local_address = local_address_text(connection)
            known.remote_address = connection.remote_address.text if connection.remote_address is not None else ""
        limit = self._pool.max_connection_duration
        if limit:
            self._duration = self.connection.reactor.after(limit, self._on_duration, self.connection)
        self._pool.on_up(self)

    def on_over(self, remote: bool) -> None:
        """See `HostConnection`."""
        was, self.state = self.state, CLOSED
        if self._duration is not None:
            self._duration.cancel()
        stats = self.cluster.stats
        if was is not CONNECTING:
            stats.upstream_rq_per_cx.record(self.served)
        if was is BUSY or was is DRAINING:
            stats.upstream_cx_destroy_with_active_rq.value += 1
            (stats.upstream_cx_destroy_remote_with_active_rq if remote
             else stats.upstream_cx_destroy_local_with_active_rq).value += 1
            self._count_stream_over()
        elif was is CONNECTING and not self.unwanted:
            self.count_failed(remote)
        self._pool.on_over(self, was, remote)
        self.exchange.fail(CONNECTION_TERMINATION, "")
        del self.exchange  # which refers to us: nobody asks for it now, and both are freed without the garbage collector

    def failure(self, remote: bool) -> ResetReason:
        """Why it never came up."""
        if self.timed_out:
            return CONNECTION_TIMEOUT
        return REMOTE_CONNECTION_FAILURE if remote else LOCAL_CONNECTION_FAILURE

    def on_above_write_buffer_high_watermark(self) -> None:
        """The stream is to send no more for now."""
        if self.exchange.stream is not None:
            self.cluster.stats.upstream_flow_control_backed_up_total.inc()
            self.exchange.stream.on_above_write_buffer_high_watermark()

    def on_below_write_buffer_low_watermark(self) -> None:
        """It may again."""
        if self.exchange.stream is not None:
            self.cluster.stats.upstream_flow_control_drained_total.inc()
            self.exchange.stream.on_below_write_buffer_low_watermark()

    def reasons(self) -> Reasons:
        """See `observe.reasons.Explains`."""
        said = super().reasons()
        return said._replace(state=f"HTTP/1.1, {self.doing()}", timers=(*said.timers, *self._waits()))

    def doing(self) -> str:
        """See `exchange.Owner`."""
        requests = f"{self.served} request{'s' if self.served != 1 else ''}"
        if self.state is IDLE:
            return f"idle for {ago_text(self.connection.reactor.now - self.idle_since)} after {requests}"
        if self.exchange.stream is None:
            return f"{self.state.value}, {requests} so far"
        return f"{self.state.value}: {whose_text(self.exchange.stream.info)}; {requests} so far"

    def _waits(self) -> Iterator[PendingTimer]:
        """The times that the cluster's options set."""
        pool, options = self._pool, f"common_http_protocol_options of cluster {self.cluster.name}"
        if self.state is IDLE and pool.idle_timeout:
            is_default = pool.idle_timeout == DEFAULT_IDLE_TIMEOUT
            source = setting_text("idle_timeout", pool.idle_timeout, is_default, options)
            yield PendingTimer("idle_timeout", self.idle_since + pool.idle_timeout, source)
        if self._duration is not None:
            source = setting_text("max_connection_duration", pool.max_connection_duration, False, options)
            yield PendingTimer("max_connection_duration", self._duration.when, source, self._duration)

    def _count_stream_over(self) -> None:
        self.cluster.stats.upstream_rq_active.dec()
        self.host.counters.rq_active -= 1
        self.breakers.requests.give_back()

    def _on_duration(self) -> None:
        self._duration = None
        self.cluster.stats.upstream_cx_max_duration_reached.inc()
        self.drain()


def whose_text(info: Optional[StreamInfo]) -> str:
    """A stream by its request and its client: "GET /x of C17". info: None for a request of the proxy's own."""
    if info is None:
        return "a request of the proxy's own"
    facts: Any = info.http
    head = facts.request if facts is not None else None
    line = f"{head.method} {head.path}" if head is not None else "a request"
    return f"{line} of C{info.connection_id}"
