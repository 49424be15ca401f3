"""http_connection_manager's entry in the registry."""

from __future__ import annotations

from ....filters.api import FilterFactory, FilterManager
from ....filters.registry import FactoryContext, NetworkExtension
from ....http.connection_manager.connection import HttpConnection
from .config import HttpConnectionManager
from .prepare import prepare

NAME = "envoy.filters.network.http_connection_manager"


def build(config: HttpConnectionManager, context: FactoryContext) -> FilterFactory:
    """Prepare what connections share; the factory makes one `HttpConnection` for each."""
    settings = prepare(config, context)

    def add(manager: FilterManager) -> None:
        manager.add_read_filter(HttpConnection(settings, manager.connection), NAME)
    return add


EXTENSION = NetworkExtension(HttpConnectionManager, True, build)
