"""What lies between upstream connections and their sockets: the transport socket of a cluster. Mirrors
`Network::UpstreamTransportSocketFactory`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Mapping, Optional

from ..config.model.core import TransportSocket
from ..errors import ConfigError, Problem
from ..filters.registry import UpstreamTransportExtension
from ..network.transport import Transport
from ..observe.certificates import CertificateStore
from ..observe.stats import Scope
from ..observe.stream_info import StreamInfo
from .host import Host

NewTransport = Callable[[StreamInfo, Host], Transport]
"""Gives one connection its transport: from the downstream connection's facts and the host to connect to."""


class UpstreamTransports:
    """The kinds of transport sockets that clusters may have, and what these need of the server."""

    def __init__(
        self, extensions: Mapping[str, UpstreamTransportExtension], certificates: CertificateStore, secrets: Any
    ) -> None:
        """extensions: by the name of their message; secrets: the `xds.secrets.SecretManager`."""
        self.extensions = extensions
        self.certificates = certificates
        self.secrets = secrets

    def prepare(self, transport_socket: Optional[TransportSocket], scope: Scope, path: str) -> Optional[NewTransport]:
        """What makes the transports of one cluster. None: raw bytes.

        scope: the cluster's stats; path: of the transport socket. Raises ConfigError.
        """
        if transport_socket is None or transport_socket.typed_config is None:
            return None
        context = Context(self.extensions, scope, self.certificates, self.secrets, f"{path}.typed_config")
        return context.build(transport_socket)


@dataclasses.dataclass
class Context:
    """`filters.registry.UpstreamTransportContext`."""

    extensions: Mapping[str, UpstreamTransportExtension]
    scope: Scope
    certificates: CertificateStore
    secrets: Any
    path: str

    def build(self, transport_socket: TransportSocket) -> NewTransport:
        """Raises ConfigError."""
        assert transport_socket.typed_config is not None
        name = transport_socket.typed_config.type_name
        extension = self.extensions.get(name)
        if extension is None:
            raise ConfigError([Problem(self.path, f"'{name}' is not an upstream transport socket")])
        return extension.build(transport_socket.typed_config.message, self)

    def prepare(self, transport_socket: TransportSocket, path: str) -> NewTransport:
        """For a socket that is wrapped by this one."""
        return dataclasses.replace(self, path=f"{path}.typed_config").build(transport_socket)
