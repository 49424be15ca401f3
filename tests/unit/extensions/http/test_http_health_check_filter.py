"""health_check: who is answered what, the memory of the upstream's answer, an operator's wish. Measured on Envoy 1.40."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Dict, List

import pytest

from proxy_core.errors import ConfigError
from proxy_core.testing.http import Answer, HttpHarness

TYPE = "type.googleapis.com/envoy.extensions.filters.http.health_check.v3.HealthCheck"
CHECKED, FAIL = "x-envoy-upstream-healthchecked-cluster", "x-envoy-immediate-health-check-fail"
NAMES = ("request_total", "ok", "failed", "cached_response", "degraded")


def check(pass_through: bool = False, path: str = "/hc", **fields: Any) -> Dict[str, Any]:
    headers = [{"name": ":path", "string_match": {"exact": path}}]
    return {"name": "hc", "typed_config": {"@type": TYPE, "pass_through_mode": pass_through, "headers": headers, **fields}}


def stats(harness: HttpHarness, *names: str) -> List[int]:
    return [harness.stat(f"health_check.{name}") for name in names or NAMES]


def test_a_health_check_is_answered_here_and_other_requests_go_on() -> None:
    with HttpHarness([check()]) as harness:
        response = harness.request(path="/hc")
        assert response.status == 200 and not harness.reached_upstream and harness.details == "health_check_ok"
        assert response.headers.get(CHECKED) == "test-cluster" and FAIL not in response.headers
        for path in ("/hc?x", "/other"):
            assert CHECKED not in harness.request(path=path).headers and harness.reached_upstream
        assert stats(harness) == [1, 1, 0, 0, 0]


def test_health_checks_do_not_count_as_requests_of_users() -> None:
    with HttpHarness([check()]) as harness:
        harness.request(path="/hc")
        harness.request(path="/x")
        assert harness.stat("downstream_rq_2xx") == 1
        assert [info.http.health_check for info in harness.finished if info.http is not None] == [True, False]


def test_one_with_a_body_is_answered_when_it_is_complete() -> None:
    with HttpHarness([check()]) as harness:
        harness.open("POST", "/hc", length=None)
        harness.data(b"abc")
        assert harness.response is None
        harness.end([("x-sum", "1")])
        assert harness.response is not None and harness.response.status == 200
        assert harness.request("POST", "/hc", body=b"abc").status == 200
        assert not harness.reached_upstream


@pytest.mark.parametrize("pass_through", [False, True])
def test_while_the_operator_wants_it_to_look_ill_everybody_is_told(pass_through: bool) -> None:
    with HttpHarness([check(pass_through)]) as harness:
        harness.set_health_failed(True)
        response = harness.request(path="/hc")
        assert response.status == 503 and response.headers.get(FAIL) == "true" and response.headers.get(CHECKED)
        assert harness.details == "health_check_failed" and harness.finished[-1].response_flags == ("LH",)
        assert harness.request(path="/x").headers.get(FAIL) == "true"
        harness.set_health_failed(False)
        assert harness.request(path="/hc").status == 200 and stats(harness, "failed") == [1]


def test_an_upstreams_answer_is_remembered_until_the_next_tick() -> None:
    one = check(True, cache_time="10s")
    with HttpHarness([one], answer=Answer(503, (("x-envoy-degraded", ""),), (b"no",))) as harness:
        harness.advance(4)
        assert harness.request(path="/hc").body == b"no"
        harness.advance(5)
        response = harness.request(path="/hc")
        assert (response.status, response.body) == (503, b"") and response.headers.get("x-envoy-degraded") == ""
        assert harness.details == "health_check_cached" and harness.finished[-1].response_flags == ("LH",)
        harness.advance(1)
        assert harness.request(path="/hc").body == b"no"
        assert harness.request(path="/x").body == b"no"
        assert stats(harness) == [1, 0, 1, 1, 1]


def test_what_is_answered_here_is_not_remembered_as_the_upstreams_answer() -> None:
    with HttpHarness([check(True, cache_time="1000s")]) as harness:
        harness.set_health_failed(True)
        assert harness.request(path="/hc").status == 503
        harness.set_health_failed(False)
        assert harness.request(path="/hc").status == 200 and harness.reached_upstream


@pytest.mark.parametrize("wanted, status, details", [
    ({"c": 50}, 200, "health_check_ok_cluster_healthy"),
    ({"c": 50.9}, 200, "health_check_ok_cluster_healthy"),
    ({"c": 51}, 503, "health_check_failed_cluster_unhealthy"),
    ({"none": 0}, 503, "health_check_failed_no_cluster_found"),
    ({"empty": 0}, 200, "health_check_ok_cluster_healthy"),
    ({"empty": 1}, 503, "health_check_failed_cluster_empty"),
    ({"c": 10, "empty": 1}, 503, "health_check_failed_cluster_empty"),
])
def test_the_answer_by_the_health_of_clusters(wanted: Dict[str, float], status: int, details: str) -> None:
    def cluster(total: int, healthy: int, degraded: int) -> Any:
        counts = {"membership_total": total, "membership_healthy": healthy, "membership_degraded": degraded}
        return SimpleNamespace(stats=SimpleNamespace(**{name: SimpleNamespace(value=value) for name, value in counts.items()}))

    clusters = {"c": cluster(4, 1, 1), "empty": cluster(0, 0, 0), "none": None}
    percentages = {name: {"value": value} for name, value in wanted.items()}
    with HttpHarness([check(cluster_min_healthy_percentages=percentages)], clusters=clusters) as harness:
        assert harness.request(path="/hc").status == status and harness.details == details
        kinds = stats(harness, "failed_cluster_not_found", "failed_cluster_empty", "failed_cluster_unhealthy")
        assert sum(kinds) == (status == 503)


def test_without_matchers_every_request_is_a_health_check() -> None:
    with HttpHarness([check(headers=[])]) as harness:
        assert harness.request(path="/x").status == 200 and not harness.reached_upstream


@pytest.mark.parametrize("fields, words", [
    ({"cache_time": "1s"}, "cache_time_ms must not be set when path_through_mode is disabled"),
    ({"pass_through_mode": None}, "pass_through_mode"),
])
def test_what_cannot_be_done_is_refused(fields: Dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        HttpHarness([check(**fields)])
