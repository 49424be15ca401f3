"""What a connection costs from accepted to closed: objects, filters, counting, registration, the end. No handshake of TCP is
in it: the socket is one end of a socketpair, handed to the listener as if it had been accepted."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from perf.compare.bootstraps import policy_filters
from proxy_core.config.load import decode_bootstrap
from proxy_core.network.address import Address
from proxy_core.server.extensions import Extensions
from proxy_core.server.options import Options
from proxy_core.server.server import Server

_TYPE = "type.googleapis.com/envoy.extensions.filters.network."
PEER = Address.from_ip("127.0.0.1", 50000)
LOCAL = Address.from_ip("127.0.0.1", 10000)


class Bench:
    """A server with one listener of these filters, and a backend on a Unix socket for tcp_proxy."""

    def __init__(self, directory: Path, filters: List[Dict[str, Any]]) -> None:
        path = str(directory / "backend")
        self.backend = socket.socket(socket.AF_UNIX)
        self.backend.bind(path)
        self.backend.listen()
        hosts = [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": path}}}}]}]
        cluster = {
            "name": "backend", "type": "STATIC", "load_assignment": {"cluster_name": "backend", "endpoints": hosts},
        }
        address = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
        listener = {"name": "main", "address": address, "filter_chains": [{"filters": filters}]}
        extensions = Extensions()
        raw = {"static_resources": {"listeners": [listener], "clusters": [cluster]}}
        loaded = decode_bootstrap(raw, extensions.types(), False, extensions.is_terminal)
        self.server = Server(loaded, Options(), extensions)
        self._listener = self.server.listeners.listeners[0]

    def connection(self, proxied: bool = False) -> None:
        """A client comes and goes; with `proxied` the backend accepts the connection to it and leaves as well."""
        near, far = socket.socketpair()
        near.setblocking(False)
        self._listener.on_accepted(near, PEER, LOCAL)
        if proxied:
            self.backend.accept()[0].close()
        far.close()
        while len(self.server.table):
            self.server.reactor.turn(0.0)

    def close(self) -> None:
        self.server.close()
        self.backend.close()


def _typed(name: str, message: str, **fields: Any) -> Dict[str, Any]:
    return {"name": name, "typed_config": {"@type": f"{_TYPE}{name}.v3.{message}", **fields}}


ECHO = _typed("echo", "Echo")
TCP_PROXY = _typed("tcp_proxy", "TcpProxy", stat_prefix="t", cluster="backend")


@pytest.fixture
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, request.param)
    yield made
    made.close()


@pytest.mark.parametrize("bench", [[ECHO], [*policy_filters(), ECHO]], indirect=True, ids=["echo", "4 filters, echo"])
def test_a_connection_comes_and_goes(benchmark: BenchmarkFixture, bench: Bench) -> None:
    benchmark(bench.connection)


@pytest.mark.parametrize(
    "bench", [[TCP_PROXY], [*policy_filters(), TCP_PROXY]], indirect=True, ids=["tcp_proxy", "4 filters, tcp_proxy"]
)
def test_a_session_comes_and_goes(benchmark: BenchmarkFixture, bench: Bench) -> None:
    benchmark(bench.connection, proxied=True)
