"""The stats of the process as a whole: `server.`, and the families of Envoy that have nothing to count here.

Same form as `stat_names`. What can be looked up when somebody asks (uptime, memory, open connections) is
computed then.
"""

from __future__ import annotations

from typing import Callable

from . import stat_tables as tables
from .memory import memory_usage
from .stats import Scope, StatsStore

NO_CERTIFICATE_DAYS = 4294967295  # what Envoy shows when there is no certificate that could expire


class ServerStats:
    """`server.`

    uptime: whole seconds since the start. total_connections: downstream connections open now.
    """

    __slots__ = (
        "live", "state", "concurrency", "version", "days_until_first_cert_expiring", "hot_restart_generation",
        "dynamic_unknown_fields", "static_unknown_fields", "initialization_time_ms",
    )

    def __init__(
        self, scope: Scope, uptime: Callable[[], int], total_connections: Callable[[], int], workers: int = 1
    ) -> None:
        self.live = scope.gauge("live")
        self.state = scope.gauge("state")
        self.concurrency = scope.gauge("concurrency")
        self.concurrency.set(workers)
        self.version = scope.gauge("version")
        self.days_until_first_cert_expiring = scope.gauge("days_until_first_cert_expiring")
        self.days_until_first_cert_expiring.set(NO_CERTIFICATE_DAYS)
        self.hot_restart_generation = scope.gauge("hot_restart_generation")
        self.hot_restart_generation.set(1)
        self.dynamic_unknown_fields = scope.counter("dynamic_unknown_fields")
        self.static_unknown_fields = scope.counter("static_unknown_fields")
        self.state.set(0)
        for name in ("compilation_settings.fips_mode", "hot_restart_epoch", "parent_connections"):
            scope.gauge(name).set(0)  # written once by Envoy, so `usedonly` shows them
        self.initialization_time_ms = scope.histogram("initialization_time_ms", "ms")
        scope.computed("uptime", uptime)
        scope.computed("total_connections", total_connections)
        scope.computed("memory_allocated", lambda: memory_usage().allocated)
        scope.computed("memory_heap_size", lambda: memory_usage().heap_size)
        scope.computed("memory_physical_size", lambda: memory_usage().physical)
        scope.zeros(
            counters=tables.SERVER_COUNTERS, gauges=tables.SERVER_GAUGES + ("compilation_settings.fips_mode",)
        )
        for thread in ["main_thread"] + [f"worker_{number}" for number in range(workers)]:
            scope.scope(thread).zeros(counters=tables.WATCHDOG_COUNTERS)


class RuntimeStats:
    """`runtime.`"""

    __slots__ = ("load_success", "override_dir_not_exists", "admin_overrides_active", "num_keys", "num_layers")

    def __init__(self, scope: Scope) -> None:
        scope.zeros(counters=tables.RUNTIME_COUNTERS, gauges=tables.RUNTIME_GAUGES)
        self.load_success = scope.counter("load_success")
        self.override_dir_not_exists = scope.counter("override_dir_not_exists")
        self.admin_overrides_active = scope.gauge("admin_overrides_active")
        self.num_keys = scope.gauge("num_keys")
        self.num_layers = scope.gauge("num_layers")


def declare_process_stats(store: StatsStore, workers: int = 1) -> None:
    """Create the process-wide families of Envoy that nothing here writes: watchdogs, overload, the codec."""
    for name in ("main_thread", "workers"):
        store.scope(name).zeros(counters=tables.WATCHDOG_COUNTERS)
    store.scope("http1").zeros(counters=tables.HTTP1_CODEC_COUNTERS)
    store.scope("http.async-client").zeros(counters=tables.ROUTER_COUNTERS)
    store.scope("overload").zeros(histograms=("refresh_interval_delay",))
    store.scope("envoy.overload_actions.reset_high_memory_stream").zeros(counters=("count",))
    for thread in ["main_thread"] + [f"worker_{number}" for number in range(workers)]:
        store.scope(f"thread_local_cluster_manager.{thread}").zeros(gauges=("clusters_inflated",))
