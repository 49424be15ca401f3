"""What becomes of the connections to a host that fails, where the cluster says that they are to be closed. Mirrors
`ClusterManagerImpl::ThreadLocalClusterManagerImpl::onHostHealthFailure`.
"""

from __future__ import annotations

from typing import Final

from ..network.close import NO_FLUSH
from ..network.table import ConnectionTable
from .host import Host
from .host_connection import HostConnection

REASON: Final = "the host has failed: close_connections_on_host_health_failure"


def close_connections(table: ConnectionTable, host: Host) -> int:
    """Close all connections to `host`, also those that are being made; how many there were.

    They are looked for among all connections, because this is rare and a list per host would cost every connection.
    """
    count = 0
    for connection in table.live():
        if any(isinstance(one, HostConnection) and one.host is host for one in connection.callbacks):
            connection.close(NO_FLUSH, config=REASON)  # without details: Envoy's access log shows none
            count += 1
    return count
