"""Envoy's stat names, as plain tables.

`stat_names` binds the ones that the engine writes; the rest are created with 0 from these tables so that they
are listed as Envoy 1.40 lists them. A table holds names relative to its scope, in Envoy's spelling.
"""

from __future__ import annotations

from typing import Tuple

Names = Tuple[str, ...]

LISTENER_COUNTERS: Names = (
    "downstream_cx_total", "downstream_cx_destroy", "downstream_cx_overflow", "downstream_cx_overload_reject",
    "downstream_global_cx_overflow", "downstream_cx_transport_socket_connect_timeout",
    "downstream_pre_cx_timeout", "downstream_listener_filter_remote_close",
    "downstream_listener_filter_error", "no_filter_chain_match",
)
LISTENER_GAUGES: Names = ("downstream_cx_active", "downstream_pre_cx_active")

LISTENER_MANAGER_COUNTERS: Names = (
    "listener_added", "listener_modified", "listener_removed", "listener_stopped", "listener_create_success",
    "listener_create_failure", "listener_in_place_updated",
)
LISTENER_MANAGER_GAUGES: Names = (
    "total_listeners_active", "total_listeners_warming", "total_listeners_draining",
    "total_filter_chains_draining", "workers_started",
)

TCP_PROXY_COUNTERS: Names = (
    "downstream_cx_total", "downstream_cx_no_route", "downstream_cx_rx_bytes_total",
    "downstream_cx_tx_bytes_total", "downstream_cx_drain_close",
    "downstream_flow_control_paused_reading_total", "downstream_flow_control_resumed_reading_total",
    "early_data_received_count_total", "idle_timeout", "max_downstream_connection_duration",
    "upstream_flush_total",
)
TCP_PROXY_GAUGES: Names = ("upstream_flush_active",)

# `cluster.<name>.`: connection pool, membership and balancing.
CLUSTER_COUNTERS: Names = (
    "assignment_stale", "assignment_timeout_received", "bind_errors", "lb_healthy_panic", "membership_change",
    "original_dst_host_invalid", "retry_or_shadow_abandoned", "update_attempt",
    "update_empty", "update_failure", "update_no_rebuild", "update_success", "upstream_cx_close_notify",
    "upstream_cx_connect_attempts_exceeded", "upstream_cx_connect_fail", "upstream_cx_connect_timeout",
    "upstream_cx_destroy", "upstream_cx_destroy_local", "upstream_cx_destroy_local_with_active_rq",
    "upstream_cx_destroy_remote", "upstream_cx_destroy_remote_with_active_rq",
    "upstream_cx_destroy_with_active_rq", "upstream_cx_idle_timeout", "upstream_cx_max_duration_reached",
    "upstream_cx_max_requests", "upstream_cx_none_healthy", "upstream_cx_overflow",
    "upstream_cx_pool_overflow", "upstream_cx_protocol_error", "upstream_cx_rx_bytes_total",
    "upstream_cx_total", "upstream_cx_tx_bytes_total", "upstream_flow_control_backed_up_total",
    "upstream_flow_control_drained_total", "upstream_flow_control_paused_reading_total",
    "upstream_flow_control_resumed_reading_total", "upstream_rq_cancelled",
    "upstream_rq_pending_failure_eject", "upstream_rq_pending_overflow", "upstream_rq_pending_total",
    "upstream_rq_total",
)
CLUSTER_GAUGES: Names = (
    "max_host_weight", "membership_degraded", "membership_excluded", "membership_healthy", "membership_total",
    "upstream_cx_active", "upstream_rq_active", "upstream_rq_pending_active", "version", "warming_state",
)
CLUSTER_HISTOGRAMS: Names = ("upstream_cx_connect_ms", "upstream_cx_length_ms", "upstream_rq_per_cx")
CIRCUIT_BREAKER_GAUGES: Names = ("cx_open", "cx_pool_open", "rq_open", "rq_pending_open", "rq_retry_open")

# `cluster.<name>.`: what an HTTP pool, the router, subsets and zone routing write.
CLUSTER_HTTP_COUNTERS: Names = (
    "upstream_cx_connect_with_0_rtt", "upstream_cx_http1_total", "upstream_cx_http2_total",
    "upstream_cx_http3_total", "upstream_http3_broken", "upstream_internal_redirect_failed_total",
    "upstream_internal_redirect_succeeded_total", "upstream_rq_0rtt", "upstream_rq_active_overflow",
    "upstream_rq_completed", "upstream_rq_maintenance_mode", "upstream_rq_max_duration_reached",
    "upstream_rq_per_try_idle_timeout", "upstream_rq_per_try_timeout", "upstream_rq_retry",
    "upstream_rq_retry_backoff_exponential", "upstream_rq_retry_backoff_ratelimited",
    "upstream_rq_retry_limit_exceeded", "upstream_rq_retry_overflow", "upstream_rq_retry_success",
    "upstream_rq_rx_reset", "upstream_rq_rx_reset_no_error", "upstream_rq_timeout", "upstream_rq_tx_reset",
)
CLUSTER_OTHER_COUNTERS: Names = (
    "assignment_use_cached", "lb_local_cluster_not_ok",
    "lb_recalculate_zone_structures", "lb_subsets_created", "lb_subsets_fallback",
    "lb_subsets_fallback_panic", "lb_subsets_removed", "lb_subsets_selected", "lb_zone_cluster_too_small",
    "lb_zone_no_capacity_left", "lb_zone_routing_all_directly", "lb_zone_routing_cross_zone",
    "lb_zone_routing_sampled", "upstream_cx_preconnect_skipped",
)
CLUSTER_OTHER_GAUGES: Names = ("lb_subsets_active", "upstream_queue_overloaded")

