"""A filter of one's own: lets clients in whose address is on a list. Used by ip_allow_list.json beside this file."""

import ipaddress
from typing import Any, Dict

from proxy_core.filters.api import CONTINUE, STOP_ITERATION, FilterStatus, NetworkFilter
from proxy_core.network.close import NO_FLUSH


class IpAllowList(NetworkFilter):
    def __init__(self, config: Dict[str, Any]) -> None:
        self.networks = [ipaddress.ip_network(entry) for entry in config["allow"]]

    def on_new_connection(self) -> FilterStatus:
        client = ipaddress.ip_address(self.connection.remote_address.ip)
        if any(client in network for network in self.networks):
            return CONTINUE
        self.connection.close(NO_FLUSH, "ip_not_on_allow_list")
        return STOP_ITERATION
