"""The connection of one health check to one host: a `network.connection.Connection` like any other, with the check's dialogue as
its only filter. The cluster's transport socket, socket options and source address are honoured.

Its bytes and its existence are nobody's traffic: no stat of the cluster counts them.
"""

from __future__ import annotations

from typing import Any, Callable, Optional, Protocol

from ...buffer import Buffer
from ...event.reactor import Reactor
from ...filters.api import CONNECTED, CONTINUE, REMOTE_CLOSE, STOP_ITERATION, ConnectionEvent, FilterStatus
from ...network import client
from ...network.address import Address
from ...network.close import ABORT
from ...network.connection import Connection
from ...network.settings import ByteCounters
from ...network.table import ConnectionTable
from ...network.transport import RAW, Transport
from ...observe.filter_state import APPLICATION_PROTOCOLS
from ...observe.stats import Counter
from ...observe.stream_info import REMOTE_RESET, StreamInfo
from ..cluster import Cluster
from ..host import Host
from ..socket_options import new_socket, source_address
from .dialogue import Dialogue
from .outcome import Outcome
from .plan import Plan


class ProbeUser(Protocol):
    """Whoever made a probe connection. After `on_probe_closed`, and after `ProbeConnection.drop`, nothing more is told."""

    @property
    def probing(self) -> bool:
        """Whether an outcome is waited for."""

    def on_outcome(self, outcome: Outcome) -> None:
        """The probe is over. The connection may still be open."""

    def on_probe_closed(self) -> None:
        """The connection is gone, by nobody's wish."""


class Environment:
    """What the probes of one cluster share. wall_clock: seconds since the epoch."""

    __slots__ = ("reactor", "cluster", "_table", "_wall_clock", "_counters")

    def __init__(
        self, reactor: Reactor, table: ConnectionTable, cluster: Cluster, wall_clock: Callable[[], float]
    ) -> None:
        self.reactor = reactor
        self.cluster = cluster
        self._table = table
        self._wall_clock = wall_clock
        self._counters = ByteCounters(Counter("probe_rx_bytes"), Counter("probe_tx_bytes"))

    def connect(self, plan: Plan, host: Host, user: ProbeUser) -> ProbeConnection:
        """Start connecting to `host`. Raises OSError if there can't even be a socket."""
        cluster = self.cluster
        address = plan.address_of(host)
        sock = new_socket(cluster.config, address)
        info = StreamInfo(self._table.next_id(), self._wall_clock(), self.reactor.now)
        if plan.protocols:
            info.set_filter_state(APPLICATION_PROTOCOLS, plan.protocols)
        transport = self._transport(plan, info, host)
        connection = Connection(info.connection_id, self.reactor, sock, info, cluster.settings, self._counters, transport)
        return ProbeConnection(connection, plan, host, address, user)

    def _transport(self, plan: Plan, info: StreamInfo, host: Host) -> Transport:
        cluster = self.cluster
        if plan.labels is not None and cluster.transport_matches is not None:
            return cluster.transport_matches.for_labels(plan.labels, info, host)
        return RAW if cluster.new_transport is None else cluster.new_transport(info, host)


class ProbeConnection:
    """One connection. It is the read filter, and hears what becomes of the connection."""

    __slots__ = ("_connection", "_dialogue", "_kind", "_user")

    def __init__(self, connection: Connection, plan: Plan, host: Host, address: Address, user: ProbeUser) -> None:
        self._connection = connection
        self._user: Optional[ProbeUser] = user
        connection.read_chain.add(self, "health check")
        client.connect(connection, address, source_address(plan.cluster_config))
        self._kind = plan.kind
        self._dialogue: Dialogue = plan.kind.new_dialogue(plan.host_name_of(host), connection.info, self)

    @property
    def reusable(self) -> bool:
        """Whether the next probe may use this connection."""
        return self._dialogue.reusable

    @property
    def local(self) -> Address:
        """Our end."""
        return Address.from_sockaddr(self.remote.family, self._connection.sock.getsockname())

    @property
    def remote(self) -> Address:
        """The host's end."""
        address = self._connection.remote_address
        assert address is not None
        return address

    def begin(self) -> None:
        """Send what a probe begins with."""
        data = self._dialogue.begin()
        if data:
            self._connection.write(Buffer(data), False)

    def drop(self) -> None:
        """Close, and tell nobody."""
        self._user = None
        self._connection.close(ABORT, "health check connection closed")

    # -- the connection's filter -----------------------------------------------------------------------------------

    def initialize_read_filter_callbacks(self, callbacks: Any) -> None:
        """There is nothing to prepare."""

    def on_new_connection(self) -> FilterStatus:
        """There is no other filter."""
        return CONTINUE

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """Let the dialogue read. What comes between two probes was not asked for: most kinds can't go on then."""
        received = data.take()
        user = self._user
        if user is None or not received:
            return STOP_ITERATION
        if not user.probing:
            if not self._kind.ignores_noise:
                self.drop()
                user.on_probe_closed()
            return STOP_ITERATION
        outcome = self._dialogue.receive(received)
        if outcome is not None:
            user.on_outcome(outcome)
        return STOP_ITERATION

    def on_event(self, event: ConnectionEvent) -> None:
        """Connected or closed."""
        user = self._user
        if user is None:
            return
        if event is CONNECTED:
            outcome = self._dialogue.connected()
            if outcome is not None and user.probing:
                user.on_outcome(outcome)
            return
        self._user = None
        was_finished = event is REMOTE_CLOSE and self._connection.detected_close_type != REMOTE_RESET
        if user.probing and was_finished:
            outcome = self._dialogue.receive_eof()
            if not outcome.failure or not outcome.is_network:
                user.on_outcome(outcome)
        user.on_probe_closed()
