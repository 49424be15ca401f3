"""What one host's results come to, and who is worse than the others."""

from __future__ import annotations

import random
from typing import Any, List

import pytest

from proxy_core.config.decode import decode
from proxy_core.config.model.outlier import OutlierDetection
from proxy_core.config.registry import TypeRegistry
from proxy_core.network.address import Address
from proxy_core.upstream.host import Host
from proxy_core.upstream.outlier.kinds import Kind
from proxy_core.upstream.outlier.monitor import HostMonitor
from proxy_core.upstream.outlier.rates import Rated, by_failure_percentage, by_success_rate
from proxy_core.upstream.outlier.settings import DEFAULTS, Settings


def settings(runtime: Any = None, **config: Any) -> Settings:
    return Settings(decode(OutlierDetection, config, TypeRegistry()), (runtime or {}).get, random.Random(1))


class Told:
    """A detector that writes down what it is told."""

    def __init__(self, accepts: bool = True, **config: Any) -> None:
        self.settings = settings(**config)
        self.kinds: List[str] = []
        self._accepts = accepts

    def on_consecutive(self, monitor: HostMonitor, kind: Kind) -> bool:
        self.kinds.append(kind.stat)
        return self._accepts


def host(port: int = 1) -> Host:
    return Host(Address.from_ip("127.0.0.1", port))


def play(monitor: HostMonitor, results: str) -> None:
    """c: connected; r: refused; t: timed out; 2, 5: answers of 200 and 500; 3: 503."""
    for one in results:
        if one == "c":
            monitor.put_connected(final=True)
        elif one in "rt":
            monitor.put_connect_failed(timed_out=one == "t")
        else:
            monitor.put_response_code({"2": 200, "5": 500, "3": 503, "4": 404}[one])


@pytest.mark.parametrize(("results", "found"), [
    ("rrr", ["consecutive_5xx"]), ("rrc", []), ("rrcr", []), ("trt", ["consecutive_5xx"]), ("rrrrr", ["consecutive_5xx"]),
    ("rrrrrr", ["consecutive_5xx"] * 2), ("rr4rr", []), ("555", ["consecutive_5xx"]), ("r5r", ["consecutive_5xx"]),
])
def test_failures_in_a_row_are_told_and_counting_begins_again(results: str, found: List[str]) -> None:
    told = Told(consecutive_5xx=3, consecutive_gateway_failure=99)
    play(HostMonitor(host(), told), results)
    assert told.kinds == found


def test_a_gateway_error_counts_as_both_and_another_error_begins_the_gateways_anew() -> None:
    told = Told(consecutive_5xx=4, consecutive_gateway_failure=2)
    monitor = HostMonitor(host(), told)
    play(monitor, "3533")
    assert told.kinds == ["consecutive_gateway_failure", "consecutive_5xx"]


def test_a_host_that_is_ejected_already_goes_on_counting_and_is_not_found_again() -> None:
    told = Told(accepts=False, consecutive_5xx=2, consecutive_gateway_failure=99)
    monitor = HostMonitor(host(), told)
    play(monitor, "rrrrrr")
    assert told.kinds == ["consecutive_5xx"]
    monitor.forget()
    play(monitor, "rr")
    assert told.kinds == ["consecutive_5xx"] * 2


def test_with_split_errors_what_happens_on_the_way_is_counted_apart_from_answers() -> None:
    told = Told(split_external_local_origin_errors=True, consecutive_local_origin_failure=2, consecutive_5xx=2)
    monitor = HostMonitor(host(), told)
    play(monitor, "r5c5r5t")
    assert told.kinds == ["consecutive_5xx", "consecutive_local_origin_failure"]
    assert (monitor.local.successes, monitor.local.total) == (1, 4)
    assert (monitor.external.successes, monitor.external.total) == (0, 3)


def test_a_connection_that_answers_are_still_to_come_of_says_nothing_by_itself() -> None:
    told = Told()
    monitor = HostMonitor(host(), told)
    monitor.put_connected(final=False)
    assert monitor.external.total == monitor.local.total == 0
    split = HostMonitor(host(), Told(split_external_local_origin_errors=True))
    split.put_connected(final=False)
    assert split.local.successes == 1


def test_the_runtime_wins_over_the_configuration_and_that_over_envoys_defaults() -> None:
    assert {name: settings().number(name) for name in DEFAULTS} == DEFAULTS
    both = settings({"outlier_detection.consecutive_5xx": 7, "outlier_detection.interval_ms": 250}, consecutive_5xx=6, interval="9s")
    assert (both.number("consecutive_5xx"), both.interval) == (7, 0.25)
    assert settings(consecutive_5xx=6).number("consecutive_5xx") == 6
    assert settings().interval == 10 and settings().jitter() == 0
    assert 0 < settings(max_ejection_time_jitter="2s").jitter() < 2


@pytest.mark.parametrize(("config", "times", "seconds"), [
    ({}, 1, 30), ({}, 3, 90), ({}, 99, 300), ({"base_ejection_time": "400s"}, 1, 400), ({"base_ejection_time": "400s"}, 2, 400),
    ({"base_ejection_time": "1s", "max_ejection_time": "3s"}, 5, 3),
])
def test_ejections_grow_up_to_a_limit(config: Any, times: int, seconds: float) -> None:
    assert settings(**config).ejection_time(times) == seconds


def test_a_percentage_is_enforced_so_often() -> None:
    for percent, low, high in ((0, 0, 0), (100, 1000, 1000), (30, 250, 350)):
        one = settings(enforcing_consecutive_5xx=percent)
        assert low <= sum(one.enforces("enforcing_consecutive_5xx") for _ in range(1000)) <= high


# -- rates -------------------------------------------------------------------------------------------------------------

def rated(*rates: float, volume: int = 100) -> List[Rated]:
    return [Rated(HostMonitor(host(port), Told()), rate, volume) for port, rate in enumerate(rates, 1)]


def test_hosts_far_below_the_mean_are_outliers() -> None:
    verdict = by_success_rate(rated(100, 100, 100, 100, 0), 5, 100, 1900)
    assert verdict is not None
    assert (round(verdict.average, 6), round(verdict.threshold, 6)) == (80, 4)  # measured on Envoy 1.40
    assert [one.rate for one in verdict.outliers] == [0]


@pytest.mark.parametrize(("rates", "outliers"), [
    ((50, 50, 50, 50, 50), 0), ((100, 99, 98, 97, 96), 0), ((0,) * 5, 0), ((100,) * 20 + (90,), 1), ((100,) * 5 + (0, 0), 0),
])
def test_equal_hosts_and_those_within_the_spread_are_none(rates: Any, outliers: int) -> None:
    verdict = by_success_rate(rated(*rates), 5, 100, 1900)
    assert verdict is not None and len(verdict.outliers) == outliers


def test_too_few_hosts_or_requests_are_not_judged() -> None:
    hosts = rated(100, 100, 100, 0)
    assert by_success_rate(hosts, 5, 100, 1900) is None
    assert by_success_rate(hosts, 4, 101, 1900) is None
    assert by_success_rate([], 0, 0, 1900) is None
    assert by_failure_percentage(hosts, 5, 100, 85) == by_failure_percentage(hosts, 4, 101, 85) == []


def test_a_failure_percentage_is_reached_by_failing_that_often() -> None:
    assert [one.rate for one in by_failure_percentage(rated(100, 15, 15.1, 0, 50), 5, 100, 85)] == [15, 0]
