"""STRICT_DNS and LOGICAL_DNS under simulated time: what answers, empty answers and failures do, and when is
asked again."""

from __future__ import annotations

from typing import Any, List

import pytest

from proxy_core.upstream.cluster import Cluster
from proxy_core.upstream.discovery.dns_settings import DnsSettings, Pace, dns_settings
from tests.support.discovered import NO_SUCH_NAME, UNREACHABLE, Found, Json, addresses, endpoint, named


class Numbers:
    """A source of chance that says what it is told, over and over."""

    def __init__(self, *values: float) -> None:
        self.values = list(values)

    def random(self) -> float:
        self.values.append(self.values.pop(0))
        return self.values[-1]


@pytest.fixture
def found() -> Found:
    return Found()


def cluster(found: Found, kind: str, *entries: Json, **fields: Any) -> Cluster:
    return found.add(named(kind, *(entries or [endpoint("a.test")]), dns_lookup_family="V4_ONLY", **fields))


def counts(found: Found) -> List[int]:
    names = ("update_attempt", "update_success", "update_failure", "update_no_rebuild", "membership_change")
    return [found.value(f"cluster.c.{name}") for name in names]


# -- STRICT_DNS
# ----------------------------------------------------------------------------------------------------------

def test_every_address_of_every_name_is_a_host_with_the_name_for_a_hostname(found: Found) -> None:
    found.names.known.update({"a.test": ["10.0.0.1", "10.0.0.2"], "b.test": ["10.0.0.3"]})
    made = cluster(found, "STRICT_DNS", endpoint("a.test"), endpoint("b.test", 81, hostname="shown"))
    initialised: List[bool] = []
    made.initialization.when_complete(lambda: initialised.append(True))
    assert addresses(made) == [] and initialised == []
    found.background.finish()
    assert addresses(made) == ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:81"]
    assert [host.hostname for host in made.hosts] == ["a.test", "a.test", "shown"]
    assert initialised == [True]
    assert counts(found) == [2, 2, 0, 0, 2] and found.value("cluster.c.max_host_weight") == 1


def test_the_same_address_by_two_names_is_two_hosts_and_twice_in_one_answer_is_one(found: Found) -> None:
    found.names.known["a.test"] = ["10.0.0.1", "10.0.0.1"]
    made = cluster(found, "STRICT_DNS", endpoint("a.test"), endpoint("a.test"))
    found.background.finish()
    assert addresses(made) == ["10.0.0.1:80", "10.0.0.1:80"] and made.hosts[0] is not made.hosts[1]


def test_a_new_answer_keeps_the_hosts_that_are_still_in_it(found: Found) -> None:
    found.names.known["a.test"] = ["10.0.0.1", "10.0.0.2"]
    made = cluster(found, "STRICT_DNS")
    found.background.finish()
    kept = made.hosts[1]
    found.names.known["a.test"] = ["10.0.0.2", "10.0.0.3"]
    found.advance(5.0)
    assert addresses(made) == ["10.0.0.2:80", "10.0.0.3:80"] and made.hosts[0] is kept
    found.advance(5.0)
    assert counts(found) == [3, 3, 0, 1, 2]


def test_an_empty_answer_removes_the_hosts_and_a_failure_keeps_them(found: Found) -> None:
    found.names.known["a.test"] = ["10.0.0.1"]
    made = cluster(found, "STRICT_DNS")
    found.background.finish()
    found.names.known["a.test"] = UNREACHABLE
    found.advance(5.0)
    assert addresses(made) == ["10.0.0.1:80"]
    assert counts(found) == [2, 1, 1, 0, 1]
    found.names.known["a.test"] = NO_SUCH_NAME
    found.advance(5.0)
    assert addresses(made) == []
    assert counts(found) == [3, 2, 1, 0, 2]


