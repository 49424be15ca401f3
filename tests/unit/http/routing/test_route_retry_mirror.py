"""Retry policies and mirrors, prepared."""

from __future__ import annotations

from typing import List, Optional

import pytest

from proxy_core.config.model.route_action import RequestMirrorPolicy
from proxy_core.config.model.route_retry import RetryPolicy
from proxy_core.errors import Problem
from proxy_core.http.events import ResponseHead
from proxy_core.http.headers import Headers
from proxy_core.http.routing.mirror import PreparedMirror
from proxy_core.http.routing.retry import PreparedRetryPolicy, check_predicates
from tests.unit.http.routing.routing_kit import Around, Json, Pairs, of_routes, read, request, route_of, stream

HOST = "type.googleapis.com/envoy.extensions.retry.host"


def policy(**fields: object) -> PreparedRetryPolicy:
    return PreparedRetryPolicy(read(RetryPolicy, dict(fields)))


def response(headers: Pairs = (), status: int = 503) -> ResponseHead:
    return ResponseHead(status, headers=Headers(headers))


def test_a_policy_has_envoys_defaults() -> None:
    plain = policy()
    names = ("num_retries", "per_try_timeout", "per_try_idle_timeout", "base_interval", "max_interval",
             "host_selection_retry_max_attempts", "avoids_previous_hosts", "omits_canary_hosts", "omitted_metadata")
    assert [getattr(plain, name) for name in names] == [1, 0.0, 0.0, 0.025, 0.25, 1, False, False, []]
    assert plain.retry_on == frozenset() and plain.retriable_status_codes == frozenset()
    assert plain.retriable_request(request()) and not plain.retriable_headers(response())
    assert plain.reset_interval(response([("retry-after", "1")]), 0.0) is None


def test_everything_can_be_set() -> None:
    metadata = {"filter_metadata": {"envoy.lb": {"v": "1"}}}
    full = policy(
        retry_on="5xx, reset,junk", num_retries=0, per_try_timeout="1s", per_try_idle_timeout="2s", retriable_status_codes=[418],
        retry_back_off={"base_interval": "0.1s", "max_interval": "0.3s"}, host_selection_retry_max_attempts="3",
        retriable_headers=[{"name": "x-retry"}],
        retriable_request_headers=[{"name": ":method", "string_match": {"exact": "GET"}}],
        retry_host_predicate=[
            {"name": "a", "typed_config": {"@type": f"{HOST}.previous_hosts.v3.PreviousHostsPredicate"}},
            {"name": "b", "typed_config": {"@type": f"{HOST}.omit_canary_hosts.v3.OmitCanaryHostsPredicate"}},
            {"name": "c", "typed_config": {
                "@type": f"{HOST}.omit_host_metadata.v3.OmitHostMetadataConfig", "metadata_match": metadata}},
        ],
    )
    names = ("retry_on", "num_retries", "per_try_timeout", "per_try_idle_timeout", "base_interval", "max_interval",
             "retriable_status_codes", "host_selection_retry_max_attempts", "avoids_previous_hosts", "omits_canary_hosts",
             "omitted_metadata")
    assert [getattr(full, name) for name in names] == [
        {"5xx", "reset"}, 0, 1.0, 2.0, 0.1, 0.3, {418}, 3, True, True, [{"v": "1"}],
    ]
    assert full.retriable_headers(response([("x-retry", "")])) and not full.retriable_headers(response())
    assert full.retriable_request(request()) and not full.retriable_request(request(method="POST"))


def test_the_longest_wait_is_ten_times_the_first_and_neither_is_below_a_millisecond() -> None:
    assert policy(retry_back_off={"base_interval": "2s"}).max_interval == 20.0
    short = policy(retry_back_off={"base_interval": "0.0001s"})
    assert (short.base_interval, short.max_interval) == (0.001, 0.01)


@pytest.mark.parametrize("headers, interval", [
    ([("retry-after", "2")], 2.0), ([("x-reset", "1030")], 30.0), ([("retry-after", "x"), ("x-reset", "1030")], 30.0),
    ([("retry-after", "61")], None), ([("x-reset", "999")], None), ([("x-reset", "1000")], None), ([("retry-after", "")], None),
    ([("retry-after", "0")], 0.0), ([("retry-after", "9" * 30)], None), ([], None),
])
def test_a_response_may_say_when_to_come_again(headers: Pairs, interval: Optional[float]) -> None:
    resets = [{"name": "Retry-After"}, {"name": "x-reset", "format": "UNIX_TIMESTAMP"}]
    prepared = policy(rate_limited_retry_back_off={"reset_headers": resets, "max_interval": "60s"})
    assert prepared.reset_interval(response(headers), 1000.9) == interval


def test_a_predicate_must_be_one() -> None:
    typed = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True}
    config = read(RetryPolicy, {"retry_host_predicate": [{"name": "x", "typed_config": typed}]})
    found = check_predicates(config, "p")
    text = "p.retry_host_predicate[0].typed_config: 'envoy.config.route.v3.FilterConfig' is no condition on the host of a retry"
    assert [str(one) for one in found] == [text]


def mirror(**fields: object) -> PreparedMirror:
    problems: List[Problem] = []
    context = Around()
    prepared = PreparedMirror(read(RequestMirrorPolicy, dict(fields)), context.formats, context.runtime, "m", problems)
    assert problems == []
    return prepared


@pytest.mark.parametrize("fields, host, changed", [
    ({}, "h.test", "h.test-shadow"), ({}, "h.test:80", "h.test-shadow:80"), ({}, "[::1]:80", "[::1]-shadow:80"),
    ({"disable_shadow_host_suffix_append": True}, "h.test", "h.test"), ({"host_rewrite_literal": "m.test"}, "h.test", "m.test"),
])
def test_a_mirror_has_a_host_of_its_own(fields: Json, host: str, changed: str) -> None:
    head = request(host=host)
    mirror(cluster="c", **fields).change_head(head, stream(head))
    assert head.authority == changed


def test_a_mirror_may_change_headers_and_take_a_share() -> None:
    fraction = {"default_value": {"numerator": 50}}
    adds = [{"append": {"header": {"key": "x-mirror", "value": "1"}}}, {"remove": "x-secret"}]
    found = mirror(cluster_header="X-C", runtime_fraction=fraction, request_headers_mutations=adds)
    head = request(headers=[("x-c", "named"), ("x-secret", "s")])
    assert (found.cluster(head), found.cluster(request())) == ("named", "")
    assert [found.is_on(number) for number in (0, 49, 50, 150)] == [True, True, False, False]
    found.change_head(head, stream(head))
    assert head.headers.get("x-mirror") == "1" and "x-secret" not in head.headers
    assert mirror(cluster="c").is_on(99)


def test_mirrors_of_the_route_take_the_place_of_those_above() -> None:
    def clusters(route: Json, host: Json, above: Json) -> List[str]:
        def policies(one: Json) -> Json:
            return {"request_mirror_policies": [one]} if one else {}
        routes = of_routes({"match": {"prefix": "/"}, "route": {"cluster": "c", **policies(route)}},
                           table_fields=policies(above), **policies(host))
        found = route_of(routes, request())
        assert found is not None and found.action is not None
        return [one.cluster(request()) for one in found.action.mirror_policies]
    a, b, c = {"cluster": "a"}, {"cluster": "b"}, {"cluster": "c"}
    assert [clusters(a, b, c), clusters({}, b, c), clusters({}, {}, c), clusters({}, {}, {})] == [["a"], ["b"], ["c"], []]
