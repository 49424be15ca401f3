"""Listeners of an `Engine` that change by LDS, without a file: what a subscription would hand over is handed
over by the test."""

from __future__ import annotations

import json
from typing import Any, Dict, List

from proxy_core.listener.lists import Entry, Origin
from proxy_core.xds.lds import LdsApi
from proxy_core.xds.response import Rejected
from tests.support.engine import Engine, Json, bootstrap, network_filter
from tests.support.peers import Peer

LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"


class Updated(Engine):
    """An engine that takes LDS updates. static: listeners of its bootstrap."""

    def __init__(self, *static: Json, clusters: Any = (), runtime: Any = None, **settings: Any) -> None:
        super().__init__(bootstrap(list(static), clusters, runtime), **{"drain_time": 10.0, "gradual": True, **settings})
        self.ignored: List[str] = []  # what the last update said that nobody understands
        self.applied = 0
        self.lds = LdsApi(
            self.listeners, self.extensions.types(), self.extensions.is_terminal, self.clock, self._count
        )

    def _count(self) -> None:
        self.applied += 1

    def push(self, *listeners: Json, version: str = "v") -> str:
        """One update; why it was rejected, or ""."""
        resources = [{"@type": LISTENER, **one} for one in listeners]
        data = json.dumps({"version_info": version, "resources": resources}).encode()
        try:
            response = self.lds.decode(data, "lds.json")
            self.ignored = [warning.message for warning in response.warnings]
            self.lds.on_update(response)
        except Rejected as rejected:
            return str(rejected)
        return ""

    def stats_of(self, *names: str) -> List[int]:
        """Values below `listener_manager.`"""
        return [self.value(f"listener_manager.{name}") for name in names]

    def entry(self, name: str = "main") -> Entry:
        """The active listener of that name."""
        return self.listeners.lists.active[name]

    @property
    def names(self) -> List[str]:
        """The active listeners, in order."""
        return list(self.listeners.lists.active)

    @property
    def dynamic(self) -> Dict[str, str]:
        """The active listeners that LDS brought, with the version of each."""
        active = self.listeners.lists.active
        return {name: active[name].version_info for name in self.listeners.names(Origin.LDS)}

    def close(self) -> None:
        """Everything is over: what drains as well."""
        super().close()
        for entry in self.listeners.lists:
            assert entry.listener.active == 0


def says(text: str) -> Json:
    return network_filter("direct_response", response={"inline_string": text})


def chain(one: Json, port: int = 0, name: str = "") -> Json:
    """A filter chain, for one destination port if that is given."""
    match = {"filter_chain_match": {"destination_port": port}} if port else {}
    return {"name": name, "filters": [one], **match}


def echoes(engine: Updated, client: Peer, data: bytes = b"hello") -> None:
    client.send(data)
    engine.until(lambda: bytes(client.got).endswith(data))


def answer(engine: Updated, name: str = "main") -> str:
    """What a new client is told by a listener that answers by itself."""
    client = engine.client(name)
    engine.until(lambda: client.ended)
    return bytes(client.got).decode()
