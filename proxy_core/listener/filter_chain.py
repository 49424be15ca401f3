"""One configured filter chain, prepared: what a connection needs to get its transport and its filters.

Everything that can be decided per configuration is decided here; a connection costs one call per filter.
"""

from __future__ import annotations

from typing import Any, Callable, List

from ..config.model.listener import FilterChain as FilterChainConfig
from ..errors import ConfigError, Problem
from ..filters.api import FilterFactory, ReadFilter, WriteFilter
from ..filters.chain import WriteChain
from ..network.connection import Connection
from ..network.transport import RAW, Transport
from ..observe.stats import Scope
from .context import ListenerContext, filter_context, transport_context
from .drain import DrainManager


class Assembly:
    """The `FilterManager` that factories fill for one connection."""

    __slots__ = ("connection",)

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def add_read_filter(self, read_filter: ReadFilter, name: str) -> None:
        """Append to the read chain."""
        self.connection.read_chain.add(read_filter, name)

    def add_write_filter(self, write_filter: WriteFilter, name: str) -> None:
        """Put in front of the write chain."""
        if self.connection.write_chain is None:
            self.connection.write_chain = WriteChain(self.connection)
        self.connection.write_chain.add(write_filter, name)

    def add_filter(self, both: Any, name: str) -> None:
        """Into both chains."""
        self.add_read_filter(both, name)
        self.add_write_filter(both, name)


class FilterChain:
    """Factories and a transport, ready for connections. drain: whether its connections are asked to leave."""

    __slots__ = ("name", "factories", "new_transport", "config", "drain")

    def __init__(
        self, config: FilterChainConfig, factories: List[FilterFactory], new_transport: Callable[[], Transport],
        drain: DrainManager,
    ) -> None:
        self.name = config.name
        self.factories = factories
        self.new_transport = new_transport
        self.config = config
        self.drain = drain

    def add_filters(self, connection: Connection) -> None:
        """Give `connection` filter instances of its own."""
        assembly = Assembly(connection)
        for factory in self.factories:
            factory(assembly)


def prepare(
    config: FilterChainConfig, context: ListenerContext, drain: DrainManager, path: str, scope: Scope
) -> FilterChain:
    """Build a chain. drain: its own. scope: its listener's stats. Raises ConfigError with every problem of its filters and
    its transport."""
    problems: List[Problem] = []
    factories: List[FilterFactory] = []
    for index, entry in enumerate(config.filters):
        where = f"{path}.filters[{index}].typed_config"
        assert entry.typed_config is not None
        extension = context.registry.find(entry.typed_config.type_name, where, problems)
        if extension is None:
            continue
        try:
            factories.append(extension.build(entry.typed_config.message, filter_context(context, drain, where, scope)))
        except ConfigError as error:
            problems.extend(error.problems)
    new_transport = _transport(config, context, drain, path, scope, problems)
    if problems:
        raise ConfigError(problems)
    return FilterChain(config, factories, new_transport, drain)


def _raw_transport() -> Transport:
    return RAW


def _transport(
    config: FilterChainConfig, context: ListenerContext, drain: DrainManager, path: str, scope: Scope,
    problems: List[Problem],
) -> Callable[[], Transport]:
    socket_config = config.transport_socket
    if socket_config is None or socket_config.typed_config is None:
        return _raw_transport
    where = f"{path}.transport_socket.typed_config"
    extension = context.transports.get(socket_config.typed_config.type_name)
    if extension is None:
        problems.append(Problem(where, f"'{socket_config.typed_config.type_name}' is not a downstream transport socket"))
        return _raw_transport
    try:
        timeout = config.transport_socket_connect_timeout or 0.0
        given = transport_context(context, drain, where, scope, timeout)
        return extension.build(socket_config.typed_config.message, given)
    except ConfigError as error:
        problems.extend(error.problems)
        return _raw_transport
