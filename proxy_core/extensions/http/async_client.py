"""Requests that a filter makes itself, of a server that it asks for advice. Mirrors `Http::AsyncClientImpl`.

    client = AsyncClient(context)                                     once per configuration
    call = client.send("authz", head, b"", 0.2, on_answer)            on_answer(head, body), or (None, b"") for a failure
    call.cancel()                                                     the stream is over before the answer

The request goes the way of the router: the cluster's balancer, pools, breakers, outlier detection and stats.
"""

from __future__ import annotations

from typing import Any, Optional, Protocol

from ...buffer import Buffer
from ...http.events import RequestHead
from ...http.filter_api import HttpFactoryContext
from .router.config import ASYNC_CLIENT, Prepared, Router
from .router.detached import DetachedRequest, OnAnswer


class Call(Protocol):
    """A request under way."""

    def cancel(self) -> None:
        """Nobody waits for it any more."""


class AsyncClient:
    """Of one filter configuration."""

    __slots__ = ("_prepared", "_reactor")

    def __init__(self, context: HttpFactoryContext) -> None:
        self._prepared = Prepared(Router(), context, context.stats.scope(ASYNC_CLIENT))
        self._reactor = context.reactor

    def send(self, cluster_name: str, head: RequestHead, body: bytes, timeout: float, on_answer: OnAnswer) -> Optional[Call]:
        """Ask a cluster. timeout: seconds, 0 = none. `on_answer` may be called before this returns; None where nothing was sent
        because there is no such cluster."""
        cluster: Any = self._prepared.clusters.get(cluster_name)
        if cluster is None:
            on_answer(None, b"")
            return None
        head.headers.set("x-envoy-internal", "true")
        request = DetachedRequest(self._prepared, self._reactor, cluster, head, timeout, on_answer)
        request.start(Buffer(body), None)
        return request