def test_an_answer_for_one_name_leaves_the_hosts_of_the_others(found: Found) -> None:
    found.names.known.update({"a.test": ["10.0.0.1"], "b.test": ["10.0.0.2"]})
    made = cluster(found, "STRICT_DNS", endpoint("a.test"), endpoint("b.test"))
    found.background.finish()
    found.names.known["a.test"] = NO_SUCH_NAME
    found.advance(5.0)
    assert addresses(made) == ["10.0.0.2:80"]


@pytest.mark.parametrize("answer", [NO_SUCH_NAME, UNREACHABLE])
def test_a_name_that_can_not_be_resolved_still_initialises_the_cluster(found: Found, answer: Exception) -> None:
    found.names.known["a.test"] = answer
    made = cluster(found, "STRICT_DNS")
    found.background.finish()
    assert made.initialization.is_complete and made.pick_host() is None


def test_without_endpoints_there_is_nothing_to_wait_for(found: Found) -> None:
    made = found.add({"name": "c", "type": "STRICT_DNS"})
    assert made.initialization.is_complete


def test_a_flapping_name_never_loses_the_host_that_answers_again(found: Found) -> None:
    found.names.known["a.test"] = ["10.0.0.1"]
    made = cluster(found, "STRICT_DNS")
    found.background.finish()
    host = made.hosts[0]
    for turn in range(50):
        found.names.known["a.test"] = UNREACHABLE if turn % 2 else ["10.0.0.1"]
        found.advance(5.0)
        assert made.hosts == [host]


def test_weight_place_and_priority_of_the_endpoint_are_those_of_its_hosts(found: Found) -> None:
    found.names.known["a.test"] = ["10.0.0.1"]
    group = {"lb_endpoints": [endpoint("a.test", load_balancing_weight=7)], "priority": 1, "locality": {"zone": "z"}}
    first = {"lb_endpoints": [endpoint("a.test")]}
    made = found.add({"name": "c", "type": "STRICT_DNS", "load_assignment": {
        "cluster_name": "c", "endpoints": [first, group],
    }})
    found.background.finish()
    assert [(host.weight, host.zone, host.priority) for host in made.hosts] == [(1, "", 0), (7, "z", 1)]
    assert found.value("cluster.c.max_host_weight") == 7


def test_a_closed_cluster_asks_no_more_and_hears_no_answer(found: Found) -> None:
    found.names.known["a.test"] = ["10.0.0.1"]
    made = cluster(found, "STRICT_DNS")
    made.close()
    found.advance(100.0)
    assert addresses(made) == [] and len(found.names.asked) == 1
    found.advance(100.0)
    assert len(found.names.asked) == 1 and len(found.reactor.timers) == 0


# -- LOGICAL_DNS
# -----------------------------------------------------------------------------------------------------------

def test_a_logical_host_stays_the_same_host_and_goes_to_the_newest_address(found: Found) -> None:
    found.names.known["a.test"] = ["10.0.0.1", "10.0.0.2"]
    made = cluster(found, "LOGICAL_DNS")
    found.background.finish()
    host = made.pick_host()
    assert host is not None and addresses(made) == ["10.0.0.1:80"] and host.hostname == "a.test"
    found.names.known["a.test"] = ["10.0.0.9"]
    found.advance(5.0)
    assert made.pick_host() is host and addresses(made) == ["10.0.0.9:80"]
    found.advance(5.0)
    assert counts(found) == [3, 3, 0, 1, 1]


@pytest.mark.parametrize("answer", [NO_SUCH_NAME, UNREACHABLE])
def test_neither_an_empty_answer_nor_a_failure_takes_the_address_away(found: Found, answer: Exception) -> None:
    found.names.known["a.test"] = ["10.0.0.1"]
    made = cluster(found, "LOGICAL_DNS")
    found.background.finish()
    found.names.known["a.test"] = answer
    found.advance(5.0)
    assert addresses(made) == ["10.0.0.1:80"]
    assert counts(found) == [2, 1, 1, 0, 1]


