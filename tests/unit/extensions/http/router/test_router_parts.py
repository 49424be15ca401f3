"""The router's small parts: timeouts from routes and headers, header checks, redirect targets, counting by code, timers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Dict, Optional, Tuple

import pytest

from proxy_core.event.reactor import Reactor
from proxy_core.extensions.http.router.charging import Charges
from proxy_core.extensions.http.router.redirect import target_of
from proxy_core.extensions.http.router.replies import reset_body, reset_details
from proxy_core.extensions.http.router.strict import invalid_header
from proxy_core.extensions.http.router.timeouts import Timeouts, timeouts_of, write_expected
from proxy_core.extensions.http.router.timing import RouteTimer
from proxy_core.http.events import RequestHead, ResponseHead
from proxy_core.http.headers import Headers
from proxy_core.network.address import Address
from proxy_core.observe.stats import StatsStore
from proxy_core.testing.clock import SimulatedClock
from proxy_core.upstream.host import Host
from proxy_core.upstream.http_pool.api import CONNECTION_TERMINATION, REMOTE_CONNECTION_FAILURE
from proxy_core.upstream.http_pool.stats import ResponseStats


def head(**headers: str) -> RequestHead:
    lines = Headers((name.replace("_", "-"), value) for name, value in headers.items())
    return RequestHead("GET", "/", headers=lines, authority="a")


def action(timeout: float = 15.0, per_try: float = 0.0) -> Any:
    policy = SimpleNamespace(per_try_timeout=per_try, per_try_idle_timeout=0.0)
    return SimpleNamespace(timeout=timeout, max_stream_duration=None, retry_policy=policy if per_try else None)


@pytest.mark.parametrize("asked, configured, expected", [
    ({}, (15.0, 0.0), (15.0, 0.0)),
    ({"x_envoy_upstream_rq_timeout_ms": "250"}, (15.0, 0.0), (0.25, 0.0)),
    ({"x_envoy_upstream_rq_timeout_ms": "0"}, (15.0, 0.0), (0.0, 0.0)),
    ({"x_envoy_upstream_rq_timeout_ms": "-1"}, (15.0, 0.0), (15.0, 0.0)),
    ({"x_envoy_upstream_rq_timeout_ms": "9" * 40}, (15.0, 0.0), (15.0, 0.0)),
    ({"x_envoy_upstream_rq_per_try_timeout_ms": "100"}, (15.0, 0.0), (15.0, 0.1)),
    ({}, (1.0, 2.0), (1.0, 0.0)),  # a try that may take longer than all of them
    ({}, (0.0, 2.0), (0.0, 2.0)),
    ({"x_envoy_expected_rq_timeout_ms": "100"}, (15.0, 0.0), (15.0, 0.0)),
])
def test_timeouts(asked: Dict[str, str], configured: Tuple[float, float], expected: Tuple[float, float]) -> None:
    request = head(**asked)
    found = timeouts_of(request, action(*configured), False, 0.0)
    assert (found.overall, found.per_try) == expected
    assert all("expected" in name for name, _ in request.headers.items())


def test_a_route_with_max_stream_duration_has_no_timeout_of_this_kind() -> None:
    newer = action()
    newer.max_stream_duration = 3.0
    assert timeouts_of(head(), newer, False, 0.0).overall == 0.0


def test_the_timeout_of_a_proxy_in_front_counts_where_it_is_respected() -> None:
    request = head(x_envoy_expected_rq_timeout_ms="100", x_envoy_upstream_rq_timeout_ms="700")
    assert timeouts_of(request, action(), True, 0.0).overall == 0.1
    assert timeouts_of(head(x_envoy_upstream_rq_timeout_ms="700"), action(), True, 0.0).overall == 0.7


@pytest.mark.parametrize("timeouts, elapsed, said", [
    (Timeouts(15.0), 0.0, "15000"), (Timeouts(15.0), 0.017, "14983"), (Timeouts(0.0), 0.0, None), (Timeouts(0.0), 3.0, None),
    (Timeouts(15.0, 0.2), 0.0, "200"), (Timeouts(1.0, 0.5), 0.7, "300"), (Timeouts(1.0), 2.0, "1"),
    (Timeouts(0.0, 0.2), 0.0, "200"),
])
def test_the_upstream_is_told_how_long_its_answer_is_of_use(timeouts: Timeouts, elapsed: float, said: Optional[str]) -> None:
    headers = Headers()
    write_expected(headers, timeouts, elapsed)
    assert headers.get("x-envoy-expected-rq-timeout-ms") == said


@pytest.mark.parametrize("name, value, is_bad", [
    ("x-envoy-max-retries", "3", False), ("x-envoy-max-retries", "abc", True), ("x-envoy-max-retries", "", True),
    ("x-envoy-max-retries", None, False), ("x-envoy-upstream-rq-timeout-ms", "1.5", True),
    ("x-envoy-retry-on", "5xx,reset", False), ("x-envoy-retry-on", "5xx, foo", True),
])
def test_strict_headers(name: str, value: Optional[str], is_bad: bool) -> None:
    assert invalid_header(name, value) is is_bad


@pytest.mark.parametrize("location, target", [
    ("http://a.b/c?d=1#e", ("http", "a.b", "/c?d=1")), ("HTTPS://a:8443", ("https", "a:8443", "/")),
    ("http://a?x", ("http", "a", "/?x")), ("/relative", None), ("", None), ("ftp://a/b", None), ("http:///x", None),
    ("http://[::1", None),
])
def test_where_an_internal_redirect_goes(location: str, target: Optional[Tuple[str, str, str]]) -> None:
    assert target_of(location) == target


def counters(store: StatsStore) -> Dict[str, int]:
    return {name[len("cluster.c."):]: one.value for name, one in store.counters.items() if one.value}


def test_responses_are_counted_by_code_class_and_kind_of_request() -> None:
    store = StatsStore(lambda: 0.0)
    responses = ResponseStats(store.scope("cluster.c"))
    host = Host(Address.from_ip("127.0.0.1", 1))
    Charges(responses, (), head(), "").charge(503, host)
    Charges(responses, (), head(x_envoy_internal="true"), "").charge(
        200, host, ResponseHead(200, headers=Headers([("x-envoy-upstream-canary", "true")]))
    )
    Charges(responses, (), head(), "").charge_retried(502)
    assert host.counters.rq_error == 1
    found = counters(store)
    assert found.pop("upstream_rq_completed") == 2
    assert found == {
        **{f"{kind}upstream_rq_{what}": 1 for kind in ("", "external.") for what in ("503", "5xx")},
        **{f"{kind}upstream_rq_{what}": 1 for kind in ("", "canary.", "internal.") for what in ("200", "2xx")},
        **{f"{kind}.upstream_rq_completed": 1 for kind in ("external", "canary", "internal", "retry")},
        "retry.upstream_rq_502": 1, "retry.upstream_rq_5xx": 1,
    }


def test_zones_are_counted_where_both_are_known() -> None:
    store = StatsStore(lambda: 0.0)
    host = Host(Address.from_ip("127.0.0.1", 1))
    host.zone = "b"
    Charges(ResponseStats(store.scope("cluster.c")), (), head(), "a").charge(200, host)
    assert counters(store)["zone.a.b.upstream_rq_200"] == 1


def test_a_status_without_class_is_counted_by_its_code() -> None:
    store = StatsStore(lambda: 0.0)
    Charges(ResponseStats(store.scope("cluster.c")), (), head(), "").charge(600, None)
    assert "upstream_rq_600" in counters(store) and "upstream_rq_6xx" not in counters(store)


def test_the_words_of_a_reset() -> None:
    assert len(reset_body(REMOTE_CONNECTION_FAILURE, False)) == 98
    assert len(reset_body(CONNECTION_TERMINATION, True)) == 118
    assert reset_details(REMOTE_CONNECTION_FAILURE, "delayed connect error: Connection refused", False) == (
        "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}"
    )
    assert reset_details(CONNECTION_TERMINATION, "", True) == "upstream_reset_after_response_started{connection_termination}"


@pytest.mark.parametrize("seconds", [0.4, 15.0])
def test_a_route_timer_fires_on_time_and_a_stopped_one_never(seconds: float) -> None:
    clock = SimulatedClock()
    reactor = Reactor(clock)
    fired = []
    timer, stopped, never = (RouteTimer(reactor, lambda name=name: fired.append(name)) for name in "abc")  # type: ignore[misc]
    timer.start(seconds)
    stopped.start(seconds)
    never.start(0.0)
    clock.advance(seconds / 2)
    reactor.turn(0)
    stopped.stop()
    clock.advance(seconds / 2 - 0.01)
    reactor.turn(0)
    assert fired == []
    clock.advance(0.02)
    reactor.turn(0)
    assert fired == ["a"] and len(reactor.timers) == 0 and not reactor.unsettled
    reactor.close()


def test_a_short_request_sets_no_timer_of_its_own() -> None:
    clock = SimulatedClock()
    reactor = Reactor(clock)
    for _ in range(100):
        timer = RouteTimer(reactor, lambda: None)
        timer.start(15.0)
        timer.stop()
    assert len(reactor.timers) <= 1 and not reactor.unsettled
    reactor.close()
