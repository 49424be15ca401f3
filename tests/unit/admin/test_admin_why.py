"""/why: each kind of finding when there is something to find, and nothing when all is well."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from proxy_core.xds.subscription import SubscriptionStats
from tests.support.engine import address
from tests.unit.admin.proxied_kit import Parking, ProxiedRig, Watching

NewProxy = Callable[..., ProxiedRig]


def of_kind(rig: ProxiedRig, kind: str) -> List[Dict[str, Any]]:
    return [one for one in rig.findings() if one["kind"] == kind]


def texts(rig: ProxiedRig, kind: str) -> List[str]:
    return [one["text"] for one in of_kind(rig, kind)]


def test_there_is_nothing_to_say_when_all_is_well(proxy: ProxiedRig) -> None:
    proxy.pair()
    assert proxy.text("/why") == "nothing unusual\n"
    assert proxy.json("/why?format=json") == {"quiet": True, "findings": []}


# -- connections ---------------------------------------------------------------------------------------------

def test_a_filter_that_forgets_to_continue_is_named_with_its_connection_within_two_seconds(new_proxy: NewProxy) -> None:
    rig = new_proxy()
    rig.put_in_front("forgetful", Parking)
    client, _ = rig.pair()
    client.send(b"PING\r\n")
    rig.until(lambda: rig.rows("&state=parked"))
    rig.advance(1.1)
    one = of_kind(rig, "stall")[0]
    assert (one["filter"], one["connection"], one["listener"]) == ("forgetful", rig.rows()[0]["id"], "main")
    assert one["text"].startswith(f"filter 'forgetful' of C{one['connection']} (downstream, listener main, 127.0.0.1:")
    assert one["text"].endswith("keeps 6 B back, and nothing is left that could wake it: no timer, no hold, no more bytes come")
    assert rig.text("/why").startswith("stall: filter 'forgetful' of C")
    assert rig.stat("proxy_core.filter_chain_stalled") == 1


def test_of_many_findings_of_a_kind_the_longest_are_told_and_the_rest_counted(new_proxy: NewProxy) -> None:
    rig = new_proxy()
    rig.put_in_front("forgetful", Parking)
    for number in range(7):
        client, _ = rig.pair()
        client.send(b"PING")
        rig.until(lambda: len(rig.rows("&state=parked")) == number + 1)
        rig.advance(0.25)
    rig.advance(1.1)
    found = of_kind(rig, "stall")
    assert len(found) == 6 and found[5]["text"] == "and 2 more"
    waited = [one["seconds"] for one in found[:5]]
    assert waited == sorted(waited, reverse=True)


def test_a_filter_that_waits_for_long_is_told_with_what_it_waits_for(new_proxy: NewProxy) -> None:
    rig = new_proxy()
    rig.put_in_front("asking", lambda: Parking("an answer"))
    client, _ = rig.pair()
    client.send(b"PING")
    rig.until(lambda: rig.rows("&state=parked"))
    rig.advance(29)
    assert not of_kind(rig, "parked")
    rig.advance(2)
    assert texts(rig, "parked")[0].endswith("has stopped the chain for 31s: waits for an answer")
    assert not of_kind(rig, "stall")


def test_who_does_not_read_is_told_once_and_not_again_as_a_pause(new_proxy: NewProxy) -> None:
    rig = new_proxy(per_connection_buffer_limit_bytes=65536)
    rig.put_in_front("watching", Watching)
    client, server = rig.pair()
    client.reading = False
    server.send(b"x" * 8_000_000)
    rig.until(lambda: rig.rows("&state=above_high"))
    assert not of_kind(rig, "above_high")
    rig.clock.advance(60)
    rig.server.reactor.turn(0)
    one = of_kind(rig, "above_high")[0]
    assert one["seconds"] >= 60 and "above the high watermark (64 KiB) for 1m" in one["text"]
    assert not of_kind(rig, "paused")


def test_a_pause_that_nothing_explains_is_told_with_its_holder(proxy: ProxiedRig) -> None:
    proxy.pair()
    connection = proxy.connections[0]
    connection.pause_reading("somebody")
    proxy.advance(6)
    one = of_kind(proxy, "paused")[0]
    assert (one["connection"], one["seconds"]) == (connection.id, 6.0)
    assert one["text"].endswith("no byte has moved for 6.0s, reading is paused by: somebody")
    connection.resume_reading("somebody")
    assert not of_kind(proxy, "paused")


def test_a_half_closed_pair_is_told_from_both_sides(proxy: ProxiedRig) -> None:
    client, server = proxy.pair()
    client.finish()
    proxy.until(lambda: server.ended)
    proxy.advance(45)
    down, up = texts(proxy, "half_closed")
    assert "its peer has ended one direction 45s ago" in down and "we have ended one direction 45s ago" in up


def test_a_client_that_keeps_listener_filters_waiting_is_told_with_the_timeout(new_proxy: NewProxy) -> None:
    inspector = "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
    rig = new_proxy(listener_filters=[{"name": "tls", "typed_config": {"@type": inspector}}])
    rig.connect()
    rig.until(lambda: rig.server.listeners.listeners[0].waiting_longest())
    rig.advance(4)
    assert not of_kind(rig, "slow_listener_filters")
    rig.advance(2)
    one = of_kind(rig, "slow_listener_filters")[0]
    assert (one["listener"], one["seconds"]) == ("main", 6.0)
    assert one["text"].endswith("has kept the listener filters waiting for 6.0s; listener_filters_timeout is 15s")


# -- limits --------------------------------------------------------------------------------------------------

def test_limits_that_are_nearly_reached_come_the_fullest_first(new_proxy: NewProxy) -> None:
    thresholds = {"thresholds": [{"max_connections": 5}]}
    key = "envoy.resource_limits.listener.main.connection_limit"
    rig = new_proxy({key: 4}, backend={"circuit_breakers": thresholds})
    for _ in range(3):
        rig.pair()
    assert not of_kind(rig, "near_limit")
    rig.pair()
    assert texts(rig, "near_limit") == [
        f"listener main has 4 of at most 4 connections (runtime key {key})",
        "cluster c uses 4 of max_connections 5",
    ]
    assert [one["share"] for one in of_kind(rig, "near_limit")] == [1.0, 0.8]


def test_the_limit_of_each_host_counts_as_well(new_proxy: NewProxy) -> None:
    rig = new_proxy(backend={"circuit_breakers": {"per_host_thresholds": [{"max_connections": 1}]}})
    rig.pair()
    host = f"127.0.0.1:{rig.backend.port}"
    one = of_kind(rig, "near_limit")[0]
    assert one["text"] == f"cluster c: host {host} has 1 of max_connections 1 of per_host_thresholds"
    assert (one["cluster"], one["host"]) == ("c", host)


def test_the_limit_of_the_process_is_told_with_where_it_comes_from(new_proxy: NewProxy) -> None:
    rig = new_proxy({"overload.global_downstream_max_connections": 1})
    rig.pair()
    assert texts(rig, "near_limit")[0].startswith("the process has 1 of at most 1 downstream connections (")


# -- the rest ------------------------------------------------------------------------------------------------

def test_hosts_that_are_ill_are_told_one_by_one_or_as_all_of_a_cluster(new_proxy: NewProxy) -> None:
    def members(*states: str) -> Dict[str, Any]:
        hosts = [{"endpoint": {"address": address(9000 + at)}, "health_status": one} for at, one in enumerate(states)]
        return {"load_assignment": {"cluster_name": "c", "endpoints": [{"lb_endpoints": hosts}] if hosts else []}}

    assert texts(new_proxy(backend=members("UNHEALTHY", "HEALTHY")), "unhealthy_host") == [
        "cluster c: host 127.0.0.1:9000 is /failed_eds_health",
    ]
    assert texts(new_proxy(backend=members("UNHEALTHY", "DRAINING")), "unhealthy_host") == [
        "cluster c: none of its 2 hosts is healthy (/eds_status_draining, /failed_eds_health)",
    ]
    assert texts(new_proxy(backend=members("UNHEALTHY")), "unhealthy_host") == [
        "cluster c: host 127.0.0.1:9000 is /failed_eds_health, and it is the only one",
    ]
    assert texts(new_proxy(backend=members()), "unhealthy_host") == ["cluster c has no hosts"]


def test_an_update_that_was_refused_is_told_until_the_same_file_is_good_again(proxy: ProxiedRig, tmp_path: Path) -> None:
    stats = SubscriptionStats(proxy.server.stats.scope("listener_manager.lds"))
    stats.note_error("/etc/lds.json", "resources[0]: no such filter")
    assert texts(proxy, "rejected_update") == [
        "the last update was refused, what was loaded before is in force: /etc/lds.json: resources[0]: no such filter",
    ]
    stats.forget_error("/etc/cds.json")
    assert of_kind(proxy, "rejected_update")
    stats.forget_error("/etc/lds.json")
    assert not of_kind(proxy, "rejected_update")


def test_a_reload_that_was_refused_is_told(proxy: ProxiedRig) -> None:
    proxy.server.stats.scope("proxy_core").text("config_reload_error").set("admin: can't change")
    assert texts(proxy, "rejected_update") == [
        "the last reload was refused, what was loaded before is in force: admin: can't change",
    ]


def test_exceptions_a_failed_health_check_and_missing_descriptors_are_told(
    proxy: ProxiedRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.server.stats.scope("proxy_core").counter("handler_exceptions").inc()
    proxy.server.set_health_failed(True)
    monkeypatch.setattr(type(proxy.server.descriptors), "is_exhausted", True)
    assert texts(proxy, "exception") == ["1 exception in handlers or filters since the start; the log has each"]
    assert texts(proxy, "not_live") == ["the server is DRAINING"]
    assert texts(proxy, "not_accepting") == ["out of file descriptors: listeners wait until a connection closes"]


def test_a_parameter_that_is_unknown_changes_nothing(proxy: ProxiedRig) -> None:
    assert proxy.text("/why?format=xml") == "nothing unusual\n"
