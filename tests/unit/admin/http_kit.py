"""A server that proxies HTTP, with filters of a test's own, asked through its admin's handlers. See `proxied_kit`."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

from proxy_core.admin.connection_streams import manager_of
from proxy_core.buffer import Buffer
from proxy_core.http.connection_manager.chain import Entry, FilterChain
from proxy_core.http.events import RequestHead
from proxy_core.http.filter_api import CONTINUE, STOP_AND_BUFFER, STOP_ITERATION, FilterStatus, HttpFilter
from tests.support.peers import Peer
from tests.unit.admin.proxied_kit import ProxiedRig

TYPE = "type.googleapis.com/envoy.extensions.filters"
ROUTER = {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{TYPE}.http.router.v3.Router"}}
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Stopping(HttpFilter):
    """Stops each request; forgets it, unless it is given something to wait for."""

    def __init__(self, waits_for: str = "") -> None:
        self._waits_for = waits_for

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        if self._waits_for:
            self.decoder.hold(self._waits_for)
        return STOP_ITERATION


class Keeping(HttpFilter):
    """Stops each response, and keeps all of it."""

    def encode_headers(self, head: Any, end_stream: bool) -> FilterStatus:
        return STOP_ITERATION

    def encode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        return STOP_AND_BUFFER


class Watching(HttpFilter):
    """Lets everything through."""

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        return CONTINUE


def manager(route: Dict[str, Any], **more: Any) -> Dict[str, Any]:
    """One filter chain that speaks HTTP, with a route named "all"."""
    config = {
        "@type": f"{TYPE}.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "web",
        "http_filters": [ROUTER], **more,
        "route_config": {"virtual_hosts": [{"name": "site", "domains": ["*"], "routes": [
            {"name": "all", "match": {"prefix": "/"}, "route": {"cluster": "c", **route}}]}]},
    }
    return {"filters": [{"name": "hcm", "typed_config": config}]}


class HttpRig(ProxiedRig):
    """route: of the only route, to cluster "c", which is one server here; backend: of the cluster; the rest: of the manager."""

    def __init__(self, route: Optional[Dict[str, Any]] = None, backend: Optional[Dict[str, Any]] = None, **more: Any) -> None:
        super().__init__(filter_chains=[manager(route or {}, **more)], backend=backend or {})

    def put_before_router(self, name: str, make: Callable[[], HttpFilter]) -> None:
        """A filter of the test's own, first in the chain of every request that begins from now on."""
        settings = next(found.manager for found in map(manager_of, self.connections) if found is not None)
        settings.chain = FilterChain([Entry(name, make, False, False), *settings.chain.entries])

    def client(self, kind: str = "tcp") -> Peer:
        """A client that is connected."""
        before = len(self.connections)
        peer = self.connect()
        self.until(lambda: len(self.connections) > before)
        return peer

    def request(self, client: Peer, path: str = "/", method: str = "GET") -> None:
        """Send it, and let the proxy have it."""
        before = self.stat("http.web.downstream_rq_total")
        client.send(f"{method} {path} HTTP/1.1\r\nHost: a.test\r\n\r\n".encode())
        self.until(lambda: self.stat("http.web.downstream_rq_total") > before)

    def upstream(self) -> Peer:
        """The server's end of a new connection on which a request has come."""
        found: List[Peer] = []

        def accepted() -> bool:
            peer = self.backend.try_accept()
            if peer is not None:
                self.peers.append(peer)
                found.append(peer)
            return bool(found and found[0].got)
        self.until(accepted)
        return found[0]

    def row_of(self, side: str) -> Dict[str, Any]:
        """The only row of this side."""
        rows = [one for one in self.rows(f"&side={side}")]
        assert len(rows) == 1, rows
        return rows[0]
