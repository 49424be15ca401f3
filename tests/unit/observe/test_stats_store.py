"""Counters, gauges, scopes and the store."""

from __future__ import annotations

from typing import List

import pytest

from proxy_core.observe.stats import StatsStore, Tags


def make_store() -> StatsStore:
    return StatsStore(lambda: 0.0)


def test_one_full_name_is_one_object_however_it_is_reached() -> None:
    store = make_store()
    direct = store.scope("tcp.ingress").counter("downstream_cx_total")
    nested = store.scope("tcp").scope("ingress").counter("downstream_cx_total")
    assert direct is nested
    assert direct.name == "tcp.ingress.downstream_cx_total"


def test_colons_of_user_supplied_pieces_become_underscores_and_other_characters_stay() -> None:
    store = make_store()
    assert store.scope("listener.127.0.0.1:21001").counter("x").name == "listener.127.0.0.1_21001.x"
    assert store.scope("listener.[::1]:21004").counter("x").name == "listener.[__1]_21004.x"
    assert store.scope("listener./tmp/a b.sock").counter("x").name == "listener./tmp/a b.sock.x"


@pytest.mark.parametrize(
    ("scopes", "family", "tags"),
    [
        (["listener.127.0.0.1:1"], "listener.s", (("envoy_listener_address", "127.0.0.1_1"),)),
        (["listener.my.pre:x"], "listener.s", (("envoy_listener_address", "my.pre_x"),)),
        (
            ["listener.a", "worker_0"],
            "listener.worker.s",
            (("envoy_worker_id", "0"), ("envoy_listener_address", "a")),
        ),
        (
            ["listener.admin", "http.admin"],
            "listener.admin.http.s",
            (("envoy_http_conn_manager_prefix", "admin"),),
        ),
        (["listener.admin"], "listener.admin.s", ()),
        (
            ["cluster.my.db", "circuit_breakers.default"],
            "cluster.circuit_breakers.default.s",
            (("envoy_cluster_name", "my.db"),),
        ),
        (["server.worker_3"], "server.worker.s", (("envoy_worker_id", "3"),)),
        (["rb.rbac"], "rbac.s", (("envoy_rbac_prefix", "rb"),)),
        (["proxy_proto.versions.v2"], "proxy_proto.s", (("envoy_proxy_protocol_version", "2"),)),
        (
            ["proxy_proto", "edge.a", "versions", "v2"],
            "proxy_proto.s",
            (("envoy_proxy_protocol_version", "2"), ("envoy_proxy_protocol_prefix", "edge.a")),
        ),
        (
            ["vhost.v", "vcluster.c"],
            "vhost.vcluster.s",
            (("envoy_virtual_cluster", "c"), ("envoy_virtual_host", "v")),
        ),
        (["listener_manager"], "listener_manager.s", ()),
    ],
)
def test_a_scope_knows_which_part_of_the_name_a_user_chose(
    scopes: List[str], family: str, tags: Tags
) -> None:
    store = make_store()
    scope = store.scope(scopes[0])
    for name in scopes[1:]:
        scope = scope.scope(name)
    counter = scope.counter("s")
    assert (counter.family, counter.tags) == (family, tags)


def test_a_counter_is_used_once_counted_and_stays_used_after_a_reset() -> None:
    store = make_store()
    counter, gauge = store.scope("a").counter("c"), store.scope("a").gauge("g")
    assert not counter.used
    counter.inc(2)
    counter.value += 3
    gauge.set(4)
    assert counter.value == 5
    store.reset_counters()
    assert (counter.value, gauge.value, counter.used) == (0, 4, True)


def test_a_gauge_that_went_back_to_zero_is_still_used() -> None:
    gauge = make_store().scope("a").gauge("g")
    assert not gauge.used
    gauge.inc()
    gauge.dec()
    assert (gauge.value, gauge.used) == (0, True)


def test_zeros_creates_stats_without_touching_those_that_exist() -> None:
    store = make_store()
    scope = store.scope("a")
    scope.counter("c").inc()
    scope.computed("up", lambda: 7)
    scope.zeros(counters=("c", "d"), gauges=("g", "up"), histograms=("h",))
    assert store.counters["a.c"].value == 1
    assert store.counters["a.d"].value == 0
    assert store.gauges["a.up"].value == 7
    assert "a.h" in store.histograms


def test_a_computed_gauge_is_read_at_each_look_and_cannot_be_written() -> None:
    store = make_store()
    values = iter([1, 2])
    scope = store.scope("server")
    scope.computed("uptime", lambda: next(values))
    assert [store.gauges["server.uptime"].value, store.gauges["server.uptime"].value] == [1, 2]
    with pytest.raises(TypeError, match="server.uptime is computed"):
        scope.gauge("uptime")


def test_removing_a_scope_forgets_its_stats_but_not_those_with_a_longer_word() -> None:
    store = make_store()
    kept = store.scope("cluster.c10").counter("x")
    gone = store.scope("cluster.c1").counter("x")
    store.scope("cluster.c1").histogram("h")
    store.scope("cluster.c1").text("t")
    store.remove_scope("cluster.c1")
    assert store.find("cluster.c1.x") is None
    assert store.find("cluster.c10.x") is kept
    assert not store.histograms and not store.texts
    gone.inc()  # still usable by what drains
    assert store.scope("cluster.c1").counter("x") is not gone


def test_remove_scope_takes_the_name_as_the_user_wrote_it() -> None:
    store = make_store()
    store.scope("listener.127.0.0.1:1").counter("x")
    store.remove_scope("listener.127.0.0.1:1")
    assert not store.counters
