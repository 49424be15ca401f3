"""The order of a start: nobody is accepted before clusters have their first hosts, and a name that hangs holds nothing up but
that."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence

import pytest

from proxy_core.config.load import decode_bootstrap
from proxy_core.listener.binding import BindError
from proxy_core.network.close import NO_FLUSH
from proxy_core.server.extensions import Extensions
from proxy_core.server.options import Options
from proxy_core.server.server import DRAINING, LIVE, PRE_INITIALIZING, Server
from proxy_core.testing.child import ChildProcess
from tests.support.running import bootstrap, loopback, tcp_listener

PATIENCE = 10.0
TYPE = "type.googleapis.com/envoy.config."
Json = Dict[str, Any]


class SlowNames:
    """A look-up that answers when it is let go."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun = threading.Event()

    def __call__(self, name: str, family: int) -> Sequence[str]:
        self.begun.set()
        assert self.gate.wait(PATIENCE)
        return ["127.0.0.1"] if family == socket.AF_INET else []


def dns_cluster(name: str = "c", port: int = 1, **fields: Any) -> Json:
    address = {"socket_address": {"address": "slow.test", "port_value": port}}
    group = {"lb_endpoints": [{"endpoint": {"address": address}}]}
    return {
        "name": name, "type": "STRICT_DNS", "load_assignment": {"cluster_name": name, "endpoints": [group]}, **fields,
    }


class Started:
    """Servers of this process that a test turns by hand, and the names that they look up."""

    def __init__(self) -> None:
        self.names = SlowNames()
        self.servers: List[Server] = []

    def __call__(self, config: Json) -> Server:
        extensions = Extensions()
        loaded = decode_bootstrap(config, extensions.types(), False, extensions.is_terminal)
        server = Server(loaded, Options(), extensions, look_up=self.names)
        self.servers.append(server)
        server.start()
        return server

    def until_running(self, server: Server) -> None:
        self.names.gate.set()
        for _ in range(200):
            if server.running:
                return
            server.reactor.turn(0.05)
        raise AssertionError("the server does not get ready")

    def close(self) -> None:
        for server in self.servers:
            for connection in server.table.live():
                connection.close(NO_FLUSH, "test over")
            server.close()
            assert server.reactor.failures == 0


@pytest.fixture
def start() -> Iterator[Started]:
    started = Started()
    yield started
    started.close()
    started.names.gate.set()


def connects(server: Server) -> Optional[bool]:
    """Whether a client is let in; None if it is refused."""
    port = server.listeners.listeners[0].local_addresses()[0].port
    with socket.socket() as client:
        client.settimeout(PATIENCE)
        try:
            client.connect(("127.0.0.1", port))
        except ConnectionRefusedError:
            return None
        for _ in range(3):
            server.reactor.turn(0)
        found: Any = server.stats.find("listener.127.0.0.1_0.downstream_cx_total")
        return bool(found.value)


def with_clusters(*clusters: Json, **fields: Any) -> Json:
    config = bootstrap([tcp_listener("main", "c")], **fields)
    config["static_resources"]["clusters"] = list(clusters)
    return config


def test_nobody_is_accepted_before_a_name_was_answered(start: Started) -> None:
    server = start(with_clusters(dns_cluster()))
    assert start.names.begun.wait(PATIENCE)
    server.reactor.turn(0)
    assert server.state() == PRE_INITIALIZING and connects(server) is None
    start.until_running(server)
    assert server.state() == LIVE and connects(server)


def test_the_state_in_the_statistics_is_set_when_the_server_is_ready(start: Started) -> None:
    server = start(with_clusters(dns_cluster()))

    def stats() -> List[int]:
        found: Any = [server.stats.find(f"server.{name}") for name in ("live", "state")]
        return [one.value for one in found]
    assert stats() == [1, 0]
    server.set_health_failed(True)
    assert stats() == [0, 0] and server.state() == PRE_INITIALIZING
    start.until_running(server)
    assert stats() == [0, 1] and server.state() == DRAINING


def test_an_address_in_use_is_an_error_at_once_even_if_a_cluster_has_to_wait(start: Started) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = with_clusters(dns_cluster())
        config["static_resources"]["listeners"][0]["address"] = loopback(taken.getsockname()[1])
        with pytest.raises(BindError, match="Address already in use"):
            start(config)
    assert not start.names.gate.is_set()


def test_an_address_that_is_taken_while_a_cluster_waits_ends_the_process_with_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as upstream, socket.socket() as thief:
        check = {
            "timeout": "60s", "interval": "60s", "healthy_threshold": 1, "unhealthy_threshold": 1,
            "tcp_health_check": {"receive": [{"text": "21"}]},
        }
        endpoint = {"endpoint": {"address": loopback(upstream.getsockname()[1])}}
        assignment = {"cluster_name": "c", "endpoints": [{"lb_endpoints": [endpoint]}]}
        file = tmp_path / "config.json"
        file.write_text(json.dumps(with_clusters({"name": "c", "health_checks": [check], "load_assignment": assignment})))
        with ChildProcess(["-c", str(file)]) as running:
            upstream.settimeout(PATIENCE)
            asked, _ = upstream.accept()
            with asked:
                thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                thief.bind(("127.0.0.1", running.port("main")))
                thief.listen()
                asked.sendall(b"!")
                assert running.end() == 1
            assert "cannot bind '127.0.0.1:0': Address already in use" in running.output["stderr"]
            assert "Traceback" not in running.output["stderr"]


def test_a_server_whose_clusters_need_nothing_is_live_when_start_returns(start: Started) -> None:
    server = start(with_clusters())
    assert server.state() == LIVE and connects(server) and server.resolving.threads == 0


def test_a_cluster_that_need_not_warm_holds_nobody_up(start: Started) -> None:
    server = start(with_clusters(dns_cluster(wait_for_warm_on_init=False)))
    assert server.state() == LIVE and connects(server)


def test_closing_while_a_name_hangs_waits_for_nothing(start: Started) -> None:
    server = start(with_clusters(dns_cluster()))
    assert start.names.begun.wait(PATIENCE)
    server.close()  # would hang here
    start.servers.remove(server)
    assert not start.names.gate.is_set()


def test_clusters_of_cds_are_waited_for_as_well(start: Started, tmp_path: Path) -> None:
    path = tmp_path / "cds.json"
    path.write_text(json.dumps({"resources": [{"@type": f"{TYPE}cluster.v3.Cluster", **dns_cluster()}]}))
    source = {"path_config_source": {"path": str(path)}}
    node = {"id": "n", "cluster": "c"}
    server = start(with_clusters(dynamic_resources={"cds_config": source}, node=node))
    assert server.state() == PRE_INITIALIZING and server.clusters.get("c") is not None
    start.until_running(server)
    assert server.stats.find("cluster_manager.warming_clusters").value == 0  # type: ignore[union-attr]


def test_listeners_of_lds_come_after_the_clusters(start: Started, tmp_path: Path) -> None:
    path = tmp_path / "lds.json"
    listener = {"@type": f"{TYPE}listener.v3.Listener", **tcp_listener("late", "c")}
    path.write_text(json.dumps({"resources": [{**listener, "address": loopback()}]}))
    source = {"path_config_source": {"path": str(path)}}
    config: Json = {
        "node": {"id": "n", "cluster": "c"}, "dynamic_resources": {"lds_config": source},
        "static_resources": {"clusters": [dns_cluster()]},
    }
    server = start(config)
    assert server.listeners.listeners == []
    start.until_running(server)
    assert [one.name for one in server.listeners.listeners] == ["late"]
