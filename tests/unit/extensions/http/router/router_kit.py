"""A connection manager with the router, its clients and its hosts in the test's hand: real sockets, simulated time."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Sequence, Tuple

from tests.support.engine import TYPE, Engine, access_log, address, bootstrap, cluster, listener
from tests.support.peers import Peer, Server

Json = Dict[str, Any]
LOG = "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% att=%UPSTREAM_REQUEST_ATTEMPT_COUNT% %UPSTREAM_CLUSTER%"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
_ACTIVE = ("upstream_rq_active", "upstream_rq_pending_active", "upstream_cx_active")
_VOLATILE = re.compile(rb"(date: |x-request-id: |x-envoy-upstream-service-time: )[^\r]*")


def answer(status: int, *lines: str, body: bytes = b"") -> bytes:
    """A response with a content-length."""
    head = "\r\n".join([f"HTTP/1.1 {status} X", *lines, f"content-length: {len(body)}", "", ""])
    return head.encode() + body


class Routed:
    """One listener with one route, "/", to cluster "c" of so many hosts; `fields` are of the route's action.

    more: routes in front of it. others: more clusters. manager, router, vhost, c: fields of these messages. refused: ports that
    come before those of the hosts in the cluster.
    """

    def __init__(
        self, hosts: int = 1, more: Sequence[Json] = (), others: Sequence[Json] = (), manager: Json = {}, router: Json = {},
        vhost: Json = {}, c: Json = {}, refused: Sequence[int] = (), servers: Sequence[Server] = (), **fields: Any,
    ) -> None:
        self.servers = list(servers) or [Server() for _ in range(hosts)]
        routes = [*more, {"match": {"prefix": "/"}, "route": {"cluster": "c", **fields}}]
        config = {
            "@type": f"{TYPE}filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "web",
            "route_config": {"name": "r", "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": routes, **vhost}]},
            "http_filters": [{"name": "router", "typed_config": {"@type": f"{TYPE}filters.http.router.v3.Router", **router}}],
            "access_log": [access_log(LOG)], **manager,
        }
        ports = [*refused, *(server.port for server in self.servers)]
        clusters = [cluster(*map(address, ports), **c), *others]
        self.engine = Engine(bootstrap([listener({"name": "hcm", "typed_config": config})], clusters)).start()

    def client(self, data: bytes = b"") -> Peer:
        """A client that sends this."""
        peer = self.engine.client()
        peer.send(data)
        self.engine.turn(3)
        return peer

    def get(self, path: str = "/", *lines: str) -> Peer:
        """A client with a GET."""
        return self.client("\r\n".join([f"GET {path} HTTP/1.1", "host: a", *lines, "", ""]).encode())

    def host(self, number: int = 0) -> Peer:
        """The next connection to a host, once it has got something."""
        peer = self.engine.accepted(self.servers[number])
        self.engine.until(lambda: peer.got)
        return peer

    def reply(self, host: Peer, data: bytes = OK, finish: bool = False) -> None:
        """Send from a host."""
        host.send(data)
        if finish:
            host.finish()
        self.engine.turn(3)

    def hear(self, peer: Peer, end: bytes = b"") -> bytes:
        """What a peer has got once it ends like this ("" = anything), without what changes from run to run."""
        self.engine.until(lambda: peer.got and bytes(peer.got).endswith(end))
        return _VOLATILE.sub(rb"\1*", bytes(peer.got))

    @property
    def lines(self) -> List[str]:
        """The access log."""
        return [line.partition(" ")[2] for line in self.engine.lines]

    def counts(self, *names: str) -> Tuple[int, ...]:
        """Counters of cluster c; 0 where there is none yet."""
        found = [self.engine.stats.find(f"cluster.c.{name}") for name in names]
        return tuple(0 if one is None else int(one.value) for one in found)  # type: ignore[union-attr]

    def close(self) -> None:
        """Give everything back; nothing may be left counted."""
        assert self.engine.errors == []
        self.engine.close()
        for server in self.servers:
            server.close()
        leftovers = {
            name: gauge.value for name, gauge in self.engine.stats.gauges.items() if gauge.value and name.rpartition(".")[2] in _ACTIVE
        }
        assert leftovers == {}
