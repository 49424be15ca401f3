"""What a pick costs among 10 and among 10,000 hosts, and what a change of one of 10,000 costs.

A pick must not depend on the number of hosts (LEAST_REQUEST with unequal weights: its logarithm). Hash tables are made at the
first pick after a change; that is measured on its own.
"""

from __future__ import annotations

import itertools
from typing import Any, Dict, List

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from proxy_core.network.address import Address
from proxy_core.upstream.balancer import PickContext
from proxy_core.upstream.host import Host
from tests.support.balancing import Balanced

MANY = 10_000
POLICIES: Dict[str, Dict[str, Any]] = {
    "round_robin": {}, "least_request": {"lb_policy": "LEAST_REQUEST"}, "random": {"lb_policy": "RANDOM"},
    "ring_hash": {"lb_policy": "RING_HASH"}, "maglev": {"lb_policy": "MAGLEV"},
}
CONTEXTS = [PickContext(number * 0x9E3779B97F4A7C15 & (1 << 64) - 1) for number in range(1000)]


def hosts(count: int, weighted: bool = False) -> List[Host]:
    return [
        Host(Address.from_ip(f"10.{index >> 16}.{index >> 8 & 255}.{index & 255}", 80), 1 + index % 5 if weighted else 1)
        for index in range(count)
    ]


@pytest.mark.parametrize("count", [10, MANY])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_pick(benchmark: BenchmarkFixture, policy: str, weighted: bool, count: int) -> None:
    one = Balanced(hosts(count, weighted), **POLICIES[policy])
    pick, contexts = one.balancer.pick, itertools.cycle(CONTEXTS)
    pick(CONTEXTS[0])
    benchmark(lambda: pick(next(contexts)))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("policy", POLICIES)
def test_one_of_many_hosts_falls_ill_or_recovers_and_the_next_one_is_picked(
    benchmark: BenchmarkFixture, policy: str, weighted: bool
) -> None:
    members = hosts(MANY, weighted)
    one = Balanced(members, **POLICIES[policy])
    health = itertools.cycle(["UNHEALTHY", "HEALTHY"])
    pedantic: Any = benchmark.pedantic  # has no types

    def change() -> None:
        members[MANY // 2].health = next(health)
        one.update(members)
        one.balancer.pick(CONTEXTS[0])
    pedantic(change, rounds=10)
