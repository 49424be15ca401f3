"""When the next probe is due."""

from __future__ import annotations

import random
from typing import Any, Dict

import pytest

from proxy_core.config.decode import decode
from proxy_core.config.model.health_check import HealthCheck
from proxy_core.config.registry import TypeRegistry
from proxy_core.upstream.health.intervals import LEAST, Intervals

ALL = {
    "interval": "1s", "unhealthy_interval": "2s", "healthy_edge_interval": "3s", "unhealthy_edge_interval": "4s",
    "no_traffic_interval": "5s", "no_traffic_healthy_interval": "6s",
}


def intervals(runtime: Any = None, seed: int = 1, **fields: Any) -> Intervals:
    config: Dict[str, Any] = {"timeout": "1s", "healthy_threshold": 1, "unhealthy_threshold": 1, "tcp_health_check": {}}
    message = decode(HealthCheck, {**config, **fields}, TypeRegistry())
    return Intervals(message, random.Random(seed), (runtime or {}).get)


@pytest.mark.parametrize(("passed", "pending", "had_traffic", "seconds"), [
    (True, False, True, 1), (False, False, True, 2), (True, True, True, 3), (False, True, True, 4),
    (True, False, False, 6), (True, True, False, 5), (False, False, False, 5), (False, True, False, 5),
])
def test_the_interval_by_result_and_traffic(passed: bool, pending: bool, had_traffic: bool, seconds: float) -> None:
    assert intervals(**ALL).after(passed, pending, had_traffic) == seconds


@pytest.mark.parametrize(("fields", "passed", "pending", "had_traffic", "seconds"), [
    ({"interval": "1s"}, False, False, True, 1), ({"interval": "1s"}, False, True, True, 1),
    ({"interval": "1s"}, True, True, True, 1), ({"interval": "1s"}, True, False, False, 60),
    ({"interval": "1s", "unhealthy_interval": "2s"}, False, True, True, 2),
    ({"interval": "1s", "no_traffic_interval": "7s"}, True, False, False, 7),
])
def test_what_is_not_set_follows_what_is(
    fields: Dict[str, str], passed: bool, pending: bool, had_traffic: bool, seconds: float
) -> None:
    assert intervals(**fields).after(passed, pending, had_traffic) == seconds


def test_jitter_is_added_by_time_and_by_percent_and_never_taken_away() -> None:
    found = intervals(interval="10s", interval_jitter="2s", interval_jitter_percent=10)
    values = [found.after(True, False, True) for _ in range(2000)]
    assert 10 <= min(values) < 10.05 and 12.95 < max(values) < 13
    assert 11.4 < sum(values) / len(values) < 11.6


def test_only_initial_jitter_delays_the_first_probe() -> None:
    assert intervals(interval="1s", interval_jitter="9s").before_first() == 0
    found = intervals(interval="1s", initial_jitter="2s")
    values = [found.before_first() for _ in range(500)]
    assert min(values) >= LEAST and 1.9 < max(values) < 2


def test_runtime_keys_bound_every_interval() -> None:
    assert intervals({"health_check.max_interval": 250}, interval="1s").after(True, False, True) == 0.25
    assert intervals({"health_check.min_interval": 3000}, interval="1s").after(True, False, True) == 3
    assert intervals({"health_check.max_interval": 0}, interval="1s").after(True, False, True) == LEAST
