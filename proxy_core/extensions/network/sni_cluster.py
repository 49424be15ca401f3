"""sni_cluster: the name that the client asked for in its TLS hello is the cluster it is sent to. Mirrors
`envoy.filters.network.sni_cluster`.

Needs tls_inspector in the listener: this filter runs before a TLS handshake of our own. Without a name the cluster of tcp_proxy
stays; a name that is no cluster is refused by tcp_proxy (flag NC).
"""

from __future__ import annotations

import dataclasses

from ...config.fields import Message, message
from ...filters.api import CONTINUE, FilterFactory, FilterManager, FilterStatus
from ...filters.registry import FactoryContext, NetworkExtension
from ...observe.filter_state import TCP_PROXY_CLUSTER, FilterStateObject
from .policy import PolicyFilter

NAME = "envoy.filters.network.sni_cluster"


@message("envoy.extensions.filters.network.sni_cluster.v3.SniCluster")
@dataclasses.dataclass(eq=False, repr=False)
class SniClusterConfig(Message):
    """Routes by server name. No fields."""


class SniCluster(PolicyFilter):
    """One connection's name."""

    __slots__ = ()

    def on_new_connection(self) -> FilterStatus:
        """Leave it where tcp_proxy looks."""
        info = self.connection.info
        if info.requested_server_name:
            info.set_filter_state(TCP_PROXY_CLUSTER, FilterStateObject(info.requested_server_name))
        return CONTINUE


def build(config: SniClusterConfig, context: FactoryContext) -> FilterFactory:
    """The factory: nothing to prepare."""
    def add(manager: FilterManager) -> None:
        manager.add_read_filter(SniCluster(), NAME)
    return add


EXTENSION = NetworkExtension(SniClusterConfig, False, build)
