"""A listener with listener filters: what counts, what is logged, and that no byte is lost on the way to the chain."""

from __future__ import annotations

import logging
from typing import Any, Callable, Dict, Iterator, List

import pytest

from tests.support.engine import Engine, access_log, bootstrap, listener, network_filter

Json = Dict[str, Any]
NewEngine = Callable[..., Engine]
TYPE = "type.googleapis.com/envoy.extensions.filters.listener"
INSPECTOR: Json = {"name": "tls", "typed_config": {"@type": f"{TYPE}.tls_inspector.v3.TlsInspector"}}
PROXY: Json = {"name": "proxy", "typed_config": {"@type": f"{TYPE}.proxy_protocol.v3.ProxyProtocol"}}
HEADER = b"PROXY TCP4 192.0.2.7 192.0.2.8 7 8\r\n"
LOG = access_log("%DOWNSTREAM_REMOTE_ADDRESS% id=%CONNECTION_ID% %RESPONSE_FLAGS% %BYTES_RECEIVED%")


@pytest.fixture
def new_engine() -> Iterator[NewEngine]:
    made: List[Engine] = []

    def make(**fields: Any) -> Engine:
        runtime = fields.pop("runtime", None)
        config = bootstrap([listener(network_filter("echo"), access_log=[LOG], **fields)])
        if runtime is not None:
            config["layered_runtime"] = {"layers": [{"name": "static", "static_layer": runtime}]}
        made.append(Engine(config).start())
        return made[-1]
    yield make
    for engine in made:
        engine.close()


def stat(engine: Engine, name: str) -> int:
    return int(engine.value(f"listener.127.0.0.1_0.{name}"))


@pytest.mark.parametrize("parts", [[HEADER + b"hello"], [HEADER, b"hello"]])
def test_what_stands_behind_the_header_is_the_connections(new_engine: NewEngine, parts: List[bytes]) -> None:
    engine = new_engine(listener_filters=[PROXY])
    client = engine.client()
    for part in parts:
        client.send(part)
        engine.turn(4)
    engine.until(lambda: bytes(client.got) == b"hello")
    assert engine.live[0].info.downstream_remote_address == "192.0.2.7:7"
    assert engine.live[0].bytes_read == 5
    assert stat(engine, "downstream_pre_cx_active") == 0 and stat(engine, "downstream_cx_active") == 1


def test_a_socket_among_the_listener_filters_takes_a_place_but_is_no_connection_yet(new_engine: NewEngine) -> None:
    engine = new_engine(
        listener_filters=[INSPECTOR], runtime={"envoy.resource_limits.listener.main.connection_limit": 1},
    )
    first = engine.client()
    engine.turn(4)
    assert stat(engine, "downstream_pre_cx_active") == 1 and stat(engine, "downstream_cx_total") == 0
    assert engine.process_limit.active == 1
    second = engine.client()
    engine.until(lambda: second.ended or second.was_reset)
    assert stat(engine, "downstream_cx_overflow") == 1
    first.send(b"plain text")
    engine.until(lambda: bytes(first.got) == b"plain text")
    first.finish()
    engine.until(lambda: not engine.live)
    assert engine.process_limit.active == 0


def test_silence_ends_with_the_timeout_and_a_line_in_the_listeners_log(new_engine: NewEngine) -> None:
    engine = new_engine(listener_filters=[INSPECTOR])
    client = engine.client()
    engine.turn(4)
    engine.advance(14.9)
    assert not client.ended
    engine.advance(0.2)
    engine.until(lambda: client.ended or client.was_reset)
    assert stat(engine, "downstream_pre_cx_timeout") == 1
    assert stat(engine, "downstream_pre_cx_active") == 0
    assert engine.process_limit.active == 0
    assert len(engine.lines) == 1 and "id=0 - 0" in engine.lines[0]
    assert len(engine.reactor.timers) == 0


def test_a_server_that_speaks_first_is_reached_after_the_timeout_when_told_to_continue(new_engine: NewEngine) -> None:
    engine = new_engine(
        listener_filters=[INSPECTOR], listener_filters_timeout="0.2s", continue_on_listener_filters_timeout=True,
    )
    client = engine.client()
    engine.turn(4)
    assert engine.live == []
    engine.advance(0.3)
    assert len(engine.live) == 1
    client.send(b"late")
    engine.until(lambda: bytes(client.got) == b"late")


def test_or_at_once_when_the_filter_is_switched_off_for_its_port(new_engine: NewEngine) -> None:
    """The documented answer for PostgreSQL or MySQL behind an inspector."""
    off = {**INSPECTOR, "filter_disabled": {"or_match": {"rules": [
        {"destination_port_range": {"start": 1, "end": 65536}}, {"not_match": {"any_match": True}},
    ]}}}
    engine = new_engine(listener_filters=[off])
    engine.client()
    engine.turn(4)
    assert len(engine.live) == 1


def test_a_fin_behind_the_last_byte_that_the_filters_need_loses_nothing(new_engine: NewEngine) -> None:
    engine = new_engine(listener_filters=[PROXY])
    client = engine.client()
    client.send(HEADER + b"question")
    client.finish()
    engine.until(lambda: client.ended)
    assert bytes(client.got) == b"question"


