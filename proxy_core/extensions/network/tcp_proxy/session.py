"""One proxied connection: the tcp_proxy filter. Mirrors `Envoy::TcpProxy::Filter`.

    NEW -> CONNECTING -> CONNECTED -> OVER            the good way
    NEW -> AWAITING_DATA -> CONNECTING                upstream_connect_mode ON_DOWNSTREAM_DATA
    CONNECTING -> BACKING_OFF -> CONNECTING           a failed attempt with attempts left
    any -> OVER                                       either side closed, or a timer did

Reading from the client is paused while the upstream connects, unless `max_early_data_bytes` allows to take some bytes before.
The pause begins when iteration reaches this filter, not at construction as in Envoy: a filter in front of it that waits for
data gets its data. A client's reset is noticed while paused.
"""

from __future__ import annotations

import enum
from typing import Final, Optional, Tuple

from ....buffer import Buffer
from ....event.timers import Timer
from ....filters.api import CONTINUE, REMOTE_CLOSE, STOP_ITERATION, ConnectionEvent, FilterStatus, ReadFilterCallbacks
from ....network.close import ABORT_RESET, FLUSH_WRITE, FLUSH_WRITE_AND_RESET, NO_FLUSH
from ....network import splice
from ....network.closing import BoundedHolder
from ....network.connection import Connection
from ....network.facts import local_address_text, write_access_logs
from ....observe.filter_state import TCP_PROXY_CLUSTER
from ....observe.log import component_logger
from ....observe.reasons import Reasons, reasons_of
from ....observe.stream_info import REMOTE_RESET, UpstreamInfo
from ....upstream.cluster import Cluster
from ....upstream.host import Host
from ....upstream.tcp_pool_api import OVERFLOW, REMOTE, TIMEOUT, PendingConnection, PoolFailure
from .config import Prepared
from .coupling import DOWNSTREAM_FULL, UPSTREAM_FULL, BackPressure, UpstreamFilter
from .reasons import facts_of, timers_of, together
from .timing import SessionTimers

CONNECTING_HOLDER: Final = BoundedHolder("waiting for the upstream connection")  # the cluster has connect_timeout
EARLY_DATA_HOLDER: Final = BoundedHolder("max_early_data_bytes reached before the upstream connected")

# When access-log lines are written: at the end always, the others where configured.
START_LINE: Final = "TcpConnectionStart"
CONNECTED_LINE: Final = "TcpUpstreamConnected"
PERIODIC_LINE: Final = "TcpPeriodic"
END_LINE: Final = "TcpConnectionEnd"

_log = component_logger("filter")


class State(enum.Enum):
    """Where a session is."""

    NEW = "new"
    AWAITING_DATA = "awaiting the client's first bytes"
    CONNECTING = "connecting"
    BACKING_OFF = "waiting to connect again"
    CONNECTED = "connected"
    OVER = "over"


NEW: Final = State.NEW
AWAITING_DATA: Final = State.AWAITING_DATA
CONNECTING: Final = State.CONNECTING
BACKING_OFF: Final = State.BACKING_OFF
CONNECTED: Final = State.CONNECTED
OVER: Final = State.OVER

# The number behind Envoy's "tcp_initializion_failure:" (sic).
CONNECT_FAILED, NO_HEALTHY_HOST, RESOURCE_LIMIT, NO_ROUTE = range(4)


