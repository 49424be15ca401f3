"""What an update does to the hosts: who keeps its object, who is new, who goes."""

from __future__ import annotations

import random
from typing import Dict, List, Tuple

import pytest

from proxy_core.config.decode import decode
from proxy_core.config.model.endpoint import ClusterLoadAssignment
from proxy_core.config.registry import TypeRegistry
from proxy_core.upstream.discovery.members import Change, Member, Membership, members_of
from proxy_core.upstream.host import PENDING_DYNAMIC_REMOVAL, Host
from tests.support.discovered import Json, assignment, endpoint


def members(*entries: Json, **fields: object) -> List[Member]:
    return members_of(decode(ClusterLoadAssignment, assignment("c", *entries, **fields), TypeRegistry()))


def texts(hosts: List[Host]) -> List[str]:
    return [host.address.text for host in hosts]


def test_a_host_that_stays_keeps_its_object_and_its_counters() -> None:
    membership = Membership()
    first = membership.update(members(endpoint("10.0.0.1"), endpoint("10.0.0.2")))
    first.hosts[1].counters.cx_total = 7
    second = membership.update(members(endpoint("10.0.0.2"), endpoint("10.0.0.3")))
    assert texts(first.added) == ["10.0.0.1:80", "10.0.0.2:80"]
    assert (texts(second.added), texts(second.removed)) == (["10.0.0.3:80"], ["10.0.0.1:80"])
    assert second.hosts[0] is first.hosts[1] and second.hosts[0].counters.cx_total == 7
    assert second.touched == {0} and second.edited == []


def test_the_same_members_are_no_change() -> None:
    membership = Membership()
    entries = [endpoint("10.0.0.1", load_balancing_weight=2), endpoint("10.0.0.2", 81)]
    membership.update(members(*entries))
    again = membership.update(members(*entries))
    assert again.is_empty and texts(again.hosts) == ["10.0.0.1:80", "10.0.0.2:81"]


@pytest.mark.parametrize("fields, attribute, value", [
    ({"load_balancing_weight": 5}, "weight", 5),
    ({"health_status": "DRAINING"}, "health", "DRAINING"),
    ({"metadata": {"filter_metadata": {"envoy.lb": {"a": 1}}}}, "metadata", {"envoy.lb": {"a": 1}}),
])
def test_weight_health_and_metadata_change_in_place(fields: Json, attribute: str, value: object) -> None:
    membership = Membership()
    host = membership.update(members(endpoint("10.0.0.1"))).hosts[0]
    change = membership.update(members(endpoint("10.0.0.1", **fields)))
    assert change.hosts == [host] and change.edited == [host]
    assert not change.added and not change.removed and not change.touched
    assert getattr(host, attribute) == value
    assert membership.update(members(endpoint("10.0.0.1"))).edited == [host]
    assert getattr(host, attribute) != value


def test_another_place_is_a_change_in_place_and_another_priority_touches_both() -> None:
    def at(**group: object) -> List[Member]:
        tree = {"cluster_name": "c", "endpoints": [{"lb_endpoints": [endpoint("10.0.0.1")], **group}]}
        return members_of(decode(ClusterLoadAssignment, tree, TypeRegistry()))
    membership = Membership()
    host = membership.update(at()).hosts[0]
    moved = membership.update(at(locality={"zone": "b"}, load_balancing_weight=3))
    assert (host.zone, host.locality_weight, moved.edited, moved.touched) == ("b", 3, [host], set())
    demoted = membership.update(at(priority=2))
    assert demoted.hosts == [host] and host.priority == 2 and demoted.touched == {0, 2}


def test_another_hostname_is_another_host() -> None:
    membership = Membership()
    old = membership.update(members(endpoint("10.0.0.1", hostname="a"))).hosts[0]
    change = membership.update(members(endpoint("10.0.0.1", hostname="b")))
    assert change.removed == [old] and change.added == change.hosts and change.hosts[0].hostname == "b"


def test_of_two_members_with_one_address_the_first_counts() -> None:
    membership = Membership()
    change = membership.update(members(
        endpoint("10.0.0.1", load_balancing_weight=3), endpoint("10.0.0.1", load_balancing_weight=9)
    ))
    assert [host.weight for host in change.hosts] == [3]


def test_a_named_endpoint_is_a_member_like_any_other() -> None:
    named = {"one": {"address": {"socket_address": {"address": "10.0.0.1", "port_value": 1}}, "hostname": "h"}}
    found = members({"endpoint_name": "one", "load_balancing_weight": 4}, named_endpoints=named)
    assert [(member.key, member.entry.load_balancing_weight) for member in found] == [(("10.0.0.1:1", "h"), 4)]


def test_a_host_may_be_kept_until_it_is_released_and_may_come_back() -> None:
    def keep(host: Host) -> bool:
        host.flags |= PENDING_DYNAMIC_REMOVAL
        return True
    membership = Membership(keep)
    one, two = membership.update(members(endpoint("10.0.0.1"), endpoint("10.0.0.2"))).hosts
    kept = membership.update(members(endpoint("10.0.0.1")))
    assert kept.is_empty and kept.hosts == [one, two] and two.flags == PENDING_DYNAMIC_REMOVAL
    back = membership.update(members(endpoint("10.0.0.1"), endpoint("10.0.0.2")))
    assert back.is_empty and not two.flags
    membership.update(members(endpoint("10.0.0.1")))
    released = membership.release(two)
    assert (released.hosts, released.removed, released.touched) == ([one], [two], {0})
    assert two not in membership and one in membership


def test_an_address_that_is_a_name_is_refused() -> None:
    with pytest.raises(ValueError):
        members(endpoint("a.example"))


def test_any_sequence_of_updates_ends_in_the_hosts_of_the_last_one_with_objects_kept() -> None:
    rng = random.Random(5)
    membership = Membership()
    before: Dict[Tuple[str, int], Host] = {}
    for _ in range(200):
        wanted = {f"10.0.0.{rng.randrange(12)}": rng.randrange(1, 4) for _ in range(rng.randrange(12))}
        change: Change = membership.update(members(
            *(endpoint(ip, load_balancing_weight=weight) for ip, weight in wanted.items())
        ))
        now = {(host.address.ip, host.address.port): host for host in change.hosts}
        assert {ip: now[ip, 80].weight for ip in wanted} == wanted and len(now) == len(wanted)
        assert all(before[key] is host for key, host in now.items() if key in before)
        assert {id(host) for host in change.added} == {id(now[key]) for key in now if key not in before}
        assert {id(host) for host in change.removed} == {id(before[key]) for key in before if key not in now}
        before = now
