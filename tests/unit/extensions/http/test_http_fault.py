"""fault of HTTP: whom faults concern, delays, answers, slow responses, and how many at a time. Measured on Envoy 1.40."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import pytest

from proxy_core.errors import ConfigError
from proxy_core.testing.http import Answer, HttpHarness, assert_body_split_invariant

TYPE = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"
ALL = {"numerator": 100}
ABORT = {"abort": {"http_status": 503, "percentage": ALL}}
SERVICE = ("x-envoy-downstream-service-cluster", "web")
Json = Dict[str, Any]


def fault(**fields: Any) -> Json:
    return {"name": "fault", "typed_config": {"@type": TYPE, **fields}}


def delay(seconds: str = "2s", **percentage: int) -> Json:
    return {"fixed_delay": seconds, "percentage": percentage or ALL}


def rate(kilobytes: int) -> Json:
    return {"fixed_limit": {"limit_kbps": kilobytes}, "percentage": ALL}


def stats(harness: HttpHarness) -> List[int]:
    names = ("aborts_injected", "delays_injected", "response_rl_injected", "faults_overflow", "active_faults")
    return [harness.stat(f"fault.{name}") for name in names]


def test_an_answer_instead_of_the_upstreams() -> None:
    with HttpHarness([fault(**ABORT)]) as harness:
        response = harness.request("POST", body=b"abc")
        assert (response.status, response.body) == (503, b"fault filter abort") and not harness.reached_upstream
        assert harness.details == "fault_filter_abort" and harness.finished[-1].response_flags == ("FI",)
        assert stats(harness) == [1, 0, 0, 0, 0]
    with HttpHarness([fault(abort={"http_status": 418, "percentage": ALL, "response_body": "tea"})]) as harness:
        assert harness.request().body == b"tea"


def test_a_delay_holds_the_request_with_its_body_and_then_lets_it_go() -> None:
    with HttpHarness([fault(delay=delay())]) as harness:
        harness.open("POST", length=None)
        harness.data(b"abc")
        harness.advance(1.999)
        assert not harness.reached_upstream and harness.waits == ["fault: delay 2s"] and stats(harness)[4] == 1
        harness.data(b"def")
        harness.advance(0.001)
        assert harness.upstream.body == b"abcdef" and harness.upstream.ends == 0
        harness.end()
        assert harness.response is not None and harness.response.status == 200
        assert harness.finished[-1].response_flags == ("DI",) and stats(harness) == [0, 1, 0, 0, 0]


def test_a_body_that_is_delayed_may_be_cut_anywhere() -> None:
    outcome = assert_body_split_invariant(lambda: [fault(delay=delay())], b"some body", trailers=[("x", "y")])
    assert outcome.upstream[3:5] == (b"some body", [("x", "y")])


def test_while_it_waits_a_long_body_is_not_read_further_and_is_not_refused() -> None:
    with HttpHarness([fault(delay=delay())], buffer_limit=100) as harness:
        harness.open("POST", length=1000)
        harness.data(b"x" * 1000)
        assert harness.wire.paused_by and harness.response is None
        harness.advance(2)
        assert harness.upstream.body == b"x" * 1000 and not harness.wire.paused_by


def test_a_delay_may_be_followed_by_an_answer() -> None:
    with HttpHarness([fault(delay=delay(), **ABORT)]) as harness:
        harness.open()
        assert harness.response is None
        harness.advance(2)
        assert harness.response is not None and harness.response.status == 503
        assert harness.finished[-1].response_flags == ("DI", "FI") and stats(harness) == [1, 1, 0, 0, 0]


def test_a_client_that_leaves_while_it_is_delayed_leaves_nothing_behind() -> None:
    with HttpHarness([fault(delay=delay())]) as harness:
        harness.open()
        harness.hang_up()
        assert stats(harness)[4] == 0
        harness.advance(5)
        assert not harness.reached_upstream


@pytest.mark.parametrize("value, status", [
    ("503", 503), ("200", 200), ("404", 404), ("199", 0), ("600", 0), ("abc", 0), ("", 0), ("-5", 0), ("5" * 30, 0),
])
def test_a_request_may_say_its_own_status(value: str, status: int) -> None:
    with HttpHarness([fault(abort={"header_abort": {}, "percentage": ALL})], answer=Answer(299)) as harness:
        assert harness.request(headers=[("x-envoy-fault-abort-request", value)]).status == (status or 299)
        assert harness.request().status == 299


@pytest.mark.parametrize("configured, said, aborted", [(100, "0", False), (100, "200", True), (100, "x", True), (0, "100", False)])
def test_a_request_may_say_a_smaller_share(configured: int, said: str, aborted: bool) -> None:
    with HttpHarness([fault(abort={"header_abort": {}, "percentage": {"numerator": configured}})]) as harness:
        headers = [("x-envoy-fault-abort-request", "503"), ("x-envoy-fault-abort-request-percentage", said)]
        assert harness.request(headers=headers).status == (503 if aborted else 200)
    with HttpHarness([fault(**ABORT)]) as harness:
        assert harness.request(headers=[("x-envoy-fault-abort-request-percentage", "0")]).status == 503


@pytest.mark.parametrize("value, seconds", [("300", 0.3), ("0", 0.0), ("x", 0.0), ("300.5", 0.0)])
def test_a_request_may_say_its_own_delay(value: str, seconds: float) -> None:
    with HttpHarness([fault(delay={"header_delay": {}, "percentage": ALL})]) as harness:
        harness.open(headers=[("x-envoy-fault-delay-request", value)])
        assert harness.reached_upstream is not bool(seconds)
        harness.advance(seconds)
        assert harness.reached_upstream


def test_no_percentage_is_none() -> None:
    with HttpHarness([fault(abort={"http_status": 503}, delay={"fixed_delay": "1s"})]) as harness:
        assert harness.request().status == 200 and stats(harness) == [0, 0, 0, 0, 0]


@pytest.mark.parametrize("fields, headers, path, concerned", [
    ({"upstream_cluster": "upstream"}, [], "/", True),
    ({"upstream_cluster": "other"}, [], "/", False),
    ({"upstream_cluster": "upstream"}, [], "/direct", False),
    ({"upstream_cluster": "upstream"}, [], "nowhere", False),
    ({"downstream_nodes": ["n1", "n2"]}, [("x-envoy-downstream-service-node", "n2")], "/", True),
    ({"downstream_nodes": ["n1", "n2"]}, [("x-envoy-downstream-service-node", "n3")], "/", False),
    ({"downstream_nodes": ["n1", "n2"]}, [], "/", False),
    ({"headers": [{"name": "x-f"}, {"name": ":path", "string_match": {"prefix": "/f"}}]}, [("x-f", "1")], "/f", True),
    ({"headers": [{"name": "x-f"}, {"name": ":path", "string_match": {"prefix": "/f"}}]}, [("x-f", "1")], "/", False),
])
def test_whom_faults_concern(fields: Json, headers: List[Tuple[str, str]], path: str, concerned: bool) -> None:
    routes = [{"match": {"prefix": "/direct"}, "direct_response": {"status": 200}}]
    if path != "nowhere":
        routes.append({"match": {"prefix": "/"}, "route": {"cluster": "upstream"}})
    with HttpHarness([fault(**fields, **ABORT)], routes=routes) as harness:
        harness.request(path=path if path != "nowhere" else "/x", headers=headers)
        assert stats(harness)[0] == concerned


@pytest.mark.parametrize("runtime, plain, of_service", [
    ({"fault.http.abort.abort_percent": 0}, 200, 503),
    ({"fault.http.web.abort.abort_percent": 0}, 503, 200),
    ({"fault.http.abort.http_status": 501}, 501, 503),
    ({"fault.http.web.abort.http_status": 502}, 503, 502),
    ({"fault.http.abort.http_status": 1000}, 503, 503),
    ({"fault.http.max_active_faults": 0}, 200, 200),
])
def test_an_operator_changes_answers_at_run_time(runtime: Dict[str, int], plain: int, of_service: int) -> None:
    with HttpHarness([fault(**ABORT)], runtime=runtime) as harness:
        assert harness.request().status == plain
        assert harness.request(headers=[SERVICE]).status == of_service


@pytest.mark.parametrize("runtime, plain, of_service", [
    ({"fault.http.delay.fixed_duration_ms": 500}, 0.5, 0.5),
    ({"fault.http.delay.fixed_duration_ms": 500, "fault.http.web.delay.fixed_duration_ms": 700}, 0.5, 0.7),
    ({"fault.http.delay.fixed_duration_ms": 0}, 0.0, 0.0),
    ({"fault.http.delay.fixed_delay_percent": 0}, 0.0, 2.0),
    ({"fault.http.web.delay.fixed_delay_percent": 0}, 2.0, 0.0),
])
def test_an_operator_changes_delays_at_run_time(runtime: Dict[str, int], plain: float, of_service: float) -> None:
    for headers, seconds in (([], plain), ([SERVICE], of_service)):
        with HttpHarness([fault(delay=delay())], runtime=runtime) as harness:
            harness.open(headers=headers)
            if seconds:
                harness.advance(seconds - 0.01)
                assert not harness.reached_upstream
                harness.advance(0.01)
            assert harness.reached_upstream


def test_keys_of_ones_own_and_runtime_for_routes() -> None:
    own = fault(abort={"http_status": 503}, abort_percent_runtime="my.pct", abort_http_status_runtime="my.code")
    with HttpHarness([own], runtime={"my.pct": 100, "my.code": 505}) as harness:
        assert harness.request().status == 505
    of_route = {"fault": {"@type": TYPE, "abort": {"http_status": 502, "percentage": {"numerator": 0}}}}
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "c"}, "typed_per_filter_config": of_route}]
    with HttpHarness([fault()], routes=routes, runtime={"fault.http.abort.abort_percent": 100}) as harness:
        assert harness.request().status == 502


def test_faults_are_counted_by_service_unless_that_is_switched_off() -> None:
    with HttpHarness([fault(delay=delay(), **ABORT)]) as harness:
        harness.open(headers=[SERVICE])
        harness.advance(2)
        assert (harness.stat("fault.web.aborts_injected"), harness.stat("fault.web.delays_injected")) == (1, 1)
    with HttpHarness([fault(disable_downstream_cluster_stats=True, **ABORT)]) as harness:
        harness.request(headers=[SERVICE])
        with pytest.raises(KeyError):
            harness.stat("fault.web.aborts_injected")


def test_made_up_services_do_not_fill_the_memory() -> None:
    with HttpHarness([fault(**ABORT)]) as harness:
        for number in range(1001):
            harness.request(headers=[(SERVICE[0], f"s{number}")])
        assert harness.stat("fault.s999.aborts_injected") == 1 and stats(harness)[0] == 1001
        with pytest.raises(KeyError):
            harness.stat("fault.s1000.aborts_injected")


def test_no_more_faults_at_a_time_than_allowed_whatever_kinds_one_request_has() -> None:
    with HttpHarness([fault(max_active_faults=0, **ABORT)]) as harness:
        assert harness.request().status == 200 and stats(harness) == [0, 0, 0, 1, 0]
    with HttpHarness([fault(max_active_faults=1, delay=delay(), response_rate_limit=rate(1), **ABORT)]) as harness:
        harness.open()
        harness.advance(2)
        assert harness.response is not None and harness.response.status == 503
        assert stats(harness)[:4] == [1, 1, 1, 0]


def test_a_slow_response_comes_in_slices_of_fifty_milliseconds() -> None:
    with HttpHarness([fault(response_rate_limit=rate(2))], answer=Answer(200, (), (b"x" * 300,))) as harness:
        harness.open()
        seen = []
        for _ in range(4):
            assert harness.response is not None
            seen.append(len(harness.response.body))
            harness.advance(0.05)
        assert seen == [102, 204, 300, 300] and harness.response is not None and harness.response.complete
        assert stats(harness) == [0, 0, 1, 0, 0]


@pytest.mark.parametrize("trailers", [[], [("x-sum", "1")]])
def test_a_slow_response_is_the_same_however_it_comes(trailers: List[Tuple[str, str]]) -> None:
    one = fault(response_rate_limit=rate(1))
    outcome = assert_body_split_invariant(lambda: [one], bytes(range(200)), side="response", trailers=trailers, most_cuts=40)
    assert outcome.client[2:] == (bytes(range(200)), trailers or None, True)


def test_the_upstream_of_a_slow_response_is_told_to_wait() -> None:
    with HttpHarness([fault(response_rate_limit=rate(2))], answer=None, buffer_limit=1000) as harness:
        harness.open()
        harness.act(harness.upstream.respond, 200, (), b"x" * 1500, False)
        assert harness.upstream.pressure == ["high"]
        harness.advance(0.5)
        assert harness.upstream.pressure == ["high", "low"]
        harness.act(harness.upstream.send, b"", True)
        harness.advance(5)
        assert harness.response is not None and harness.response.complete and len(harness.response.body) == 1500


def test_an_answer_of_the_filter_is_slowed_down_as_well_and_a_response_without_a_body_is_not() -> None:
    long = {"abort": {**ABORT["abort"], "response_body": "y" * 200}}
    with HttpHarness([fault(response_rate_limit=rate(1), **long)]) as harness:
        harness.open()
        assert harness.response is not None and harness.response.body == b"y" * 51
        harness.advance(1)
        assert harness.response.body == b"y" * 200 and harness.response.complete
    with HttpHarness([fault(response_rate_limit=rate(1))]) as harness:
        assert harness.request().complete


def test_metadata_of_requests_with_faults_stands_below_the_filters_name() -> None:
    with HttpHarness([fault(filter_metadata={"why": "drill"}, **ABORT)]) as harness:
        harness.request()
        assert dict(harness.finished[-1].dynamic_metadata["fault"]) == {"why": "drill"}


@pytest.mark.parametrize("fields, words", [
    ({"abort": {"http_status": 100}}, "http_status"),
    ({"abort": {"percentage": ALL}}, "http_status, header_abort"),
    ({"abort": {"grpc_status": 14}}, "grpc_status"),
    ({"delay": {"percentage": ALL}}, "fixed_delay, header_delay"),
    ({"delay": {"fixed_delay": "0s"}}, "fixed_delay"),
    ({"response_rate_limit": {"fixed_limit": {"limit_kbps": 0}}}, "limit_kbps"),
    ({"response_rate_limit": {"percentage": ALL}}, "fixed_limit, header_limit"),
])
def test_what_cannot_be_done_is_refused(fields: Json, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        HttpHarness([fault(**fields)])
    assert words in str(caught.value)
