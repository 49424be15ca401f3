"""`/drain_listeners` on raw TCP: who is closed after the drain time, and when. Envoy leaves them alone for
ever."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List

import pytest

from tests.support.engine import listener, network_filter
from tests.support.peers import Peer, connect
from tests.support.updates import Updated

ECHO = network_filter("echo")
NewStopped = Callable[..., Updated]


@pytest.fixture
def new() -> Iterator[NewStopped]:
    made: List[Updated] = []

    def make(**runtime: int) -> Updated:
        keys: Dict[str, Any] = {f"proxy_core.{name}": value for name, value in runtime.items()}
        made.append(Updated(
            listener(ECHO, traffic_direction="INBOUND"), listener(ECHO, name="out"), runtime=keys, drain_time=10.0,
        ))
        made[-1].start()
        return made[-1]
    yield make
    for one in made:
        one.close()
        assert one.errors == []


def echoes(engine: Updated, client: Peer, data: bytes = b"hello") -> None:
    client.send(data)
    engine.until(lambda: bytes(client.got).endswith(data))


def stays(engine: Updated, client: Peer, seconds: float) -> None:
    """Time passes and the connection is still open, though silent."""
    engine.advance(seconds)
    assert not client.ended and engine.live


def test_a_silent_connection_is_closed_a_minute_of_silence_after_the_drain_time(new: NewStopped) -> None:
    engine = new()
    client = engine.client()
    echoes(engine, client)
    port = engine.port()
    engine.listeners.stop_listening()
    with pytest.raises(ConnectionRefusedError):
        connect(port)
    assert engine.value("listener_manager.listener_stopped") == 2
    stays(engine, client, 10.1)
    echoes(engine, client, b"still in use")
    stays(engine, client, 59.0)
    engine.advance(2.0)
    engine.until(lambda: client.ended)
    assert len(engine.reactor.timers) == 0
    assert "main" in engine.names  # stopped, not removed: as in Envoy


def test_a_busy_connection_is_closed_at_the_bound(new: NewStopped) -> None:
    engine = new(drain_most_ms=30_000)
    client = engine.client()
    echoes(engine, client)
    engine.listeners.stop_listening()
    for _ in range(13):
        engine.advance(3.0)
        echoes(engine, client, b"busy")
    engine.advance(3.0)
    engine.until(lambda: client.ended)


def test_the_bounds_are_runtime_keys_and_0_switches_them_off(new: NewStopped) -> None:
    engine = new(drain_idle_timeout_ms=5000)
    client = engine.client()
    echoes(engine, client)
    engine.listeners.stop_listening()
    engine.advance(11.0)
    engine.until(lambda: client.ended)
    engine = new(drain_idle_timeout_ms=0, drain_most_ms=0)
    client = engine.client()
    echoes(engine, client)
    engine.listeners.stop_listening()
    stays(engine, client, 1e6)
    echoes(engine, client, b"for ever")


def test_only_inbound_listeners_are_stopped_when_only_they_are_meant(new: NewStopped) -> None:
    engine = new()
    inbound, outbound = engine.client(), engine.client("out")
    echoes(engine, inbound)
    echoes(engine, outbound)
    engine.listeners.stop_listening(inbound_only=True)
    engine.advance(100)
    engine.until(lambda: inbound.ended)
    echoes(engine, outbound)
    echoes(engine, engine.client("out"))


def test_after_a_graceful_drain_the_drain_time_is_over_when_listening_ends(new: NewStopped) -> None:
    engine = new()
    client = engine.client()
    echoes(engine, client)
    engine.advance(50)
    engine.listeners.stop_listening(drain_time_left=0.0)
    stays(engine, client, 9.0)
    engine.advance(2.0)
    engine.until(lambda: client.ended)


def test_stopping_twice_plans_once_and_a_removal_by_lds_takes_over(new: NewStopped) -> None:
    engine = new()
    engine.push(listener(ECHO, name="dynamic"))
    client = engine.client("dynamic")
    echoes(engine, client)
    engine.listeners.stop_listening()
    engine.listeners.stop_listening()
    assert engine.value("listener_manager.listener_stopped") == 3
    engine.push()
    engine.advance(10.5)
    engine.until(lambda: client.ended)
    assert engine.value("listener_manager.total_listeners_draining") == 0


def test_who_waits_in_the_backlog_when_listening_ends_is_served(new: NewStopped) -> None:
    engine = new()
    waiting = [engine.client() for _ in range(5)]
    engine.listeners.stop_listening()
    for client in waiting:
        echoes(engine, client)
