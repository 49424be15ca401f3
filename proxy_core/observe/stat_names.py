"""Every stat that the engine writes, as an attribute; bound once per listener, cluster, tcp_proxy or server.

A layer makes one of these groups with its scope and then only touches attributes:
`stats.downstream_cx_total.value += 1`. A misspelt name is an AttributeError in the first test instead of a
new stat. Names of Envoy that nothing here writes yet exist with 0 through the tables of `stat_tables`,
because dashboards and alerts expect them from config load on.
"""

from __future__ import annotations

from typing import Iterable

from . import stat_tables as tables
from .stats import Scope


class ListenerStats:
    """`listener.<address>.`, with the pair below `worker_0.` (`main_thread.` for the admin's listener).

    scope: the listener's scope. thread: the sub-scope of the thread that accepts.
    """

    __slots__ = tables.LISTENER_COUNTERS + tables.LISTENER_GAUGES + (
        "downstream_cx_length_ms", "connections_accepted_per_socket_event", "thread_downstream_cx_total",
        "thread_downstream_cx_active",
    )

    def __init__(self, scope: Scope, thread: str = "worker_0") -> None:
        counter = scope.counter
        self.downstream_cx_total = counter("downstream_cx_total")
        self.downstream_cx_destroy = counter("downstream_cx_destroy")
        self.downstream_cx_overflow = counter("downstream_cx_overflow")
        self.downstream_cx_overload_reject = counter("downstream_cx_overload_reject")
        self.downstream_global_cx_overflow = counter("downstream_global_cx_overflow")
        self.downstream_cx_transport_socket_connect_timeout = counter(
            "downstream_cx_transport_socket_connect_timeout"
        )
        self.downstream_pre_cx_timeout = counter("downstream_pre_cx_timeout")
        self.downstream_listener_filter_remote_close = counter("downstream_listener_filter_remote_close")
        self.downstream_listener_filter_error = counter("downstream_listener_filter_error")
        self.no_filter_chain_match = counter("no_filter_chain_match")
        self.downstream_cx_active = scope.gauge("downstream_cx_active")
        self.downstream_pre_cx_active = scope.gauge("downstream_pre_cx_active")
        self.downstream_cx_length_ms = scope.histogram("downstream_cx_length_ms", "ms")
        self.connections_accepted_per_socket_event = scope.histogram("connections_accepted_per_socket_event")
        per_thread = scope.scope(thread)
        self.thread_downstream_cx_total = per_thread.counter("downstream_cx_total")
        self.thread_downstream_cx_active = per_thread.gauge("downstream_cx_active")
        if thread != "main_thread":
            scope.zeros(counters=("extension_config_missing", "network_extension_config_missing"))


class ListenerManagerStats:
    """`listener_manager.`"""

    __slots__ = tables.LISTENER_MANAGER_COUNTERS + tables.LISTENER_MANAGER_GAUGES

    def __init__(self, scope: Scope) -> None:
        self.listener_added = scope.counter("listener_added")
        self.listener_modified = scope.counter("listener_modified")
        self.listener_removed = scope.counter("listener_removed")
        self.listener_stopped = scope.counter("listener_stopped")
        self.listener_create_success = scope.counter("listener_create_success")
        self.listener_create_failure = scope.counter("listener_create_failure")
        self.listener_in_place_updated = scope.counter("listener_in_place_updated")
        self.total_listeners_active = scope.gauge("total_listeners_active")
        self.total_listeners_warming = scope.gauge("total_listeners_warming")
        self.total_listeners_warming.set(0)  # written by Envoy at load, so `usedonly` shows it
        self.total_listeners_draining = scope.gauge("total_listeners_draining")
        self.total_filter_chains_draining = scope.gauge("total_filter_chains_draining")
        self.workers_started = scope.gauge("workers_started")
        scope.zeros(gauges=("workers_pinned",))


class TcpProxyStats:
    """`tcp.<stat_prefix>.`; tcp_proxies with the same prefix share them."""

    __slots__ = tables.TCP_PROXY_COUNTERS + tables.TCP_PROXY_GAUGES

    def __init__(self, scope: Scope) -> None:
        counter = scope.counter
        self.downstream_cx_total = counter("downstream_cx_total")
        self.downstream_cx_no_route = counter("downstream_cx_no_route")
        self.downstream_cx_rx_bytes_total = counter("downstream_cx_rx_bytes_total")
        self.downstream_cx_tx_bytes_total = counter("downstream_cx_tx_bytes_total")
        self.downstream_cx_drain_close = counter("downstream_cx_drain_close")
        self.downstream_flow_control_paused_reading_total = counter(
            "downstream_flow_control_paused_reading_total"
        )
        self.downstream_flow_control_resumed_reading_total = counter(
            "downstream_flow_control_resumed_reading_total"
        )
        self.early_data_received_count_total = counter("early_data_received_count_total")
        self.idle_timeout = counter("idle_timeout")
        self.max_downstream_connection_duration = counter("max_downstream_connection_duration")
        self.upstream_flush_total = counter("upstream_flush_total")
        self.upstream_flush_active = scope.gauge("upstream_flush_active")
        scope.zeros(
            counters=("downstream_cx_overload_close", "route_delayed_total"),
            gauges=("downstream_cx_rx_bytes_buffered", "downstream_cx_tx_bytes_buffered"),  # computed when asked for
        )