def test_the_listeners_end_closes_sockets_that_are_still_among_its_filters(new_engine: NewEngine) -> None:
    engine = new_engine(listener_filters=[INSPECTOR])
    client = engine.client()
    engine.turn(4)
    engine.listener().close_before_chain()
    engine.until(lambda: client.ended or client.was_reset)
    assert stat(engine, "downstream_pre_cx_active") == 0 and engine.process_limit.active == 0


def test_a_connection_that_no_chain_takes_is_explained_in_the_log_once_a_minute(
    new_engine: NewEngine, caplog: pytest.LogCaptureFixture
) -> None:
    config = bootstrap([listener(network_filter("echo"))])
    config["static_resources"]["listeners"][0]["filter_chains"][0]["filter_chain_match"] = {
        "server_names": ["a.example.com"],
    }
    engine = Engine(config).start()
    try:
        with caplog.at_level(logging.WARNING, "proxy_core.conn_handler"):
            for _ in range(3):
                client = engine.client()
                engine.until(lambda: client.ended or client.was_reset)
            assert len(caplog.messages) == 1
            assert "listener 'main' has no filter chain for a connection" in caplog.messages[0]
            assert "a.example.com" in caplog.messages[0]
            engine.advance(61.0)
            client = engine.client()
            engine.until(lambda: client.ended or client.was_reset)
            assert len(caplog.messages) == 2
        assert stat(engine, "no_filter_chain_match") == 4
    finally:
        engine.close()


def test_a_hundred_slow_clients_cost_a_bounded_number_of_bytes_and_are_all_gone_after_the_timeout(new_engine: NewEngine) -> None:
    engine = new_engine(listener_filters=[INSPECTOR])
    clients = [engine.client() for _ in range(100)]
    engine.until(lambda: stat(engine, "downstream_pre_cx_active") == 100)
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    for number in range(len(hello)):
        for client in clients:
            if not client.ended and not client.was_reset:
                client.send(hello[number:number + 1])
        engine.advance(1.0)
    assert stat(engine, "downstream_pre_cx_active") == 100
    engine.advance(5.0)
    engine.turn(5)
    assert stat(engine, "downstream_pre_cx_active") == 0
    assert stat(engine, "downstream_pre_cx_timeout") == 100
    assert engine.process_limit.active == 0 and len(engine.reactor.timers) == 0
    assert engine.errors == []


def test_a_rejected_client_whose_bytes_nobody_took_sees_a_reset(new_engine: NewEngine) -> None:
    engine = new_engine(listener_filters=[PROXY])
    client = engine.client()
    client.send(b"GET / HTTP/1.1\r\n\r\n")
    engine.until(lambda: client.was_reset)


def redirecting(engine_of: Callable[[Json], Engine], **target: Any) -> Engine:
    """Listener `main` restores destinations from a PROXY header and hands connections over; `other` listens at 192.0.2.8:8 without
    a socket of its own."""
    first = listener(network_filter("direct_response", response={"inline_string": "main"}), listener_filters=[PROXY],
                     use_original_dst=True, access_log=[LOG])
    second = listener(network_filter("echo"), name="other", bind_to_port=False, **target)
    second["address"] = {"socket_address": {"address": "192.0.2.8", "port_value": 8}}
    return engine_of(bootstrap([first, second]))


@pytest.fixture
def started() -> Iterator[Callable[[Json], Engine]]:
    made: List[Engine] = []

    def start(config: Json) -> Engine:
        made.append(Engine(config).start())
        return made[-1]
    yield start
    for engine in made:
        engine.close()


def test_use_original_dst_hands_the_connection_to_the_listener_at_its_destination(
    started: Callable[[Json], Engine]
) -> None:
    engine = redirecting(started)
    client = engine.client()
    client.send(HEADER + b"hello")
    engine.until(lambda: bytes(client.got) == b"hello")
    assert engine.live[0].info.listener_name == "other"
    assert engine.value("listener.192.0.2.8_8.downstream_cx_active") == 1
    assert stat(engine, "downstream_cx_total") == 0
    assert [engine.listener(name).active for name in ("main", "other")] == [0, 1]
    client.finish()
    engine.until(lambda: not engine.live)
    assert engine.process_limit.active == 0


def test_and_the_filters_of_that_listener_see_the_rest(started: Callable[[Json], Engine]) -> None:
    engine = redirecting(started, listener_filters=[INSPECTOR])
    client = engine.client()
    client.send(HEADER)
    engine.until(lambda: engine.value("listener.192.0.2.8_8.downstream_pre_cx_active") == 1)
    client.send(b"plain")
    engine.until(lambda: bytes(client.got) == b"plain")


def test_a_destination_that_nobody_listens_at_stays(started: Callable[[Json], Engine]) -> None:
    engine = redirecting(started)
    client = engine.client()
    client.send(b"PROXY TCP4 192.0.2.7 192.0.2.8 7 9\r\n")
    engine.until(lambda: bytes(client.got) == b"main")


def test_the_limit_of_the_listener_at_the_destination_holds(started: Callable[[Json], Engine]) -> None:
    def with_limit(config: Json) -> Engine:
        limit = {"envoy.resource_limits.listener.other.connection_limit": 0}
        config["layered_runtime"] = {"layers": [{"name": "static", "static_layer": limit}]}
        return started(config)
    engine = redirecting(with_limit)
    client = engine.client()
    client.send(HEADER + b"hello")
    engine.until(lambda: client.ended or client.was_reset)
    assert engine.value("listener.192.0.2.8_8.downstream_cx_overflow") == 1
    assert engine.process_limit.active == 0
