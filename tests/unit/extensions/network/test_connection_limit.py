"""connection_limit: who gets in, how the others leave, and that the count is right whatever happens."""

from __future__ import annotations

import random
from typing import Any, Callable, Iterator, List

import pytest

from proxy_core.buffer import Buffer
from proxy_core.config.model.core import RuntimeFeatureFlag
from proxy_core.errors import ConfigError
from proxy_core.extensions.network.connection_limit import ConnectionLimit, ConnectionLimitConfig, Limit
from proxy_core.filters.api import CONNECTED, CONTINUE, LOCAL_CLOSE, REMOTE_CLOSE, STOP_ITERATION
from proxy_core.observe.stats import StatsStore
from tests.support.engine import Engine, access_log, address, bootstrap, cluster, listener, network_filter
from tests.support.filters import Switches, factory_context, still_reactor
from tests.support.peers import Server

Serve = Callable[..., Engine]
REFUSED = "NotSet - over_connection_limit rx=0"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def serve(server: Server) -> Iterator[Serve]:
    made: List[Engine] = []

    def make(*filters: Any, last: Any = None, **settings: Any) -> Engine:
        log = access_log("%RESPONSE_FLAGS% %DOWNSTREAM_LOCAL_CLOSE_REASON% rx=%BYTES_RECEIVED%")
        last = last or network_filter("tcp_proxy", stat_prefix="t", cluster="c")
        one = listener(*filters, last, access_log=[log])
        made.append(Engine(bootstrap([one], [cluster(address(server.port))], **settings)).start())
        return made[-1]
    yield make
    for engine in made:
        engine.close()
        assert engine.errors == [] and engine.stalls == []
        for gauge in engine.stats.gauges.values():
            if gauge.name.startswith("connection_limit."):
                assert gauge.value == 0, gauge.name


def limit(most: int, prefix: str = "x", **fields: Any) -> Any:
    return network_filter("connection_limit", stat_prefix=prefix, max_connections=most, **fields)


def active(engine: Engine, prefix: str = "x") -> int:
    return engine.value(f"connection_limit.{prefix}.active_connections")


def test_the_one_too_many_is_closed_without_a_word_and_no_upstream_is_dialled(serve: Serve, server: Server) -> None:
    engine = serve(limit(1))
    first = engine.client()
    engine.accepted(server)
    second = engine.client()
    engine.until(lambda: second.over)
    assert not second.got and engine.lines == [REFUSED]
    assert engine.value("connection_limit.x.limited_connections") == 1
    assert active(engine) == 1 and engine.value("cluster.c.upstream_cx_total") == 1
    first.reset()
    engine.until(lambda: not active(engine))
    engine.client()
    engine.accepted(server)
    assert active(engine) == 1


def test_a_delayed_refusal_parks_the_client_and_keeps_its_place_until_then(serve: Serve, server: Server) -> None:
    engine = serve(limit(1, delay="2s"))
    first = engine.client()
    engine.accepted(server)
    parked = engine.client()
    parked.send(b"early")
    engine.until(lambda: active(engine) == 2)
    first.reset()
    engine.until(lambda: active(engine) == 1)
    third = engine.client()  # the parked one still has the only place
    engine.until(lambda: active(engine) == 2)
    assert engine.value("connection_limit.x.limited_connections") == 2
    assert engine.value("cluster.c.upstream_cx_total") == 1
    engine.advance(1.9)
    assert not parked.over
    engine.advance(0.1)
    engine.until(lambda: parked.over and third.over)
    assert not parked.got and active(engine) == 0
    assert [line.split(" rx=")[0] for line in engine.lines[1:]] == ["NotSet - over_connection_limit"] * 2


@pytest.mark.parametrize("leave", ["finish", "reset"])
@pytest.mark.parametrize("says", [b"", b"something"])
def test_a_parked_client_that_leaves_gives_its_place_back(serve: Serve, leave: str, says: bytes) -> None:
    engine = serve(limit(1, delay="60s"), last=network_filter("echo"))
    engine.client()
    engine.until(lambda: active(engine) == 1)
    parked = engine.client()
    engine.until(lambda: active(engine) == 2)
    parked.send(says)
    getattr(parked, leave)()
    engine.until(lambda: active(engine) == 1)


def test_switched_off_it_counts_nobody_and_takes_nobody_off(serve: Serve) -> None:
    """In Envoy every connection that comes while it is off takes one off the count, which ends below zero."""
    flag = {"default_value": False}
    engine = serve(limit(1, runtime_enabled=flag), last=network_filter("echo"))
    clients = [engine.client() for _ in range(3)]
    for client in clients:
        client.send(b"hi")
        engine.until(lambda: bytes(client.got) == b"hi")
    assert active(engine) == 0
    for client in clients:
        client.close()
    engine.until(lambda: not engine.live)
    assert active(engine) == 0 and engine.value("connection_limit.x.limited_connections") == 0


