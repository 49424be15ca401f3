"""Listeners that change while connections are open: which kind of change it is, and what each connection notices."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Callable

import pytest

from proxy_core.listener.lists import State
from proxy_core.listener.retirement import CHAIN_GONE, LISTENER_GONE
from tests.support.engine import Json, access_log, address, listener, network_filter, pipe
from tests.support.peers import connect
from tests.support.updates import Updated, answer, chain, echoes, says

ECHO = network_filter("echo")
NewUpdated = Callable[..., Updated]


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
