"""local_ratelimit, from its configuration to what a client and an operator see."""

from __future__ import annotations

import gc
from typing import Any, Callable, Iterator, List

import pytest

from proxy_core.errors import ConfigError
from proxy_core.extensions.network.local_ratelimit import SharedBuckets
from proxy_core.config.model.token_bucket import TokenBucket
from proxy_core.testing.clock import SimulatedClock
from tests.support.engine import Engine, access_log, bootstrap, listener, network_filter

Serve = Callable[..., Engine]


@pytest.fixture
def serve() -> Iterator[Serve]:
    made: List[Engine] = []

    def make(*chains: Any, **settings: Any) -> Engine:
        log = access_log("%RESPONSE_FLAGS% %DOWNSTREAM_LOCAL_CLOSE_REASON% rx=%BYTES_RECEIVED%")
        listeners = [
            listener(*chain, network_filter("echo"), name=f"l{index}", access_log=[log])
            for index, chain in enumerate(chains)
        ]
        made.append(Engine(bootstrap(listeners, **settings)).start())
        return made[-1]
    yield make
    for engine in made:
        engine.close()
        assert engine.errors == []


def limit(tokens: int, prefix: str = "x", interval: str = "60s", per_fill: Any = 1, **fields: Any) -> Any:
    bucket = {"max_tokens": tokens, "fill_interval": interval}
    if per_fill is not None:
        bucket["tokens_per_fill"] = per_fill
    return network_filter("local_ratelimit", stat_prefix=prefix, token_bucket=bucket, **fields)


def comes_in(engine: Engine, name: str = "l0") -> bool:
    """Whether a new client is served."""
    client = engine.client(name)
    client.send(b"hi")
    engine.until(lambda: client.over or bytes(client.got) == b"hi")
    return bool(client.got)


def test_each_connection_takes_a_token_and_a_refill_lets_the_next_one_in(serve: Serve) -> None:
    engine = serve([limit(2, interval="10s")])
    assert [comes_in(engine) for _ in range(3)] == [True, True, False]
    assert engine.value("local_rate_limit.x.rate_limited") == 1
    assert engine.lines == ["NotSet URX local_ratelimit_close_over_limit rx=0"]
    engine.advance(9.9)
    assert not comes_in(engine)
    engine.advance(0.1)
    assert [comes_in(engine), comes_in(engine)] == [True, False]


def test_a_refused_client_sees_nothing_and_the_filters_behind_see_nothing_of_it(serve: Serve) -> None:
    engine = serve([limit(0), limit(5, "behind")])
    client = engine.client("l0")
    engine.until(lambda: client.over)
    assert not client.got
    assert engine.value("local_rate_limit.behind.rate_limited") == 0
    assert not engine.live


def test_filters_of_one_share_key_and_equal_buckets_share_tokens(serve: Serve) -> None:
    same = {"share_key": "k"}
    engine = serve([limit(2, "a", **same)], [limit(2, "b", **same)], [limit(2, "c", share_key="other")], [limit(2, "d")])
    assert [comes_in(engine, "l0"), comes_in(engine, "l1"), comes_in(engine, "l1")] == [True, True, False]
    assert [comes_in(engine, name) for name in ("l2", "l3")] == [True, True]
    assert engine.value("local_rate_limit.a.rate_limited") == 0
    assert engine.value("local_rate_limit.b.rate_limited") == 1


@pytest.mark.parametrize("other", [{"tokens": 2}, {"interval": "61s"}, {"per_fill": 2}, {"per_fill": None}])
def test_a_share_key_with_another_bucket_is_another_bucket(serve: Serve, other: Any) -> None:
    engine = serve([limit(1, "a", share_key="k")], [limit(other.pop("tokens", 1), "b", share_key="k", **other)])
    assert [comes_in(engine, "l0"), comes_in(engine, "l1")] == [True, True]


def test_a_shared_bucket_nobody_uses_is_forgotten() -> None:
    shared = SharedBuckets()
    config = TokenBucket(max_tokens=1, fill_interval=60.0)
    clock = SimulatedClock()
    bucket = shared.get("k", config, clock)
    assert shared.get("k", config, clock) is bucket and bucket.take()
    del bucket
    gc.collect()
    assert shared.get("k", config, clock).take()


def test_the_runtime_switches_it_off_and_on(serve: Serve) -> None:
    flag = {"default_value": True, "runtime_key": "limit.on"}
    engine = serve([limit(0, runtime_enabled=flag)], runtime={"limit": {"on": False}})
    assert comes_in(engine)
    engine = serve([limit(0, runtime_enabled=flag)])
    assert not comes_in(engine)
    engine = serve([limit(0, runtime_enabled={**flag, "default_value": False})])
    assert comes_in(engine)


@pytest.mark.parametrize("bucket, path, text", [
    ({"max_tokens": 1, "fill_interval": "0.049s"}, "token_bucket.fill_interval", "must be >= 50ms"),
    ({"max_tokens": 1, "fill_interval": "0s"}, "token_bucket.fill_interval", "more than 0s"),
    ({"max_tokens": 1}, "token_bucket.fill_interval", "required"),
    ({"max_tokens": 1, "tokens_per_fill": 0, "fill_interval": "1s"}, "token_bucket.tokens_per_fill", "from 1 to"),
    (None, "token_bucket", "required"),
])
def test_a_wrong_bucket_is_refused_with_its_path(serve: Serve, bucket: Any, path: str, text: str) -> None:
    fields = {} if bucket is None else {"token_bucket": bucket}
    with pytest.raises(ConfigError) as caught:
        serve([network_filter("local_ratelimit", stat_prefix="x", **fields)])
    problem, = caught.value.problems
    assert problem.path.endswith(f"filters[0].typed_config.{path}") and text in problem.message
