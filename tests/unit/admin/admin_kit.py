"""A whole server under simulated time, of which only the admin is used: nothing is bound, clients are socket
pairs.
"""

from __future__ import annotations

import json
import random
import socket
from typing import Any, Dict, List, Optional

from proxy_core.admin.api import Request, Response, parse_query
from proxy_core.admin.routes import dispatch
from proxy_core.config.load import decode_bootstrap
from proxy_core.network.address import Address
from proxy_core.network.connection import Connection
from proxy_core.server.extensions import Extensions
from proxy_core.server.options import Options
from proxy_core.server.server import Server
from proxy_core.testing.clock import SimulatedClock
from tests.support.peers import Peer

WALL = 1_800_000_000.25  # 2027-01-15T08:00:00.250Z
ECHO = {"@type": "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"}


def address(ip: str, port: int) -> Dict[str, Any]:
    return {"socket_address": {"address": ip, "port_value": port}}


def listener(name: str, port: int, **more: Any) -> Dict[str, Any]:
    chains = [{"filters": [{"name": "echo", "typed_config": ECHO}]}]
    return {"name": name, "address": address("127.0.0.1", port), "filter_chains": chains, **more}


def member(port: int, **more: Any) -> Dict[str, Any]:
    endpoint = {"address": address("127.0.0.1", port), **more.pop("endpoint", {})}
    return {"endpoint": endpoint, **more}


def cluster(name: str, members: List[Dict[str, Any]], **more: Any) -> Dict[str, Any]:
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": members}]}
    return {"name": name, "connect_timeout": "0.25s", "load_assignment": assignment, **more}


def bootstrap(**more: Any) -> Dict[str, Any]:
    return {
        "node": {"id": "me", "cluster": "here", "locality": {"zone": "z"}},
        "admin": {"address": address("127.0.0.1", 0)},
        "static_resources": {
            "listeners": [
                listener("in", 7001, traffic_direction="INBOUND"),
                listener("out", 7002, additional_addresses=[{"address": address("::1", 7002)}]),
            ],
            "clusters": [
                cluster("web", [member(8001), member(8002, load_balancing_weight=3)]),
                cluster("api", [member(8003, health_status="UNHEALTHY", endpoint={"hostname": "a.test"})],
                        alt_stat_name="alt", circuit_breakers={"thresholds": [{"max_retries": 7}]}),
            ],
        },
        **more,
    }


class AdminRig:
    """The server, and ways to ask it: `ask` a handler directly, or `client()` for a connection."""

    def __init__(self, config: Optional[Dict[str, Any]] = None) -> None:
        extensions = Extensions()
        loaded = decode_bootstrap(config if config is not None else bootstrap(), extensions.types())
        self.clock = SimulatedClock()
        options = Options(config_path="config.json", drain_time_s=20)
        self.server = Server(loaded, options, extensions, self.clock, lambda: WALL, random.Random(1))
        self.server.running = True
        self._clients: List[Peer] = []

    def ask(self, target: str, method: str = "GET") -> Response:
        path, _, query = target.partition("?")
        return dispatch(self.server, Request(method, path, parse_query(query)))

    def text(self, target: str, method: str = "GET") -> str:
        return self.ask(target, method).body.decode()

    def json(self, target: str) -> Any:
        return json.loads(self.text(target))

    def client(self, kind: str = "tcp") -> Peer:
        """A connection to the admin."""
        near, far = socket.socketpair()
        near.setblocking(False)
        local = Address.from_path("/run/admin.sock") if kind == "pipe" else Address.from_ip("127.0.0.1", 9901)
        assert self.server.admin is not None
        self.server.admin.on_accepted(near, Address.from_ip("127.0.0.1", 50000 + len(self._clients)), local)
        peer = Peer(far)
        self._clients.append(peer)
        return peer

    @property
    def connections(self) -> List[Connection]:
        return self.server.table.live()

    def turn(self, count: int = 4) -> None:
        for _ in range(count):
            for peer in self._clients:
                peer.pump()
            self.server.reactor.turn(0)
        for peer in self._clients:
            peer.pump()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.turn(2)

    def stat(self, name: str) -> Any:
        found = self.server.stats.find(name)
        assert found is not None and hasattr(found, "value"), name
        return found.value

    def close(self) -> None:
        for connection in self.connections:
            self.server.reactor.unwatch(connection.fd)
            connection.sock.close()
        for peer in self._clients:
            peer.close()
        self.server.close()
