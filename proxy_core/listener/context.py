"""What listeners are given by the server, once, and what their filters are given in turn."""

from __future__ import annotations

import dataclasses
import random
from typing import Any, Callable, Mapping

from ..event.reactor import Reactor
from ..filters.registry import FilterRegistry, TransportExtension
from ..network.settings import ConnectionSettings
from ..network.table import ConnectionTable
from ..observe.stats import StatsStore
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
    settings: ConnectionSettings
    process_limit: ProcessLimit
    descriptors: DescriptorGuard
    clusters: Any
    pool: Any
    access_logs: Any
    runtime: Any
    random: random.Random
    wall_clock: Callable[[], float]


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
    path: str


def filter_context(server: ListenerContext, drain: DrainManager, path: str) -> FilterContext:
    """The context of the filter at `path`."""
    return FilterContext(
        server.reactor, server.stats, server.clusters, server.pool, server.access_logs, server.runtime, drain,
        server.random, path,
    )
