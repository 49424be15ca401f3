"""EDS files: what is taken, what is refused, and that what did not change is not decoded again."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from proxy_core.config.model.discovery import EdsClusterConfig
from proxy_core.config.registry import TypeRegistry
from proxy_core.errors import ConfigError
from proxy_core.upstream.discovery.eds import Assignment
from proxy_core.xds.eds import EndpointDecoder, EndpointSubscriptions
from proxy_core.xds.response import Rejected
from proxy_core.xds.subscription import LARGE
from tests.support.discovered import Json, assignment, endpoint
from tests.support.watched_file import WatchedFile

TYPE = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"


def response(*trees: Json, version: str = "1") -> bytes:
    return json.dumps({"version_info": version, "resources": [{"@type": TYPE, **tree} for tree in trees]}).encode()


def decoder(name: str = "c") -> EndpointDecoder:
    return EndpointDecoder(name, TypeRegistry())


def decoded(data: bytes, by: Optional[EndpointDecoder] = None) -> Assignment:
    found = (by or decoder()).decode(data, "eds.json").assignment
    assert found is not None
    return found


def test_an_assignment_becomes_members_with_everything_that_was_said_of_them() -> None:
    tree = {
        "cluster_name": "c",
        "endpoints": [
            {"priority": 1, "locality": {"zone": "z"}, "lb_endpoints": [endpoint("10.0.0.1", load_balancing_weight=3)]},
            {"lbEndpoints": [endpoint("10.0.0.2", hostname="h")]},
        ],
        "policy": {"overprovisioning_factor": 150},
    }
    found = decoded(response(tree))
    one, two = found.members
    assert (one.address.text, one.priority, one.entry.load_balancing_weight) == ("10.0.0.1:80", 1, 3)
    assert one.group.locality is not None and one.group.locality.zone == "z"
    assert (two.key, two.priority) == (("10.0.0.2:80", "h"), 0)
    assert found.policy.overprovisioning_factor == 150


def test_a_response_without_resources_has_no_assignment() -> None:
    assert decoder().decode(response(), "eds.json").assignment is None
    assert decoder().decode(b"{}", "eds.json").assignment is None


def test_a_resource_in_its_wrapper_is_unwrapped() -> None:
    wrapper = "type.googleapis.com/envoy.service.discovery.v3.Resource"
    inner = {"@type": TYPE, **assignment("c", endpoint("10.0.0.1"))}
    data = json.dumps({"resources": [{"@type": wrapper, "name": "c", "resource": inner}]}).encode()
    assert len(decoded(data).members) == 1


@pytest.mark.parametrize("trees, text", [
    ([assignment("other")], "Unexpected EDS cluster (expecting c): other"),
    ([assignment("c"), assignment("c")], "Unexpected EDS resource length: 2"),
    ([assignment("c", endpoint("localhost"))], "malformed IP address: localhost. Consider setting resolver_name"),
    ([assignment("c", endpoint("10.0.0.1", load_balancing_weight=0))], "load_balancing_weight"),
    ([assignment("c", endpoint("10.0.0.1", 70000))], "port_value"),
    ([assignment("c", {})], "needs an address"),
    ([assignment("c", {"endpoint_name": "nobody"})], "needs an address"),
    ([{"cluster_name": "c", "endpoints": [{"priority": 129}]}], "priority"),
    ([{"cluster_name": "c", "endpoints": [7]}], "endpoints[0]"),
    ([{"cluster_name": "c", "endpoints": {}}], "endpoints"),
    ([{"cluster_name": "c", "endpoints": [{"lb_endpoints": [], "lbEndpoints": []}]}], "lb"),
    ([assignment("c", 5)], "lb_endpoints[0]"),  # type: ignore[arg-type]
    ([{}], "cluster_name"),
])
def test_what_can_not_be_used_is_rejected_with_the_reason(trees: List[Json], text: str) -> None:
    with pytest.raises(Rejected) as caught:
        decoder().decode(response(*trees), "eds.json")
    assert text in str(caught.value)


@pytest.mark.parametrize("data", [
    b"", b"{", b"[]", b'{"resources": 5}', b'{"resources": [5]}', b'{"resources": [{}]}', b"\xff\xfe", b'{"version_info": 5}',
])
def test_what_is_no_response_is_a_failure(data: bytes) -> None:
    with pytest.raises(ConfigError):
        decoder().decode(data, "eds.json")


def test_a_file_that_is_cut_off_anywhere_is_never_taken_for_a_whole_one() -> None:
    data = response(assignment("c", endpoint("10.0.0.1"), endpoint("10.0.0.2")))
    for end in range(len(data)):
        with pytest.raises((ConfigError, Rejected)):
            decoder().decode(data[:end], "eds.json")


def test_seeded_mutations_are_taken_or_refused_and_nothing_else() -> None:
    rng = random.Random(3)
    data = response(assignment("c", endpoint("10.0.0.1", load_balancing_weight=2), policy={"overprovisioning_factor": 9}))
    one = decoder()
    for _ in range(1500):
        changed = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            changed[rng.randrange(len(changed))] = rng.choice(b'{}[]":,0a\xff')
        try:
            one.decode(bytes(changed), "eds.json")
        except (ConfigError, Rejected):
            continue


def test_an_unknown_field_is_a_warning_and_the_rest_counts() -> None:
    found = decoder().decode(response(assignment("c", endpoint("10.0.0.1", bogus=1))), "eds.json")
    assert [problem.path for problem in found.warnings] == ["resources[0].endpoints[0].lb_endpoints[0].bogus"]
    assert found.assignment is not None and len(found.assignment.members) == 1


def test_an_entry_that_stays_the_same_is_the_same_member_wherever_it_stands() -> None:
    one = decoder()
    entries = [endpoint(f"10.0.0.{number}") for number in range(5)]
    before = decoded(response(assignment("c", *entries)), one).members
    entries[1] = endpoint("10.0.0.1", load_balancing_weight=2)
    del entries[3]
    after = decoded(response(assignment("c", *entries)), one).members
    assert [before.index(member) if member in before else None for member in after] == [0, None, 2, 4]
    assert after[0] is before[0] and after[3] is before[4]


def test_an_entry_of_a_group_that_changed_is_another_member() -> None:
    one = decoder()
    group: Dict[str, Any] = {"lb_endpoints": [endpoint("10.0.0.1")]}
    before = decoded(response({"cluster_name": "c", "endpoints": [group]}), one).members
    after = decoded(response({"cluster_name": "c", "endpoints": [{**group, "priority": 1}]}), one).members
    assert after[0] is not before[0] and after[0].priority == 1


def test_true_is_not_taken_for_the_1_that_was_there_before() -> None:
    one = decoder()
    decoded(response(assignment("c", endpoint("10.0.0.1", 1))), one)
    with pytest.raises(Rejected):
        one.decode(response(assignment("c", endpoint("10.0.0.1", True))), "eds.json")


def test_named_endpoints_are_looked_up_anew() -> None:
    def named(ip: str) -> bytes:
        address = {"socket_address": {"address": ip, "port_value": 1}}
        return response(assignment("c", {"endpoint_name": "one"}, named_endpoints={"one": {"address": address}}))
    one = decoder()
    assert [decoded(named(ip), one).members[0].address.ip for ip in ("10.0.0.1", "10.0.0.2")] == ["10.0.0.1", "10.0.0.2"]


def test_a_rejected_file_does_not_spoil_what_is_remembered() -> None:
    one = decoder()
    before = decoded(response(assignment("c", endpoint("10.0.0.1"))), one).members
    with pytest.raises(Rejected):
        one.decode(response(assignment("c", endpoint("10.0.0.1"), endpoint("x"))), "eds.json")
    assert decoded(response(assignment("c", endpoint("10.0.0.1"))), one).members[0] is before[0]


# -- subscriptions
# -----------------------------------------------------------------------------------------------------------

class Subscribed(WatchedFile):
    """One cluster's subscription to a real file, under simulated time."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / "eds.json")
        self.subscribe = EndpointSubscriptions(self.files)
        self.received: List[Optional[Assignment]] = []

    def start(self) -> None:
        config = EdsClusterConfig(self.source)
        self.subscription = self.subscribe(config, "c", self.store.scope("cluster.c"), self.received.append, "p")
        self.subscription.start()

    def counts(self) -> List[int]:
        return self.counters("cluster.c", ("update_attempt", "update_success", "update_failure", "update_rejected"))