# `http.<stat_prefix>.` of an HTTP connection manager, the admin's among them.
HTTP_COUNTERS: Names = (
    "downstream_cx_delayed_close_timeout", "downstream_cx_destroy", "downstream_cx_destroy_active_rq",
    "downstream_cx_destroy_local", "downstream_cx_destroy_local_active_rq", "downstream_cx_destroy_remote",
    "downstream_cx_destroy_remote_active_rq", "downstream_cx_drain_close", "downstream_cx_http1_total",
    "downstream_cx_idle_timeout", "downstream_cx_max_duration_reached", "downstream_cx_max_requests_reached",
    "downstream_cx_protocol_error", "downstream_cx_rx_bytes_total", "downstream_cx_ssl_total",
    "downstream_cx_total", "downstream_cx_tx_bytes_total", "downstream_cx_upgrades_total",
    "downstream_flow_control_paused_reading_total", "downstream_flow_control_resumed_reading_total",
    "downstream_rq_1xx", "downstream_rq_2xx", "downstream_rq_3xx", "downstream_rq_4xx", "downstream_rq_5xx",
    "downstream_rq_completed", "downstream_rq_failed_path_normalization", "downstream_rq_header_timeout",
    "downstream_rq_http1_total",
    "downstream_rq_idle_timeout", "downstream_rq_max_duration_reached", "downstream_rq_non_relative_path",
    "downstream_rq_redirected_with_normalized_path", "downstream_rq_response_before_rq_complete", "downstream_rq_rx_reset",
    "downstream_rq_timeout",
    "downstream_rq_too_large", "downstream_rq_total", "downstream_rq_tx_reset",
    "downstream_rq_ws_on_non_ws_route", "rs_too_large",
)
HTTP_GAUGES: Names = (
    "downstream_cx_active", "downstream_cx_http1_active", "downstream_cx_rx_bytes_buffered",
    "downstream_cx_ssl_active", "downstream_cx_tx_bytes_buffered", "downstream_cx_upgrades_active",
    "downstream_rq_active",
)
HTTP_HISTOGRAMS: Names = ("downstream_cx_length_ms", "downstream_rq_time")
HTTP_OTHER_COUNTERS: Names = (
    "downstream_cx_http2_total", "downstream_cx_http3_total", "downstream_cx_overload_disable_keepalive",
    "downstream_rq_http2_total", "downstream_rq_http3_total", "downstream_rq_overload_close",
    "downstream_rq_rejected_via_ip_detection", "downstream_rq_too_many_premature_resets",
)
HTTP_OTHER_GAUGES: Names = (
    "downstream_cx_http1_soft_drain", "downstream_cx_http2_active", "downstream_cx_http3_active",
)
# `listener.<address>.http.<stat_prefix>.`
HTTP_LISTENER_COUNTERS: Names = (
    "downstream_rq_1xx", "downstream_rq_2xx", "downstream_rq_3xx", "downstream_rq_4xx", "downstream_rq_5xx",
    "downstream_rq_completed",
)
# `http.<stat_prefix>.tracing.`: nothing is traced.
TRACING_COUNTERS: Names = (
    "client_enabled", "health_check", "not_traceable", "random_sampling", "service_forced",
)
# `http1.` (the codec), and `http.async-client.` (the router of the engine's own requests)
HTTP1_CODEC_COUNTERS: Names = (
    "dropped_headers_with_underscores", "metadata_not_supported_error",
    "requests_rejected_with_underscores_in_headers", "response_flood",
)
ROUTER_COUNTERS: Names = (
    "no_cluster", "no_route", "passthrough_internal_redirect_bad_location",
    "passthrough_internal_redirect_no_route", "passthrough_internal_redirect_predicate",
    "passthrough_internal_redirect_too_many_redirects", "passthrough_internal_redirect_unsafe_scheme",
    "rq_direct_response", "rq_overload_local_reply", "rq_redirect",
    "rq_reset_after_downstream_response_started", "rq_total",
)

SERVER_COUNTERS: Names = (
    "debug_assertion_failures", "dropped_stat_flushes", "envoy_bug_failures", "envoy_notifications",
    "wip_protos",
)
SERVER_GAUGES: Names = (
    "parent_connections", "hot_restart_epoch", "seconds_until_first_ocsp_response_expiring",
    "stats_recent_lookups",
)
RUNTIME_COUNTERS: Names = (
    "deprecated_feature_use", "load_error", "load_success", "override_dir_exists", "override_dir_not_exists",
)
RUNTIME_GAUGES: Names = (
    "admin_overrides_active", "deprecated_feature_seen_since_process_start", "num_keys", "num_layers",
)
WATCHDOG_COUNTERS: Names = ("watchdog_mega_miss", "watchdog_miss")