def test_a_logical_host_that_was_never_found_is_no_host(found: Found) -> None:
    made = cluster(found, "LOGICAL_DNS")
    found.background.finish()
    assert made.initialization.is_complete and made.pick_host() is None
    assert counts(found) == [1, 0, 1, 0, 0]


def test_the_priority_of_a_logical_host_does_not_count(found: Found) -> None:
    found.names.known["a.test"] = ["10.0.0.1"]
    made = found.add({"name": "c", "type": "LOGICAL_DNS", "load_assignment": {
        "cluster_name": "c", "endpoints": [{"priority": 3, "lb_endpoints": [endpoint("a.test")]}],
    }})
    found.background.finish()
    assert [host.priority for host in made.hosts] == [0]


# -- the extension, and when is asked again
# ----------------------------------------------------------------------------------

def test_the_dns_extension_is_strict_or_logical_and_hides_the_fields_of_the_cluster(found: Found) -> None:
    def extended(**fields: Any) -> Json:
        kind = "type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster"
        tree = named("STATIC", endpoint("a.test"), dns_refresh_rate="9s")
        del tree["type"]
        return {**tree, "cluster_type": {"name": "envoy.cluster.dns", "typed_config": {"@type": kind, **fields}}}
    strict = found.config(extended(dns_refresh_rate="2s", dns_lookup_family="V4_PREFERRED", dns_jitter="1s"))
    assert strict.discovery_type == "STRICT_DNS"
    assert dns_settings(strict) == DnsSettings(2.0, None, 1.0, "V4_PREFERRED", None)
    logical = found.config(extended(all_addresses_in_single_endpoint=True, dns_failure_refresh_rate={
        "base_interval": "1s", "max_interval": "3s"}))
    assert logical.discovery_type == "LOGICAL_DNS"
    assert dns_settings(logical) == DnsSettings(5.0, (1.0, 3.0), 0.0, "UNSPECIFIED", None)


def test_the_refresh_rate_is_kept_and_jitter_comes_on_top(found: Found) -> None:
    pace = Pace(DnsSettings(2.0, None, 4.0, "AUTO", None), Numbers(0.0, 0.5, 0.999))  # type: ignore[arg-type]
    assert [pace.after_success() for _ in range(3)] == [2.0, 4.0, pytest.approx(5.996)]


def test_failures_wait_below_an_interval_that_doubles_up_to_the_longest_one_and_a_success_resets_it() -> None:
    pace = Pace(DnsSettings(9.0, (1.0, 5.0), 0.0, "AUTO", None), Numbers(1.0))  # type: ignore[arg-type]
    assert [pace.after_failure() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert pace.after_success() == 9.0
    assert pace.after_failure() == 1.0


def test_without_a_failure_rate_a_failure_waits_as_long_as_a_success() -> None:
    pace = Pace(DnsSettings(3.0, None, 7.0, "AUTO", None), Numbers(1.0))  # type: ignore[arg-type]
    assert [pace.after_failure() for _ in range(3)] == [3.0] * 3


def test_the_longest_failure_interval_is_ten_times_the_first_by_default(found: Found) -> None:
    config = found.config(named("STRICT_DNS", dns_failure_refresh_rate={"base_interval": "0.5s"}))
    assert dns_settings(config).failure_intervals == (0.5, 5.0)


def test_questions_come_at_the_refresh_rate_and_one_at_a_time(found: Found) -> None:
    found.names.known["a.test"] = ["10.0.0.1"]
    cluster(found, "STRICT_DNS", dns_refresh_rate="2s")
    found.background.finish()
    for _ in range(8):
        found.advance(0.5)
    assert len(found.names.asked) == 3
    found.clock.advance(60.0)
    for _ in range(5):
        found.reactor.turn(0)  # nobody answers: nothing more is asked
    assert len(found.background.tasks) == 1
