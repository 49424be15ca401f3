"""What lies between upstream connections and their sockets: the transport socket of a cluster, or one of several by the
metadata of the host. Mirrors `Network::UpstreamTransportSocketFactory` and `Upstream::TransportSocketMatcherImpl`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Dict, Final, List, Mapping, NamedTuple, Optional, Sequence

from ..config.model.cluster import TransportSocketMatch
from ..config.model.core import TransportSocket
from ..errors import ConfigError, Problem
from ..filters.registry import UpstreamTransportExtension
from ..network.transport import RAW, Transport
from ..observe.certificates import CertificateStore
from ..observe.stats import Counter, Scope
from ..observe.stream_info import StreamInfo
from .host import Host

NewTransport = Callable[[StreamInfo, Host], Transport]
"""Gives one connection its transport: from the downstream connection's facts and the host to connect to."""

MATCH_NAMESPACE: Final = "envoy.transport_socket_match"  # where hosts have the metadata that matches ask for


class Match(NamedTuple):
    """One entry of `transport_socket_matches`. wanted: none = every host fits. counter: the hosts that it is used for."""

    wanted: Dict[str, Any]
    new_transport: Optional[NewTransport]
    counter: Counter

    def fits(self, labels: Mapping[str, Any]) -> bool:
        """Whether all that is wanted is among them."""
        return all(key in labels and _same(labels[key], value) for key, value in self.wanted.items())


class TransportMatches:
    """The transports of a cluster whose hosts have not all the same: the first entry that fits counts, the last fits all."""

    def __init__(self, matches: Sequence[Match]) -> None:
        self._matches = matches

    def new_transport(self, info: StreamInfo, host: Host) -> Transport:
        """For one connection."""
        return _made(self._of(_labels(host)), info, host)

    def for_labels(self, labels: Mapping[str, Any], info: StreamInfo, host: Host) -> Transport:
        """For one connection that says itself what is to fit, whatever the host has. Counts each of them, as Envoy does."""
        match = self._of(labels)
        match.counter.inc()
        return _made(match, info, host)

    def count(self, hosts: Sequence[Host]) -> None:
        """These are new."""
        for host in hosts:
            self._of(_labels(host)).counter.inc()

    def _of(self, labels: Mapping[str, Any]) -> Match:
        return next(match for match in self._matches if match.fits(labels))


def _labels(host: Host) -> Mapping[str, Any]:
    labels: Mapping[str, Any] = host.metadata.get(MATCH_NAMESPACE) or {}
    return labels


def _made(match: Match, info: StreamInfo, host: Host) -> Transport:
    return RAW if match.new_transport is None else match.new_transport(info, host)


def _same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


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

    def prepare_matches(
        self, matches: Sequence[TransportSocketMatch], default: Optional[NewTransport], scope: Scope, path: str
    ) -> Optional[TransportMatches]:
        """None: all hosts of the cluster have `default`. path: of the list. Raises ConfigError."""
        if not matches:
            return None
        prepared: List[Match] = []
        for index, match in enumerate(matches):
            made = self.prepare(match.transport_socket, scope, f"{path}[{index}].transport_socket")
            prepared.append(Match(match.match or {}, made, scope.counter(f"{match.name}.total_match_count")))
        return TransportMatches([*prepared, Match({}, default, scope.counter("default.total_match_count"))])


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
