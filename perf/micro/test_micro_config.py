"""What reading a config costs: a small bootstrap, and one with 200 listeners and clusters."""

from __future__ import annotations

import json
from typing import Any, Dict

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from proxy_core.config.json_text import parse_object
from proxy_core.config.load import decode_bootstrap
from proxy_core.server.extensions import Extensions


def bootstrap(count: int) -> Dict[str, Any]:
    """A bootstrap with `count` listeners, each with a tcp_proxy to a cluster of its own."""

    def address(port: int) -> Dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    listeners, clusters = [], []
    for index in range(count):
        tcp_proxy = {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": f"s{index}",
            "cluster": f"c{index}",
            "idle_timeout": "600s",
        }
        filters = [{"name": "envoy.filters.network.tcp_proxy", "typed_config": tcp_proxy}]
        listeners.append(
            {"name": f"l{index}", "address": address(20000 + index), "filter_chains": [{"filters": filters}]}
        )
        hosts = [{"lb_endpoints": [{"endpoint": {"address": address(30000 + index)}}]}]
        clusters.append(
            {"name": f"c{index}", "load_assignment": {"cluster_name": f"c{index}", "endpoints": hosts}}
        )
    return {"static_resources": {"listeners": listeners, "clusters": clusters}}


@pytest.mark.parametrize("count", [1, 200])
def test_a_bootstrap_is_parsed_decoded_and_checked(benchmark: BenchmarkFixture, count: int) -> None:
    text = json.dumps(bootstrap(count))
    extensions = Extensions()
    registry = extensions.types()
    loaded = benchmark(
        lambda: decode_bootstrap(parse_object(text, "bench"), registry, is_terminal=extensions.is_terminal)
    )
    assert len(loaded.bootstrap.static_resources.listeners) == count
