"""Zone-aware routing: how much stays in the proxy's zone. Shares are those measured on Envoy 1.40."""

from __future__ import annotations

import random
from typing import Any, Dict, List, Optional, Sequence, Tuple

import pytest

from proxy_core.upstream.balancer import Surroundings
from proxy_core.upstream.host import Host
from proxy_core.upstream.host_set import HostSet, by_priority
from tests.support.balancing import Balanced, extension, host, is_near


class Proxies:
    """The cluster of proxies: so many in each zone."""

    def __init__(self, zones: str, kinds: str = "") -> None:
        self.host_sets: Sequence[HostSet] = ()
        self.become(zones, kinds)

    def become(self, zones: str, kinds: str = "") -> None:
        members = [host(900 + index, 1, kinds[index] if kinds else "h", zone=zone) for index, zone in enumerate(zones)]
        self.host_sets = by_priority(members)


def upstream(*zones: Tuple[str, str]) -> List[Host]:
    """Hosts 1, 2, 3 ... by zone: (zone, their health)."""
    found: List[Host] = []
    for zone, kinds in zones:
        found += [host(len(found) + 1 + index, 1, kind, zone=zone) for index, kind in enumerate(kinds)]
    return found


def balanced(proxies: Optional[Proxies], members: Sequence[Host], **config: Any) -> Balanced:
    around = Surroundings(random.Random(1), locality=("", "a", ""), local_cluster="proxies", local=lambda: proxies)
    zone_aware: Dict[str, Any] = {"min_cluster_size": 1, **config.pop("zone", {})}
    config.setdefault("common_lb_config", {"zone_aware_lb_config": zone_aware})
    return Balanced(members, surroundings=around, **config)


@pytest.mark.parametrize(("members", "shares"), [
    (upstream(("a", "hh"), ("b", "hh")), {1: 0.5, 2: 0.5}),
    (upstream(("a", "h"), ("b", "hh"), ("c", "h")), {1: 0.5, 4: 0.5}),
    (upstream(("d", "h"), ("b", "hh")), {1: 0.667, 2: 0.1665, 3: 0.1665}),
    (upstream(("a", "hu"), ("b", "hh")), {1: 0.667, 3: 0.1665, 4: 0.1665}),
    (upstream(("a", "hh")), {1: 0.5, 2: 0.5}),
])
def test_as_many_stay_in_the_zone_as_leave_all_hosts_equally_loaded(members: List[Host], shares: Dict[int, float]) -> None:
    found = balanced(Proxies("aabb"), members).tally(4000)
    assert set(found) == set(shares)
    assert all(is_near(found[number], 4000, share) for number, share in shares.items())


def test_the_ways_are_counted() -> None:
    one = balanced(Proxies("aabb"), upstream(("a", "h"), ("b", "hh"), ("c", "h")))
    one.tally(100)
    assert one.stat("lb_zone_routing_sampled") + one.stat("lb_zone_routing_cross_zone") == 100
    direct = balanced(Proxies("aabb"), upstream(("a", "hh"), ("b", "hh")))
    direct.tally(10)
    assert direct.stat("lb_zone_routing_all_directly") == 10 and direct.stat("lb_recalculate_zone_structures") == 2


@pytest.mark.parametrize(("proxies", "zone", "counter"), [
    ("aabb", {"min_cluster_size": 6}, "lb_zone_cluster_too_small"), ("bbcc", {}, "lb_local_cluster_not_ok"),
    ("aaaa", {}, ""), ("aabb", {"routing_enabled": {"value": 0}}, ""),
])
def test_zones_do_not_count_in_clusters_for_which_that_makes_no_sense(proxies: str, zone: Dict[str, Any], counter: str) -> None:
    one = balanced(Proxies(proxies), upstream(("a", "hh"), ("b", "hh")), zone=zone)
    assert one.tally(40) == {1: 10, 2: 10, 3: 10, 4: 10}
    assert not counter or one.stat(counter) == 2


def test_without_a_cluster_of_proxies_zones_do_not_count() -> None:
    assert balanced(None, upstream(("a", "hh"), ("b", "hh"))).tally(40) == {1: 10, 2: 10, 3: 10, 4: 10}


def test_a_change_of_the_proxies_is_noticed() -> None:
    proxies = Proxies("aabb")
    one = balanced(proxies, upstream(("a", "hh"), ("b", "hh")))
    assert set(one.tally(20)) == {1, 2}
    proxies.become("aaab")
    found = one.tally(4000)
    assert is_near(found[1] + found[2], 4000, 2 / 3)


@pytest.mark.parametrize(("fails", "found"), [(False, {1: 10, 2: 10, 3: 10, 4: 10}), (True, {0: 40})])
def test_when_the_proxies_are_in_a_panic_zones_do_not_count_or_nobody_is_picked(fails: bool, found: Dict[int, int]) -> None:
    one = balanced(
        Proxies("aabbbb", "huhuuu"), upstream(("a", "hh"), ("b", "hh")), zone={"fail_traffic_on_panic": fails}
    )
    assert one.tally(40) == found and one.stat("lb_local_cluster_not_ok") == 40


@pytest.mark.parametrize(("least", "shares"), [(1, {1: 1.0}), (2, {1: 0.5, 4: 0.5})])
def test_the_own_zone_can_be_given_everything_once_it_is_large_enough(least: int, shares: Dict[int, float]) -> None:
    zones = {"min_cluster_size": 1, "force_local_zone": {"min_size": least}}
    policy = extension("random", "Random", locality_lb_config={"zone_aware_lb_config": zones})
    one = balanced(
        Proxies("aabb"), upstream(("a", "h"), ("b", "hh"), ("c", "h")), load_balancing_policy=policy, common_lb_config={}
    )
    found = one.tally(2000)
    assert set(found) == set(shares) and all(is_near(found[number], 2000, share) for number, share in shares.items())


def test_shares_can_be_of_weight() -> None:
    zones = {"min_cluster_size": 1, "locality_basis": "HEALTHY_HOSTS_WEIGHT"}
    policy = extension("round_robin", "RoundRobin", locality_lb_config={"zone_aware_lb_config": zones})
    members = [host(1, 1, zone="a"), host(2, 5, zone="b"), host(3, 1, zone="b")]
    found = balanced(Proxies("aabb"), members, load_balancing_policy=policy, common_lb_config={}).tally(4000)
    assert is_near(found[1], 4000, 1428 / 5000)
