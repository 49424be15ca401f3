"""Who gets in: binding, limits, and the way of an accepted socket to its filters."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

from proxy_core.errors import ConfigError
from proxy_core.filters.api import CONTINUE, STOP_ITERATION, FilterManager
from proxy_core.listener.binding import BindError
from proxy_core.listener.chain_match import ChainMatcher
from proxy_core.listener.listen_socket import MOST_ACCEPTS_PER_TURN
from proxy_core.network.address import Address
from proxy_core.testing.recording import RecordingFilter
from tests.support.engine import Engine, Json, access_log, address, bootstrap, listener, network_filter, pipe
from tests.support.peers import Peer

ECHO = network_filter("echo")
NewEngine = Callable[..., Engine]


@pytest.fixture
def new_engine() -> Iterator[NewEngine]:
    made: List[Engine] = []

    def make(*listeners: Json, runtime: Any = None, start: bool = True, **settings: Any) -> Engine:
        engine = Engine(bootstrap(listeners or [listener(ECHO)], runtime=runtime), **settings)
        made.append(engine)
        return engine.start() if start else engine
    yield make
    for engine in made:
        engine.close()


def stat_of(engine: Engine, name: str, prefix: str = "127.0.0.1_0") -> int:
    return engine.value(f"listener.{prefix}.{name}")


def echoes(engine: Engine, client: Peer, data: bytes = b"hello") -> None:
    client.send(data)
    engine.until(lambda: bytes(client.got).endswith(data))


# -- addresses ---------------------------------------------------------------------------------------------------------

def test_port_0_is_a_free_port_and_the_stats_keep_the_configured_address(new_engine: NewEngine) -> None:
    engine = new_engine()
    assert engine.port() > 0
    client = engine.client()
    echoes(engine, client)
    assert stat_of(engine, "downstream_cx_total") == stat_of(engine, "downstream_cx_active") == 1
    assert stat_of(engine, "worker_0.downstream_cx_active") == 1
    client.finish()
    engine.until(lambda: not engine.live)
    assert stat_of(engine, "downstream_cx_active") == stat_of(engine, "worker_0.downstream_cx_active") == 0
    assert stat_of(engine, "downstream_cx_destroy") == 1


def test_a_listener_takes_connections_on_all_of_its_addresses(new_engine: NewEngine, tmp_path: Path) -> None:
    path = short_path(tmp_path)
    extra = [{"address": address()}, {"address": pipe(path)}]
    engine = new_engine(listener(ECHO, additional_addresses=extra))
    addresses = engine.listener().local_addresses()
    assert [one.port > 0 for one in addresses] == [True, True, False]
    for one in addresses:
        client = engine.own(Peer(socket.socket(one.family)))
        client.sock.setblocking(True)
        client.sock.connect(one.sockaddr)
        client.sock.setblocking(False)
        echoes(engine, client)
    assert stat_of(engine, "downstream_cx_total") == 3


def test_a_listener_on_ipv6(new_engine: NewEngine) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        engine = new_engine(listener(ECHO, address=address(ip="::1")))
    except BindError:
        pytest.skip("no IPv6 here")
    client = engine.own(Peer(socket.create_connection(("::1", engine.port()))))
    echoes(engine, client)
    assert engine.live[0].info.downstream_remote_address.startswith("[::1]:")
    assert engine.live[0].info.downstream_local_address == f"[::1]:{engine.port()}"


def short_path(tmp_path: Path) -> str:
    """A socket path that fits into 108 bytes wherever the temporary directory is."""
    return min(str(tmp_path / "s"), os.path.relpath(str(tmp_path / "s")), key=len)


def test_a_unix_listener_with_a_mode_takes_the_place_of_a_stale_file(new_engine: NewEngine, tmp_path: Path) -> None:
    path = short_path(tmp_path)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    where = {"pipe": {"path": path, "mode": 0o600}}
    engine = new_engine(listener(ECHO, address=where))
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    client = engine.own(Peer(socket.socket(socket.AF_UNIX)))
    client.sock.connect(path)
    echoes(engine, client)


def test_a_unix_path_of_a_live_server_or_of_a_file_is_refused_and_left_alone(new_engine: NewEngine, tmp_path: Path) -> None:
    path = short_path(tmp_path)
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(path)
        alive.listen()
        with pytest.raises(BindError, match="Address already in use"):
            new_engine(listener(ECHO, address=pipe(path)))
    plain = tmp_path / "f"
    plain.write_text("precious")
    with pytest.raises(BindError, match="Address already in use"):
        new_engine(listener(ECHO, address=pipe(min(str(plain), os.path.relpath(str(plain)), key=len))))
    assert plain.read_text() == "precious"


def test_an_abstract_unix_listener(new_engine: NewEngine) -> None:
    name = f"@proxy_core_test_{os.getpid()}"
    engine = new_engine(listener(ECHO, address=pipe(name)))
    client = engine.own(Peer(socket.socket(socket.AF_UNIX)))
    client.sock.connect("\0" + name[1:])
    echoes(engine, client)
    assert engine.live[0].info.downstream_local_address == name


def test_a_port_in_use_is_a_bind_error_with_envoys_text_and_nothing_stays_bound(new_engine: NewEngine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        engine = new_engine(listener(ECHO, additional_addresses=[{"address": address(port)}]), start=False)
        with pytest.raises(BindError) as caught:
            engine.listeners.bind()
    assert str(caught.value) == f"cannot bind '127.0.0.1:{port}': Address already in use"
    assert engine.listener().sockets.all() == []
    assert engine.value("listener_manager.listener_create_failure") == 1


def test_an_address_that_is_not_ours_is_a_bind_error(new_engine: NewEngine) -> None:
    with pytest.raises(BindError, match="cannot bind '192.0.2.1:0': Cannot assign requested address"):
        new_engine(listener(ECHO, address=address(ip="192.0.2.1")))


def test_a_listener_that_is_not_bound_to_a_port_has_no_socket(new_engine: NewEngine) -> None:
    engine = new_engine(listener(ECHO, bind_to_port=False))
    assert engine.listener().sockets.all() == []
    assert engine.listener().local_addresses() == [Address.from_ip("127.0.0.1", 0)]


def test_stopping_refuses_new_connections_and_keeps_the_old_ones(new_engine: NewEngine) -> None:
    engine = new_engine()
    client = engine.client()
    echoes(engine, client)
    port = engine.port()
    engine.listeners.stop_listening()
    engine.listeners.stop_listening()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    echoes(engine, client, b"still here")
    assert engine.value("listener_manager.listener_stopped") == 1


def test_socket_options_and_the_backlog_reach_the_socket(new_engine: NewEngine) -> None:
    options = [{"level": socket.SOL_SOCKET, "name": socket.SO_KEEPALIVE, "int_value": 1}]
    engine = new_engine(listener(
        ECHO, socket_options=options, tcp_backlog_size=1, tcp_keepalive={"keepalive_time": 77, "keepalive_probes": 3},
    ))
    engine.client()
    engine.until(lambda: engine.live)
    accepted = engine.live[0].sock
    assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    if hasattr(socket, "TCP_KEEPIDLE"):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 77
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


# -- limits ------------------------------------------------------------------------------------------------------------

def refused_without_a_word(engine: Engine, client: Peer) -> None:
    engine.until(lambda: client.over)
    assert not client.got


def test_the_listeners_own_limit_closes_what_is_above_it_and_lets_in_again(new_engine: NewEngine) -> None:
    key = "envoy.resource_limits.listener.main.connection_limit"
    engine = new_engine(listener(ECHO, access_log=[access_log("x")]), runtime={key: 2})
    clients = [engine.client() for _ in range(2)]
    for client in clients:
        echoes(engine, client)
    refused_without_a_word(engine, engine.client())
    assert stat_of(engine, "downstream_cx_overflow") == 1
    assert engine.lines == []
    clients[0].finish()
    engine.until(lambda: len(engine.live) == 1)
    echoes(engine, engine.client())


def test_a_limit_that_refuses_is_logged_once_and_not_for_every_client(
    new_engine: NewEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine = new_engine(listener(ECHO), limit=1)
    echoes(engine, engine.client())
    for _ in range(3):
        refused_without_a_word(engine, engine.client())
    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert lines == [f"listener 'main' refuses connections: the process has 1 connections ({engine.process_limit.source})"]


def test_the_limit_of_the_process_counts_all_listeners(new_engine: NewEngine) -> None:
    engine = new_engine(listener(ECHO), listener(ECHO, name="other"), limit=2)
    echoes(engine, engine.client())
    echoes(engine, engine.client("other"))
    refused_without_a_word(engine, engine.client("other"))
    refused_without_a_word(engine, engine.client())
    assert stat_of(engine, "downstream_global_cx_overflow") == 2
    assert engine.process_limit.active == 2


def test_a_listener_that_ignores_the_limit_of_the_process_is_neither_counted_nor_refused(new_engine: NewEngine) -> None:
    engine = new_engine(listener(ECHO), listener(ECHO, name="free", ignore_global_conn_limit=True), limit=1)
    for _ in range(3):
        echoes(engine, engine.client("free"))
    echoes(engine, engine.client())
    refused_without_a_word(engine, engine.client())
    echoes(engine, engine.client("free"))


def test_a_limit_of_zero_lets_nobody_in(new_engine: NewEngine) -> None:
    engine = new_engine(runtime={"envoy.resource_limits.listener.main.connection_limit": 0})
    refused_without_a_word(engine, engine.client())


def test_one_turn_takes_a_bounded_number_of_connections_and_the_rest_come_next(new_engine: NewEngine) -> None:
    engine = new_engine(listener(ECHO, max_connections_to_accept_per_socket_event=3))
    for _ in range(20):
        engine.client()
    before = 0
    while before < 20:
        engine.reactor.turn(0)
        assert 0 < len(engine.live) - before <= 3
        before = len(engine.live)
    assert MOST_ACCEPTS_PER_TURN > 3


# -- chains and filters ------------------------------------------------------------------------------------------------

def test_a_listener_without_a_chain_for_a_connection_closes_it_with_nr(new_engine: NewEngine) -> None:
    engine = new_engine(listener(
        ECHO, access_log=[access_log("%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% id=%CONNECTION_ID%")],
    ))
    engine.listener()._matcher = ChainMatcher([], None)  # no configuration can say this before chains have conditions
    refused_without_a_word(engine, engine.client())
    assert stat_of(engine, "no_filter_chain_match") == 1
    assert engine.lines == ["NotSet NR filter_chain_not_found id=0"]
    assert engine.process_limit.active == 0


def test_the_default_chain_takes_what_no_other_does(new_engine: NewEngine) -> None:
    only_default = listener()
    only_default["filter_chains"] = []
    only_default["default_filter_chain"] = {"name": "fallback", "filters": [ECHO]}
    engine = new_engine(only_default)
    echoes(engine, engine.client())
    assert engine.live[0].info.filter_chain_name == "fallback"


def test_a_chain_without_filters_closes_every_connection(new_engine: NewEngine) -> None:
    engine = new_engine(listener(access_log=[access_log("%DOWNSTREAM_LOCAL_CLOSE_REASON%")]))
    refused_without_a_word(engine, engine.client())
    assert engine.lines == ["NotSet no_filters"]


def test_each_connection_has_filters_of_its_own_in_the_configured_order(new_engine: NewEngine) -> None:
    engine = new_engine()
    made: List[RecordingFilter] = []

    def add(manager: FilterManager) -> None:
        made.append(RecordingFilter(f"filter {len(made)}", on_data_do=lambda data, end: CONTINUE))
        manager.add_filter(made[-1], made[-1].name)
    engine.put_in_front(add)
    one, two = engine.client(), engine.client()
    echoes(engine, one, b"one")
    echoes(engine, two, b"two")
    assert [each.name for each in made] == ["filter 0", "filter 1"]
    for each, text in zip(made, (b"one", b"two")):
        assert [entry[1:] for entry in each.log] == [
            ("new",), ("Connected",), ("data", text, False), ("write", text, False),
        ]


@pytest.mark.parametrize("where", ["factory", "on_new_connection", "on_data"])
@pytest.mark.parametrize("error", [ValueError("bug"), OSError(2, "no such file")])
def test_a_filter_that_fails_costs_its_own_connection_and_is_reported(
    new_engine: NewEngine, where: str, error: Exception
) -> None:
    engine = new_engine(listener(ECHO, access_log=[access_log("%DOWNSTREAM_LOCAL_CLOSE_REASON%")]))
    healthy = engine.client()
    echoes(engine, healthy)

    def boom(*args: Any) -> None:
        raise error

    def add(manager: FilterManager) -> None:
        if where == "factory":
            boom()
        bad = RecordingFilter(on_new_do=boom if where == "on_new_connection" else None, on_data_do=boom)
        manager.add_read_filter(bad, "bad")
    engine.put_in_front(add)
    client = engine.client()
    client.send(b"x")
    engine.until(lambda: client.over)
    engine.until(lambda: len(engine.live) == 1)
    assert engine.errors == [error]
    assert engine.lines == [f"NotSet exception in a handler: {type(error).__name__}"]
    assert engine.process_limit.active == stat_of(engine, "downstream_cx_active") == 1
    echoes(engine, healthy, b"still fine")


def test_a_chain_that_is_parked_for_good_is_reported_with_the_filters_name(new_engine: NewEngine) -> None:
    engine = new_engine(listener(ECHO, per_connection_buffer_limit_bytes=100))
    engine.put_in_front(lambda manager: manager.add_read_filter(
        RecordingFilter(on_data_do=lambda data, end: STOP_ITERATION), "the culprit"
    ))
    client = engine.client()
    client.send(bytes(1000))
    engine.until(lambda: engine.stalls)
    engine.turn(5)
    assert engine.stalls == ["the culprit"]


def test_the_facts_of_a_connection_are_there_for_its_log_line(new_engine: NewEngine) -> None:
    line = "%CONNECTION_ID% %DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION%"
    engine = new_engine(listener(ECHO, access_log=[access_log(line)]))
    client = engine.client(source="127.0.0.9")
    echoes(engine, client, b"four")
    engine.advance(1.5)
    near = client.sock.getsockname()
    client.finish()
    engine.until(lambda: not engine.live)
    assert engine.lines == [f"NotSet 0 {near[0]}:{near[1]} 127.0.0.1:{engine.port()} 4 4 1500"]


def test_two_thousand_connections_that_open_and_die_leave_nothing_behind(new_engine: NewEngine) -> None:
    engine = new_engine()
    for _ in range(100):
        clients = [engine.client() for _ in range(20)]
        engine.turn(1)
        for index, client in enumerate(clients):
            client.reset() if index % 2 else client.close()
        engine.turn(1)
        del engine.peers[:]
    engine.until(lambda: not engine.live)
    assert stat_of(engine, "downstream_cx_active") == engine.process_limit.active == 0
    assert engine.reactor.watched == 1  # the listening socket
    assert engine.errors == []


# -- configurations that are refused -----------------------------------------------------------------------------------

def test_two_chains_for_the_same_connections_are_refused_with_the_path(new_engine: NewEngine) -> None:
    with pytest.raises(ConfigError) as caught:
        new_engine({**listener(ECHO), "filter_chains": [{"filters": [ECHO]}, {"filters": [ECHO]}]}, start=False)
    assert [problem.path for problem in caught.value.problems] == [
        "static_resources.listeners[0].filter_chains[1].filter_chain_match"
    ]
