"""upstream_proxy_protocol: which header a cluster's connection begins with, with Envoy 1.40's results."""

from __future__ import annotations

import base64
from typing import Any, Dict, List, Tuple

import pytest

from proxy_core.config.context import Context
from proxy_core.config.decode import decode_message
from proxy_core.config.registry import TypeRegistry
from proxy_core.config.model.core import Metadata
from proxy_core.config.model.proxy_protocol import PerHostConfig
from proxy_core.extensions.transport.raw_buffer import RawBuffer
from proxy_core.extensions.transport.upstream_proxy_protocol import (
    HOST_METADATA, HeaderBuilder, ProxyProtocolUpstreamTransport, host_tlvs,
)
from proxy_core.network.address import Address
from proxy_core.network.proxy_header import ProxyData
from proxy_core.observe.stats import StatsStore
from tests.support.proxy_protocol import tlv, v2

CLIENT = ProxyData(
    Address.from_ip("198.51.100.7", 4000), Address.from_ip("203.0.113.9", 443),
    [(0xE1, b"one"), (0xE1, b"two"), (5, b"")],
)
LOCAL = Address.from_ip("127.0.0.1", 1111)
REMOTE = Address.from_ip("127.0.0.1", 80)
RAW = {
    "name": "raw", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"}
}


def decoded(message: Any, fields: Dict[str, Any]) -> Tuple[Any, List[str]]:
    context = Context(TypeRegistry([RawBuffer, PerHostConfig]))
    return decode_message(message, fields, "x", context), [str(problem) for problem in context.problems]


def builder(**fields: Any) -> Tuple[HeaderBuilder, StatsStore]:
    transport, problems = decoded(ProxyProtocolUpstreamTransport, {"config": fields, "transport_socket": RAW})
    assert problems == []
    stats = StatsStore(lambda: 0.0)
    return HeaderBuilder(transport.config, stats.scope("cluster.c")), stats


def added(*entries: Tuple[int, bytes]) -> List[Dict[str, Any]]:
    return [{"type": kind, "value": base64.b64encode(value).decode()} for kind, value in entries]


def test_version_1_is_the_default_and_has_the_clients_addresses() -> None:
    stats = StatsStore(lambda: 0.0)
    header = HeaderBuilder(None, stats.scope("cluster.c")).build(CLIENT, LOCAL, REMOTE)
    assert header == b"PROXY TCP4 198.51.100.7 203.0.113.9 4000 443\r\n"


def test_a_connection_without_a_client_says_so() -> None:
    assert builder(version="V1")[0].build(None, LOCAL, REMOTE) == b"PROXY TCP4 127.0.0.1 127.0.0.1 1111 80\r\n"
    build, _ = builder(version="V2", added_tlvs=added((1, b"x")))
    assert build.build(None, LOCAL, REMOTE) == v2(command=0x20, family=0, addresses=b"")


@pytest.mark.parametrize("fields, tlvs", [
    ({}, b""),
    ({"pass_through_tlvs": {}}, tlv(0xE1, b"one") + tlv(0xE1, b"two") + tlv(5, b"")),
    ({"pass_through_tlvs": {"match_type": "INCLUDE", "tlv_type": [0xE1]}}, tlv(0xE1, b"one") + tlv(0xE1, b"two")),
    (
        {"pass_through_tlvs": {}, "added_tlvs": added((0xD0, b"a"), (0xD0, b"b"), (0xE1, b"mine"))},
        tlv(0xD0, b"a") + tlv(0xD0, b"b") + tlv(0xE1, b"mine") + tlv(5, b""),
    ),
])
def test_version_2_carries_added_and_passed_tlvs(fields: Dict[str, Any], tlvs: bytes) -> None:
    build, stats = builder(version="V2", **fields)
    assert build.build(CLIENT, LOCAL, REMOTE) == v2(tlvs)
    assert stats.counters["cluster.c.upstream.proxyprotocol.v2_tlvs_exceed_max_length"].value == 0


def test_an_endpoints_tlvs_take_the_place_of_the_transport_sockets() -> None:
    build, _ = builder(version="V2", added_tlvs=added((0xD0, b"a"), (0xD1, b"b")))
    any_config: Dict[str, Any] = {"@type": f"type.googleapis.com/{PerHostConfig.DESCRIPTOR.full_name}"}
    any_config["added_tlvs"] = added((0xD0, b"host"), (0xD0, b"host2"))
    metadata, problems = decoded(Metadata, {"typed_filter_metadata": {HOST_METADATA: any_config}})
    assert problems == []
    tlvs = host_tlvs(metadata.typed_filter_metadata)
    expected = tlv(0xD0, b"host") + tlv(0xD0, b"host2") + tlv(0xD1, b"b")
    assert build.build(CLIENT, LOCAL, REMOTE, tlvs) == v2(expected)
    assert host_tlvs({}) == []


def test_tlvs_that_do_not_fit_are_counted_once_a_header() -> None:
    build, stats = builder(version="V2", added_tlvs=added((1, b"a" * 40_000), (2, b"b" * 30_000), (3, b"b" * 30_000)))
    assert build.build(CLIENT, LOCAL, REMOTE) == v2(tlv(1, b"a" * 40_000))
    assert stats.counters["cluster.c.upstream.proxyprotocol.v2_tlvs_exceed_max_length"].value == 1


@pytest.mark.parametrize("fields, problem", [
    ({"config": {}}, "transport_socket"),
    ({"transport_socket": RAW, "config": {"added_tlvs": [{"type": 256, "value": "YQ=="}]}}, "type"),
    ({"transport_socket": RAW, "config": {"added_tlvs": [{"type": 1}]}}, "must be set"),
    (
        {"transport_socket": RAW, "config": {"added_tlvs": [{"type": 1, "value": "YQ==", "format_string": {"text_format": "x"}}]}},
        "format_string",
    ),
    ({"transport_socket": RAW, "config": {"version": "V3"}}, "version"),
    ({"transport_socket": RAW, "allow_unspecified_address": True}, "allow_unspecified_address"),
])
def test_a_wrong_configuration_is_refused_with_its_path(fields: Dict[str, Any], problem: str) -> None:
    problems = decoded(ProxyProtocolUpstreamTransport, fields)[1]
    assert len(problems) == 1 and problem in problems[0]
