"""The limit of retries that follows the number of requests."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest

from proxy_core.config.decode import decode
from proxy_core.config.model.cluster import Thresholds
from proxy_core.config.registry import TypeRegistry
from proxy_core.observe.stat_names import BreakerStats
from proxy_core.observe.stats import StatsStore
from proxy_core.testing.clock import SimulatedClock
from proxy_core.upstream.breaker import CircuitBreakers


class Made:
    """Breakers and their gauges."""

    def __init__(self, **thresholds: Any) -> None:
        self.store = StatsStore(SimulatedClock())
        limits = decode(Thresholds, thresholds, TypeRegistry())
        self.breakers = CircuitBreakers(BreakerStats(self.store.scope("b")), limits)

    def busy(self, active: int, pending: int) -> None:
        for _ in range(active):
            self.breakers.requests.take()
        for _ in range(pending):
            self.breakers.pending_requests.take()

    def gauge(self, name: str) -> int:
        return self.store.gauges[f"b.{name}"].value


@pytest.mark.parametrize("budget, active, pending, limit", [
    ({}, 0, 0, 3), ({}, 15, 0, 3), ({}, 10, 10, 4), ({}, 12, 12, 4), ({}, 25, 0, 5),
    ({"budget_percent": {"value": 50}}, 9, 0, 4), ({"budget_percent": {"value": 100}}, 9, 8, 17),
    ({"budget_percent": {"value": 0}}, 100, 0, 3), ({"min_retry_concurrency": 0}, 4, 0, 0),
    ({"min_retry_concurrency": 7}, 30, 4, 7), ({"min_retry_concurrency": 7}, 30, 10, 8),
])
def test_it_is_a_share_of_the_requests_but_never_less_than_so_many(
    budget: Dict[str, Any], active: int, pending: int, limit: int
) -> None:
    made = Made(retry_budget=budget, max_retries=99)  # which does not count then
    made.busy(active, pending)
    assert made.breakers.retries.limit == limit


def test_it_shrinks_below_what_is_under_way_and_lets_that_end() -> None:
    made = Made(retry_budget={"budget_percent": {"value": 50}, "min_retry_concurrency": 1})
    retries = made.breakers.retries
    made.busy(4, 0)
    seen: List[bool] = []
    for _ in range(2):
        seen.append(retries.can_create)
        retries.take()
    assert seen == [True, True] and not retries.can_create and made.gauge("rq_retry_open") == 1
    for _ in range(4):
        made.breakers.requests.give_back()
    assert retries.limit == 1 and retries.used == 2
    retries.give_back()
    assert not retries.can_create and made.gauge("rq_retry_open") == 1
    retries.give_back()
    assert retries.can_create and made.gauge("rq_retry_open") == 0
    with pytest.raises(AssertionError):
        retries.give_back()


def test_what_remains_is_shown_until_the_first_retry_as_in_envoy() -> None:
    made = Made(retry_budget={}, max_retries=7, track_remaining=True)
    assert made.gauge("remaining_retries") == 7
    made.breakers.retries.take()
    assert made.gauge("remaining_retries") == 0


def test_without_a_budget_the_limit_is_a_number() -> None:
    made = Made(max_retries=1)
    made.busy(100, 0)
    assert made.breakers.retries.limit == 1
