"""Updates that are refused, or that meet a drain: what was in force stays in force."""

from __future__ import annotations

import json
from typing import Any, Callable

import pytest

from proxy_core.listener.lists import State
from tests.support.engine import address, listener, network_filter
from tests.support.peers import Server
from tests.support.updates import LISTENER, Updated, answer, chain, echoes, says

ECHO = network_filter("echo")
NewUpdated = Callable[..., Updated]


# -- what is refused ---------------------------------------------------------------------------------------------------

def test_a_bad_listener_is_refused_alone_and_the_good_ones_of_the_push_are_in_force(new: NewUpdated) -> None:
    engine = new()
    engine.push(listener(ECHO), version="1")
    bad = {**listener(name="bad"), "filter_chains": []}
    why = engine.push(listener(says("new")), bad, listener(ECHO, name="good"), version="2")
    assert why == "Error adding/updating listener(s) bad: error adding listener '127.0.0.1:0': no filter chains specified"
    assert (engine.names, answer(engine)) == (["main", "good"], "new")
    assert engine.listeners.version_info == "1"
    failure, = engine.listeners.failures
    assert (failure.name, failure.raw["name"], failure.at) == ("bad", "bad", 1000.0)
    assert engine.push(listener(says("new")), version="3") == ""
    assert (engine.listeners.failures, engine.listeners.update_failures) == ([], [])


def test_a_refused_update_keeps_the_listener_as_it_was(new: NewUpdated) -> None:
    engine = new()
    engine.push(listener(ECHO))
    client = engine.client()
    for bad in (
        {**listener(ECHO), "enable_reuse_port": False}, {**listener(ECHO), "drain_type": "NEVER"},
        {**listener(ECHO), "address": {}}, {**listener(ECHO), "filter_chains": [{"filters": [ECHO, ECHO]}]},
        {**listener(ECHO), "filter_chains": [chain(network_filter("tcp_proxy", stat_prefix="", cluster="c"))]},
    ):
        assert "listener(s) main: " in engine.push(bad)
    assert engine.stats_of("listener_modified", "listener_removed", "total_filter_chains_draining") == [0, 0, 0]
    echoes(engine, client)


def test_reuse_port_can_not_change_and_two_listeners_can_not_have_one_address_or_name(new: NewUpdated) -> None:
    engine = new()
    engine.push(listener(ECHO))
    engine.push({**listener(ECHO), "address": address(engine.port())})
    one = {**listener(ECHO), "address": address(engine.port())}
    assert engine.push({**one, "enable_reuse_port": False}).endswith("reuse port cannot be changed during an update")
    assert "'z' has duplicate address '127.0.0.1:" in engine.push(one, {**one, "name": "z"})
    assert engine.push(one, one).endswith("main: duplicate listener main found")
    assert (len(engine.listeners.failures), len(engine.listeners.update_failures)) == (0, 1)
    assert engine.names == ["main"]


def test_unknown_fields_are_warnings_and_do_no_harm(new: NewUpdated) -> None:
    engine = new()
    assert engine.push({**listener(ECHO), "nosuch": 1}) == ""
    assert (len(engine.ignored), engine.names, engine.applied) == (1, ["main"], 1)


# -- draining meets updates --------------------------------------------------------------------------------------------

def test_after_an_operator_stopped_a_direction_lds_adds_and_changes_nothing_of_it(new: NewUpdated) -> None:
    engine = new()
    inbound = listener(ECHO, name="in", traffic_direction="INBOUND")
    engine.push(inbound, listener(ECHO, name="out"))
    engine.listeners.stop_listening(inbound_only=True)
    more = listener(ECHO, name="more", traffic_direction="INBOUND")
    changed = listener(says("x"), name="in", traffic_direction="INBOUND")
    assert engine.push(changed, more, listener(says("y"), name="out")) == ""
    assert (engine.names, answer(engine, "out")) == (["in", "out"], "y")
    assert engine.stats_of("listener_stopped", "listener_modified") == [1, 1]


