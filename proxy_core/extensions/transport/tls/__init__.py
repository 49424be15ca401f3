"""TLS transport sockets. Mirrors `envoy.transport_sockets.tls`.

`config` the messages; `material` certificates and keys from files; `contexts` the `ssl` contexts and the choice among them by
server name; `checks` what a client's certificate must have; `policy` judges and counts handshakes; `reasons` names failures as
Envoy does; `facts` is for access logs; `factory` puts it together. The bytes themselves go through `network.tls`.
"""

from __future__ import annotations

from typing import Callable

from ....filters.registry import TransportContext, TransportExtension
from ....network.transport import Transport
from .config import DownstreamTlsContext


def build(message: DownstreamTlsContext, context: TransportContext) -> Callable[[], Transport]:
    """See `factory.build`. Imported here, when a configuration asks for TLS: `ssl` and what builds on it are 8 ms of a start
    and 5 MB."""
    from .factory import build as build_tls
    return build_tls(message, context)


EXTENSION = TransportExtension(DownstreamTlsContext, build)

__all__ = ["EXTENSION"]
