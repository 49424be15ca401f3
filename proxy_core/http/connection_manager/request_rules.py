"""What is changed in the headers of every request before it is routed. Mirrors `ConnectionManagerUtility::mutateRequestHeaders`.

Place in the data's way: `arrival` calls `apply` once per request. The rules are prepared per configuration; most requests have
none of the headers that need a look, which one set operation tells.
"""

from __future__ import annotations

import operator
import random
import re
from typing import Final, FrozenSet, Optional

from ...observe.stream_info import StreamInfo
from ..events import RequestHead
from ..framing import tokens
from ..headers import Headers
from ..route_api import RouteSource
from .client_certificate import ClientCertificateRules
from .forwarded import ForwardedRules
from .peer import Peer

_UUID_PARTS: Final = operator.itemgetter(slice(8), slice(8, 12), slice(12, 16), slice(16, 20), slice(20, 32))
# RFC 9110 section 7.6.1, and what only this proxy may say.
_OF_THE_CONNECTION: Final = ("keep-alive", "proxy-connection", "transfer-encoding")
# Orders to this proxy: obeyed only if they come from inside.
_INTERNAL_ONLY: Final[FrozenSet[str]] = frozenset((
    "x-envoy-retriable-status-codes", "x-envoy-retriable-header-names", "x-envoy-retry-on", "x-envoy-retry-grpc-on",
    "x-envoy-max-retries", "x-envoy-upstream-alt-stat-name", "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-rq-per-try-timeout-ms", "x-envoy-upstream-rq-timeout-alt-response", "x-envoy-expected-rq-timeout-ms",
    "x-envoy-force-trace", "x-envoy-ip-tags", "x-envoy-original-url", "x-envoy-hedge-on-per-try-timeout",
))
# What another proxy of this kind may have added, and a client from outside may not.
_NOT_FROM_OUTSIDE: Final[FrozenSet[str]] = frozenset((
    "x-envoy-decorator-operation", "x-envoy-downstream-service-cluster", "x-envoy-downstream-service-node",
    "x-envoy-original-path", "x-envoy-original-host",
))
_WATCHED: Final[FrozenSet[str]] = _INTERNAL_ONLY | _NOT_FROM_OUTSIDE | frozenset((
    "connection", "upgrade", "te", "x-envoy-internal", "referer", *_OF_THE_CONNECTION,
))
# Scheme, host, port and the rest, or a relative reference; as measured with Envoy 1.40.
_REFERER: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9+.\-]*://(?:[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?(?:[/?][^#\s]*#?)?"
    r"|[^:/?#\s]*(?:[/?][^#\s]*)?"
).fullmatch


class RequestRules:
    """routes: for the `internal_only_headers` of their table. generate_id, preserve_external_id: `generate_request_id`,
    `preserve_external_request_id`. user_agent: the cluster of this node where `add_user_agent` is on, else None; node_id goes
    with it. scheme: what `scheme_header_transformation` says, or ""."""

    def __init__(
        self, rng: random.Random, forwarded: ForwardedRules, certificates: ClientCertificateRules, routes: RouteSource,
        generate_id: bool = True, preserve_external_id: bool = False, via: str = "", user_agent: Optional[str] = None,
        node_id: str = "", scheme: str = "",
    ) -> None:
        self._random = rng
        self._forwarded = forwarded
        self._certificates = certificates
        self._routes = routes
        self._generate_id = generate_id
        self._preserve_external_id = preserve_external_id
        self._via = via
        self._user_agent = user_agent
        self._node_id = node_id
        self._scheme = scheme

    def apply(self, head: RequestHead, info: StreamInfo, peer: Peer) -> None:
        """Change `head` in place; note the client's address in `info`."""
        headers = head.headers
        watched = headers.has_any(_WATCHED)
        if watched:
            _clean(head, headers)
        origin = self._forwarded.apply(headers, info, peer)
        scheme = headers.get("x-forwarded-proto")
        if self._scheme:
            head.scheme = self._scheme
            headers.set("x-forwarded-proto", self._scheme)
        elif not head.scheme:
            head.scheme = scheme if scheme == "http" or scheme == "https" else peer.scheme
        if origin.internal:
            headers.set("x-envoy-internal", "true")
        else:
            if watched:
                _remove_foreign(headers, origin.edge)
            table = self._routes.table
            if table is not None and table.internal_only_headers:
                for name in table.internal_only_headers:
                    headers.remove(name)
        if self._user_agent is not None:
            self._say_who(headers, self._user_agent)
        if self._via:
            headers.append("via", self._via, ", ")
        if origin.edge and origin.address:
            headers.set("x-envoy-external-address", origin.address)
        if self._generate_id and (origin.edge and not self._preserve_external_id or "x-request-id" not in headers):
            headers.set("x-request-id", request_id(self._random))
        self._certificates.apply(headers, peer)

    def _say_who(self, headers: Headers, user_agent: str) -> None:
        headers.set("x-envoy-downstream-service-cluster", user_agent)
        if not headers.get("user-agent"):
            headers.set("user-agent", user_agent)
        if self._node_id:
            headers.set("x-envoy-downstream-service-node", self._node_id)


def request_id(rng: random.Random) -> str:
    """A random (version 4) UUID (RFC 9562 section 5.4) of 122 bits of `rng`: a third of the time of `uuid.uuid4()`."""
    bits = rng.getrandbits(128) & ~(0xF000 << 64) & ~(0xC000 << 48) | 0x4000 << 64 | 0x8000 << 48
    return "-".join(_UUID_PARTS("%032x" % bits))


def _clean(head: RequestHead, headers: Headers) -> None:
    if head.upgrade == "" or head.upgrade == "connect":
        headers.remove("connection")
        headers.remove("upgrade")
        if "te" in headers:
            _keep_trailers_only(headers)
    headers.remove("x-envoy-internal")
    for name in _OF_THE_CONNECTION:
        headers.remove(name)
    if "referer" in headers and not _is_referer(headers):
        headers.remove("referer")


def _keep_trailers_only(headers: Headers) -> None:
    if "trailers" in tokens(headers.get("te")):
        headers.set("te", "trailers")
    else:
        headers.remove("te")


def _is_referer(headers: Headers) -> bool:
    """Whether there is one, and Envoy would take it for a URL without fragment, absolute or relative."""
    values = headers.get_all("referer")
    found = _REFERER(values[0])
    return len(values) == 1 and found is not None and int(found.group(1) or 0) <= 65535


def _remove_foreign(headers: Headers, edge: bool) -> None:
    for name in _INTERNAL_ONLY:
        headers.remove(name)
    if edge:
        for name in _NOT_FROM_OUTSIDE:
            headers.remove(name)