def test_a_listener_that_comes_while_all_drain_drains_as_well(new: NewUpdated) -> None:
    engine = new()
    engine.push(listener(ECHO))
    engine.listeners.drain()
    engine.push(listener(ECHO), listener(ECHO, name="late"))
    assert engine.entry("late").drain.draining
    engine.listeners.on_health_check(failed=True)
    engine.push(listener(ECHO), listener(ECHO, name="later", drain_type="MODIFY_ONLY"), listener(ECHO, name="last"))
    assert engine.entry("last").drain.draining


def test_sessions_that_look_for_a_drain_leave_their_removed_chain_early_and_when_quiet(new: NewUpdated) -> None:
    server = Server()
    engine = new(clusters=[{
        "name": "c", "type": "STATIC", "load_assignment": {"cluster_name": "c", "endpoints": [
            {"lb_endpoints": [{"endpoint": {"address": address(server.port)}}]}]},
    }], gradual=False)
    proxy = network_filter("tcp_proxy", stat_prefix="t", cluster="c", check_drain_close=True)
    engine.push(listener(proxy))
    client = engine.client()
    client.send(b"request")
    upstream = engine.accepted(server)
    engine.until(lambda: bytes(upstream.got) == b"request")
    engine.push(listener(ECHO))
    upstream.send(b"reply")
    engine.until(lambda: bytes(client.got) == b"reply")
    engine.advance(1.0)
    engine.until(lambda: client.ended)
    assert engine.value("tcp.t.downstream_cx_drain_close") == 1
    server.close()


def test_a_good_health_check_does_not_end_the_drain_that_an_operator_asked_for(new: NewUpdated) -> None:
    engine = new()
    engine.push(listener(ECHO), listener(ECHO, name="in", traffic_direction="INBOUND"))
    engine.listeners.drain(inbound_only=True)
    engine.listeners.on_health_check(failed=True)
    assert engine.entry().drain.draining
    engine.listeners.on_health_check(failed=False)
    assert not engine.entry().drain.draining
    assert engine.entry("in").drain.draining


def test_an_address_that_a_listener_of_the_same_push_gave_up_is_free_for_the_next(new: NewUpdated) -> None:
    engine = new()
    engine.push(listener(ECHO, name="a"))
    port = engine.port("a")
    engine.push({**listener(ECHO, name="a"), "address": address(port)})
    sock = engine.listener("a").sockets.all()[0]._sock
    moved = {**listener(ECHO, name="a"), "address": address(ip="127.0.0.3")}
    assert engine.push(moved, {**listener(says("b"), name="b"), "address": address(port)}) == ""
    assert engine.listener("b").sockets.all()[0]._sock is sock
    assert answer(engine, "b") == "b"


def test_a_bug_in_the_middle_of_an_update_leaves_no_listener_half_alive(
    new: NewUpdated, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = new()
    engine.push(listener(ECHO), listener(ECHO, name="last"))
    old = engine.entry()

    def apply(batch: Any, resource: Any, name: str, source: Any, real: Any = engine.lds._apply) -> None:
        if name == "last":
            raise RuntimeError("of the test")
        real(batch, resource, name, source)
    monkeypatch.setattr(engine.lds, "_apply", apply)
    with pytest.raises(RuntimeError):
        engine.push(listener(says("new"), stat_prefix="s"), listener(ECHO, name="last"))
    assert old.state is State.DRAINING
    assert answer(engine) == "new"


def test_a_check_finds_what_an_update_would_refuse_and_changes_nothing(new: NewUpdated) -> None:
    engine = new()
    engine.push(listener(ECHO))
    client = engine.client()
    wrong = network_filter("tcp_proxy", stat_prefix="t", cluster="c", access_log=[{"name": "x", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
        "path": "/dev/null", "log_format": {"text_format_source": {"inline_string": "%NOSUCH%"}},
    }}])
    resources = [
        {"@type": LISTENER, **one}
        for one in (listener(says("new")), {**listener(), "filter_chains": []}, listener(wrong, name="w"))
    ]
    response = engine.lds.decode(json.dumps({"resources": resources}).encode(), "lds.json")
    found = [problem.path for problem in engine.lds.check(response)]
    assert [path.partition(".")[0] for path in found] == ["resources[1]", "resources[2]"]
    assert engine.stats_of("listener_modified", "listener_added") == [0, 1]
    echoes(engine, client)
