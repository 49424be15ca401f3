"""A filter of one's own: lets clients in whose address is on a list. Used by ip_allow_list.json beside this file."""

import functools
import ipaddress
from typing import Any, Dict

from proxy_core.filters.api import CONTINUE, STOP_ITERATION, FilterStatus, NetworkFilter
from proxy_core.network.close import NO_FLUSH

parsed = functools.lru_cache(maxsize=None)(ipaddress.ip_network)  # a filter is made for every connection


class IpAllowList(NetworkFilter):
    inspects_data = False  # the address tells everything: bytes need not come this way

    def __init__(self, config: Dict[str, Any]) -> None:
        self.networks = [parsed(entry) for entry in config["allow"]]

    def on_new_connection(self) -> FilterStatus:
        client = self.connection.remote_address.ip  # "" for a client of a Unix socket
        if client and any(ipaddress.ip_address(client) in network for network in self.networks):
            return CONTINUE
        self.connection.close(NO_FLUSH, "ip_not_on_allow_list")
        return STOP_ITERATION
