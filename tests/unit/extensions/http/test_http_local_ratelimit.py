"""local_ratelimit of HTTP: buckets, descriptors, what limited requests and others are told. Measured on Envoy 1.40."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

import pytest

from proxy_core.errors import ConfigError
from proxy_core.testing.http import HttpHarness, Response

TYPE = "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
ALWAYS, NEVER = {"default_value": {"numerator": 100}}, {"default_value": {"numerator": 0}}
BY_HEADER = {"actions": [{"request_headers": {"header_name": "x-k", "descriptor_key": "k"}}]}
Json = Dict[str, Any]


def bucket(tokens: int, interval: str = "1000s", per_fill: int = 1) -> Json:
    return {"max_tokens": tokens, "tokens_per_fill": per_fill, "fill_interval": interval}


def config(tokens: int, **fields: Any) -> Json:
    return {
        "@type": TYPE, "stat_prefix": "lr", "token_bucket": bucket(tokens), "filter_enabled": ALWAYS, "filter_enforced": ALWAYS,
        **fields,
    }


def limit(tokens: int = 2, **fields: Any) -> Json:
    return {"name": "lr", "typed_config": config(tokens, **fields)}


def descriptor(*entries: Tuple[str, str], tokens: int = 1, **fields: Any) -> Json:
    return {"entries": [{"key": key, "value": value} for key, value in entries], "token_bucket": bucket(tokens), **fields}


def routed(prefix: str = "/", own: Json = {}, limits: Sequence[Json] = (BY_HEADER,), **action: Any) -> Json:
    return {
        "match": {"prefix": prefix}, "route": {"cluster": "upstream", "rate_limits": list(limits), **action},
        "typed_per_filter_config": {"lr": own} if own else {},
    }


def statuses(harness: HttpHarness, keys: str, header: str = "x-k") -> List[int]:
    """Of one request for each letter, which is the value of the header."""
    return [harness.request(headers=[(header, key)]).status for key in keys]


def told(response: Response) -> List[str]:
    return [str(response.headers.get(f"x-ratelimit-{name}")) for name in ("limit", "remaining", "reset")]


def stats(harness: HttpHarness, prefix: str = "lr") -> List[int]:
    return [harness.stat(f"{prefix}.http_local_rate_limit.{name}") for name in ("enabled", "ok", "rate_limited", "enforced")]


def test_when_the_bucket_is_empty_requests_are_answered_until_it_fills() -> None:
    added = [{"header": {"key": "x-l", "value": "%REQ(:path)%"}}]
    with HttpHarness([limit(2, token_bucket=bucket(2, "10s"), response_headers_to_add=added)]) as harness:
        assert [harness.request().status for _ in range(3)] == [200, 200, 429]
        response = harness.response
        assert response is not None and response.body == b"local_rate_limited"
        assert list(response.headers.items())[:2] == [("x-l", "/"), ("content-length", "18")]
        assert harness.details == "local_rate_limited" and harness.finished[-1].response_flags == ("RL",)
        harness.advance(9.9)
        assert harness.request().status == 429
        harness.advance(0.1)
        assert [harness.request().status for _ in range(2)] == [200, 429]
        assert stats(harness) == [6, 3, 3, 3]


def test_without_its_shares_it_does_nothing_and_unenforced_it_only_marks() -> None:
    plain = {"name": "lr", "typed_config": {"@type": TYPE, "stat_prefix": "lr", "token_bucket": bucket(0)}}
    with HttpHarness([plain]) as harness:
        assert harness.request().status == 200 and stats(harness) == [0, 0, 0, 0]
    marks = [{"header": {"key": "x-over", "value": "yes"}}]
    with HttpHarness([limit(1, filter_enforced=NEVER, request_headers_to_add_when_not_enforced=marks)]) as harness:
        seen = []
        for _ in range(2):
            assert harness.request().status == 200 and harness.upstream.head is not None
            seen.append(harness.upstream.head.headers.get("x-over"))
        assert seen == [None, "yes"] and stats(harness) == [2, 1, 1, 0]


def test_the_shares_can_be_changed_at_run_time() -> None:
    share = {"default_value": {"numerator": 0}, "runtime_key": "lr.on"}
    with HttpHarness([limit(0, filter_enabled=share)], runtime={"lr.on": 100}) as harness:
        assert harness.request().status == 429


@pytest.mark.parametrize("status, expected", [("ServiceUnavailable", 503), (418, None), ("OK", 429), (400, 400)])
def test_the_status_of_limited_requests(status: Any, expected: Any) -> None:
    if expected is None:
        with pytest.raises(ConfigError, match="status"):
            HttpHarness([limit(0, status={"code": status})])
        return
    with HttpHarness([limit(0, status={"code": status})]) as harness:
        assert harness.request().status == expected


def test_responses_say_what_is_left() -> None:
    one = limit(token_bucket=bucket(3, "10s"), enable_x_ratelimit_headers="DRAFT_VERSION_03", enable_retry_after_header=True)
    with HttpHarness([one]) as harness:
        assert [told(harness.request()) for _ in range(4)] == [
            ["3", "2", "0"], ["3", "1", "0"], ["3", "0", "10"], ["3", "0", "10"],
        ]
        harness.advance(4.5)
        response = harness.request()
        assert told(response) == ["3", "0", "6"] and response.headers.get("retry-after") == "6"


def test_descriptors_have_buckets_of_their_own_in_front_of_the_common_one() -> None:
    one = limit(3, descriptors=[descriptor(("k", "a")), descriptor(("k", "b"), tokens=2)], enable_x_ratelimit_headers=1)
    with HttpHarness([one], routes=[routed()]) as harness:
        assert statuses(harness, "aabbbcca") == [200, 429, 200, 200, 429, 429, 429, 429]
        assert told(harness.request(headers=[("x-k", "b")]))[0] == "2"
        assert told(harness.request())[0] == "3"
    apart = limit(2, descriptors=[descriptor(("k", "a"), tokens=5)], always_consume_default_token_bucket=False)
    with HttpHarness([apart], routes=[routed()]) as harness:
        assert statuses(harness, "aaaaaabbb") == [200] * 5 + [429] + [200, 200, 429]


def test_of_several_buckets_the_slowest_is_asked_first_and_told() -> None:
    slow = descriptor(("k", "a"), tokens=5)
    fast = {**descriptor(("j", "a")), "token_bucket": bucket(2, "500s")}
    other = {"actions": [{"request_headers": {"header_name": "x-k", "descriptor_key": "j"}}]}
    one = limit(100, descriptors=[fast, slow], enable_x_ratelimit_headers=1)
    with HttpHarness([one], routes=[routed(limits=[other, BY_HEADER])]) as harness:
        seen = [told(harness.request(headers=[("x-k", "a")]))[:2] for _ in range(3)]
        assert seen == [["5", "4"], ["5", "3"], ["2", "0"]]


def test_an_open_value_has_a_bucket_for_each_that_comes_and_the_oldest_goes() -> None:
    patterns = [descriptor(("k", "")), descriptor(("k", "z"), tokens=2)]
    with HttpHarness([limit(100, descriptors=patterns)], routes=[routed()]) as harness:
        assert statuses(harness, "aabbabzzz") == [200, 429, 200, 429, 429, 429, 200, 200, 429]
    few = limit(100, descriptors=[descriptor(("k", ""))], max_dynamic_descriptors=2)
    with HttpHarness([few], routes=[routed()]) as harness:
        assert statuses(harness, "aabacba") == [200, 429, 200, 429, 200, 200, 200]


def test_a_shadowed_descriptor_only_counts() -> None:
    one = limit(100, descriptors=[descriptor(("k", "a"), shadow_mode=True)])
    with HttpHarness([one], routes=[routed()]) as harness:
        assert statuses(harness, "aaa") == [200, 200, 200]
        assert stats(harness) == [3, 1, 2, 0] and harness.stat("lr.http_local_rate_limit.shadow_mode") == 2


def test_only_rate_limits_of_its_stage_that_cannot_be_switched_off_count() -> None:
    one = limit(100, stage=1, descriptors=[descriptor(("k", "a"))])
    routes = [
        routed("/one", limits=[{**BY_HEADER, "stage": 1}]), routed("/off", limits=[{**BY_HEADER, "stage": 1, "disable_key": "x"}]),
        routed("/"),
    ]
    with HttpHarness([one], routes=routes) as harness:
        seen = [harness.request(path=path, headers=[("x-k", "a")]).status for path in ("/", "/", "/off", "/off", "/one", "/one")]
        assert seen == [200, 200, 200, 200, 200, 429]


def test_the_filters_own_rate_limits_count_instead_of_those_of_routes() -> None:
    fixed = {"actions": [{"generic_key": {"descriptor_value": "x"}}]}
    one = limit(100, rate_limits=[BY_HEADER], descriptors=[descriptor(("k", "a")), descriptor(("generic_key", "x"))])
    with HttpHarness([one], routes=[routed(limits=[fixed])]) as harness:
        assert statuses(harness, "aabb") == [200, 429, 200, 200]


@pytest.mark.parametrize("option, include, with_own, without_own", [
    ("OVERRIDE", False, [200, 200], [200, 429]), ("INCLUDE", False, [200, 429], [200, 429]),
    ("IGNORE", False, [200, 200], [200, 200]), ("IGNORE", True, [200, 429], [200, 200]),
    ("OVERRIDE", True, [200, 429], [200, 429]),
])
def test_when_the_virtual_hosts_rate_limits_count(option: str, include: bool, with_own: List[int], without_own: List[int]) -> None:
    of_host = {"actions": [{"request_headers": {"header_name": "x-v", "descriptor_key": "v"}}]}
    own = {"vh_rate_limits": option, "descriptors": [descriptor(("v", "a"))]}
    table = {"route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "rate_limits": [of_host], "routes": [
        routed("/own", config(100, **own), include_vh_rate_limits=include), routed("/", config(100, **own), limits=[]),
    ]}]}}
    with HttpHarness([limit(100)], manager=table) as harness:
        for path, expected in (("/own", with_own), ("/", without_own)):
            assert [harness.request(path=path, headers=[("x-v", "a")]).status for _ in range(2)] == expected


def test_a_connection_has_one_set_of_buckets_of_the_first_that_asked() -> None:
    own = config(3, stat_prefix="own", local_rate_limit_per_downstream_connection=True)
    one = limit(1, local_rate_limit_per_downstream_connection=True)
    for paths, expected in ((("/", "/", "/r"), [200, 429, 429]), (("/r", "/r", "/", "/"), [200, 200, 200, 429])):
        with HttpHarness([one], routes=[routed("/r", own), routed("/")]) as harness:
            assert [harness.request(path=path).status for path in paths] == expected


def test_a_route_has_buckets_and_stats_of_its_own() -> None:
    with HttpHarness([limit(1)], routes=[routed("/r", config(1, stat_prefix="own")), routed("/")]) as harness:
        assert [harness.request(path=path).status for path in ("/", "/r", "/", "/r")] == [200, 200, 429, 429]
        assert stats(harness) == stats(harness, "own") == [2, 1, 1, 1]


def test_without_a_bucket_nothing_is_limited_but_a_route_needs_one() -> None:
    none = {"@type": TYPE, "stat_prefix": "lr", "filter_enabled": ALWAYS, "filter_enforced": ALWAYS}
    with HttpHarness([{"name": "lr", "typed_config": none}]) as harness:
        assert harness.request().status == 200 and stats(harness) == [1, 1, 0, 0]
    with pytest.raises(ConfigError, match="token bucket must be set for per filter configs"):
        HttpHarness([limit(1)], routes=[routed("/", none)])


@pytest.mark.parametrize("fields, words", [
    ({"token_bucket": bucket(1, "0.01s")}, "fill timer must be >= 50ms"),
    ({"descriptors": [descriptor(("k", "a")), descriptor(("k", "a"))]}, "duplicate descriptor in the local rate descriptor: k=a"),
    ({"local_cluster_rate_limit": {}}, "local_cluster_rate_limit"),
    ({"rate_limited_as_resource_exhausted": True}, "rate_limited_as_resource_exhausted"),
    ({"stage": 11}, "stage"),
    ({"request_headers_to_add_when_not_enforced": [{"header": {"key": ":path", "value": "x"}}]},
     "request_headers_to_add_when_not_enforced[0]"),
    ({"response_headers_to_add": [{"header": {"key": "a", "value": "%NOPE%"}}]}, "response_headers_to_add[0]"),
])
def test_what_cannot_be_done_is_refused(fields: Json, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        HttpHarness([limit(1, **fields)])
    assert words in str(caught.value)
