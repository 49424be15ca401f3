"""The rules between messages, each with Envoy's sentence and the path of the place; and what is no error."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import pytest

from proxy_core.config.check import check
from proxy_core.config.check_chains import factory_name
from proxy_core.config.decode import decode
from proxy_core.config.model.bootstrap import Bootstrap
from tests.unit.config.config_samples import ANY, registry

LISTENERS = "static_resources.listeners"
CLUSTERS = "static_resources.clusters"
LAST = {"name": "last", "typed_config": ANY}


def address(port: int = 21001, ip: str = "127.0.0.1") -> Dict[str, Any]:
    return {"socket_address": {"address": ip, "port_value": port}}


def listener(name: str = "l", port: int = 21001, **fields: Any) -> Dict[str, Any]:
    return {"name": name, "address": address(port), "filter_chains": [{"filters": [LAST]}], **fields}


def cluster(name: str = "c", ip: str = "127.0.0.1", **fields: Any) -> Dict[str, Any]:
    endpoint = {"address": address(80, ip)}
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]}
    return {"name": name, "load_assignment": assignment, **fields}


def problems(
    listeners: Optional[List[Any]] = None, clusters: Optional[List[Any]] = None, **fields: Any
) -> List[Tuple[str, str]]:
    raw = {"static_resources": {"listeners": listeners or [], "clusters": clusters or []}, **fields}
    found = check(decode(Bootstrap, raw, registry()), lambda type_url: True).problems
    return [(problem.path, problem.message) for problem in found]


def test_an_empty_bootstrap_and_a_good_one_have_no_problem() -> None:
    assert problems() == []
    assert check(Bootstrap()).problems == []
    good = [listener("a"), listener("b", 21002)], [cluster("a"), cluster("b", "::1"), {"name": "empty"}]
    assert problems(*good, admin={"address": address(9901)}) == []


def test_what_envoy_does_not_mind_is_no_error() -> None:
    assert problems([listener("same", 1), listener("same", 2), listener("", 3)]) == []
    assert problems([listener(filter_chains=[{}])]) == []
    assert problems([listener(filter_chains=[], default_filter_chain={})]) == []
    assert problems([listener("a", 0), listener("b", 0)]) == []
    assert problems([listener("a"), listener("b", address=address(21001, "0.0.0.0"))]) == []
    assert problems([listener(additional_addresses=[{"address": address()}])]) == []
    assert problems([listener(address=address(1, "fe80::1%lo"))]) == []
    assert problems([], [cluster(ip="localhost", type="STRICT_DNS")]) == []
    assert problems([], [{"name": "c", "type": "LOGICAL_DNS"}]) == []


def test_cluster_names_are_unique() -> None:
    assert problems([], [cluster("c"), cluster("d"), cluster("c"), cluster("c")]) == [
        (f"{CLUSTERS}[2].name", "cluster manager: duplicate cluster 'c'"),
        (f"{CLUSTERS}[3].name", "cluster manager: duplicate cluster 'c'"),
    ]


@pytest.mark.parametrize(
    "first, second, shown",
    [
        (address(), address(), "127.0.0.1:21001"),
        (address(21001, "::1"), address(21001, "0:0:0:0:0:0:0:1"), "[::1]:21001"),
        ({"pipe": {"path": "/run/x"}}, {"pipe": {"path": "/run/x"}}, "/run/x"),
    ],
)
def test_listener_addresses_are_unique(first: Any, second: Any, shown: str) -> None:
    text = (
        f"error adding listener: 'b' has duplicate address '{shown}' as existing listener, to check if the "
        "listener has duplicated addresses with other listeners or 'enable_reuse_port' is set to 'false' for "
        "the listener"
    )
    listeners = [listener("a", address=first), listener("b", address=second, bind_to_port=False)]
    assert problems(listeners) == [(f"{LISTENERS}[1].address", text)]


def test_additional_addresses_are_unique_among_listeners_too() -> None:
    more = [{"address": address(5)}, {"address": address(21001)}]
    found = problems([listener("a"), listener("b", 2, additional_addresses=more), listener("c", 5)])
    assert [path for path, _ in found] == [
        f"{LISTENERS}[1].additional_addresses[1].address", f"{LISTENERS}[2].address",
    ]


def test_a_listener_needs_an_address_and_a_chain() -> None:
    assert problems([{"name": "l", "filter_chains": [{}]}, {"address": address()}]) == [
        (f"{LISTENERS}[0].address", "error adding listener named 'l': address is necessary"),
        (
            f"{LISTENERS}[1].filter_chains",
            "error adding listener '127.0.0.1:21001': no filter chains specified",
        ),
    ]


def test_ipv4_compat_is_for_ipv6_addresses() -> None:
    def at(ip: str) -> Dict[str, Any]:
        found = address(1, ip)
        found["socket_address"]["ipv4_compat"] = True
        return found

    assert problems([listener(address=at("::"))], [cluster()]) == []
    found = problems([listener(address=at("127.0.0.1"))], [cluster()])
    assert [path.rpartition(".")[2] for path, _ in found] == ["ipv4_compat"]


@pytest.mark.parametrize(
    "ip", ["localhost", "127.1", "127.0.0.01", "[::1]", " 127.0.0.1", "1.2.3.256", "::g"]
)
def test_addresses_that_must_be_numeric_are(ip: str) -> None:
    text = f"malformed IP address: {ip}"
    advice = ". Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'"
    source = {"source_address": {"address": ip, "port_value": 0}}
    found = problems(
        [listener(address=address(1, ip), additional_addresses=[{"address": address(2, ip)}])],
        [cluster(ip=ip), cluster("d", upstream_bind_config=source)],
        admin={"address": address(9901, ip)},
        cluster_manager={"upstream_bind_config": source},
    )
    host = "load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address"
    assert sorted(found) == sorted(
        [
            (f"{LISTENERS}[0].address.socket_address.address", text),
            (f"{LISTENERS}[0].additional_addresses[0].address.socket_address.address", text),
            (f"{CLUSTERS}[0].{host}", text + advice),
            (f"{CLUSTERS}[1].upstream_bind_config.source_address.address", text),
            ("admin.address.socket_address.address", text),
            ("cluster_manager.upstream_bind_config.source_address.address", text),
        ]
    )


def test_a_host_of_a_static_cluster_needs_an_address() -> None:
    hosts = [{"lb_endpoints": [{}, {"endpoint": {}}]}]
    found = problems([], [{"name": "c", "load_assignment": {"cluster_name": "c", "endpoints": hosts}}])
    group = f"{CLUSTERS}[0].load_assignment.endpoints[0]"
    assert [path for path, _ in found] == [f"{group}.lb_endpoints[{n}].endpoint.address" for n in (0, 1)]


def terminal_problems(*names: str) -> List[Tuple[str, str]]:
    filters = [{"name": name, "typed_config": ANY} for name in names]
    chains = {"filter_chains": [{"filters": filters}], "default_filter_chain": {"filters": filters}}
    raw = {"static_resources": {"listeners": [listener(**chains)]}}
    bootstrap = decode(Bootstrap, raw, registry())
    assert bootstrap.static_resources is not None
    for one in bootstrap.static_resources.listeners[0].filter_chains[0].filters:
        assert one.typed_config is not None
        package = f"envoy.extensions.filters.network.{one.name}.v3"
        one.typed_config.type_url = f"type.googleapis.com/{package}.X"
    found = check(bootstrap, lambda type_url: ".end." in type_url).problems
    return [(problem.path, problem.message) for problem in found if ".filter_chains[" in problem.path]


def test_the_terminal_filter_is_the_last_and_only_the_last() -> None:
    assert terminal_problems("limit", "end") == []
    path = f"{LISTENERS}[0].filter_chains[0].filters"
    early = "Error: terminal filter named end of type envoy.filters.network.end must be the last filter in a "
    late = "Error: non-terminal filter named limit of type envoy.filters.network.limit is the last filter in "
    late += "a "
    assert terminal_problems("end", "end") == [(f"{path}[0]", early + "network filter chain.")]
    assert terminal_problems("limit") == [(f"{path}[0]", late + "network filter chain.")]
    assert terminal_problems("end", "limit") == [
        (f"{path}[0]", early + "network filter chain."), (f"{path}[1]", late + "network filter chain."),
    ]


def test_the_default_chain_is_looked_at_and_the_order_only_with_a_judge() -> None:
    raw = {"static_resources": {"listeners": [listener(default_filter_chain={"filters": [LAST]})]}}
    bootstrap = decode(Bootstrap, raw, registry())
    paths = [problem.path for problem in check(bootstrap, lambda type_url: False).problems]
    places = ("filter_chains[0]", "default_filter_chain")
    assert paths == [f"{LISTENERS}[0].{place}.filters[0]" for place in places]
    assert check(bootstrap, None).problems == []


def test_a_filters_name_is_told_from_the_type_of_its_configuration() -> None:
    assert factory_name("envoy.extensions.filters.network.echo.v3.Echo") == "envoy.filters.network.echo"
    assert factory_name("python:mine.Filter") == "python:mine.Filter"


def chain_problems(*matches: Any) -> List[Tuple[str, str]]:
    chains = [{"name": f"f{n + 1}", "filter_chain_match": match} for n, match in enumerate(matches)]
    return problems([listener(filter_chains=chains)])


FULL = {
    "destination_port": 80, "prefix_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}],
    "server_names": ["a.com"], "source_type": "EXTERNAL",
}


@pytest.mark.parametrize(
    "match, shown",
    [
        ({}, "{}"),
        (None, "{}"),
        (FULL, '{"prefix_ranges":[{"address_prefix":"10.0.0.0","prefix_len":8}],"destination_port":80,'
               '"server_names":["a.com"],"source_type":"EXTERNAL"}'),
    ],
)
def test_two_chains_with_the_same_match_are_refused(match: Any, shown: str) -> None:
    found = chain_problems(match, {"destination_port": 1}, match)
    prefix = "error adding listener '127.0.0.1:21001': "
    same = "filter chain 'f3' has the same matching rules defined as 'f1'. duplicate matcher is: "
    assert found == [(f"{LISTENERS}[0].filter_chains[2].filter_chain_match", prefix + same + shown)]


def cidr(address_prefix: str, prefix_len: int) -> Dict[str, Any]:
    return {"address_prefix": address_prefix, "prefix_len": prefix_len}


@pytest.mark.parametrize(
    "first, second, overlap",
    [
        ({"server_names": ["a", "b"]}, {"server_names": ["b"]}, True),
        ({"server_names": ["A"]}, {"server_names": ["a"]}, True),
        ({"server_names": ["a"]}, {"server_names": ["*.a"]}, False),
        ({"server_names": ["a"]}, {}, False),
        ({"prefix_ranges": [cidr("10.1.0.0", 8)]}, {"prefix_ranges": [cidr("10.0.0.0", 8)]}, True),
        ({"prefix_ranges": [cidr("10.0.0.0", 8)]}, {"prefix_ranges": [cidr("10.0.0.0", 9)]}, False),
        ({"prefix_ranges": [cidr("10.0.0.0", 8)]}, {"source_prefix_ranges": [cidr("10.0.0.0", 8)]}, False),
        ({"source_ports": [1, 2, 3]}, {"source_ports": [3, 4]}, True),
        ({"source_ports": [1]}, {"source_ports": [1], "destination_port": 1}, False),
        (
            {"application_protocols": ["h2"]},
            {"application_protocols": ["h2"], "source_type": "EXTERNAL"}, False,
        ),
        (
            {"server_names": [f"n{n}" for n in range(200)], "source_ports": list(range(1, 200))},
            {"server_names": ["n199"], "source_ports": [199]}, True,
        ),
        (
            {"server_names": ["n199"], "source_ports": [200]},
            {"server_names": [f"n{n}" for n in range(200)], "source_ports": list(range(1, 201))}, True,
        ),
        (
            {"server_names": [f"n{n}" for n in range(200)], "source_ports": list(range(1, 200))},
            {"server_names": ["n199"], "source_ports": [200]}, False,
        ),
    ],
)
def test_chains_that_overlap_are_refused(first: Any, second: Any, overlap: bool) -> None:
    text = (
        "error adding listener '127.0.0.1:21001': multiple filter chains with overlapping matching rules are "
        "defined"
    )
    expected = [(f"{LISTENERS}[0].filter_chains[1].filter_chain_match", text)] if overlap else []
    assert chain_problems(first, second) == expected


def test_chains_of_different_listeners_do_not_meet() -> None:
    assert problems([listener("a", 1), listener("b", 2)]) == []
