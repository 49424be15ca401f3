"""tcp_proxy's entry in the registry."""

from __future__ import annotations

from ....filters.api import FilterFactory, FilterManager
from ....filters.registry import FactoryContext, NetworkExtension
from .config import Prepared, TcpProxyConfig
from .session import Session

NAME = "envoy.filters.network.tcp_proxy"


def build(config: TcpProxyConfig, context: FactoryContext) -> FilterFactory:
    """Prepare what sessions share; the factory makes one session per connection."""
    prepared = Prepared(config, context)

    def add(manager: FilterManager) -> None:
        manager.add_read_filter(Session(prepared), NAME)
    return add


EXTENSION = NetworkExtension(TcpProxyConfig, True, build)
