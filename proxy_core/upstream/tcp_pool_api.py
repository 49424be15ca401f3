"""What passes between the pool of TCP connections and a session that wants one. Mirrors `Tcp::ConnectionPool::Callbacks`."""

from __future__ import annotations

import enum
from typing import Final, Protocol, Tuple

from ..network.connection import Connection
from .cluster import Cluster
from .host import Host
from .host_connection import HostConnection


FILTER_NAME: Final = "upstream"  # of the one read filter that an upstream connection has


class PoolFailure(enum.Enum):
    """Why there is no connection."""

    REMOTE = "remote connection failure"  # refused, unreachable, reset while connecting
    LOCAL = "local connection failure"  # no descriptor, bind failed
    TIMEOUT = "connect timeout"
    OVERFLOW = "pending requests overflow"


REMOTE: Final = PoolFailure.REMOTE
LOCAL: Final = PoolFailure.LOCAL
TIMEOUT: Final = PoolFailure.TIMEOUT
OVERFLOW: Final = PoolFailure.OVERFLOW


class PoolCallbacks(Protocol):
    """A session that wants a connection."""

    def on_pool_ready(self, connection: Connection, host: Host) -> None:
        """Connected; the connection is the session's."""

    def on_pool_failure(self, failure: PoolFailure, reason: str, host: Host) -> None:
        """No connection. `reason`: Envoy's transport failure text, "" for a timeout."""


class PendingConnection(Protocol):
    """What a session has until it hears of its connection."""

    def cancel(self) -> None:
        """The session lost interest. It hears nothing more."""


def may_wait(cluster: Cluster, host: Host, callbacks: PoolCallbacks) -> bool:
    """Whether one more session may wait for a connection to `host`. If not, it has been told."""
    pending = cluster.breakers.pending_requests
    if pending.can_create:
        return True
    cluster.stats.upstream_rq_pending_overflow.inc()
    callbacks.on_pool_failure(OVERFLOW, f"max_pending_requests {pending.limit} reached", host)
    return False


def failure_of(connection: HostConnection, remote: bool) -> Tuple[PoolFailure, str]:
    """Why there is no connection, with Envoy's text. remote: the host closed it."""
    if connection.timed_out:
        return TIMEOUT, ""
    return REMOTE if remote else LOCAL, connection.connection.transport_failure_reason
