"""Ejecting and bringing back: a cluster's outlier detection under simulated time."""

from __future__ import annotations

from typing import Any, Callable, Iterator, List

import pytest

from proxy_core.upstream.discovery.members import Change
from tests.support.watched import Backend, Watched, check

Make = Callable[..., Watched]
FAST = {"consecutive_5xx": 2, "interval": "1s", "base_ejection_time": "2s", "max_ejection_percent": 100}


@pytest.fixture
def watch() -> Iterator[Make]:
    """Makes watched clusters of ports that nobody asks, and closes them."""
    made: List[Watched] = []

    def make(count: int = 2, *backends: Backend, fields: Any = None, **detection: Any) -> Watched:
        made.append(Watched(
            *backends, ports=list(range(1, count + 1)), outlier_detection={**FAST, **detection}, **(fields or {}),
        ))
        return made[-1]
    yield make
    for one in made:
        one.close()


def fail(watched: Watched, which: int, times: int = 2) -> None:
    for _ in range(times):
        monitor = watched.hosts[which].outlier
        assert monitor is not None
        monitor.put_connect_failed(timed_out=False)
    watched.turn(1)


def ejected(watched: Watched) -> List[int]:
    return [index for index, flags in enumerate(watched.flags) if flags == "/failed_outlier_check"]


def values(watched: Watched, *names: str) -> List[int]:
    return [watched.value(f"outlier_detection.ejections_{name}") for name in names]


def test_a_host_that_refuses_is_ejected_and_comes_back_at_the_first_tick_after_its_time(watch: Make) -> None:
    watched = watch()
    watched.advance(0.5)
    fail(watched, 1)
    assert ejected(watched) == [1] and {watched.cluster.pick_host() for _ in range(4)} == {watched.hosts[0]}
    assert watched.value("membership_healthy") == 1
    seen = []
    for _ in range(4):
        watched.advance(0.5)
        watched.advance(0.5)
        seen.append(ejected(watched))
    assert seen == [[1], [1], [], []]  # ticks at 1, 2, 3: two seconds are over at the third
    assert watched.value("membership_healthy") == 2
    assert values(watched, "active", "enforced_total", "total", "enforced_consecutive_5xx", "detected_consecutive_5xx",
                  "consecutive_5xx", "overflow") == [0, 1, 1, 1, 1, 1, 0]


def test_events_are_envoys(watch: Make) -> None:
    watched = watch()
    fail(watched, 1)
    for _ in range(3):
        watched.advance(1)
    fail(watched, 1)
    wall = "2023-11-14T22:30:0"
    common = {"cluster_name": "c", "upstream_url": "127.0.0.1:2"}
    assert watched.events == [
        {"type": "CONSECUTIVE_5XX", "timestamp": wall + "0Z", **common, "action": "EJECT", "num_ejections": 1,
         "enforced": True, "eject_consecutive_event": {}},
        {"type": "CONSECUTIVE_5XX", "timestamp": wall + "2Z", "secs_since_last_action": "2", **common, "action": "UNEJECT",
         "num_ejections": 1, "enforced": False},
        {"type": "CONSECUTIVE_5XX", "timestamp": wall + "3Z", "secs_since_last_action": "1", **common, "action": "EJECT",
         "num_ejections": 2, "enforced": True, "eject_consecutive_event": {}},
    ]
    assert list(watched.events[1]) == [
        "type", "timestamp", "secs_since_last_action", "cluster_name", "upstream_url", "action", "num_ejections", "enforced"
    ]


def test_each_ejection_lasts_longer_and_good_health_shortens_the_next_one(watch: Make) -> None:
    watched = watch(max_ejection_time="5s")
    lasted = []
    for _ in range(4):
        fail(watched, 0)
        count = 0
        while ejected(watched):
            watched.advance(1)
            count += 1
        lasted.append(count)
    # the tick that brings a host back lowers the multiplier again
    assert lasted == [2, 2, 2, 2]
    watched = watch(interval="3s", max_ejection_time="7s")
    monitor = watched.hosts[0].outlier
    assert monitor is not None
    lasted = []
    for _ in range(3):
        fail(watched, 0)
        lasted.append(watched.cluster.monitor._detector.settings.ejection_time(monitor.multiplier))  # type: ignore
        monitor.multiplier += 1
        while ejected(watched):
            watched.advance(3)
    assert lasted == [2, 4, 6]
    for _ in range(5):
        watched.advance(3)
    assert monitor.multiplier == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(("count", "percent", "one_always", "gone"), [
    (2, 10, False, 0), (2, 49, False, 0), (2, 50, False, 1), (3, 66, False, 1), (3, 67, False, 2), (10, 10, False, 1),
    (3, 0, True, 1), (3, 0, False, 0), (1, 100, False, 1), (4, 100, False, 4),
])
def test_no_more_than_a_part_of_the_hosts_is_ejected(watch: Make, count: int, percent: int, one_always: bool, gone: int) -> None:
    watched = watch(count, max_ejection_percent=percent, always_eject_one_host=one_always)
    for index in range(count):
        fail(watched, index)
    assert len(ejected(watched)) == gone
    assert values(watched, "active", "overflow") == [gone, count - gone]


def test_what_is_not_enforced_is_told_and_counted_and_nothing_else(watch: Make) -> None:
    watched = watch(enforcing_consecutive_5xx=0)
    fail(watched, 0, 4)
    assert ejected(watched) == []
    assert [(one["enforced"], one["num_ejections"]) for one in watched.events] == [(False, 0), (False, 0)]
    assert values(watched, "detected_consecutive_5xx", "enforced_total", "total", "active") == [2, 0, 2, 0]


