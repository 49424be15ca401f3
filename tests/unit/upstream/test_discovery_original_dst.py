"""ORIGINAL_DST: where the wanted address comes from, which host it is, and when a host goes."""

from __future__ import annotations

from typing import Any, Dict, Optional

import pytest

from proxy_core.observe.filter_state import FilterStateObject
from proxy_core.observe.stream_info import StreamInfo
from proxy_core.upstream.balancer import PickContext
from proxy_core.upstream.cluster import Cluster
from proxy_core.upstream.discovery.original_dst import FILTER_STATE_KEY, parse_address
from proxy_core.upstream.host import Host
from tests.support.discovered import Found, addresses


@pytest.fixture
def found() -> Found:
    return Found()


def cluster(found: Found, **fields: Any) -> Cluster:
    return found.add({"name": "c", "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", **fields})


def info(local: str = "10.0.0.1:80", restored: bool = True, override: Optional[str] = None) -> StreamInfo:
    made = StreamInfo(1, 0.0, 0.0)
    made.downstream_local_address = local
    made.local_address_restored = restored
    if override is not None:
        made.set_filter_state(FILTER_STATE_KEY, FilterStateObject(override))
    return made


def pick(made: Cluster, wanted: StreamInfo) -> Optional[Host]:
    return made.pick_host(PickContext(info=wanted))


def test_the_dialled_address_is_the_host_and_the_same_one_is_the_same_host(found: Found) -> None:
    made = cluster(found)
    assert made.uses_info and made.hosts == [] and made.initialization.is_complete
    host = pick(made, info("10.0.0.1:80"))
    assert host is not None and host.address.text == "10.0.0.1:80" and host.hostname == "c10.0.0.1:80"
    assert pick(made, info("10.0.0.1:80")) is host
    assert pick(made, info("[fd00::1]:81")) is not host
    assert addresses(made) == ["10.0.0.1:80", "[fd00::1]:81"]
    assert found.value("cluster.c.membership_change") == 2


def test_an_address_that_nobody_restored_is_no_destination(found: Found) -> None:
    made = cluster(found)
    assert pick(made, info(restored=False)) is None
    assert made.pick_host() is None and made.hosts == []


def test_the_object_that_a_filter_left_wins_and_a_bad_one_means_nobody(found: Found) -> None:
    made = cluster(found)
    for restored in (True, False):
        host = pick(made, info(restored=restored, override="10.9.9.9:99"))
        assert host is not None and host.address.text == "10.9.9.9:99"
    assert pick(made, info(override="nonsense")) is None


def test_the_port_can_be_overridden(found: Found) -> None:
    made = cluster(found, original_dst_lb_config={"upstream_port_override": 4444})
    host = pick(made, info("10.0.0.1:80"))
    assert host is not None and host.address.text == "10.0.0.1:4444"


KEY = {"key": "wanted", "path": [{"key": "upstream"}, {"key": "address"}]}


@pytest.mark.parametrize("metadata, expected, invalid", [
    ({"upstream": {"address": "10.5.5.5:55"}}, "10.5.5.5:55", 0),
    ({"upstream": {"address": "nonsense"}}, "10.0.0.1:80", 1),
    ({"upstream": {"address": ""}}, "10.0.0.1:80", 0),
    ({"upstream": {"address": 5}}, "10.0.0.1:80", 0),
    ({"upstream": "10.5.5.5:55"}, "10.0.0.1:80", 0),
    ({}, "10.0.0.1:80", 0),
])
def test_metadata_names_another_address_and_is_passed_over_if_it_is_none(
    found: Found, metadata: Dict[str, Any], expected: str, invalid: int
) -> None:
    made = cluster(found, original_dst_lb_config={"metadata_key": KEY})
    wanted = info("10.0.0.1:80")
    wanted.set_dynamic_metadata("wanted", metadata)
    host = pick(made, wanted)
    assert host is not None and host.address.text == expected
    assert found.value("cluster.c.original_dst_host_invalid") == invalid


def test_metadata_needs_no_dialled_address_and_what_filters_left_comes_before_it(found: Found) -> None:
    made = cluster(found, original_dst_lb_config={"metadata_key": KEY, "upstream_port_override": 4444})
    wanted = info(restored=False)
    wanted.set_dynamic_metadata("wanted", {"upstream": {"address": "10.5.5.5:55"}})
    host = pick(made, wanted)
    assert host is not None and host.address.text == "10.5.5.5:4444"
    wanted.set_filter_state(FILTER_STATE_KEY, FilterStateObject("10.6.6.6:66"))
    host = pick(made, wanted)
    assert host is not None and host.address.text == "10.6.6.6:4444"


def test_a_host_goes_when_it_was_not_asked_for_in_an_interval_and_nothing_is_connected_to_it(found: Found) -> None:
    made = cluster(found, cleanup_interval="10s")
    idle, busy, asked = (pick(made, info(f"10.0.0.{number}:80")) for number in (1, 2, 3))
    assert idle is not None and busy is not None and asked is not None
    busy.counters.cx_active = 1
    found.advance(10.0)
    assert len(made.hosts) == 3
    pick(made, info("10.0.0.3:80"))
    found.advance(10.0)
    assert made.hosts == [busy, asked]
    busy.counters.cx_active = 0
    found.advance(10.0)
    assert made.hosts == []
    assert len(found.reactor.timers) == 0  # nothing to look at
    assert pick(made, info("10.0.0.1:80")) is not idle


def test_a_closed_cluster_looks_no_more_and_knows_nobody(found: Found) -> None:
    made = cluster(found)
    pick(made, info())
    made.close()
    assert len(found.reactor.timers) == 0 and pick(made, info("10.0.0.2:80")) is None


@pytest.mark.parametrize("text, expected", [
    ("10.0.0.1:80", "10.0.0.1:80"), ("[::1]:65535", "[::1]:65535"), ("10.0.0.1", None), ("::1:80", None),
    ("10.0.0.1:65536", None), ("a:80", None), ("10.0.0.1:", None), ("", None), ("10.0.0.1:8a", None), ("/run/x", None),
])
def test_addresses_are_read_strictly(text: str, expected: Optional[str]) -> None:
    address = parse_address(text)
    assert (address.text if address is not None else None) == expected
