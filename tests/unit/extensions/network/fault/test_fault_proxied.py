"""Faults between a client and a server: what both of them see of it."""

from __future__ import annotations

from typing import Any, Callable, Iterator

import pytest

from tests.support.engine import Engine, address, bootstrap, cluster, listener, network_filter
from tests.support.peers import Server
from tests.unit.extensions.network.fault.fault_kit import DOWN, UP, Json, toxic

FAULT = "type.googleapis.com/proxy_core.filters.network.fault.v1.Fault"


class Session:
    """A client and the server's end of its connection, with toxics in between."""

    def __init__(self, *toxics: Json, **of_listener: Any) -> None:
        self.server = Server()
        fault = {"name": "fault", "typed_config": {"@type": FAULT, "name": "f", "toxics": list(toxics)}}
        front = network_filter("tcp_proxy", stat_prefix="t", cluster="c")
        self.engine = Engine(
            bootstrap([listener(fault, front, **of_listener)], [cluster(address(self.server.port))])
        ).start()
        self.client = self.engine.client()
        self.far = self.engine.accepted(self.server)

    def wait(self, seconds: float) -> None:
        """Simulated time, in steps of a hundredth, and what happens meanwhile."""
        self.engine.turn(2)
        for _ in range(round(seconds * 100)):
            self.engine.advance(0.01)
            self.engine.turn(2)

    def sides(self, stream: str) -> Any:
        """Who sends this way, and who receives."""
        return (self.client, self.far) if stream == UP else (self.far, self.client)

    def close(self) -> None:
        self.engine.close()
        self.server.close()
        assert self.engine.errors == [] and self.engine.stalls == []


@pytest.fixture
def session() -> Iterator[Callable[..., Session]]:
    made = []

    def make(*toxics: Json, **of_listener: Any) -> Session:
        made.append(Session(*toxics, **of_listener))
        return made[-1]
    yield make
    for one in made:
        one.close()


both_ways = pytest.mark.parametrize("stream", [UP, DOWN])


def test_a_round_trip_takes_the_latency_of_both_directions(session: Callable[..., Session]) -> None:
    one = session(toxic("latency", UP, latency=300), toxic("latency", DOWN, latency=200))
    one.client.send(b"question")
    one.wait(0.29)
    assert one.far.got == b""
    one.wait(0.02)
    assert one.far.got == b"question"
    one.far.send(b"answer")
    one.wait(0.19)
    assert one.client.got == b""
    one.wait(0.03)
    assert one.client.got == b"answer"


@both_ways
def test_a_reset_is_seen_on_both_sides(session: Callable[..., Session], stream: str) -> None:
    one = session(toxic("reset_peer", stream, timeout=100))
    sender, receiver = one.sides(stream)
    sender.send(b"data")
    one.wait(0.05)
    assert not sender.over and not receiver.over
    one.wait(0.1)
    assert one.client.was_reset and one.far.was_reset and receiver.got == b""


@both_ways
def test_a_limit_delivers_its_bytes_and_then_ends_both_sides(session: Callable[..., Session], stream: str) -> None:
    one = session(toxic("limit_data", stream, bytes=7))
    sender, receiver = one.sides(stream)
    sender.send(b"0123456789")
    one.wait(0.1)
    assert receiver.got == b"0123456" and receiver.ended and one.client.over and one.far.over


@both_ways
def test_a_half_close_goes_across_behind_delayed_bytes_and_the_answer_still_comes(
    session: Callable[..., Session], stream: str
) -> None:
    one = session(toxic("latency", UP, latency=100), toxic("latency", DOWN, latency=150))
    sender, receiver = one.sides(stream)
    sender.send(b"all of it")
    sender.finish()
    one.wait(0.2)
    assert receiver.got == b"all of it" and receiver.ended and not sender.over
    receiver.send(b"thanks")
    receiver.finish()
    one.wait(0.3)
    assert sender.got == b"thanks" and sender.ended and not one.engine.live


@both_ways
def test_a_slow_line_slows_its_producer_and_holds_no_more_than_the_buffers(
    session: Callable[..., Session], stream: str
) -> None:
    one = session(toxic("bandwidth", stream, rate=1000), per_connection_buffer_limit_bytes=32768)
    sender, receiver = one.sides(stream)
    data = bytes(range(256)) * 8000  # two seconds
    sender.send(data)
    one.wait(1.0)
    assert abs(len(receiver.got) - 1_000_000) <= 110_000
    source = next(each for each in one.engine.live if (each.id == each.info.connection_id) is (stream == UP))
    assert source.pauses and source.bytes_read - len(receiver.got) < 600_000
    one.wait(1.3)
    assert bytes(receiver.got) == data


def test_a_client_that_disappears_takes_its_delayed_bytes_along(session: Callable[..., Session]) -> None:
    one = session(toxic("latency", UP, latency=1000))
    one.client.send(b"never")
    one.wait(0.1)
    one.client.reset()
    one.wait(0.1)
    assert not one.engine.live and one.far.over and one.far.got == b""


def test_a_server_that_answers_and_closes_is_heard_to_the_end_through_a_slow_line(session: Callable[..., Session]) -> None:
    one = session(toxic("bandwidth", DOWN, rate=10), toxic("slow_close", DOWN, delay=300))
    one.far.send(bytes(5000))
    one.far.close()
    one.wait(0.45)
    assert len(one.client.got) == 4000 and not one.client.ended
    one.wait(0.3)
    assert len(one.client.got) == 5000 and not one.client.ended
    one.client.finish()
    one.wait(0.3)
    assert one.client.ended and not one.engine.live


