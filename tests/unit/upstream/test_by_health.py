"""Which hosts may be picked, by their health. The shares are those measured on Envoy 1.40."""

from __future__ import annotations

import random
from collections import Counter as Tally
from typing import Dict, Tuple

import pytest

from proxy_core.network.address import Address
from proxy_core.observe.stats import Counter
from proxy_core.upstream.balancer.by_health import ByHealth
from proxy_core.upstream.balancer.round_robin import RoundRobin
from proxy_core.upstream.host import Host

HEALTH = {"h": "HEALTHY", "d": "DEGRADED", "u": "UNHEALTHY", "x": "DRAINING", "t": "TIMEOUT"}


def picks(kinds: str, rounds: int = 2000, overprovisioning: int = 140) -> Tuple[Dict[int, int], int]:
    """(picks by host, picks in a panic) of hosts of these kinds."""
    panics = Counter("lb_healthy_panic")
    balancer = ByHealth(RoundRobin, panics, random.Random(1), overprovisioning)
    hosts = [Host(Address.from_ip("127.0.0.1", port), 1, HEALTH[kind]) for port, kind in enumerate(kinds, 1)]
    balancer.update(hosts)
    tally = Tally(host.address.port for host in (balancer.pick() for _ in range(rounds)) if host is not None)
    return dict(tally), panics.value


@pytest.mark.parametrize(("kinds", "chosen"), [
    ("hh", {1, 2}), ("hu", {1}), ("hx", {1}), ("hxxx", {1}), ("hhu", {1, 2}), ("dd", {1, 2}), ("du", {1}), ("ht", {1}),
])
def test_the_ill_are_left_out_while_half_of_the_hosts_are_usable(kinds: str, chosen: "set[int]") -> None:
    found, panics = picks(kinds)
    assert set(found) == chosen and panics == 0


@pytest.mark.parametrize("kinds", ["uu", "xx", "xu", "t", "huu"])
def test_in_a_panic_health_is_ignored_and_each_pick_is_counted(kinds: str) -> None:
    found, panics = picks(kinds, 600)
    assert panics == 600
    assert found == {port: 600 // len(kinds) for port in range(1, len(kinds) + 1)}


@pytest.mark.parametrize(("kinds", "low", "high"), [("hd", 0.65, 0.75), ("hdu", 0.45, 0.55), ("hhddu", 0.51, 0.61)])
def test_degraded_hosts_take_what_the_healthy_ones_cannot(kinds: str, low: float, high: float) -> None:
    found, panics = picks(kinds)
    healthy = sum(count for port, count in found.items() if kinds[port - 1] == "h") / 2000
    assert low < healthy < high and panics == 0


def test_overprovisioning_moves_the_point_where_degraded_hosts_help() -> None:
    assert set(picks("hd", overprovisioning=200)[0]) == {1}


def test_without_hosts_nobody_is_picked_and_that_is_a_panic() -> None:
    assert picks("", 3) == ({}, 3)