class Session:
    """The filter. See the module docstring for its states."""

    __slots__ = ("_prepared", "_downstream", "_upstream", "_pending", "_cluster", "_state", "_attempts", "_early",
                 "_early_end", "_held_by", "_timers", "_retry", "_upstream_info", "_connecting_since", "_flushing", "_tried")

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._downstream: Connection
        self._upstream: Optional[Connection] = None
        self._pending: Optional[PendingConnection] = None
        self._cluster: Optional[Cluster] = None
        self._state = NEW
        self._attempts = 0
        self._early: Optional[Buffer] = None
        self._early_end = False
        self._held_by = ""
        self._timers: Optional[SessionTimers] = None
        self._retry: Optional[Timer] = None
        self._upstream_info = UpstreamInfo()
        self._connecting_since: Optional[float] = None
        self._flushing = False
        self._tried: Tuple[Host, ...] = ()  # hosts that could not be reached

    # -- the downstream side ---------------------------------------------------------------------------------------

    def initialize_read_filter_callbacks(self, callbacks: ReadFilterCallbacks) -> None:
        """Take the connection over: its bytes count for this proxy, and half-close is understood."""
        downstream: Connection = callbacks.connection
        self._downstream = downstream
        downstream.info.upstream = self._upstream_info
        downstream.half_close_enabled = True
        downstream.counters = self._prepared.counters
        self._prepared.stats.downstream_cx_total.value += 1
        if self._prepared.access_logs:
            downstream.finalizers += (self._finalize,)

    def on_new_connection(self) -> FilterStatus:
        """Arm the timers, then connect or wait for the client's first bytes."""
        prepared = self._prepared
        if prepared.timers_can_wait:
            self._downstream.reactor.settle_later(self)
        else:
            self.settle()
        if prepared.log_on_start:
            self.write_log(START_LINE)
        if prepared.connect_on_data:
            self._state = AWAITING_DATA
            return CONTINUE
        self._connect()
        if prepared.most_early_data is not None:
            return CONTINUE
        if self._state is CONNECTING or self._state is BACKING_OFF:
            self._hold(CONNECTING_HOLDER)
        return STOP_ITERATION

    def settle(self) -> None:
        """Set the timers."""
        self._timers = SessionTimers(self._downstream, self._prepared, self)

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """From the client to the upstream, or aside until there is one."""
        if self._state is CONNECTED:
            assert self._upstream is not None
            self._upstream.write(data, end_stream)
        else:
            self._keep_early(data, end_stream)
        return STOP_ITERATION

    def _keep_early(self, data: Buffer, end_stream: bool) -> None:
        if self._early is None:
            self._early = Buffer()
        if data.size:
            self._prepared.stats.early_data_received_count_total.inc()
        self._early.move_from(data)
        self._early_end = self._early_end or end_stream
        most = self._prepared.most_early_data
        if not self._held_by and (most is None or self._early.size >= most):
            self._hold(EARLY_DATA_HOLDER)
        if self._state is AWAITING_DATA:
            if self._early.size:
                self._connect()
            elif end_stream:  # nothing came and nothing will: Envoy keeps this one until idle_timeout
                self._downstream.close(FLUSH_WRITE, "client_closed_before_data", how="FIN")

    def on_event(self, event: ConnectionEvent) -> None:
        """The downstream connection came up or closed."""
        if self._state is OVER or self._downstream.fd >= 0:
            return
        self._state = OVER
        self._stop_timers()
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.cancel()
        elif self._upstream is not None and self._upstream.fd >= 0:
            self._close_upstream(event)
            self._note_upstream_bytes(self._upstream)  # the listener's log line comes before ours

    def _close_upstream(self, event: ConnectionEvent) -> None:
        """The client is gone: bytes it sent still go out (bounded by the flush timeout), unless we cut it off."""
        upstream, downstream = self._upstream, self._downstream
        assert upstream is not None
        if downstream.detected_close_type == REMOTE_RESET:
            upstream.close(ABORT_RESET, "closing_upstream_tcp_connection_due_to_downstream_reset_close", how="RST")
        elif event is REMOTE_CLOSE or _was_orderly(downstream):
            upstream.close(FLUSH_WRITE, how="FIN")
        else:
            upstream.close(NO_FLUSH, downstream.local_close_details, how="policy")
        if upstream.fd >= 0:
            self._flushing = True
            self._prepared.stats.upstream_flush_total.inc()
            self._prepared.stats.upstream_flush_active.inc()

    # -- connecting ------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        """One attempt: route, breaker, host, pool."""
        prepared = self._prepared
        self._state = CONNECTING
        upstream_info = self._upstream_info
        chosen = self._downstream.info.filter_state.get(TCP_PROXY_CLUSTER)  # by sni_cluster, set_filter_state
        route = prepared.route(chosen)
        cluster: Optional[Cluster] = prepared.clusters.get(route.cluster)
        if cluster is None:
            prepared.stats.downstream_cx_no_route.inc()
            self._give_up("NC", NO_ROUTE, "no such cluster")
            return
        self._cluster = cluster
        if self._connecting_since is None:
            self._connecting_since = self._downstream.reactor.now
        upstream_info.cluster, upstream_info.cluster_raw = cluster.observability_name, cluster.name
        if not cluster.may_connect:
            limit = cluster.breakers.connections
            cluster.stats.upstream_cx_overflow.inc()
            default = ", default" if limit.is_default else ""
            why = f"circuit breaker of {cluster.name}: max_connections {limit.limit}{default}"
            cluster.tell_overflow(why, self._downstream.reactor.now)
            self._give_up("UO", RESOURCE_LIMIT, why)
            return
        context = prepared.picking.context(cluster, route.criteria, self._downstream.info)
        host = cluster.pick_other_host(context, self._tried) if self._tried else cluster.pick_host(context)
        if host is None:
            cluster.stats.upstream_cx_none_healthy.inc()
            self._give_up("UH", NO_HEALTHY_HOST, f"no healthy host in {cluster.name}")
            return
        self._attempts += 1
        upstream_info.attempt_count = self._attempts
        upstream_info.connecting_to = host.address.text
        upstream_info.hosts_attempted += (host.address.text,)
        pooled = prepared.pool.connect(
            cluster, host, self._downstream.info, UpstreamFilter(self, self._downstream), self
        )
        if self._state is CONNECTING:
            self._pending = pooled

    def on_pool_ready(self, connection: Connection, host: Host) -> None:
        """Connected: couple the two sides and let the bytes go."""
        self._state = CONNECTED
        self._pending = None
        self._upstream = connection
        self._note_pool_answer(host)
        self._note_upstream(connection)
        self._couple(connection)
        if self._early is not None:
            connection.write(self._early, self._early_end)
            self._early = None
        if self._prepared.log_on_connected:
            self.write_log(CONNECTED_LINE)
        if self._held_by and self._downstream.is_open:
            holder, self._held_by = self._held_by, ""
            self._downstream.resume_reading(holder)

    def _couple(self, upstream: Connection) -> None:
        assert self._cluster is not None
        downstream, downstream_flow, upstream_flow = self._downstream, self._prepared.flow, self._cluster.flow
        if self._prepared.can_splice:
            downstream.splicer = upstream.splicer = self._start_splicing
        upstream.callbacks += (BackPressure(downstream, UPSTREAM_FULL, downstream_flow),)
        downstream.callbacks += (BackPressure(upstream, DOWNSTREAM_FULL, upstream_flow),)

    def _start_splicing(self) -> bool:
        """The first bulk on either side: from now on the kernel may move it. This time it is read the ordinary way."""
        downstream, upstream = self._downstream, self._upstream
        downstream.splicer = None
        if upstream is not None and self._cluster is not None:
            upstream.splicer = None
            splice.join(downstream, self._prepared.flow, upstream, self._cluster.flow, self._prepared.pool.pipes)
        return False

    def on_pool_failure(self, failure: PoolFailure, reason: str, host: Host) -> None:
        """This attempt failed: try again, or tell the client."""
        self._pending = None
        if failure is OVERFLOW:  # no host was asked
            self._note_pool_answer(None)
        else:
            self._note_pool_answer(host)
            self._tried += (host,)
            self._upstream_info.transport_failure_reason = reason
        if failure is REMOTE or failure is TIMEOUT:
            self._downstream.info.add_flag("UF")
        if self._attempts < self._prepared.most_attempts:
            self._state = BACKING_OFF
            delay = self._prepared.retry_delay(self._attempts)
            self._retry = self._downstream.reactor.after(delay, self._connect_again, self._downstream)
            return
        assert self._cluster is not None
        self._cluster.stats.upstream_cx_connect_attempts_exceeded.inc()
        self._give_up("URX", CONNECT_FAILED, f"{host.address}: {reason or failure.value}")

    def _connect_again(self) -> None:
        self._retry = None
        if self._state is BACKING_OFF:
            self._connect()

    def _give_up(self, flag: str, code: int, why: str) -> None:
        if self._connecting_since is not None and self._upstream_info.pool_ready_ms is None:
            self._note_pool_answer(None)
        self._downstream.info.add_flag(flag)
        _log.debug("[C%d] no upstream connection: %s", self._downstream.id, why)
        self._downstream.close(NO_FLUSH, f"tcp_initializion_failure:{code}", how="error", config=why)

    # -- the upstream side -----------------------------------------------------------------------------------------

    def on_upstream_event(self, event: ConnectionEvent) -> None:
        """The upstream connection closed: so does the session, after the client got what there is for it."""
        upstream = self._upstream
        if upstream is None or upstream.fd >= 0:
            return
        self._note_upstream_end(upstream)
        if self._flushing:
            self._flushing = False
            self._prepared.stats.upstream_flush_active.dec()
        if self._state is not CONNECTED:
            return
        if upstream.detected_close_type == REMOTE_RESET:
            self._downstream.info.add_flag("UR")
            self._downstream.close(FLUSH_WRITE_AND_RESET, how="RST", config="the upstream reset its connection")
        else:
            self._downstream.close(FLUSH_WRITE, how="FIN", config=f"upstream closed ({upstream.close_reason})")

    # -- for timers and logs ---------------------------------------------------------------------------------------

    def last_activity(self) -> float:
        """When the last byte moved on either side, in the reactor's clock."""
        downstream, upstream = self._downstream, self._upstream
        latest = max(downstream.last_read, downstream.last_write)
        return latest if upstream is None else max(latest, upstream.last_read, upstream.last_write)

    def write_log(self, log_type: str) -> None:
        """One access-log line of the given type, with the counts of now."""
        if self._upstream is not None:
            self._note_upstream_bytes(self._upstream)
        write_access_logs(self._prepared.access_logs, self._downstream, log_type)

    def on_log_interval(self) -> None:
        """The periodic line is due."""
        self.write_log(PERIODIC_LINE)

    def reasons(self) -> Reasons:
        """See `observe.reasons.Explains`."""
        prepared, is_over = self._prepared, self._state is OVER
        timers = () if is_over else timers_of(prepared, self, self._timers, self._retry)
        facts = facts_of(prepared, self._cluster, self._downstream.info, self._attempts)
        return together(Reasons(self._state.value, timers, facts), reasons_of(self._pending))

    def _hold(self, holder: str) -> None:
        self._held_by = holder
        self._downstream.pause_reading(holder)

    def _stop_timers(self) -> None:
        if self._timers is not None:
            self._timers.stop()
            self._timers = None
        else:
            self._downstream.reactor.unsettled.pop(self, None)
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _note_pool_answer(self, host: Optional[Host]) -> None:
        """Logs know the host once the attempt is over, and the time since the first attempt began."""
        info = self._upstream_info
        assert self._connecting_since is not None
        info.pool_ready_ms = int((self._downstream.reactor.now - self._connecting_since) * 1000)
        info.host, info.host_name = (host.address.text, host.hostname) if host is not None else ("", "")

    def _note_upstream(self, upstream: Connection) -> None:
        info = self._upstream_info
        now = upstream.reactor.now
        info.connection_id = upstream.id
        info.connection_ids_attempted += (upstream.id,)
        info.connect_started_at = upstream.opened_at
        info.connected_at = now
        info.remote_address = upstream.remote_address.text if upstream.remote_address is not None else ""
        info.local_address = local_address_text(upstream)

    def _note_upstream_end(self, upstream: Connection) -> None:
        info = self._upstream_info
        info.closed_at = upstream.reactor.now
        self._note_upstream_bytes(upstream)
        if self._downstream.detected_close_type == REMOTE_RESET:
            return  # our passing on of the client's reset is not shown as the upstream's own, as in Envoy
        info.detected_close_type = upstream.detected_close_type
        info.local_close_reason = upstream.local_close_details

    def _note_upstream_bytes(self, upstream: Connection) -> None:
        self._upstream_info.wire_bytes_sent = upstream.bytes_sent
        self._upstream_info.wire_bytes_received = upstream.bytes_read

    def _finalize(self, downstream: Connection) -> None:
        """The downstream connection is gone and its listener has logged it: the last line."""
        self.write_log(END_LINE)


def _was_orderly(downstream: Connection) -> bool:
    """Whether a local close came after the client had said everything, or asked it to leave: nobody meant to drop its bytes.
    Envoy drops them, e.g. when the server has half-closed and the last of an upload is still on its way to it."""
    return downstream.close_reason is not None and downstream.close_reason.how in ("FIN", "drain")
