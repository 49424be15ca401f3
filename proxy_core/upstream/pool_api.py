"""What a cluster knows of the pools that keep connections to its hosts: `HostPools`. They register in `Cluster.pools`."""

from __future__ import annotations

from typing import Protocol

from .host import Host


class HostPools(Protocol):
    """All connections of one kind to the hosts of one cluster."""

    @property
    def has_spare(self) -> bool:
        """Whether some connection is ready and nobody uses it."""

    def drain(self, host: Host) -> None:
        """No connection to this host is given to anybody any more; those that nobody uses are closed."""
