"""Which filters exist: configuration message -> how to build the filter. Filled by `server.extensions`, read by listeners.

A filter chain is prepared once per configured chain: `build` is called with the decoded configuration and answers with a factory,
and the factory is called for every connection. What can be decided per configuration is decided in `build`.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Protocol, Type

from ..errors import Problem
from .api import FilterFactory


class FactoryContext(Protocol):
    """What a filter may use of the server. Typed loosely: this package stays below all of them.

    reactor: `event.reactor.Reactor`; stats: the root `observe.stats.StatsStore`; clusters: `upstream.manager.ClusterManager`;
    pool: `upstream.tcp_pool.TcpPool`; access_logs: builds loggers from `AccessLog` messages; runtime: `server.runtime.Runtime`;
    drain: whether and when this listener's connections should go; random: a `random.Random`; singletons: the
    `filters.singletons.Singletons` of the process; http: what only HTTP needs, `http.services.HttpServices`; listener_scope: the
    `observe.stats.Scope` of the listener, None where there is none; path: where the filter stands in the configuration, for
    problems.
    """

    reactor: Any
    stats: Any
    clusters: Any
    pool: Any
    access_logs: Any
    runtime: Any
    drain: Any
    random: Any
    singletons: Any
    http: Any
    listener_scope: Any
    path: str


class NetworkExtension(NamedTuple):
    """One kind of network filter.

    config: its configuration message. terminal: whether it must be the last of its chain. build: makes the factory; raises
    `errors.ConfigError` with paths below `context.path`.
    """

    config: Type[Any]
    terminal: bool
    build: Callable[[Any, FactoryContext], FilterFactory]


class FilterRegistry:
    """Network filters by the full name of their configuration message."""

    def __init__(self, extensions: List[NetworkExtension], custom: Optional[NetworkExtension] = None) -> None:
        """custom: builds the filters of "python:" types."""
        self._custom = custom
        self._by_name: Dict[str, NetworkExtension] = {}
        for extension in extensions:
            self._by_name[extension.config.DESCRIPTOR.full_name] = extension

    def configs(self) -> List[Type[Any]]:
        """The configuration messages, for the type registry of the decoder."""
        return [extension.config for extension in self._by_name.values()]

    def is_terminal(self, type_name: str) -> bool:
        """Whether filters of this type end a chain. False for unknown ones."""
        extension = self._by_name.get(type_name)
        return extension is not None and extension.terminal

    def find(self, type_name: str, path: str, problems: List[Problem]) -> Optional[NetworkExtension]:
        """The extension for a message name; None and a problem when there is none."""
        extension = self._custom if type_name.startswith("python:") else self._by_name.get(type_name)
        if extension is None:
            problems.append(Problem(path, f"'{type_name}' is not a network filter"))
        return extension


class TransportContext(FactoryContext, Protocol):
    """What a transport socket may use besides.

    scope: the `observe.stats.Scope` of its listener; connect_timeout: `transport_socket_connect_timeout` in seconds, 0 if not
    set; certificates: the `CertificateStore` that /certs prints; secrets: the `xds.secrets.SecretManager`.
    """

    scope: Any
    connect_timeout: float
    certificates: Any
    secrets: Any


class TransportExtension(NamedTuple):
    """One kind of downstream transport socket.

    build: makes, once per filter chain, the callable that gives each connection its `network.transport.Transport`.
    """

    config: Type[Any]
    build: Callable[[Any, TransportContext], Callable[[], Any]]


class UpstreamTransportContext(Protocol):
    """What the transport socket of a cluster may use.

    scope: the `observe.stats.Scope` of the cluster; certificates, secrets: as in `TransportContext`; path: where the transport
    socket's configuration stands.
    """

    scope: Any
    certificates: Any
    secrets: Any
    path: str

    def prepare(self, transport_socket: Any, path: str) -> Callable[[Any, Any], Any]:
        """What a socket that is wrapped by this one, a `TransportSocket` message at `path`, builds. Raises ConfigError."""


class UpstreamTransportExtension(NamedTuple):
    """One kind of upstream transport socket.

    build: makes, once per cluster, the callable that gives each connection its `network.transport.Transport`, from the
    `StreamInfo` of the downstream connection and the `upstream.host.Host` to connect to; raises `errors.ConfigError`.
    """

    config: Type[Any]
    build: Callable[[Any, UpstreamTransportContext], Callable[[Any, Any], Any]]


class ListenerFilterContext(FactoryContext, Protocol):
    """What a listener filter may use besides. scope: the `observe.stats.Scope` of its listener; `stats` is the root, where
    most listener filters count (their stats are process-wide)."""

    scope: Any


class ListenerFilterExtension(NamedTuple):
    """One kind of listener filter.

    build: makes, once per listener, the callable that gives each accepted socket its `filters.listener_api.ListenerFilter`;
    raises `errors.ConfigError` with paths below `context.path`.
    """

    config: Type[Any]
    build: Callable[[Any, ListenerFilterContext], Callable[[], Any]]