class ClusterManagerStats:
    """`cluster_manager.`, and `thread_local_cluster_manager.`: the clusters that each thread knows.

    threads: the scopes of the threads. There is one thread; Envoy's main thread and workers show the same number.
    """

    __slots__ = ("cluster_added", "cluster_modified", "cluster_removed", "cluster_updated", "active_clusters",
                 "warming_clusters", "inflated")

    def __init__(self, scope: Scope, threads: Iterable[Scope] = ()) -> None:
        self.cluster_added = scope.counter("cluster_added")
        self.cluster_modified = scope.counter("cluster_modified")
        self.cluster_removed = scope.counter("cluster_removed")
        self.cluster_updated = scope.counter("cluster_updated")
        self.active_clusters = scope.gauge("active_clusters")
        self.warming_clusters = scope.gauge("warming_clusters")
        self.inflated = [thread.gauge("clusters_inflated") for thread in threads]
        scope.zeros(
            counters=("cluster_updated_via_merge", "update_merge_cancelled", "update_out_of_merge_window")
        )


class FilesystemStats:
    """`filesystem.`: the access logs' files."""

    __slots__ = ("flushed_by_timer", "write_buffered", "write_completed", "write_failed", "reopen_failed",
                 "write_total_buffered")

    def __init__(self, scope: Scope) -> None:
        self.flushed_by_timer = scope.counter("flushed_by_timer")
        self.write_buffered = scope.counter("write_buffered")
        self.write_completed = scope.counter("write_completed")
        self.write_failed = scope.counter("write_failed")
        self.reopen_failed = scope.counter("reopen_failed")
        self.write_total_buffered = scope.gauge("write_total_buffered")


