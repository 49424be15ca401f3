"""The listener filter local_ratelimit: sockets without a token are closed before they are connections."""

from __future__ import annotations

from typing import Any, Callable, Iterator, List

import pytest

from proxy_core.errors import ConfigError
from tests.support.engine import TYPE, Engine, Json, access_log, bootstrap, listener, network_filter

Serve = Callable[..., Engine]


@pytest.fixture
def serve() -> Iterator[Serve]:
    made: List[Engine] = []

    def make(*filters: Json, **settings: Any) -> Engine:
        log = access_log("%RESPONSE_FLAGS% %CONNECTION_TERMINATION_DETAILS% %BYTES_RECEIVED%")
        one = listener(network_filter("echo"), listener_filters=list(filters), access_log=[log])
        made.append(Engine(bootstrap([one], **settings)).start())
        return made[-1]
    yield make
    for engine in made:
        engine.close()
        assert engine.errors == []


def limit(tokens: int, prefix: str = "x", interval: str = "10s", **fields: Any) -> Json:
    config = {"stat_prefix": prefix, "token_bucket": {"max_tokens": tokens, "fill_interval": interval}, **fields}
    return {"name": "limit", "typed_config": {"@type": f"{TYPE}filters.listener.local_ratelimit.v3.LocalRateLimit", **config}}


def comes_in(engine: Engine) -> bool:
    client = engine.client()
    client.send(b"hi")
    engine.until(lambda: client.over or bytes(client.got) == b"hi")
    return bool(client.got)


def test_a_socket_without_a_token_is_closed_before_it_is_a_connection(serve: Serve) -> None:
    engine = serve(limit(2))
    assert [comes_in(engine) for _ in range(3)] == [True, True, False]
    assert engine.value("listener_local_ratelimit.x.rate_limited") == 1
    assert len(engine.live) == 2 and engine.lines == ["NotSet - - 0"]
    engine.advance(10.0)
    assert [comes_in(engine), comes_in(engine)] == [True, False]


def test_listeners_with_equal_buckets_have_one_each(serve: Serve) -> None:
    config = bootstrap([
        listener(network_filter("echo"), name=name, listener_filters=[limit(1)]) for name in ("main", "other")
    ])
    engine = Engine(config).start()
    for name in ("main", "other"):
        client = engine.client(name)
        client.send(b"hi")
        engine.until(lambda: bytes(client.got) == b"hi")
    engine.close()


@pytest.mark.parametrize("default, runtime, served", [(True, {}, False), (False, {}, True), (True, {"on": False}, True)])
def test_the_runtime_switches_it(serve: Serve, default: bool, runtime: Json, served: bool) -> None:
    engine = serve(limit(0, runtime_enabled={"default_value": default, "runtime_key": "on"}), runtime=runtime)
    assert comes_in(engine) is served


def test_a_wrong_bucket_is_refused_with_its_path(serve: Serve) -> None:
    with pytest.raises(ConfigError) as caught:
        serve(limit(1, interval="0.01s"))
    problem, = caught.value.problems
    assert problem.path.endswith("listener_filters[0].typed_config.token_bucket.fill_interval")
    assert problem.message == "local rate limit token bucket fill timer must be >= 50ms"
