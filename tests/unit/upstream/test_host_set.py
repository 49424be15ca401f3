"""Hosts by priority, health and locality."""

from __future__ import annotations

from proxy_core.upstream.host_set import by_priority
from proxy_core.upstream.priority_load import Level
from tests.support.balancing import host, kinds


def test_hosts_are_sorted_by_priority_and_one_that_is_left_out_is_an_empty_set() -> None:
    sets = by_priority([host(1, priority=2), host(2), host(3, priority=2)])
    assert [[one.address.port for one in each.hosts] for each in sets] == [[2], [], [1, 3]]
    assert [each.priority for each in sets] == [0, 1, 2]
    assert [each.hosts for each in by_priority([])] == [[]]


def test_a_set_knows_who_may_be_picked_and_who_does_not_count() -> None:
    only = by_priority(kinds("hduxt"))[0]
    ports = [[one.address.port for one in group] for group in (only.healthy, only.degraded, only.excluded)]
    assert ports == [[1], [2], [4]]
    assert only.level() == Level(1, 1, 4, 1, 1, 4, 5, 140)


def test_health_can_be_a_share_of_weight() -> None:
    members = [host(1, 5), host(2, 3, "u"), host(3, 2, "d"), host(4, 7, "x")]
    assert by_priority(members, 120, True)[0].level() == Level(5, 2, 10, 1, 1, 3, 4, 120)


def test_localities_are_in_order_of_their_names_with_the_weight_of_their_hosts() -> None:
    members = [host(1, zone="b", locality_weight=3), host(2, zone="a"), host(3, 1, "u", zone="b", locality_weight=3)]
    found = by_priority([*members, host(4, locality_weight=9)])[0].localities()
    assert [(one.name[1], one.weight, len(one.hosts), len(one.healthy)) for one in found] == [
        ("", 0, 1, 1), ("a", 0, 1, 1), ("b", 3, 2, 1),
    ]


def test_a_part_of_a_set_has_its_settings_and_other_weights_if_given() -> None:
    members = [host(1, zone="a", locality_weight=3), host(2, zone="b", locality_weight=4)]
    whole = by_priority([host(9), *members], 120)[0]
    part = whole.only(members[:1], {("", "a", ""): 7})
    assert part.overprovisioning == 120 and [one.weight for one in part.localities()] == [7]
    assert [one.weight for one in whole.only(members).localities()] == [3, 4]
    assert [one.weight for one in whole.only(members, {}).localities()] == [0, 0]