@pytest.fixture
def subscribed(tmp_path: Path) -> Subscribed:
    return Subscribed(tmp_path)


def large(first: str = "10.9.9.9") -> bytes:
    data = response(assignment("c", endpoint(first), *(endpoint(f"10.0.{n >> 8}.{n & 255}") for n in range(1000))))
    assert len(data) > LARGE
    return data


def test_a_source_that_is_not_there_is_a_problem_of_the_configuration(subscribed: Subscribed) -> None:
    with pytest.raises(ConfigError) as caught:
        subscribed.start()
    assert "paths must refer to an existing path in the system" in str(caught.value)


def test_good_and_bad_files_one_after_the_other(subscribed: Subscribed) -> None:
    subscribed.move_in(response(assignment("c", endpoint("10.0.0.1", bogus=1))))
    subscribed.start()
    for data in (b"{", response(assignment("other")), response(assignment("c", endpoint("10.0.0.2")), version="2")):
        subscribed.move_in(data)
        subscribed.poll()
    assert [len(one.members) for one in subscribed.received if one is not None] == [1, 1]
    assert subscribed.counts() == [4, 2, 1, 1] and subscribed.unknown.value == 1
    assert subscribed.store.texts["cluster.c.version_text"].value == "2"
    assert not subscribed.errors


