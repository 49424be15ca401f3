"""What listeners are given by the server, once, and what their filters are given in turn."""

from __future__ import annotations

import dataclasses
import random
from typing import Any, Callable, Mapping, Optional

from ..event.reactor import Reactor
from ..filters.registry import FilterRegistry, ListenerFilterExtension, TransportExtension
from ..filters.singletons import Singletons
from ..network.address import Address
from ..network.settings import ConnectionSettings
from ..network.table import ConnectionTable
from ..observe.certificates import CertificateStore
from ..observe.stats import Scope, StatsStore
from .descriptors import DescriptorGuard
from .drain import DrainManager
from .limits import ProcessLimit


@dataclasses.dataclass
class ListenerContext:
    """The parts of the server that every listener uses."""

    reactor: Reactor
    stats: StatsStore
    table: ConnectionTable
    registry: FilterRegistry
    transports: Mapping[str, TransportExtension]
    listener_filters: Mapping[str, ListenerFilterExtension]
    settings: ConnectionSettings
    process_limit: ProcessLimit
    descriptors: DescriptorGuard
    clusters: Any
    pool: Any
    access_logs: Any
    runtime: Any
    random: random.Random
    wall_clock: Callable[[], float]
    certificates: CertificateStore = dataclasses.field(default_factory=CertificateStore)
    secrets: Any = None
    http: Any = None  # `http.services.HttpServices`
    singletons: Singletons = dataclasses.field(default_factory=Singletons)
    # The active listener at an address, for `use_original_dst`; set by the listener manager.
    listener_at: Callable[[Address], Any] = lambda address: None


@dataclasses.dataclass
class FilterContext:
    """`filters.registry.FactoryContext` for one filter of one chain of one listener."""

    reactor: Reactor
    stats: StatsStore
    clusters: Any
    pool: Any
    access_logs: Any
    runtime: Any
    drain: DrainManager
    random: random.Random
    singletons: Singletons
    http: Any
    listener_scope: Optional[Scope]
    path: str


@dataclasses.dataclass
class TransportContext(FilterContext):
    """`filters.registry.TransportContext` for the transport socket of one chain."""

    scope: Scope
    connect_timeout: float
    certificates: CertificateStore
    secrets: Any


@dataclasses.dataclass
class ListenerFilterContext(FilterContext):
    """`filters.registry.ListenerFilterContext` for one listener filter."""

    scope: Scope


def filter_context(server: ListenerContext, drain: DrainManager, path: str, scope: Scope) -> FilterContext:
    """The context of the filter at `path`. scope: its listener's."""
    return FilterContext(
        server.reactor, server.stats, server.clusters, server.pool, server.access_logs, server.runtime, drain,
        server.random, server.singletons, server.http, scope, path,
    )


def transport_context(
    server: ListenerContext, drain: DrainManager, path: str, scope: Scope, connect_timeout: float
) -> TransportContext:
    """The context of the transport socket at `path`."""
    return TransportContext(
        server.reactor, server.stats, server.clusters, server.pool, server.access_logs, server.runtime, drain,
        server.random, server.singletons, server.http, scope, path, scope, connect_timeout, server.certificates, server.secrets,
    )


def listener_filter_context(
    server: ListenerContext, drain: DrainManager, path: str, scope: Scope
) -> ListenerFilterContext:
    """The context of the listener filter at `path`."""
    return ListenerFilterContext(
        server.reactor, server.stats, server.clusters, server.pool, server.access_logs, server.runtime, drain,
        server.random, server.singletons, server.http, scope, path, scope,
    )
