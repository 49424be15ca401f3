"""A listener: its sockets, its filter chains, its limits and its connections. Mirrors Envoy's `ListenerImpl` and
`ActiveTcpListener`.

What happens to an accepted socket, in this order: the process-wide limit, the listener's own limit, the listener filters
(`accepted`), the filter chain, then the connection with filters of its own. A limit that refuses closes the socket and counts,
and writes no access log, as in Envoy; a socket that fails later, before it is a connection, has its line in the listener's log.
"""

from __future__ import annotations

import socket
from typing import Any, Final, List, Optional, Sequence, Set

from ..config.model.listener import Listener as ListenerConfig
from ..network import sockets
from ..network.address import Address
from ..network.close import NO_FLUSH, CloseReason
from ..network.closing import TRANSPORT_SOCKET_TIMEOUT
from ..network.connection import Connection
from ..network.facts import write_access_logs
from ..network.handshake import establish, preload
from ..network.settings import ByteCounters, ConnectionSettings
from ..observe.log import DEBUG, Seldom, component_logger
from ..observe.stat_names import ListenerStats
from ..observe.stats import Counter
from ..observe.stream_info import StreamInfo
from .accepted import AcceptedSocket, Ending
from .binding import BindError, ListenSockets
from .chain_match import ChainMatcher
from .context import ListenerContext
from .drain import DrainManager
from .filter_chain import FilterChain
from .listener_filters import PreparedListenerFilter

NO_LOG_TYPE = "NotSet"
DEFAULT_LISTENER_FILTERS_TIMEOUT = 15.0

# Who ended a socket among the listener filters, and how.
ENDINGS: Final = {
    Ending.REJECTED: ("local", "policy"), Ending.REMOTE_CLOSE: ("peer", "FIN"), Ending.ERROR: ("peer", "error"),
    Ending.TIMEOUT: ("local", "timeout"), Ending.SHUTDOWN: ("local", "shutdown"),
}

_log = component_logger("conn_handler")


