"""Whether a request is sent again: every word of `retry_on`, the headers of internal requests, limits, delays. Tables as measured
on Envoy 1.40."""

from __future__ import annotations

import random
from typing import Any, Dict, List, Optional

import pytest

from proxy_core.config.context import Context
from proxy_core.config.decode import decode_message
from proxy_core.config.model.cluster import Thresholds
from proxy_core.config.model.route_retry import RETRY_TYPES, RetryPolicy
from proxy_core.config.registry import TypeRegistry
from proxy_core.extensions.http.router.retry import NO, OVER_BREAKER, OVER_LIMIT, YES, RetryState, retry_state_of
from proxy_core.http.events import RequestHead, ResponseHead
from proxy_core.http.headers import Headers
from proxy_core.http.routing.retry import PreparedRetryPolicy
from proxy_core.network.address import Address
from proxy_core.observe.stat_names import BreakerStats
from proxy_core.observe.stats import StatsStore
from proxy_core.upstream.breaker import CircuitBreakers
from proxy_core.upstream.host import Host
from proxy_core.upstream.http_pool.api import (
    CONNECTION_TERMINATION, CONNECTION_TIMEOUT, LOCAL_RESET, OVERFLOW, PROTOCOL_ERROR, REMOTE_CONNECTION_FAILURE, ResetReason,
)
from proxy_core.upstream.http_pool.stats import HttpClusterStats

PREVIOUS = "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
CANARY = "type.googleapis.com/envoy.extensions.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate"


class Fixture:
    """A cluster's breakers and stats, and one request."""

    def __init__(self, policy: Optional[Dict[str, Any]] = None, headers: Dict[str, str] = {}, max_retries: int = 3) -> None:
        store = StatsStore(lambda: 0.0)
        self.breakers = CircuitBreakers(BreakerStats(store.scope("b")), Thresholds(max_retries=max_retries))
        self.stats = HttpClusterStats(store.scope("cluster.c"))
        self.head = RequestHead("GET", "/", headers=Headers(headers.items()), authority="a")
        prepared = None
        if policy is not None:
            context = Context(TypeRegistry(RETRY_TYPES))
            prepared = PreparedRetryPolicy(decode_message(RetryPolicy, policy, "", context))
            assert not context.problems
        self.found = retry_state_of(
            self.head, prepared, self.breakers, self.stats, (), random.Random(7), lambda: 1_000_000.0
        )

    @property
    def state(self) -> RetryState:
        assert self.found is not None
        return self.found


def response(status: int, **headers: str) -> ResponseHead:
    return ResponseHead(status, headers=Headers((name.replace("_", "-"), value) for name, value in headers.items()))


@pytest.mark.parametrize("word, statuses", [
    ("5xx", [500, 501, 502, 503, 504, 599]), ("gateway-error", [502, 503, 504]), ("retriable-4xx", [409]),
    ("connect-failure", []),
    ("reset", []), ("refused-stream", []), ("retriable-status-codes", [418]), ("envoy-ratelimited", []), ("nonsense,", []),
])
def test_which_responses_are_retried(word: str, statuses: List[int]) -> None:
    for status in (100, 200, 304, 400, 404, 409, 418, 429, 500, 501, 502, 503, 504, 599, 600):
        fixture = Fixture({"retry_on": word, "retriable_status_codes": [418]})
        if fixture.found is not None:
            assert (fixture.state.after_response(response(status)) is YES) is (status in statuses), status
        else:
            assert not statuses


@pytest.mark.parametrize("word, reasons", [
    ("5xx", [CONNECTION_TERMINATION, CONNECTION_TIMEOUT, LOCAL_RESET, PROTOCOL_ERROR, REMOTE_CONNECTION_FAILURE]),
    ("reset", [CONNECTION_TERMINATION, CONNECTION_TIMEOUT, LOCAL_RESET, PROTOCOL_ERROR, REMOTE_CONNECTION_FAILURE]),
    ("gateway-error", [CONNECTION_TERMINATION, CONNECTION_TIMEOUT, LOCAL_RESET, PROTOCOL_ERROR, REMOTE_CONNECTION_FAILURE]),
    ("connect-failure", [CONNECTION_TIMEOUT, REMOTE_CONNECTION_FAILURE]), ("reset-before-request", []), ("retriable-4xx", []),
])
def test_which_resets_are_retried(word: str, reasons: List[ResetReason]) -> None:
    for reason in ResetReason:
        if reason is not ResetReason.LOCAL_CONNECTION_FAILURE:
            assert (Fixture({"retry_on": word}).state.after_reset(reason, was_sent=True) is YES) is (reason in reasons), reason


def test_reset_before_request_is_about_what_the_host_got() -> None:
    assert Fixture({"retry_on": "reset-before-request"}).state.after_reset(CONNECTION_TERMINATION, was_sent=False) is YES
    assert Fixture({"retry_on": "reset-before-request"}).state.after_reset(CONNECTION_TERMINATION, was_sent=True) is NO


def test_an_overflow_is_never_retried() -> None:
    assert Fixture({"retry_on": "5xx,reset,connect-failure"}).state.after_reset(OVERFLOW, was_sent=False) is NO


def test_a_rate_limited_response_is_retried_only_where_that_is_asked_for() -> None:
    limited = response(503, x_envoy_ratelimited="true")
    assert Fixture({"retry_on": "5xx"}).state.after_response(limited) is NO
    assert Fixture({"retry_on": "envoy-ratelimited"}).state.after_response(limited) is YES


