"""What a tcp_proxy session says of itself: its state, its timers, why it has its cluster."""

from __future__ import annotations

from typing import Any

from proxy_core.filters.api import FilterManager
from proxy_core.observe.filter_state import TCP_PROXY_CLUSTER
from proxy_core.observe.reasons import Reasons, reasons_of
from tests.support.proxied import NewProxied, Proxied


def session_of(proxy: Proxied) -> Any:
    downstream = next(one for one in proxy.engine.live if one.id == one.info.connection_id)
    return downstream.read_chain.slots[-1].filter


def said(proxy: Proxied) -> Reasons:
    found = reasons_of(session_of(proxy))
    assert found is not None
    return found


def test_of_several_clusters_the_share_is_told(proxied: NewProxied) -> None:
    weighted = {"clusters": [{"name": "c", "weight": 999}, {"name": "d", "weight": 1}]}
    proxy = proxied(weighted_clusters=weighted)
    proxy.pair()
    assert said(proxy).facts["why_cluster"] == "by weight: 999 of 1000"


def test_a_cluster_that_a_filter_chose_is_told_as_such(proxied: NewProxied) -> None:
    def choose(manager: FilterManager) -> None:
        manager.connection.info.set_filter_state(TCP_PROXY_CLUSTER, "c")

    proxy = proxied(cluster="nowhere")
    proxy.engine.put_in_front(choose)
    proxy.pair()
    assert said(proxy).facts["why_cluster"] == f"a filter chose it (filter state {TCP_PROXY_CLUSTER})"


def test_a_session_waits_for_its_first_bytes_and_then_is_connected(proxied: NewProxied) -> None:
    proxy = proxied(upstream_connect_mode="ON_DOWNSTREAM_DATA", max_early_data_bytes=10)
    client = proxy.engine.client()
    proxy.engine.until(lambda: proxy.engine.live)
    before = said(proxy)
    assert (before.state, dict(before.facts)) == ("awaiting the client's first bytes", {})
    client.send(b"x")
    proxy.engine.accepted(proxy.server)
    proxy.engine.until(lambda: said(proxy).state == "connected")
    assert said(proxy).facts == {"why_cluster": "the filter's only cluster", "attempts": "1 of 1"}


def test_a_hash_is_shown_where_the_balancer_asks_for_one(proxied: NewProxied) -> None:
    proxy = proxied(of_cluster={"lb_policy": "MAGLEV"}, hash_policy=[{"source_ip": {}}])
    proxy.pair()
    shown = said(proxy).facts["hash"]
    assert shown.startswith("0x") and len(shown) == 18


def test_the_idle_timer_counts_from_the_last_byte_whatever_is_set(proxied: NewProxied) -> None:
    proxy = proxied(idle_timeout="100s")
    client, server = proxy.pair()
    proxy.engine.advance(30)
    client.send(b"x")
    proxy.engine.until(lambda: server.got)
    timer = said(proxy).timers[0]
    assert timer.name == "idle_timeout" and timer.due - proxy.engine.reactor.now == 100.0
    assert timer.timer is not None


def test_a_session_without_timers_has_none(proxied: NewProxied) -> None:
    proxy = proxied(idle_timeout="0s")
    proxy.pair()
    assert said(proxy).timers == ()


def test_the_wait_for_a_host_with_too_many_connections_is_told(proxied: NewProxied) -> None:
    proxy = proxied(of_cluster={"circuit_breakers": {"per_host_thresholds": [{"max_connections": 1}]}})
    proxy.pair()
    proxy.engine.client()
    proxy.engine.until(lambda: len(proxy.engine.live) == 3)
    waiting = reasons_of(proxy.engine.live[-1].read_chain.slots[-1].filter)
    assert waiting is not None
    assert waiting.state == f"waiting: 127.0.0.1:{proxy.server.port} has max_connections of per_host_thresholds"
