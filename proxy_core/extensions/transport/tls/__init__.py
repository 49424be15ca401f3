"""TLS transport sockets. Mirrors `envoy.transport_sockets.tls`.

`config` the messages; `material` certificates and keys from files; `trust` whose certificates are accepted; `parameters` versions
and ciphers; `contexts` the `ssl` contexts of a listener and the choice among them by server name, `client_contexts` those of a
cluster; `checks` what a peer's certificate must have; `policy` judges and counts handshakes; `reasons` names failures as Envoy
does; `facts` is for access logs; `prepared` puts it together and again when a secret changes, `factory` for clients, `client` for
upstreams. The bytes themselves go through `network.tls`.
"""

from __future__ import annotations

from typing import Any, Callable

from ....filters.registry import (
    TransportContext, TransportExtension, UpstreamTransportContext, UpstreamTransportExtension,
)
from ....network.transport import Transport
from ....observe.stream_info import StreamInfo
from .config import DownstreamTlsContext, UpstreamTlsContext


def build(message: DownstreamTlsContext, context: TransportContext) -> Callable[[], Transport]:
    """See `factory.build`. Imported here, when a configuration asks for TLS: `ssl` and what builds on it are 8 ms of a start
    and 5 MB."""
    from .factory import build as build_tls
    return build_tls(message, context)


def build_upstream(
    message: UpstreamTlsContext, context: UpstreamTransportContext
) -> Callable[[StreamInfo, Any], Transport]:
    """See `client.build`."""
    from .client import build as build_tls
    return build_tls(message, context)


EXTENSION = TransportExtension(DownstreamTlsContext, build)
UPSTREAM_EXTENSION = UpstreamTransportExtension(UpstreamTlsContext, build_upstream)

__all__ = ["EXTENSION", "UPSTREAM_EXTENSION"]
