"""What a cluster's configuration says about the sockets of its connections: options, where they come from and go to."""

from __future__ import annotations

import socket
from typing import Dict, Final, List, Optional

from ..config.model.cluster import Cluster as ClusterConfig
from ..network import sockets
from ..network.address import Address
from ..network.happy_eyeballs import interleaved
from .host import Host

_FAMILIES: Final[Dict[str, int]] = {"V4": socket.AF_INET, "V6": socket.AF_INET6}


def new_socket(config: ClusterConfig, address: Address) -> socket.socket:
    """A socket for `address` with the cluster's options. Raises OSError, also for an option that the kernel refuses."""
    options = config.upstream_connection_options
    keepalive = options.tcp_keepalive if options is not None else None
    sock = sockets.new_stream(address)
    if keepalive is not None:
        try:
            sockets.set_keepalive(
                sock, keepalive.keepalive_probes, keepalive.keepalive_time, keepalive.keepalive_interval
            )
        except OSError:
            sock.close()
            raise
    return sock


def source_address(config: ClusterConfig) -> Optional[Address]:
    """Where connections come from; None = the kernel decides."""
    bind = config.upstream_bind_config
    if bind is None or bind.source_address is None:
        return None
    return Address.from_ip(bind.source_address.address, bind.source_address.port_value or 0)


def addresses_in_turn(config: ClusterConfig, host: Host) -> List[Address]:
    """All addresses of a host in the order in which they are tried. Mirrors `sortAddressesWithConfig`."""
    options = config.upstream_connection_options
    wishes = options.happy_eyeballs_config if options is not None else None
    addresses = [host.address, *host.more_addresses]
    if wishes is None:
        return interleaved(addresses)
    return interleaved(
        addresses, _FAMILIES.get(wishes.first_address_family_version), wishes.first_address_family_count or 1
    )
