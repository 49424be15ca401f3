"""A tcp_proxy between a client and a server that the test plays, in one object."""

from __future__ import annotations

import socket
from typing import Any, Callable, List, Optional, Tuple

from proxy_core.network.connection import Connection
from proxy_core.network.states import Side
from proxy_core.upstream.host import HostCounters
from tests.support.engine import Engine, Json, access_log, address, bootstrap, cluster, listener, network_filter
from tests.support.peers import KERNEL_BUFFER, Peer, Server

FACTS = (
    "flags=%RESPONSE_FLAGS% local=%DOWNSTREAM_LOCAL_CLOSE_REASON% upstream_failure=%UPSTREAM_TRANSPORT_FAILURE_REASON% "
    "attempts=%UPSTREAM_REQUEST_ATTEMPT_COUNT% rx=%BYTES_RECEIVED% tx=%BYTES_SENT% "
    "down=%DOWNSTREAM_DETECTED_CLOSE_TYPE% up=%UPSTREAM_DETECTED_CLOSE_TYPE% %CLOSE_REASON%"
)


class Proxied:
    """See the module docstring. `proxy`: fields of tcp_proxy; `of_cluster`, `of_listener`: fields of those.

    ports: the cluster's hosts; by default one `server` that listens.
    """

    def __init__(
        self, ports: Optional[List[int]] = None, of_cluster: Optional[Json] = None, of_listener: Optional[Json] = None,
        runtime: Optional[Json] = None, seed: int = 1, drain_time: float = 600.0, **proxy: Any
    ) -> None:
        self.server = Server()
        hosts = [address(port) for port in ([self.server.port] if ports is None else ports)]
        if "weighted_clusters" not in proxy:
            proxy.setdefault("cluster", "c")
        proxy.setdefault("access_log", [access_log(FACTS)])
        front = network_filter("tcp_proxy", stat_prefix="t", **proxy)
        self.engine = Engine(
            bootstrap([listener(front, **(of_listener or {}))], [cluster(*hosts, **(of_cluster or {}))], runtime),
            seed=seed, drain_time=drain_time,
        ).start()

    def pair(self) -> Tuple[Peer, Peer]:
        """A client and the server's end of its session, connected; the kernel holds little of what one doesn't read."""
        client = self.engine.client()
        server = self.engine.accepted(self.server)
        self.engine.until(lambda: all(one.write_state is not Side.CONNECTING for one in self.engine.live))
        for connection in self.engine.live:
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER)
        return client, server

    def session(self) -> Tuple[Connection, Connection]:
        """The downstream and the upstream connection of the only session."""
        downstream, upstream = self.engine.live
        return downstream, upstream

    def wait(self, true: Callable[[], Any]) -> None:
        """As `Engine.until`, with some simulated time passing in every turn."""
        def a_moment_later() -> Any:
            self.engine.clock.advance(0.01)
            return true()
        self.engine.until(a_moment_later)

    def over(self) -> bool:
        """Whether there was a session and every connection of the proxy is gone."""
        return self.tcp("downstream_cx_total") > 0 and not self.engine.live

    @property
    def line(self) -> str:
        """The only access-log line of a session's end."""
        ends = [line for line in self.engine.lines if line.startswith("TcpConnectionEnd ")]
        assert len(ends) == 1, self.engine.lines
        return ends[0]

    def tcp(self, name: str) -> int:
        """A stat of tcp_proxy."""
        return self.engine.value(f"tcp.t.{name}")

    def cluster(self, name: str) -> int:
        """A stat of the cluster."""
        return self.engine.value(f"cluster.c.{name}")

    @property
    def host(self) -> HostCounters:
        """What is counted of the cluster's first host."""
        cluster = self.engine.clusters.get("c")
        assert cluster is not None
        return cluster.hosts[0].counters

    def close(self) -> None:
        """Close everything and check that nothing is still counted."""
        self.engine.close()
        self.server.close()
        assert self.engine.errors == []
        assert not self.engine.live
        assert self.engine.process_limit.active == 0
        for name in ("upstream_cx_active", "upstream_rq_active", "upstream_rq_pending_active"):
            assert self.cluster(name) == 0, name
        assert self.tcp("upstream_flush_active") == 0
        for resource in ("connections", "pending_requests", "requests"):
            cluster = self.engine.clusters.get("c")
            assert cluster is not None and getattr(cluster.breakers, resource).used == 0, resource


NewProxied = Callable[..., Proxied]
"""The fixture `proxied`: makes sessions that are closed and checked after the test."""