def test_the_limit_of_retries_and_what_is_counted() -> None:
    fixture = Fixture({"retry_on": "5xx", "num_retries": 2})
    verdicts = [fixture.state.after_response(response(503)) for _ in range(3)]
    assert verdicts == [YES, YES, OVER_LIMIT]
    assert fixture.stats.upstream_rq_retry.value == 2 and fixture.stats.upstream_rq_retry_limit_exceeded.value == 1
    assert fixture.breakers.retries.used == 0


def test_a_retry_that_is_answered_well_is_a_success_and_gives_its_place_back() -> None:
    fixture = Fixture({"retry_on": "5xx"})
    assert fixture.state.after_response(response(503)) is YES
    assert fixture.breakers.retries.used == 1
    assert fixture.state.after_response(response(200)) is NO
    assert fixture.breakers.retries.used == 0 and fixture.stats.upstream_rq_retry_success.value == 1


def test_the_breaker_of_retries() -> None:
    fixture = Fixture({"retry_on": "5xx"}, max_retries=0)
    assert fixture.state.after_response(response(503)) is OVER_BREAKER
    assert fixture.stats.upstream_rq_retry_overflow.value == 1 and fixture.stats.upstream_rq_retry.value == 0


def test_a_request_that_ends_while_it_is_retried_gives_the_place_back_once() -> None:
    fixture = Fixture({"retry_on": "5xx"})
    fixture.state.after_response(response(503))
    fixture.state.finish()
    fixture.state.finish()
    assert fixture.breakers.retries.used == 0


def test_delays_are_below_a_ceiling_that_doubles_up_to_a_maximum() -> None:
    policy = {"retry_on": "5xx", "num_retries": 1000, "retry_back_off": {"base_interval": "0.1s", "max_interval": "0.3s"}}
    seen: List[List[float]] = [[], [], [], []]
    for _ in range(50):
        state = Fixture(policy).state
        state._random = random.Random(len(seen[0]))
        for delays in seen:
            assert state.after_response(response(503)) is YES
            delays.append(state.delay)
    for delays, ceiling in zip(seen, (0.1, 0.2, 0.3, 0.3)):
        assert 0 <= min(delays) < 0.3 * ceiling and 0.7 * ceiling < max(delays) < ceiling


def test_the_upstream_may_say_when_to_come_again() -> None:
    policy = {"retry_on": "5xx", "rate_limited_retry_back_off": {"reset_headers": [{"name": "Retry-After", "format": "SECONDS"}]}}
    fixture = Fixture(policy)
    assert fixture.state.after_response(response(503, retry_after="2")) is YES
    assert 2 <= fixture.state.delay < 3
    assert fixture.stats.upstream_rq_retry_backoff_ratelimited.value == 1
    assert fixture.stats.upstream_rq_retry_backoff_exponential.value == 0


INTERNAL = {"x-envoy-internal": "true"}


@pytest.mark.parametrize("headers, status, verdict", [
    ({"x-envoy-retry-on": "5xx"}, 503, YES),
    ({"x-envoy-retry-on": "5xx", "x-envoy-max-retries": "0"}, 503, OVER_LIMIT),
    ({"x-envoy-retry-on": "5xx", "x-envoy-max-retries": "x"}, 503, YES),
    ({"x-envoy-retry-on": "retriable-status-codes", "x-envoy-retriable-status-codes": "404, 418"}, 418, YES),
    ({"x-envoy-retry-on": "retriable-headers", "x-envoy-retriable-header-names": "X-A,x-b"}, 200, YES),
    ({"x-envoy-retry-on": "retriable-headers"}, 200, NO),
])
def test_internal_requests_may_ask_for_retries_in_headers_that_are_taken_out(
    headers: Dict[str, str], status: int, verdict: object
) -> None:
    fixture = Fixture(None, {**headers, **INTERNAL, "x-other": "1"})
    assert fixture.state.after_response(response(status, x_b="1")) is verdict
    assert list(fixture.head.headers.items()) == [("x-envoy-internal", "true"), ("x-other", "1")]


def test_no_policy_and_no_header_mean_no_state() -> None:
    assert Fixture(None).found is None
    assert Fixture({"retry_on": ""}).found is None
    policy = {"retry_on": "5xx", "retriable_request_headers": [{"name": "x-idempotent", "present_match": True}]}
    assert Fixture(policy).found is None
    assert Fixture(policy, {"x-idempotent": "1"}).found is not None


def host(**labels: Any) -> Host:
    made = Host(Address.from_ip("127.0.0.1", 1))
    made.metadata = {"envoy.lb": labels}
    return made


def test_hosts_that_a_retry_should_rather_not_get() -> None:
    def predicates(*types: str) -> Dict[str, Any]:
        return {"retry_on": "5xx", "retry_host_predicate": [{"name": "p", "typed_config": {"@type": one}} for one in types]}
    assert Fixture({"retry_on": "5xx"}).state.rejects is None
    tried, fresh, canary = host(), host(), host(canary=True)
    state = Fixture({**predicates(PREVIOUS, CANARY), "host_selection_retry_max_attempts": 4}).state
    state.note_tried(tried)
    assert state.rejects is not None and state.most_picks == 5
    assert [state.rejects(one) for one in (tried, fresh, canary)] == [True, False, True]


def test_hosts_with_some_metadata_can_be_left_out() -> None:
    omit = {
        "@type": "type.googleapis.com/envoy.extensions.retry.host.omit_host_metadata.v3.OmitHostMetadataConfig",
        "metadata_match": {"filter_metadata": {"envoy.lb": {"stage": "x"}}},
    }
    state = Fixture({"retry_on": "5xx", "retry_host_predicate": [{"name": "p", "typed_config": omit}]}).state
    assert state.rejects is not None
    assert [state.rejects(one) for one in (host(stage="x", more=1), host(stage="y"), host())] == [True, False, False]
