"""Listeners that change while connections are open: which kind of change it is, and what each connection
notices."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

from proxy_core.listener.lists import State
from proxy_core.listener.retirement import CHAIN_GONE, LISTENER_GONE
from tests.support.engine import Json, access_log, address, listener, network_filter, pipe
from tests.support.peers import Peer, Server, connect
from tests.support.updates import Updated

ECHO = network_filter("echo")
NewUpdated = Callable[..., Updated]


@pytest.fixture
def new() -> Iterator[NewUpdated]:
    made: List[Updated] = []

    def make(*static: Json, start: bool = True, **settings: Any) -> Updated:
        made.append(Updated(*static, **settings))
        if start:
            made[-1].start()
        return made[-1]
    yield make
    for one in made:
        one.close()
        assert one.errors == []


def says(text: str) -> Json:
    return network_filter("direct_response", response={"inline_string": text})


def chain(one: Json, port: int = 0, name: str = "") -> Json:
    """A filter chain, for one destination port if that is given."""
    match = {"filter_chain_match": {"destination_port": port}} if port else {}
    return {"name": name, "filters": [one], **match}


def echoes(engine: Updated, client: Peer, data: bytes = b"hello") -> None:
    client.send(data)
    engine.until(lambda: bytes(client.got).endswith(data))


def answer(engine: Updated, name: str = "main") -> str:
    """What a new client is told by a listener that answers by itself."""
    client = engine.client(name)
    engine.until(lambda: client.ended)
    return bytes(client.got).decode()


# -- add, same, remove -------------------------------------------------------------------------------------------------

def test_a_listener_is_added_left_alone_and_removed(new: NewUpdated) -> None:
    engine = new()
    assert engine.push(listener(ECHO), version="1") == ""
    assert engine.stats_of("listener_added", "listener_create_success", "total_listeners_active") == [1, 1, 1]
    client, port = engine.client(), engine.port()
    echoes(engine, client)
    assert engine.push(listener(ECHO), version="2") == ""
    assert engine.stats_of("listener_added", "listener_modified", "listener_create_success") == [1, 0, 1]
    assert engine.dynamic == {"main": "1"}
    assert engine.push(version="3") == ""
    assert engine.stats_of("listener_removed", "total_listeners_active", "total_listeners_draining") == [1, 0, 1]
    with pytest.raises(ConnectionRefusedError):
        connect(port)
    echoes(engine, client, b"still here")
    engine.advance(9.9)
    echoes(engine, client, b"and still")
    engine.advance(0.5)
    engine.until(lambda: client.ended)
    assert engine.stats_of("total_listeners_draining") == [0]
    assert engine.stats.find("listener.127.0.0.1_0.downstream_cx_total") is None


def test_a_listener_without_connections_is_forgotten_after_the_drain_time_and_not_before(new: NewUpdated) -> None:
    engine = new()
    engine.push(listener(ECHO))
    entry = engine.entry()
    engine.push()
    engine.advance(9.9)
    assert entry.state is State.DRAINING
    engine.advance(0.2)
    assert entry.state is State.GONE
    assert len(engine.reactor.timers) == 0


def test_before_the_start_listeners_go_straight_into_service_and_the_second_of_a_name_counts(new: NewUpdated) -> None:
    engine = new(listener(says("one")), listener(says("two")), start=False)
    assert engine.push(listener(says("dynamic"), name="d")) == ""
    assert (engine.names, engine.stats_of("total_listeners_draining")) == (["main", "d"], [0])
    engine.start()
    assert (answer(engine), answer(engine, "d")) == ("two", "dynamic")
    assert engine.stats_of("listener_added", "listener_modified", "listener_create_success") == [2, 1, 2]


def test_who_waits_in_the_backlog_of_a_removed_listener_is_served(new: NewUpdated) -> None:
    engine = new()
    engine.push(listener(ECHO))
    waiting = [engine.client() for _ in range(3)]
    engine.push()
    for client in waiting:
        echoes(engine, client)


def test_static_listeners_are_locked_against_lds(new: NewUpdated) -> None:
    engine = new(listener(says("static")))
    assert engine.push(listener(says("dynamic"))) == ""
    assert engine.push() == ""
    assert (answer(engine), engine.dynamic) == ("static", {})
    assert engine.stats_of("listener_modified", "listener_removed") == [0, 0]


def test_a_listener_without_a_name_keeps_its_made_up_one_while_it_stays_the_same(new: NewUpdated) -> None:
    engine = new()
    engine.push(listener(ECHO, name=""), version="1")
    name, = engine.dynamic
    engine.push(listener(ECHO, name=""), version="2")
    assert engine.dynamic == {name: "1"}
    engine.push(listener(says("x"), name=""), version="3")
    assert len(engine.dynamic) == 1 and name not in engine.dynamic


# -- in place ----------------------------------------------------------------------------------------------------------

def test_an_update_of_chains_gives_new_connections_the_new_ones_and_drains_only_what_changed(new: NewUpdated) -> None:
    log = [access_log("%FILTER_CHAIN_NAME% %DOWNSTREAM_LOCAL_CLOSE_REASON%")]
    engine = new()
    first = {**listener(access_log=log), "filter_chains": [chain(ECHO, name="kept"), chain(ECHO, 1, "gone")]}
    engine.push(first, version="1")
    kept = engine.client()
    echoes(engine, kept)
    before = engine.entry().chains[0]
    engine.push({**first, "filter_chains": [chain(ECHO, 2, "new"), chain(ECHO, name="kept")]}, version="2")
    assert engine.stats_of("listener_in_place_updated", "listener_modified", "total_filter_chains_draining") == [1, 1, 1]
    assert engine.stats_of("total_listeners_draining", "listener_create_success") == [0, 2]
    assert engine.entry().chains[1] is before
    engine.advance(30)
    assert engine.stats_of("total_filter_chains_draining") == [0]
    echoes(engine, kept, b"nothing happened")
    engine.push({**first, "filter_chains": [chain(says("now"))]}, version="3")
    assert answer(engine) == "now"
    assert engine.stats_of("total_filter_chains_draining") == [2]
    echoes(engine, kept, b"a while longer")
    engine.advance(10.3)
    engine.until(lambda: kept.ended)
    assert engine.lines[-1] == f"NotSet kept {CHAIN_GONE}"
    assert engine.dynamic == {"main": "1"}  # as in Envoy


def test_a_default_chain_that_changes_is_a_change_in_place(new: NewUpdated) -> None:
    engine = new()
    one = {**listener(), "filter_chains": [chain(ECHO, 1)]}
    engine.push({**one, "default_filter_chain": chain(says("old"))})
    assert answer(engine) == "old"
    engine.push({**one, "default_filter_chain": chain(says("new"))})
    assert (answer(engine), engine.stats_of("listener_in_place_updated")) == ("new", [1])


@pytest.mark.parametrize("fields", [
    {"stat_prefix": "other"}, {"per_connection_buffer_limit_bytes": 4096}, {"tcp_backlog_size": 7},
    {"filter_chains": [], "default_filter_chain": {"filters": [ECHO]}},
])
def test_a_change_of_anything_else_is_a_full_update(new: NewUpdated, fields: Json) -> None:
    engine = new()
    engine.push(listener(ECHO))
    engine.push({**listener(ECHO), **fields})
    assert engine.stats_of("listener_in_place_updated", "listener_modified", "total_listeners_draining") == [0, 1, 1]


# -- full --------------------------------------------------------------------------------------------------------------

def test_a_full_update_takes_the_socket_over_and_the_old_connections_live_until_the_drain_time(new: NewUpdated) -> None:
    log = [access_log("%DOWNSTREAM_LOCAL_CLOSE_REASON%")]
    engine = new()
    engine.push(listener(ECHO, access_log=log), version="1")
    port, old = engine.port(), engine.client()
    echoes(engine, old)
    waiting = engine.client()  # in the backlog: the new listener's
    engine.push(listener(says("new"), access_log=log, stat_prefix="s"), version="2")
    assert engine.port() == port
    engine.until(lambda: waiting.ended)
    assert bytes(waiting.got) == b"new"
    assert (answer(engine), engine.dynamic) == ("new", {"main": "2"})
    echoes(engine, old, b"old one")
    engine.advance(10.3)
    engine.until(lambda: old.ended)
    assert engine.lines[-1] == f"NotSet {LISTENER_GONE}"
    assert engine.stats_of("total_listeners_draining") == [0]
    assert engine.value("listener.s.downstream_cx_total") == 2


def test_another_address_is_bound_before_the_old_one_is_given_up(new: NewUpdated) -> None:
    engine = new()
    engine.push(listener(ECHO))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        busy = taken.getsockname()[1]
        refused = engine.push({**listener(ECHO), "address": address(busy)})
        assert refused == f"Error adding/updating listener(s) main: cannot bind '127.0.0.1:{busy}': Address already in use"
        assert engine.stats_of("listener_create_failure", "listener_modified") == [1, 0]
        echoes(engine, engine.client())
    old_port = engine.port()
    assert engine.push({**listener(ECHO), "address": address(busy)}) == ""
    echoes(engine, engine.client())
    assert engine.port() == busy
    with pytest.raises(ConnectionRefusedError):
        connect(old_port)


def test_other_socket_options_get_a_socket_of_their_own_and_the_old_backlog_is_served(new: NewUpdated) -> None:
    engine = new()
    engine.push(listener(ECHO))
    engine.push({**listener(ECHO), "address": address(engine.port())})  # a port that both can name
    port = engine.port()
    waiting = engine.client()
    engine.push({**listener(says("new"), tcp_keepalive={"keepalive_time": 77}), "address": address(port)})
    assert engine.port() == port
    echoes(engine, waiting)
    assert answer(engine) == "new"
    sock = engine.listener().sockets.all()[0]._sock
    assert sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", 4)) == 77


def test_a_unix_socket_is_taken_over_whatever_its_options(new: NewUpdated, tmp_path: Path) -> None:
    path = f"@{tmp_path}"
    engine = new()
    one = {**listener(ECHO), "address": pipe(path)}
    engine.push(one)
    first = engine.listener().sockets.all()[0]._sock
    engine.push({**one, "tcp_keepalive": {"keepalive_time": 7}})
    assert engine.listener().sockets.all()[0]._sock is first


def test_a_listener_that_changes_its_name_hands_its_socket_on(new: NewUpdated) -> None:
    engine = new()
    engine.push(listener(ECHO, name="old"))
    port, sock = engine.port("old"), engine.listener("old").sockets.all()[0]._sock
    engine.push({**listener(ECHO, name="new"), "address": address(port)})
    assert engine.names == ["new"]
    assert engine.listener("new").sockets.all()[0]._sock is sock
    echoes(engine, engine.client("new"))


def test_a_listener_that_comes_back_while_it_drains_is_a_new_one(new: NewUpdated) -> None:
    engine = new()
    engine.push(listener(ECHO))
    port, old = engine.port(), engine.client()
    echoes(engine, old)
    engine.push()
    engine.push({**listener(says("back")), "address": address(port)})
    assert (answer(engine), engine.stats_of("listener_added", "total_listeners_draining")) == ("back", [2, 1])
    echoes(engine, old, b"still there")
    engine.advance(10.3)
    engine.until(lambda: old.ended)
    assert engine.value(f"listener.127.0.0.1_{port}.downstream_cx_total") == 1  # the new one's stay


def test_an_additional_address_that_stays_keeps_its_socket_while_another_comes_and_goes(new: NewUpdated) -> None:
    engine = new()
    one = listener(ECHO)
    engine.push(one)
    first = engine.listener().sockets.all()[0]._sock
    engine.push({**one, "additional_addresses": [{"address": address(ip="127.0.0.2")}]})
    assert engine.listener().sockets.all()[0]._sock is first
    second = engine.listener().sockets.all()[1]
    assert second.address.ip == "127.0.0.2"
    engine.push({**one, "address": address(ip="127.0.0.2")})
    assert engine.listener().sockets.all()[0]._sock is second._sock
    assert len(engine.listener().sockets.all()) == 1


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


def test_unknown_fields_are_counted_and_do_no_harm(new: NewUpdated) -> None:
    engine = new()
    assert engine.push({**listener(ECHO), "nosuch": 1}) == ""
    assert (engine.unknown_fields.value, engine.names, engine.applied) == (1, ["main"], 1)


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