def test_a_large_file_is_decoded_at_once_at_the_start_and_in_the_background_afterwards(subscribed: Subscribed) -> None:
    subscribed.move_in(large())
    subscribed.start()
    assert len(subscribed.received) == 1
    subscribed.move_in(large("10.9.9.8"))
    subscribed.poll()
    assert len(subscribed.received) == 1 and len(subscribed.background.tasks) == 1
    subscribed.background.finish()
    assert len(subscribed.received) == 2 and subscribed.counts() == [2, 2, 0, 0]


def test_a_file_that_changes_while_the_last_one_is_decoded_is_read_afterwards(subscribed: Subscribed) -> None:
    subscribed.move_in(large())
    subscribed.start()
    for first in ("10.9.9.1", "10.9.9.2", "10.9.9.3"):
        subscribed.move_in(large(first))
        subscribed.poll()
    assert len(subscribed.background.tasks) == 1
    subscribed.background.finish()
    subscribed.background.finish()
    newest = subscribed.received[-1]
    assert newest is not None and newest.members[0].address.ip == "10.9.9.3"
    assert subscribed.counts() == [3, 3, 0, 0]


def test_a_large_file_that_is_bad_is_counted_as_a_small_one(subscribed: Subscribed) -> None:
    subscribed.move_in(large())
    subscribed.start()
    for data in (large()[:-9], large("name")):
        subscribed.move_in(data)
        subscribed.poll()
        subscribed.background.finish()
    assert len(subscribed.received) == 1 and subscribed.counts() == [3, 1, 1, 1]


def test_a_closed_subscription_hears_nothing_of_what_is_still_decoded(subscribed: Subscribed) -> None:
    subscribed.move_in(large())
    subscribed.start()
    subscribed.move_in(large("10.9.9.8"))
    subscribed.poll()
    subscribed.subscription.close()
    subscribed.background.finish()
    assert len(subscribed.received) == 1 and len(subscribed.reactor.timers) == 0