class ClusterStats:
    """`cluster.<name>.` (the name is `alt_stat_name` when that is set), with all HTTP names of Envoy at 0."""

    __slots__ = tables.CLUSTER_COUNTERS + tables.CLUSTER_GAUGES + tables.CLUSTER_HISTOGRAMS + (
        "default_total_match_count", "default_breakers", "high_breakers",
    )

    def __init__(self, scope: Scope) -> None:
        self._bind_membership(scope)
        self._bind_connections(scope)
        self._bind_requests(scope)
        scope.zeros(
            counters=tables.CLUSTER_HTTP_COUNTERS + tables.CLUSTER_OTHER_COUNTERS,
            gauges=tables.CLUSTER_OTHER_GAUGES,
        )

    def _bind_membership(self, scope: Scope) -> None:
        self.lb_healthy_panic = scope.counter("lb_healthy_panic")
        self.membership_change = scope.counter("membership_change")
        self.original_dst_host_invalid = scope.counter("original_dst_host_invalid")
        self.assignment_stale = scope.counter("assignment_stale")
        self.assignment_timeout_received = scope.counter("assignment_timeout_received")
        self.update_attempt = scope.counter("update_attempt")
        self.update_empty = scope.counter("update_empty")
        self.update_failure = scope.counter("update_failure")
        self.update_no_rebuild = scope.counter("update_no_rebuild")
        self.update_success = scope.counter("update_success")
        self.default_total_match_count = scope.counter("default.total_match_count")
        self.max_host_weight = scope.gauge("max_host_weight")
        self.membership_degraded = scope.gauge("membership_degraded")
        self.membership_excluded = scope.gauge("membership_excluded")
        self.membership_healthy = scope.gauge("membership_healthy")
        self.membership_total = scope.gauge("membership_total")
        self.version = scope.gauge("version")
        self.warming_state = scope.gauge("warming_state")
        self.default_breakers = BreakerStats(scope.scope("circuit_breakers.default"))
        self.high_breakers = BreakerStats(scope.scope("circuit_breakers.high"))

    def _bind_connections(self, scope: Scope) -> None:
        counter = scope.counter
        self.bind_errors = counter("bind_errors")
        self.upstream_cx_total = counter("upstream_cx_total")
        self.upstream_cx_close_notify = counter("upstream_cx_close_notify")
        self.upstream_cx_connect_attempts_exceeded = counter("upstream_cx_connect_attempts_exceeded")
        self.upstream_cx_connect_fail = counter("upstream_cx_connect_fail")
        self.upstream_cx_connect_timeout = counter("upstream_cx_connect_timeout")
        self.upstream_cx_destroy = counter("upstream_cx_destroy")
        self.upstream_cx_destroy_local = counter("upstream_cx_destroy_local")
        self.upstream_cx_destroy_local_with_active_rq = counter("upstream_cx_destroy_local_with_active_rq")
        self.upstream_cx_destroy_remote = counter("upstream_cx_destroy_remote")
        self.upstream_cx_destroy_remote_with_active_rq = counter("upstream_cx_destroy_remote_with_active_rq")
        self.upstream_cx_destroy_with_active_rq = counter("upstream_cx_destroy_with_active_rq")
        self.upstream_cx_idle_timeout = counter("upstream_cx_idle_timeout")
        self.upstream_cx_max_duration_reached = counter("upstream_cx_max_duration_reached")
        self.upstream_cx_max_requests = counter("upstream_cx_max_requests")
        self.upstream_cx_none_healthy = counter("upstream_cx_none_healthy")
        self.upstream_cx_overflow = counter("upstream_cx_overflow")
        self.upstream_cx_pool_overflow = counter("upstream_cx_pool_overflow")
        self.upstream_cx_protocol_error = counter("upstream_cx_protocol_error")
        self.upstream_cx_rx_bytes_total = counter("upstream_cx_rx_bytes_total")
        self.upstream_cx_tx_bytes_total = counter("upstream_cx_tx_bytes_total")
        self.upstream_flow_control_backed_up_total = counter("upstream_flow_control_backed_up_total")
        self.upstream_flow_control_drained_total = counter("upstream_flow_control_drained_total")
        self.upstream_flow_control_paused_reading_total = counter(
            "upstream_flow_control_paused_reading_total"
        )
        self.upstream_flow_control_resumed_reading_total = counter(
            "upstream_flow_control_resumed_reading_total"
        )
        self.upstream_cx_active = scope.gauge("upstream_cx_active")
        scope.zeros(gauges=("upstream_cx_rx_bytes_buffered", "upstream_cx_tx_bytes_buffered"))  # computed when asked for
        self.upstream_cx_connect_ms = scope.histogram("upstream_cx_connect_ms", "ms")
        self.upstream_cx_length_ms = scope.histogram("upstream_cx_length_ms", "ms")

    def _bind_requests(self, scope: Scope) -> None:
        self.retry_or_shadow_abandoned = scope.counter("retry_or_shadow_abandoned")
        self.upstream_rq_total = scope.counter("upstream_rq_total")
        self.upstream_rq_cancelled = scope.counter("upstream_rq_cancelled")
        self.upstream_rq_pending_total = scope.counter("upstream_rq_pending_total")
        self.upstream_rq_pending_overflow = scope.counter("upstream_rq_pending_overflow")
        self.upstream_rq_pending_failure_eject = scope.counter("upstream_rq_pending_failure_eject")
        self.upstream_rq_active = scope.gauge("upstream_rq_active")
        self.upstream_rq_pending_active = scope.gauge("upstream_rq_pending_active")
        self.upstream_rq_per_cx = scope.histogram("upstream_rq_per_cx")


class BreakerStats:
    """`cluster.<name>.circuit_breakers.<default|high>.`: 1 while a limit is reached, else 0."""

    __slots__ = tables.CIRCUIT_BREAKER_GAUGES + ("_scope",)

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.cx_open = scope.gauge("cx_open")
        self.cx_pool_open = scope.gauge("cx_pool_open")
        self.rq_open = scope.gauge("rq_open")
        self.rq_pending_open = scope.gauge("rq_pending_open")
        self.rq_retry_open = scope.gauge("rq_retry_open")

    def track_remaining(self) -> RemainingStats:
        """Make the gauges of what is left: only a cluster with `track_remaining` has them."""
        return RemainingStats(self._scope)


class RemainingStats:
    """`cluster.<name>.circuit_breakers.<default|high>.remaining_*`: how many more may be made."""

    __slots__ = ("cx", "cx_pools", "pending", "retries", "rq")

    def __init__(self, scope: Scope) -> None:
        self.cx = scope.gauge("remaining_cx")
        self.cx_pools = scope.gauge("remaining_cx_pools")
        self.pending = scope.gauge("remaining_pending")
        self.retries = scope.gauge("remaining_retries")
        self.rq = scope.gauge("remaining_rq")
