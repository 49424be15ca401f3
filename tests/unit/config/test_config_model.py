"""What the messages can do beyond holding data: their own rules, and the helpers for those who use them."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any, List, Type

import pytest

from proxy_core.config.decode import decode
from proxy_core.config.descriptor import Message
from proxy_core.config.model.address import Address, CidrRange, Pipe, SocketAddress, parse_ip
from proxy_core.config.model.bootstrap import LayeredRuntime, TagSpecifier
from proxy_core.config.model.cluster import Cluster
from proxy_core.config.model.core import BackoffStrategy, DataSource, FractionalPercent
from proxy_core.config.model.listener import FilterChainMatch
from proxy_core.config.model.matcher import RegexMatcher
from proxy_core.errors import ConfigError
from tests.unit.config.config_samples import registry


def read(message_class: Type[Message], value: Any) -> Any:
    return decode(message_class, value, registry())


def problems(message_class: Type[Message], value: Any) -> List[str]:
    with pytest.raises(ConfigError) as caught:
        read(message_class, value)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    "prefix, length, text",
    [
        ("10.0.0", 8, "address_prefix: malformed IP address: 10.0.0"),
        ("10.0.0.256", 8, "address_prefix: malformed IP address: 10.0.0.256"),
        ("fe80::1%lo", 8, "address_prefix: malformed IP address: fe80::1%lo"),
        ("10.0.0.0", 33, "prefix_len: expected at most 32 for an IPv4 address, found 33"),
        ("::", 129, "prefix_len: expected an integer from 0 to 128, found 129"),
    ],
)
def test_a_range_is_an_address_and_a_length_that_fits_its_family(prefix: str, length: int, text: str) -> None:
    assert problems(CidrRange, {"address_prefix": prefix, "prefix_len": length}) == [text]


def test_a_range_becomes_a_network_and_bits_behind_the_prefix_do_not_count() -> None:
    ten = read(CidrRange, {"address_prefix": "10.1.2.3", "prefix_len": 8})
    assert ten.network() == ipaddress.ip_network("10.0.0.0/8")
    assert read(CidrRange, {"address_prefix": "::1"}).network() == ipaddress.ip_network("::/0")
    assert read(CidrRange, {"address_prefix": "::1", "prefix_len": 128}).network().num_addresses == 1


@pytest.mark.parametrize(
    "value, texts",
    [
        (
            {"path": "/" + "é" * 60},
            ['path: Path "/' + "é" * 60 + '" exceeds maximum UNIX domain socket path size of 108.'],
        ),
        ({"path": "a\0b"}, ["path: UNIX domain socket pathname contains embedded null characters"]),
        ({"path": "@x", "mode": 384}, ["mode: Cannot set mode for Abstract AF_UNIX sockets"]),
        ({"path": "/x", "mode": 512}, ["mode: expected an integer from 0 to 511, found 512"]),
    ],
)
def test_a_pipe_has_a_path_that_the_kernel_takes(value: Any, texts: List[str]) -> None:
    assert problems(Pipe, value) == texts


def test_a_path_of_107_bytes_is_the_longest() -> None:
    assert read(Pipe, {"path": "x" * 107}).path
    assert problems(Pipe, {"path": "x" * 108})


def test_udp_is_refused() -> None:
    value = {"protocol": "UDP", "address": "::1", "port_value": 1}
    assert problems(SocketAddress, value) == [
        "protocol: UDP is a protocol of Envoy's that proxy_core does not support yet"
    ]


@pytest.mark.parametrize(
    "value, text",
    [
        ({"socket_address": {"address": "127.0.0.1", "port_value": 80}}, "127.0.0.1:80"),
        ({"socket_address": {"address": "0:0::1", "port_value": 0}}, "[::1]:0"),
        ({"socket_address": {"address": "host", "port_value": 80}}, "host:80"),
        ({"pipe": {"path": "/run/x"}}, "/run/x"),
    ],
)
def test_an_address_prints_as_envoys(value: Any, text: str) -> None:
    assert read(Address, value).text == text


def test_an_address_without_anything_has_no_text() -> None:
    assert Address().text == ""
    assert parse_ip("") is None and parse_ip("1.2.3.4") is not None


@pytest.mark.parametrize(
    "name, good", [("*.a", True), ("a.b", True), ("*", False), ("a*.b", False), ("w*", False)]
)
def test_server_names_have_whole_wildcards_only(name: str, good: bool) -> None:
    value = {"server_names": ["x", name]}
    if good:
        assert read(FilterChainMatch, value).server_names == ["x", name]
    else:
        text = 'server_names[1]: partial wildcards are not supported in "server_names"'
        assert problems(FilterChainMatch, value) == [text]


def test_runtime_layers_have_unique_names_and_at_most_one_admin_layer() -> None:
    layers = [
        {"name": "a", "static_layer": {}}, {"name": "a", "admin_layer": {}}, {"name": "b", "admin_layer": {}},
    ]
    assert problems(LayeredRuntime, {"layers": layers}) == [
        "layers[1].name: Duplicate layer name: a",
        "layers: Too many admin layers specified in LayeredRuntime, at most one may be specified",
    ]
    assert len(read(LayeredRuntime, {"layers": layers[:1] + layers[2:]}).layers) == 2


def test_regular_expressions_are_compiled_when_they_are_read() -> None:
    assert problems(RegexMatcher, {"regex": "a("})[0].startswith("regex: invalid regular expression: ")
    assert problems(TagSpecifier, {"tag_name": "t", "regex": "["})[0].startswith("regex: invalid regular")
    assert read(TagSpecifier, {"tag_name": "t", "fixed_value": "["}).regex is None


def test_the_longest_backoff_is_not_below_the_first() -> None:
    text = "max_interval: max_interval must be greater than or equal to the base_interval"
    assert problems(BackoffStrategy, {"base_interval": "2s", "max_interval": "1s"}) == [text]
    assert read(BackoffStrategy, {"base_interval": "1s", "max_interval": "1s"}).max_interval == 1.0


def test_a_fraction_is_a_number_from_0_to_1() -> None:
    assert FractionalPercent(50).fraction == 0.5
    assert FractionalPercent(250, "TEN_THOUSAND").fraction == 0.025
    assert FractionalPercent(5_000_000, "MILLION").fraction == 1.0
    assert FractionalPercent().fraction == 0.0


def test_a_cluster_without_a_type_is_static() -> None:
    assert read(Cluster, {"name": "c"}).discovery_type == "STATIC"
    assert read(Cluster, {"name": "c", "type": "EDS"}).discovery_type == "EDS"


def test_a_data_source_reads_files_the_configuration_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f").write_bytes(b"\xff\x00")
    monkeypatch.setenv("PROXY_CORE_TEST_SOURCE", "é")
    assert DataSource(filename=str(tmp_path / "f")).read() == b"\xff\x00"
    assert DataSource(inline_bytes=b"\x00").read() == b"\x00"
    assert DataSource(inline_string="é").read() == "é".encode()
    assert DataSource(environment_variable="PROXY_CORE_TEST_SOURCE").read() == "é".encode()
    assert DataSource(inline_string="").read() == b""


def test_a_data_source_that_can_not_be_read_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROXY_CORE_TEST_SOURCE", raising=False)

    def text(source: DataSource, **arguments: Any) -> str:
        with pytest.raises(ConfigError) as caught:
            source.read("a.b", **arguments)
        return str(caught.value)

    missing = str(tmp_path / "missing")
    assert text(DataSource(filename=missing)) == f"a.b.filename: Invalid path: {missing}"
    directory = f"a.b.filename: unable to read file: {tmp_path} (Is a directory)"
    assert text(DataSource(filename=str(tmp_path))) == directory
    assert text(DataSource(filename="a\0b")).startswith("a.b.filename: unable to read file: ")
    name = "PROXY_CORE_TEST_SOURCE"
    unset = f"a.b.environment_variable: Environment variable doesn't exist: {name}"
    assert text(DataSource(environment_variable=name)) == unset
    assert text(DataSource(inline_string=""), allow_empty=False) == "a.b: DataSource cannot be empty"
