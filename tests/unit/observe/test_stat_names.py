"""The names are Envoy's: the list was taken from /stats of Envoy 1.40 with the same configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List

from proxy_core.observe.query import StatsQuery
from proxy_core.observe.render import stats_text
from proxy_core.observe.stat_names import (
    ClusterManagerStats,
    ClusterStats,
    FilesystemStats,
    ListenerManagerStats,
    ListenerStats,
    TcpProxyStats,
)
from proxy_core.observe.stat_names_http import HttpListenerStats, HttpStats
from proxy_core.observe.stat_names_server import NO_CERTIFICATE_DAYS, RuntimeStats, ServerStats, declare_process_stats
from proxy_core.observe.stats import StatsStore

ENVOY_NAMES = (Path(__file__).parent / "envoy_stat_names.txt").read_text().splitlines()


def everything() -> StatsStore:
    store = StatsStore(lambda: 0.0)
    ListenerStats(store.scope("listener.127.0.0.1:24502"))
    ListenerStats(store.scope("listener.admin"), "main_thread")
    HttpListenerStats(store.scope("listener.admin").scope("http.admin"))
    HttpStats(store.scope("http.admin"))
    TcpProxyStats(store.scope("tcp.ing"))
    FilesystemStats(store.scope("filesystem"))
    ClusterStats(store.scope("cluster.c1"))
    threads = [store.scope(f"thread_local_cluster_manager.{thread}") for thread in ("main_thread", "worker_0")]
    ClusterManagerStats(store.scope("cluster_manager"), threads)
    ListenerManagerStats(store.scope("listener_manager"))
    RuntimeStats(store.scope("runtime"))
    ServerStats(store.scope("server"), lambda: 1, lambda: 2)
    declare_process_stats(store)
    return store


def test_all_names_of_envoy_exist_from_the_start_in_envoys_order_and_no_others() -> None:
    text = stats_text(everything(), StatsQuery())
    assert [line.partition(": ")[0] for line in text.splitlines()] == ENVOY_NAMES


def test_everything_is_zero_but_what_is_known_at_the_start() -> None:
    store = everything()
    assert {name for name, counter in store.counters.items() if counter.value} == set()
    gauges = {name: gauge.value for name, gauge in store.gauges.items() if gauge.value}
    assert {name: value for name, value in gauges.items() if "memory" not in name} == {
        "server.concurrency": 1,
        "server.hot_restart_generation": 1,
        "server.uptime": 1,
        "server.total_connections": 2,
        "server.days_until_first_cert_expiring": NO_CERTIFICATE_DAYS,
    }


def test_usedonly_shows_what_envoy_writes_at_load_although_it_is_zero() -> None:
    store = everything()
    used = {name for name, gauge in store.gauges.items() if gauge.used}
    assert {"listener_manager.total_listeners_warming", "server.state", "server.hot_restart_epoch"} <= used
    assert "cluster.c1.circuit_breakers.default.cx_open" not in used


def test_memory_gauges_are_read_from_the_system() -> None:
    store = everything()
    assert store.gauges["server.memory_physical_size"].value > 1_000_000


def test_every_slot_of_a_group_is_bound_to_the_stat_of_its_name() -> None:
    store = StatsStore(lambda: 0.0)
    groups: List[Any] = [
        ListenerStats(store.scope("listener.a")),
        TcpProxyStats(store.scope("tcp.t")),
        ClusterStats(store.scope("cluster.c")),
        HttpStats(store.scope("http.h")),
        ListenerManagerStats(store.scope("listener_manager")),
        FilesystemStats(store.scope("filesystem")),
        ClusterManagerStats(store.scope("cluster_manager")),
    ]
    renamed = {
        "thread_downstream_cx_total",
        "thread_downstream_cx_active",
        "default_total_match_count",
        "default_breakers",
        "high_breakers",
        "inflated",
    }
    for group in groups:
        for slot in type(group).__slots__:
            bound = getattr(group, slot)
            assert slot in renamed or bound.name.endswith("." + slot)


def test_two_tcp_proxies_with_one_prefix_share_their_counters() -> None:
    store = StatsStore(lambda: 0.0)
    first, second = TcpProxyStats(store.scope("tcp.p")), TcpProxyStats(store.scope("tcp.p"))
    first.downstream_cx_total.value += 1
    assert second.downstream_cx_total.value == 1


def test_a_response_code_counts_in_its_class() -> None:
    stats = HttpStats(StatsStore(lambda: 0.0).scope("http.x"))
    assert stats.response_class(204) is stats.downstream_rq_2xx
    assert stats.response_class(599) is stats.downstream_rq_5xx
    assert stats.response_class(42) is stats.downstream_rq_5xx