class Listener:
    """One listener. `bind` opens its sockets, `listen` has clients wait, `start` accepts, `stop_listening` refuses new
    ones, the connections stay."""

    def __init__(
        self,
        name: str,
        config: ListenerConfig,
        addresses: List[Address],
        matcher: ChainMatcher[FilterChain],
        context: ListenerContext,
        settings: ConnectionSettings,
        stats: ListenerStats,
        drain: DrainManager,
        access_logs: List[Any],
        listener_filters: Sequence[PreparedListenerFilter] = (),
        exempt: bool = False,
    ) -> None:
        self.name = name
        self.config = config
        self.addresses = addresses
        self.drain = drain
        self.stats = stats
        self.active = 0
        self.is_down = False  # its sockets are bound and refuse, on purpose; see `take_down`
        self._is_started = False
        self.sockets = ListenSockets(
            config, addresses, context, self, stats.connections_accepted_per_socket_event, use_reserve=exempt
        )
        self._matcher = matcher
        self._context = context
        self._settings = settings
        self._access_logs = access_logs
        self._exempt = exempt or config.ignore_global_conn_limit
        self._is_remembered = not exempt  # whoever looks into the past would find mostly himself there
        self._tell_limits = Seldom()
        self._tell_no_match = Seldom()
        self._listener_filters = listener_filters
        timeout = config.listener_filters_timeout
        self._filters_timeout = DEFAULT_LISTENER_FILTERS_TIMEOUT if timeout is None else timeout
        self._before_chain: Set[AcceptedSocket] = set()  # sockets among the listener filters
        self._finalizers = (self._finished,)  # one tuple for all connections
        self.connection_limit_key = f"envoy.resource_limits.listener.{name}.connection_limit"
        # Bytes of connections that no filter claims. Not listed: Envoy has no such stat.
        self._unclaimed = ByteCounters(Counter("rx"), Counter("tx"))

    # -- sockets ---------------------------------------------------------------------------------------------------

    def bind(self) -> None:
        """Open the listening sockets that are not open, all or none. Raises BindError."""
        if self.config.bind_to_port is False:
            return
        try:
            for number in range(len(self.addresses)):
                if not self.sockets.is_open(number):
                    self.sockets.bind(number)
        except BindError:
            self.sockets.close()
            raise

    def listen(self) -> None:
        """Clients wait from now on, until then they are refused. Raises BindError."""
        if not self.is_down:
            self.sockets.listen()

    def start(self) -> None:
        """Accept from now on, or refuse if that is asked for. Raises BindError only if it has been given sockets of a
        listener that refused."""
        self._is_started = True
        self._obey()

    def take_down(self, is_down: bool) -> None:
        """Refuse clients, and keep the addresses; or let them come again. Raises BindError; nothing has changed then."""
        if is_down != self.is_down:
            self.is_down = is_down
            try:
                self._obey()
            except BindError:
                self.is_down = not is_down
                raise

    def _obey(self) -> None:
        if self.is_down:
            self.sockets.refuse()
        elif self._is_started:
            self.sockets.listen()
            self.sockets.start()

    def stop_listening(self) -> bool:
        """Close the listening sockets; False if they were closed before. Unix socket files stay, as in Envoy."""
        had = bool(self.sockets.all())
        self.sockets.close()
        return had

    def local_addresses(self) -> List[Address]:
        """Where it listens, with real ports; the configured addresses when it doesn't."""
        return [listening.address for listening in self.sockets.all()] or self.addresses

    @property
    def matcher(self) -> ChainMatcher[FilterChain]:
        """How new connections find their chains."""
        return self._matcher

    def waiting_longest(self) -> Optional[AcceptedSocket]:
        """The oldest of the sockets among the listener filters."""
        return min(self._before_chain, key=lambda accepted: accepted.info.start_mono, default=None)

    @property
    def filters_timeout(self) -> float:
        """Seconds that the listener filters may take; 0 = any time."""
        return self._filters_timeout

    @property
    def connection_limit(self) -> Optional[int]:
        """How many connections it may have, by the runtime key `connection_limit_key`; None = any number."""
        limit: Optional[int] = self._context.runtime.integer(self.connection_limit_key)
        return limit

    def replace_chains(self, config: ListenerConfig, matcher: ChainMatcher[FilterChain]) -> None:
        """From now on these chains are for new connections. config: differs from the old one in nothing else."""
        self.config = config
        self._matcher = matcher

    # -- connections -----------------------------------------------------------------------------------------------

    def on_accepted(self, sock: socket.socket, peer: Address, local: Address) -> None:
        """Limits first, then a connection."""
        if not self._has_room():
            sock.close()
            return
        self._take_slot()
        context = self._context
        info = StreamInfo(0, context.wall_clock(), context.reactor.now)
        info.listener_name = self.name
        info.downstream_remote_address = info.downstream_direct_remote_address = peer.text
        info.downstream_local_address = info.downstream_direct_local_address = local.text
        chain = self._matcher.unconditional
        if chain is not None and not self._listener_filters:
            self._new_connection(sock, peer, local, info, chain)
            return
        self._filter(AcceptedSocket(sock, context.reactor, info, peer, local))

    def _has_room(self) -> bool:
        """Whether no limit forbids one more connection; counted and told if one does."""
        if not self._exempt and self._context.process_limit.reached:
            self.stats.downstream_global_cx_overflow.inc()
            limits = self._context.process_limit
            self._tell_refusal(f"the process has {limits.limit} connections ({limits.source})")
            return False
        limit = self.connection_limit
        if limit is not None and self.active >= limit:
            self.stats.downstream_cx_overflow.inc()
            self._tell_refusal(f"it has {limit} connections (runtime key {self.connection_limit_key})")
            return False
        return True

    def _tell_refusal(self, why: str) -> None:
        """A limit that bites must not be found by reading counters; once a minute is enough to say it."""
        if self._tell_limits.due(self._context.reactor.now):
            _log.warning("listener '%s' refuses connections: %s", self.name, why)

    def _take_slot(self) -> None:
        """The socket counts from here on."""
        self.active += 1
        if not self._exempt:
            self._context.process_limit.active += 1

    def _give_back_slot(self) -> None:
        self.active -= 1
        if not self._exempt:
            self._context.process_limit.active -= 1
        self._context.descriptors.released()

    def _filter(self, accepted: AcceptedSocket) -> None:
        """Run the listener filters; `on_passed` or `on_refused` is next."""
        if not self._listener_filters:
            self.on_passed(accepted)
            return
        self._before_chain.add(accepted)
        self.stats.downstream_pre_cx_active.inc()
        accepted.start(
            self._listener_filters, self, self._filters_timeout, self.config.continue_on_listener_filters_timeout
        )

    def on_passed(self, accepted: AcceptedSocket) -> None:
        """The listener filters are done with a socket, or there are none: pick its filter chain."""
        if accepted in self._before_chain:
            self._left_filters(accepted)
        if self.config.use_original_dst and accepted.local_restored and not accepted.handed_over:
            other: Optional[Listener] = self._context.listener_at(accepted.local_address)
            if other is not None and other is not self:
                self._give_back_slot()
                other.take_over(accepted)
                return
        accepted.transport_protocol = accepted.transport_protocol or "raw_buffer"
        info = accepted.info
        info.requested_server_name = accepted.requested_server_name
        info.detected = accepted.transport_protocol, accepted.application_protocols
        info.downstream_remote_address = accepted.remote_address.text
        info.downstream_local_address = accepted.local_address.text
        info.local_address_restored = accepted.local_restored
        chain = self._matcher.find(accepted)
        if chain is None:
            self._refuse_without_chain(accepted)
            return
        data = bytes(accepted.data)
        self._new_connection(accepted.sock, accepted.remote_address, accepted.local_address, info, chain, data)

    def take_over(self, accepted: AcceptedSocket) -> None:
        """A socket that another listener accepted was meant for this one's address; it walks this one's filters too."""
        if not self._has_room():
            accepted.release()
            return
        self._take_slot()
        accepted.handed_over = True
        accepted.info.listener_name = self.name
        self._filter(accepted)

    def on_continued(self) -> None:
        """The listener filters took too long, and the connection goes on without what they would have found."""
        self.stats.downstream_pre_cx_timeout.inc()

    def on_refused(self, accepted: AcceptedSocket, ending: Ending, reason: str) -> None:
        """A socket was closed among the listener filters."""
        self._left_filters(accepted)
        if ending is Ending.TIMEOUT:
            self.stats.downstream_pre_cx_timeout.inc()
        elif ending is Ending.REMOTE_CLOSE:
            self.stats.downstream_listener_filter_remote_close.inc()
        elif ending is Ending.ERROR:
            self.stats.downstream_listener_filter_error.inc()
        _log.debug("closing connection from %s: %s", accepted.remote_address, reason)
        by, how = ENDINGS[ending]
        self._never_connected(accepted, CloseReason(by, how, reason))

    def _left_filters(self, accepted: AcceptedSocket) -> None:
        self._before_chain.discard(accepted)
        self.stats.downstream_pre_cx_active.dec()

    def _refuse_without_chain(self, accepted: AcceptedSocket) -> None:
        self.stats.no_filter_chain_match.inc()
        accepted.info.add_flag("NR")
        accepted.info.response_code_details = "filter_chain_not_found"
        _log.debug("closing connection from %s: no matching filter chain found", accepted.remote_address)
        if self._tell_no_match.due(self._context.reactor.now):
            why = self._matcher.explain(accepted).line()
            _log.warning("listener '%s' has no filter chain for a connection: %s", self.name, why)
        accepted.release()
        why = "no filter chain is for it, see /explain"
        self._never_connected(accepted, CloseReason("local", "policy", "filter_chain_not_found", why))

    def _never_connected(self, accepted: AcceptedSocket, reason: CloseReason) -> None:
        """The end of a socket that did not become a connection."""
        self._give_back_slot()
        info = accepted.info
        info.end_mono = self._context.reactor.now
        self._context.table.remember_refused(info, accepted.remote_address, accepted.local_address, reason)
        for logger in self._access_logs:
            logger.log(info, NO_LOG_TYPE)

    def close_before_chain(self) -> None:
        """Close the sockets that are still among the listener filters: the listener, or the process, ends."""
        for accepted in tuple(self._before_chain):
            accepted.close()

    def _new_connection(
        self, sock: socket.socket, peer: Address, local: Address, info: StreamInfo, chain: FilterChain, data: bytes = b""
    ) -> None:
        """data: what listener filters read and left."""
        context = self._context
        info.connection_id = context.table.next_id()
        info.filter_chain_name = chain.name
        connection = Connection(
            info.connection_id, context.reactor, sock, info, self._settings, self._unclaimed, chain.new_transport()
        )
        connection.owner = chain
        connection.remote_address = peer
        connection.local_address = local
        if _log.level <= DEBUG:
            _log.debug("[C%d] new connection from %s to %s, listener '%s'", connection.id, peer, local, self.name)
        self._count_in(connection)
        try:
            chain.add_filters(connection)
            connection.read_chain.initialize()
        except Exception as error:
            connection.on_failure(error)
            raise
        if not connection.read_chain.slots:
            connection.close(NO_FLUSH, "no_filters", how="error", config="the filter chain has no filters")
        elif connection.fd >= 0:
            if data:
                preload(connection, data)
            establish(connection)

    def _count_in(self, connection: Connection) -> None:
        """From here on the connection is counted, and `_finished` will be called for it."""
        stats = self.stats
        stats.downstream_cx_total.value += 1
        stats.downstream_cx_active.value += 1
        stats.thread_downstream_cx_total.value += 1
        stats.thread_downstream_cx_active.value += 1
        self._context.table.add(connection)
        connection.finalizers = self._finalizers

    def _finished(self, connection: Connection) -> None:
        """The connection is closed: the listener's log line comes before those of its filters."""
        stats = self.stats
        stats.downstream_cx_active.dec()
        stats.thread_downstream_cx_active.dec()
        stats.downstream_cx_destroy.value += 1
        if connection.local_close_details == TRANSPORT_SOCKET_TIMEOUT:
            stats.downstream_cx_transport_socket_connect_timeout.inc()
        stats.downstream_cx_length_ms.record(int((self._context.reactor.now - connection.opened_at) * 1000))
        self._context.table.discard(connection, self._is_remembered)
        self._give_back_slot()
        if _log.level <= DEBUG:
            _log.debug(
                "[C%d] closed: %s; %d bytes in, %d out", connection.id, connection.close_reason, connection.bytes_read,
                connection.bytes_sent,
            )
        write_access_logs(self._access_logs, connection, NO_LOG_TYPE)
