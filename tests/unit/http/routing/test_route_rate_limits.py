"""The descriptors of a request, for filters that limit by them."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

import pytest

from proxy_core.http.routing.rate_limits import Asked
from tests.unit.http.routing.routing_kit import Json, forwards, of_routes, problems, request, route_of, stream

METADATA = {"key": "ns", "path": [{"key": "k"}]}


def in_network(prefix: str) -> Json:
    return {"ranges": [{"address_prefix": prefix, "prefix_len": 8}]}


def descriptor(*actions: Json) -> Optional[Tuple[Tuple[str, str], ...]]:
    head = request("/p?q=%31", headers=[("x-a", "1")])
    info = stream(head)
    info.set_dynamic_metadata("ns", {"k": "dyn", "n": 1})
    route = route_of(of_routes(forwards({"rate_limits": [{"actions": list(actions)}]})), head)
    assert route is not None
    limit, = route.rate_limits
    found: Any = limit.descriptor(Asked(head, info, "here", "c", {"ns": {"k": "of route"}}))
    return None if found is None else tuple(found)


@pytest.mark.parametrize("action, entry", [
    ({"source_cluster": {}}, ("source_cluster", "here")),
    ({"destination_cluster": {}}, ("destination_cluster", "c")),
    ({"request_headers": {"header_name": "X-A", "descriptor_key": "k"}}, ("k", "1")),
    ({"request_headers": {"header_name": ":path", "descriptor_key": "k"}}, ("k", "/p?q=%31")),
    ({"query_parameters": {"query_parameter_name": "q", "descriptor_key": "k"}}, ("k", "%31")),
    ({"remote_address": {}}, ("remote_address", "10.0.0.1")),
    ({"masked_remote_address": {"v4_prefix_mask_len": 8}}, ("masked_remote_address", "10.0.0.0/8")),
    ({"masked_remote_address": {}}, ("masked_remote_address", "10.0.0.1/32")),
    ({"generic_key": {"descriptor_value": "v"}}, ("generic_key", "v")),
    ({"generic_key": {"descriptor_value": "%REQ(x-a)%+", "descriptor_key": "k"}}, ("k", "1+")),
    ({"generic_key": {"descriptor_value": "%REQ(x-none)%", "default_value": "d"}}, ("generic_key", "d")),
    ({"header_value_match": {"descriptor_value": "v", "headers": [{"name": "x-a"}]}}, ("header_match", "v")),
    ({"header_value_match": {"descriptor_value": "v", "expect_match": False, "headers": [{"name": "x-b"}]}},
     ("header_match", "v")),
    ({"query_parameter_value_match": {"descriptor_value": "v", "query_parameters": [{"name": "q"}]}}, ("query_match", "v")),
    ({"remote_address_match": {"descriptor_value": "v", "address_matcher": in_network("10.0.0.0")}},
     ("remote_address_match", "v")),
    ({"metadata": {"descriptor_key": "k", "metadata_key": METADATA}}, ("k", "dyn")),
    ({"metadata": {"descriptor_key": "k", "metadata_key": METADATA, "source": "ROUTE_ENTRY"}}, ("k", "of route")),
    ({"dynamic_metadata": {"descriptor_key": "k", "metadata_key": METADATA}}, ("k", "dyn")),
    ({"metadata": {"descriptor_key": "k", "metadata_key": {"key": "z", "path": [{"key": "k"}]}, "default_value": "d"}},
     ("k", "d")),
])
def test_an_action_yields_one_entry(action: Json, entry: Tuple[str, str]) -> None:
    assert descriptor(action) == (entry,)


@pytest.mark.parametrize("action", [
    {"request_headers": {"header_name": "x-none", "descriptor_key": "k"}},
    {"query_parameters": {"query_parameter_name": "z", "descriptor_key": "k"}},
    {"generic_key": {"descriptor_value": "%REQ(x-none)%"}},
    {"header_value_match": {"descriptor_value": "v", "headers": [{"name": "x-b"}]}},
    {"query_parameter_value_match": {"descriptor_value": "v", "expect_match": False, "query_parameters": [{"name": "q"}]}},
    {"remote_address_match": {"descriptor_value": "v", "address_matcher": in_network("11.0.0.0")}},
    {"metadata": {"descriptor_key": "k", "metadata_key": {"key": "ns", "path": [{"key": "n"}]}}},
])
def test_without_one_of_its_entries_there_is_no_descriptor(action: Json) -> None:
    assert descriptor({"generic_key": {"descriptor_value": "v"}}, action) is None


def test_an_entry_may_be_skipped() -> None:
    skipped: List[Json] = [
        {"request_headers": {"header_name": "x-none", "descriptor_key": "k", "skip_if_absent": True}},
        {"query_parameters": {"query_parameter_name": "z", "descriptor_key": "k", "skip_if_absent": True}},
        {"metadata": {"descriptor_key": "k", "metadata_key": {"key": "z", "path": [{"key": "k"}]}, "skip_if_absent": True}},
    ]
    assert descriptor(*skipped, {"generic_key": {"descriptor_value": "v"}}) == (("generic_key", "v"),)
    assert descriptor(*skipped) is None


def test_limits_say_their_stage_and_switch_and_virtual_hosts_have_some_too() -> None:
    action = {"generic_key": {"descriptor_value": "v"}}
    limits = [{"stage": 2, "disable_key": "off", "actions": [action]}]
    route = route_of(of_routes(forwards({"include_vh_rate_limits": True}), rate_limits=limits), request())
    assert route is not None and route.action is not None and route.action.include_vh_rate_limits
    limit, = route.virtual_host.rate_limits
    assert (limit.stage, limit.disable_key, list(route.rate_limits)) == (2, "off", [])


def test_what_can_not_be_had_is_refused() -> None:
    of_cluster = {"descriptor_key": "k", "metadata_key": METADATA, "source": "CLUSTER_ENTRY"}
    bad = [{"generic_key": {"descriptor_value": "%NOPE%"}}, {"metadata": of_cluster}]
    route = forwards({"rate_limits": [{"actions": bad}]})
    path = "rc.virtual_hosts[0].routes[0].route.rate_limits[0].actions"
    assert problems({"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [route]}]}) == [
        f"{path}[0]: Not supported field in StreamInfo: NOPE",
        f"{path}[1]: metadata of a cluster (source CLUSTER_ENTRY) is not supported by proxy_core yet",
    ]
