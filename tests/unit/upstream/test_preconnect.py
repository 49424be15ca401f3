"""The arithmetic of preconnecting, against what Envoy 1.40 opened."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pytest

from proxy_core.config.decode import decode
from proxy_core.config.model.cluster import Cluster as ClusterConfig
from proxy_core.config.registry import TypeRegistry
from proxy_core.errors import ConfigError
from proxy_core.upstream.preconnect import MOST_AT_ONCE, is_excess, ratios_of, wants_another


def configured(policy: Optional[Dict[str, Any]]) -> ClusterConfig:
    fields = {} if policy is None else {"preconnect_policy": policy}
    return decode(ClusterConfig, {"name": "c", **fields}, TypeRegistry())


def totals(ratio: float, streams: int) -> List[int]:
    """Connections after each of some streams that come one by one and stay."""
    found, total = [], 0
    for active in range(streams):
        spare = total - active
        pending = 0 if spare else 1
        busy = active + 1 - pending
        for _ in range(MOST_AT_ONCE):
            if wants_another(pending, busy, total - busy, ratio):
                total += 1
        found.append(total)
    return found


@pytest.mark.parametrize("ratio, envoy", [
    (1.0, [1, 2, 3, 4]), (1.5, [2, 3, 5, 6]), (2.0, [2, 4, 6, 8]), (3.0, [3, 6, 9, 12]),
])
def test_as_many_connections_as_envoy_has_after_each_client(ratio: float, envoy: List[int]) -> None:
    assert totals(ratio, 4) == envoy


def test_with_ratio_1_there_is_one_connection_for_each_stream_that_waits() -> None:
    for pending in range(4):
        for capacity in range(4):
            assert wants_another(pending, 7, capacity, 1.0) == (pending > capacity)


def test_an_anticipated_stream_counts_like_one_that_waits() -> None:
    assert not wants_another(0, 0, 0, 2.0)
    assert wants_another(0, 0, 1, 2.0, anticipated=1)
    assert not wants_another(0, 0, 2, 2.0, anticipated=1)


@pytest.mark.parametrize("pending, active, capacity, ratio, excess", [
    (0, 0, 1, 1.0, True), (1, 0, 1, 1.0, False), (1, 0, 2, 1.0, True), (1, 0, 2, 2.0, False), (0, 0, 2, 2.0, True),
    (0, 2, 2, 2.0, False), (0, 2, 3, 2.0, True),
])
def test_a_connection_is_excess_if_the_others_would_do(
    pending: int, active: int, capacity: int, ratio: float, excess: bool
) -> None:
    assert is_excess(pending, active, capacity, ratio) is excess


@pytest.mark.parametrize("policy, ahead, more", [
    (None, False, False), ({}, False, False), ({"per_upstream_preconnect_ratio": 1}, False, False),
    ({"predictive_preconnect_ratio": 1}, False, False), ({"per_upstream_preconnect_ratio": 1.01}, False, True),
    ({"predictive_preconnect_ratio": 2}, True, True),
])
def test_only_ratios_above_1_ask_for_more_connections(policy: Optional[Dict[str, Any]], ahead: bool, more: bool) -> None:
    ratios = ratios_of(configured(policy))
    assert (ratios.look_ahead, ratios.ask_for_more) == (ahead, more)


@pytest.mark.parametrize("field", ["per_upstream_preconnect_ratio", "predictive_preconnect_ratio"])
@pytest.mark.parametrize("value", [0, 0.99, 3.01, -1])
def test_ratios_beyond_envoys_bounds_are_refused(field: str, value: float) -> None:
    with pytest.raises(ConfigError) as caught:
        configured({field: value})
    assert [problem.path for problem in caught.value.problems] == [f"preconnect_policy.{field}"]