def test_in_a_panic_an_ejected_host_that_goes_on_failing_is_not_ejected_again_for_its_first_failure(watch: Make) -> None:
    watched = watch(1)
    fail(watched, 0, 9)
    assert values(watched, "detected_consecutive_5xx") == [1]
    for _ in range(3):
        watched.advance(1)
    assert ejected(watched) == []
    fail(watched, 0, 1)
    assert ejected(watched) == []


def test_jitter_makes_an_ejection_longer(watch: Make) -> None:
    watched = watch(max_ejection_time_jitter="1000s")
    fail(watched, 0)
    for _ in range(5):
        watched.advance(1)
    assert ejected(watched) == [0]


# -- rates -------------------------------------------------------------------------------------------------------------

RATES = {"consecutive_5xx": 1000, "success_rate_request_volume": 4, "failure_percentage_request_volume": 4}


def traffic(watched: Watched, failing: int, volume: int = 4) -> None:
    for index, host in enumerate(watched.hosts):
        assert host.outlier is not None
        for _ in range(volume):
            host.outlier.put_response_code(500 if index == failing else 200)


def test_a_host_with_a_success_rate_far_below_the_others_is_ejected_at_the_tick(watch: Make) -> None:
    watched = watch(5, **RATES)
    traffic(watched, 4)
    watched.advance(0.5)
    assert ejected(watched) == []
    watched.advance(0.5)
    assert ejected(watched) == [4]
    assert watched.events[0]["type"] == "SUCCESS_RATE"
    assert watched.events[0]["eject_success_rate_event"] == {
        "host_success_rate": 0, "cluster_average_success_rate": 80, "cluster_success_rate_ejection_threshold": 4,
    }
    assert [host.outlier.success_rates for host in watched.hosts if host.outlier] == [(100, -1)] * 4 + [(0, -1)]
    assert watched.cluster.monitor.outlier_rates() == [(80, pytest.approx(4)), (-1, -1)]  # type: ignore[union-attr]
    watched.advance(1)
    assert [host.outlier.success_rates for host in watched.hosts if host.outlier] == [(-1, -1)] * 5
    assert watched.cluster.monitor.outlier_rates() == [(-1, -1), (-1, -1)]  # type: ignore[union-attr]


def test_failure_percentage_is_off_unless_enforced_and_may_eject_a_host_a_second_time(watch: Make) -> None:
    watched = watch(5, **RATES)
    traffic(watched, 0)
    watched.advance(1)
    assert values(watched, "detected_failure_percentage", "enforced_failure_percentage", "active") == [1, 0, 1]
    watched = watch(5, **RATES, enforcing_failure_percentage=100)
    traffic(watched, 0)
    watched.advance(1)
    assert values(watched, "active", "enforced_total", "enforced_success_rate", "enforced_failure_percentage") == [2, 2, 1, 1]
    assert [one["num_ejections"] for one in watched.events] == [1, 2]
    assert watched.events[1]["eject_failure_percentage_event"] == {"host_success_rate": 0}
    for _ in range(5):
        watched.advance(1)
    assert ejected(watched) == [] and values(watched, "active") == [0]  # Envoy's gauge stays at 1


def test_local_origin_rates_are_judged_apart(watch: Make) -> None:
    watched = watch(5, **RATES, split_external_local_origin_errors=True, consecutive_local_origin_failure=1000)
    for index, host in enumerate(watched.hosts):
        for _ in range(4):
            assert host.outlier is not None
            if index == 2:
                host.outlier.put_connect_failed(timed_out=True)
            else:
                host.outlier.put_connected(final=True)
    watched.advance(1)
    assert ejected(watched) == [2]
    assert watched.events[0]["type"] == "SUCCESS_RATE_LOCAL_ORIGIN"
    assert values(watched, "enforced_local_origin_success_rate", "success_rate", "total") == [1, 1, 0]


# -- health checks, coming and going -----------------------------------------------------------------------------------

@pytest.mark.parametrize("unejects", [True, False])
def test_a_passing_health_check_brings_a_host_back(watch: Make, unejects: bool) -> None:
    watched = watch(
        0, Backend(), fields={"health_checks": [check(tcp_health_check={}, interval="0.5s", no_traffic_interval="0.5s")]},
        successful_active_health_check_uneject_host=unejects, base_ejection_time="50s",
    )
    watched.attempts(1)
    fail(watched, 0)
    assert watched.flags == ["/failed_outlier_check"]
    watched.advance(0.5)
    assert watched.flags == (["healthy"] if unejects else ["/failed_outlier_check"])
    assert values(watched, "active") == [int(not unejects)]


def test_hosts_that_go_take_their_ejections_with_them(watch: Make) -> None:
    watched = watch(3)
    for index in range(2):
        fail(watched, index)
    gone, stay = watched.hosts[0], watched.hosts[1:]
    watched.cluster.apply(Change(stay, [], [gone], {0}, []))
    assert gone.outlier is None and gone.health_flags() == "healthy" and values(watched, "active") == [1]
    watched.manager.remove("c")
    assert all(host.outlier is None for host in stay)
    assert len(watched.reactor.timers) == 0


def test_a_cluster_without_detection_costs_its_hosts_nothing() -> None:
    watched = Watched(ports=[1])
    assert watched.cluster.monitor is None and watched.hosts[0].outlier is None and len(watched.reactor.timers) == 0
    watched.close()


def test_nobody_has_to_want_the_events(watch: Make) -> None:
    watched = Watched(ports=[1], outlier_detection=FAST, outlier_log=False)
    fail(watched, 0)
    assert ejected(watched) == [0] and watched.sinks.lines == []
    watched.close()