def test_a_connection_that_an_earlier_filter_refused_does_not_count(serve: Serve) -> None:
    """In Envoy each of them takes one off: after the count has wrapped around everybody is refused, for good."""
    bucket = {"max_tokens": 2, "fill_interval": "3600s"}
    earlier = network_filter("local_ratelimit", stat_prefix="r", token_bucket=bucket)
    engine = serve(earlier, limit(1), last=network_filter("echo"))
    inside = engine.client()
    engine.until(lambda: active(engine) == 1)
    over = engine.client()
    engine.until(lambda: over.over)
    for _ in range(5):
        refused = engine.client()
        engine.until(lambda: refused.over)
    assert engine.value("local_rate_limit.r.rate_limited") == 5
    assert active(engine) == 1
    inside.close()
    engine.until(lambda: active(engine) == 0)
    engine.advance(3600.0)
    client = engine.client()
    client.send(b"hi")
    engine.until(lambda: bytes(client.got) == b"hi")


def test_two_limits_in_one_chain_count_each_for_itself(serve: Serve) -> None:
    engine = serve(limit(2, "outer"), limit(1, "inner"), last=network_filter("echo"))
    first = engine.client()
    engine.until(lambda: active(engine, "inner") == 1)
    for _ in range(3):
        refused = engine.client()
        engine.until(lambda: refused.over)
    assert (active(engine, "outer"), active(engine, "inner")) == (1, 1)
    first.close()
    engine.until(lambda: not engine.live)
    assert (active(engine, "outer"), active(engine, "inner")) == (0, 0)


@pytest.mark.parametrize("fields", [{}, {"max_connections": 0}, {"max_connections": 1, "delay": "-1s"}])
def test_a_wrong_limit_is_refused(serve: Serve, fields: Any) -> None:
    with pytest.raises(ConfigError):
        serve(network_filter("connection_limit", stat_prefix="x", **fields))


class PlayedConnection:
    """As much of a connection as the filter touches; `schedule` is played by the test."""

    def __init__(self, limit: Limit) -> None:
        self.id = 1
        self.connection = self
        self.open = True
        self.due: Any = None
        self.filter = ConnectionLimit(limit)
        callbacks: Any = self
        self.filter.initialize_read_filter_callbacks(callbacks)

    def schedule(self, delay: float, callback: Any, reason: str) -> None:
        self.due = callback

    def close(self, *arguments: Any, **named: Any) -> None:
        self.end(LOCAL_CLOSE)

    def end(self, event: Any) -> None:
        if self.open:
            self.open = False
            self.filter.on_event(event)


@pytest.mark.parametrize("seed", range(40))
def test_in_any_order_of_events_the_count_is_what_is_there_and_never_less_than_zero(seed: int) -> None:
    rng = random.Random(seed)
    stats, switches = StatsStore(still_reactor()), Switches()
    most, delay = rng.randint(1, 4), rng.choice((None, 0.0, 5.0))
    config = ConnectionLimitConfig("x", most, delay, RuntimeFeatureFlag(True, "on"))
    limit = Limit(config, factory_context(still_reactor(), stats, switches))
    gauge = stats.scope("connection_limit.x").gauge("active_connections")
    open_ones: List[PlayedConnection] = []
    counted: List[PlayedConnection] = []
    for _ in range(300):
        what = rng.random()
        if what < 0.4:
            one = PlayedConnection(limit)
            open_ones.append(one)
            if rng.random() < 0.8:  # else an earlier filter closes it, or stops: this one is never greeted
                switches.values["on"] = rng.random() < 0.7
                before = len(counted)
                status = one.filter.on_new_connection()
                if switches.values["on"]:
                    counted.append(one)
                    assert status is (CONTINUE if before < most else STOP_ITERATION)
                else:
                    assert status is CONTINUE
        elif open_ones:
            one = rng.choice(open_ones)
            if what < 0.5:
                one.filter.on_event(CONNECTED)
            elif what < 0.6:
                one.filter.on_data(Buffer(b"x"), rng.random() < 0.3)
            elif what < 0.7 and one.due is not None:
                one.due()
            else:
                one.end(rng.choice((LOCAL_CLOSE, REMOTE_CLOSE)))
        open_ones = [one for one in open_ones if one.open]
        counted = [one for one in counted if one.open]
        assert limit.count == gauge.value == len(counted)
    for one in open_ones:
        one.end(REMOTE_CLOSE)
        one.filter.on_event(REMOTE_CLOSE)  # a second close event would not be counted either
    assert limit.count == gauge.value == 0
