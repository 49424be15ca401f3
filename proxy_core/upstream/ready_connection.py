"""A connection that may be there before its session, and a session that waits for one: what `ready_pool` keeps.

    ReadyConnection      CONNECTING -> READY -> IN_USE, or gone at any time
    Request              gets whichever connection to its host comes up first
"""

from __future__ import annotations

from typing import Final, Optional, Protocol

from ..event.timers import Timer
from ..filters.api import ReadFilter
from ..filters.chain import ReadChain
from ..network.close import NO_FLUSH
from ..network.connection import Connection
from ..network.table import ConnectionTable
from ..network.transport import RAW
from ..observe.reasons import PendingTimer, Reasons
from ..observe.stream_info import StreamInfo
from .cluster import Cluster
from .host import Host
from .host_connection import HostConnection
from .tcp_pool_api import FILTER_NAME, PoolCallbacks
from .unclaimed import Unclaimed

_IDLE_SOURCE: Final = "idle_timeout of TcpProtocolOptions"


class Keeper(Protocol):
    """The pool of a host, as its connections and requests see it."""

    @property
    def cluster(self) -> Cluster:
        """Whose host it is."""

    @property
    def host(self) -> Host:
        """The host."""

    def cancel(self, request: Request) -> None:
        """A session does not wait any longer."""

    def on_up(self, connection: ReadyConnection) -> None:
        """Connected."""

    def on_over(self, connection: ReadyConnection, remote: bool) -> None:
        """Closed."""


class Request:
    """A session that waits for a connection."""

    __slots__ = ("info", "read_filter", "callbacks", "_pool")

    def __init__(self, pool: Keeper, info: StreamInfo, read_filter: ReadFilter, callbacks: PoolCallbacks) -> None:
        self.info = info
        self.read_filter = read_filter
        self.callbacks = callbacks
        self._pool = pool

    def cancel(self) -> None:
        """The session lost interest."""
        self._pool.cancel(self)


class ReadyConnection(HostConnection):
    """A connection of a `HostPool`."""

    __slots__ = ("given_up", "in_use", "_pool", "_idle")

    def __init__(self, pool: Keeper, table: ConnectionTable, connection: Connection) -> None:
        super().__init__(table, connection, pool.cluster, pool.host)
        self.given_up = False  # closed because nobody needs it, while it was being made
        self.in_use = False
        self._pool = pool
        self._idle: Optional[Timer] = None

    def on_up(self) -> None:
        """Ready for whoever waits."""
        self._pool.on_up(self)

    def on_over(self, remote: bool) -> None:
        """Gone."""
        self._stop_idle_timer()
        if self.in_use:
            self.count_detached(remote)
        elif not self.is_up and not self.given_up:
            self.count_failed(remote)
        self._pool.on_over(self, remote)

    def give_up(self) -> None:
        """Close it: nobody has it."""
        self.given_up = not self.is_up
        self.connection.close(NO_FLUSH, "no session needs this connection")

    def wait(self, most: float) -> None:
        """Nobody needs it now. most: seconds, 0 = as long as it takes."""
        if most:
            self._idle = self.connection.reactor.after(most, self._on_idle, self.connection)

    def attach(self, request: Request) -> None:
        """It is a session's now, with what the host has said already."""
        self._stop_idle_timer()
        self.in_use = True
        connection = self.connection
        connection.info = request.info
        if connection.transport is not RAW:
            connection.transport.publish(request.info)
        connection.read_chain.clear()
        connection.read_chain = ReadChain(connection)
        connection.read_chain.add(request.read_filter, FILTER_NAME)
        self.count_attached()
        request.callbacks.on_pool_ready(connection, self.host)
        Unclaimed.release(connection)

    def reasons(self) -> Reasons:
        """See `observe.reasons.Explains`."""
        said, timer = super().reasons(), self._idle
        if self.in_use or not self.is_up:
            return said
        timers = () if timer is None else (PendingTimer("idle_timeout", timer.when, _IDLE_SOURCE, timer),)
        return Reasons("connected before a session needs it", timers, said.facts)

    def _on_idle(self) -> None:
        self._idle = None
        self.cluster.stats.upstream_cx_idle_timeout.inc()
        self.connection.close(NO_FLUSH, "idle_timeout", how="timeout", config=_IDLE_SOURCE)

    def _stop_idle_timer(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
