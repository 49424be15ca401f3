"""Copies of a request for other clusters, whose answers nobody waits for. Mirrors `ShadowWriterImpl`.

A copy is sent when the request is complete, with the head as it was before the first attempt. It is a stream of its own: it
counts in its cluster as an internal request, and has the route's timeout.
"""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

from ....buffer import Buffer
from ....http.events import RequestHead
from ....http.headers import Headers
from ....http.route_api import MirrorPolicy
from ....observe.stream_info import StreamInfo
from .config import Prepared
from .detached import DetachedRequest
from .timing import Clock


class Mirrors:
    """Of one request."""

    __slots__ = ("_prepared", "_copies", "_timeout")

    def __init__(self, prepared: Prepared, copies: List[Tuple[str, RequestHead]], timeout: float) -> None:
        """copies: cluster and head of each."""
        self._prepared = prepared
        self._copies = copies
        self._timeout = timeout

    @classmethod
    def of(
        cls, prepared: Prepared, policies: Sequence[MirrorPolicy], head: RequestHead, info: StreamInfo, timeout: float
    ) -> Optional[Mirrors]:
        """Those of the policies that are on for this request; None if there is none."""
        copies = []
        for policy in policies:
            name = policy.cluster(head)
            if name and policy.is_on(prepared.random.getrandbits(64)):
                copy = copy_of(head, prepared.own_ip)
                policy.change_head(copy, info)
                copies.append((name, copy))
        return cls(prepared, copies, timeout) if copies else None

    def send(self, reactor: Clock, body: Buffer, trailers: Optional[Headers]) -> None:
        """The request is complete."""
        for name, head in self._copies:
            cluster: Any = self._prepared.clusters.get(name)
            if cluster is not None:
                copy = Buffer(body.peek(body.size))
                DetachedRequest(self._prepared, reactor, cluster, head, self._timeout).start(copy, trailers)
        self._copies = []


def copy_of(head: RequestHead, own_ip: str) -> RequestHead:
    """An independent head that says the same, and that this proxy sends it."""
    twin = RequestHead(head.method, head.target, head.version, head.headers.copy(), head.authority, head.scheme, head.path)
    twin.headers.set("x-envoy-internal", "true")
    twin.headers.append("x-forwarded-for", own_ip)
    return twin
