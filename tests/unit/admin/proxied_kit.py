"""A whole server that proxies, under simulated time: real sockets on port 0, asked through its admin's handlers."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List, Optional

from proxy_core.admin.api import Response
from proxy_core.buffer import Buffer
from proxy_core.filters.api import CONTINUE, STOP_ITERATION, FilterManager, FilterStatus, NetworkFilter
from tests.support.engine import address, cluster, listener, network_filter
from tests.support.peers import Peer, Server, connect, turn_until
from tests.unit.admin.admin_kit import AdminRig


class Parking(NetworkFilter):
    """Stops the chain at the first bytes, and forgets to continue unless it is given something to wait for."""

    def __init__(self, waits_for: str = "", delay: float = 0.0) -> None:
        self._waits_for = waits_for
        self._delay = delay

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        if self._waits_for and not self.connection.read_chain.holds:
            if self._delay:
                self.callbacks.schedule(self._delay, self.callbacks.continue_reading, self._waits_for)
            else:
                self.callbacks.hold(self._waits_for)
        return STOP_ITERATION


class Watching(NetworkFilter):
    """Lets everything through but wants to see it, so that nothing is moved in the kernel."""

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        return CONTINUE


class ProxiedRig(AdminRig):
    """Listener "main" proxies to cluster "c", which is one server here."""

    def __init__(self, runtime: Optional[Dict[str, Any]] = None, **fields: Any) -> None:
        """fields: of the listener; `proxy`: of its tcp_proxy, `backend`: of the cluster."""
        self.backend = Server()
        proxy = {"stat_prefix": "t", "cluster": "c", **fields.pop("proxy", {})}
        members = {**cluster(address(self.backend.port)), **fields.pop("backend", {})}
        one = {**listener(network_filter("tcp_proxy", **proxy)), **fields}
        super().__init__({
            "admin": {"address": address()},
            "static_resources": {"listeners": [one], "clusters": [members]},
            "layered_runtime": {"layers": [{"name": "static", "static_layer": runtime or {}}]},
        })
        self.server.start()
        self.peers: List[Peer] = []

    def until(self, true: Callable[[], Any]) -> None:
        turn_until(self.server.reactor, self.peers, true)

    def put_in_front(self, name: str, make: Callable[[], NetworkFilter]) -> None:
        """A filter of the test's own, first in the chain."""
        def add(manager: FilterManager) -> None:
            manager.add_read_filter(make(), name)
        chain = self.server.listeners.listeners[0].matcher.chains[0]
        chain.factories.insert(0, add)

    def connect(self) -> Peer:
        """A client that has connected; the proxy has not accepted it yet."""
        self.peers.append(connect(self.server.listeners.listeners[0].local_addresses()[0].port))
        return self.peers[-1]

    def pair(self) -> List[Peer]:
        """A client and the server's end of what it is proxied to, both up."""
        client = self.connect()

        def accepted() -> bool:
            peer = self.backend.try_accept()
            if peer is not None:
                self.peers.append(peer)
            return peer is not None
        self.until(accepted)
        return [client, self.peers[-1]]

    def delete(self, target: str) -> Response:
        return self.ask(target, "DELETE")

    def rows(self, query: str = "") -> List[Dict[str, Any]]:
        found: List[Dict[str, Any]] = json.loads(self.text(f"/connections?format=json{query}"))["connections"]
        return found

    def findings(self) -> List[Dict[str, Any]]:
        found: List[Dict[str, Any]] = json.loads(self.text("/why?format=json"))["findings"]
        return found

    def close(self) -> None:
        for peer in self.peers:
            peer.close()
        self.backend.close()
        super().close()
