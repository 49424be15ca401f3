"""A listener: its sockets, its filter chains, its limits and its connections. Mirrors Envoy's `ListenerImpl` and
`ActiveTcpListener`.

What happens to an accepted socket, in this order: the process-wide limit, the listener's own limit, the listener filters
(`accepted`), the filter chain, then the connection with filters of its own. A limit that refuses closes the socket and counts, and
writes no access log, as in Envoy; a socket that fails later, before it is a connection, has its line in the listener's log.
"""

from __future__ import annotations

import functools
import socket
from typing import Any, Callable, List, Optional, Sequence, Set

from ..config.model.address import SocketOption, TcpKeepalive
from ..config.model.listener import Listener as ListenerConfig
from ..network import sockets
from ..network.address import Address
from ..network.close import NO_FLUSH
from ..network.closing import TRANSPORT_SOCKET_TIMEOUT
from ..network.connection import Connection
from ..network.facts import write_access_logs
from ..network.handshake import establish, preload
from ..network.settings import ByteCounters, ConnectionSettings
from ..observe.log import component_logger
from ..observe.stat_names import ListenerStats
from ..observe.stats import Counter
from ..observe.stream_info import StreamInfo
from .accepted import AcceptedSocket, Ending
from .chain_match import ChainMatcher
from .context import ListenerContext
from .drain import DrainManager
from .filter_chain import FilterChain
from .listen_socket import MOST_ACCEPTS_PER_TURN, ListenSocket
from .listener_filters import PreparedListenerFilter

NO_LOG_TYPE = "NotSet"
DEFAULT_LISTENER_FILTERS_TIMEOUT = 15.0
TELL_AGAIN_AFTER = 60.0  # seconds between two lines about one listener's refusals

_log = component_logger("conn_handler")


class BindError(Exception):
    """An address can't be listened on; the text is Envoy's ("cannot bind '127.0.0.1:80': Permission denied")."""


class Listener:
    """One listener. `bind` opens its sockets, `start` accepts, `stop_listening` refuses new ones, the connections stay."""

    def __init__(
        self,
        name: str,
        config: ListenerConfig,
        addresses: List[Address],
        matcher: ChainMatcher,
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
        self.sockets: List[ListenSocket] = []
        self._matcher = matcher
        self._context = context
        self._settings = settings
        self._access_logs = access_logs
        self._exempt = exempt or config.ignore_global_conn_limit
        self._is_admin = exempt
        self._tell_again_at = 0.0
        self._listener_filters = listener_filters
        timeout = config.listener_filters_timeout
        self._filters_timeout = DEFAULT_LISTENER_FILTERS_TIMEOUT if timeout is None else timeout
        self._before_chain: Set[AcceptedSocket] = set()  # sockets among the listener filters
        self._finalizers = (self._finished,)  # one tuple for all connections
        self._limit_key = f"envoy.resource_limits.listener.{name}.connection_limit"
        # Bytes of connections that no filter claims. Not listed: Envoy has no such stat.
        self._unclaimed = ByteCounters(Counter("rx"), Counter("tx"))

    # -- sockets ---------------------------------------------------------------------------------------------------

    def bind(self) -> None:
        """Open the listening sockets, all or none. Raises BindError."""
        if self.config.bind_to_port is False:
            return
        try:
            for address in self.addresses:
                self._bind_one(address)
        except BindError:
            self.stop_listening()
            raise

    def _bind_one(self, address: Address) -> None:
        config = self.config
        backlog = config.tcp_backlog_size or system_backlog()
        try:
            sock = sockets.listen(address, backlog, bool(config.enable_reuse_port), self._configure_steps())
        except OSError as error:
            raise BindError(f"cannot bind '{address}': {sockets.describe(error.errno)}") from error
        most = config.max_connections_to_accept_per_socket_event or MOST_ACCEPTS_PER_TURN
        self.sockets.append(ListenSocket(
            sock, self._context.reactor, self, self._context.descriptors,
            self.stats.connections_accepted_per_socket_event, most, use_reserve=self._is_admin,
        ))

    def _configure_steps(self) -> List[Callable[[socket.socket], None]]:
        steps: List[Callable[[socket.socket], None]] = [
            functools.partial(_set_option, option) for option in self.config.socket_options
        ]
        if self.config.tcp_keepalive is not None:
            steps.append(functools.partial(_set_keepalive, self.config.tcp_keepalive))
        return steps

    def start(self) -> None:
        """Accept from now on."""
        for listening in self.sockets:
            listening.start()

    def stop_listening(self) -> bool:
        """Close the listening sockets; False if they were closed before. Unix socket files stay, as in Envoy."""
        had = bool(self.sockets)
        for listening in self.sockets:
            listening.close()
        self.sockets.clear()
        return had

    def local_addresses(self) -> List[Address]:
        """Where it listens, with real ports; the configured addresses when it doesn't."""
        return [listening.address for listening in self.sockets] or self.addresses

    # -- connections -----------------------------------------------------------------------------------------------

    def on_accepted(self, sock: socket.socket, peer: Address, local: Address) -> None:
        """Limits first, then a connection."""
        if not self._exempt and self._context.process_limit.reached:
            self.stats.downstream_global_cx_overflow.inc()
            sock.close()
            limits = self._context.process_limit
            self._tell_refusal(f"the process has {limits.limit} connections ({limits.source})")
            return
        limit = self._context.runtime.integer(self._limit_key)
        if limit is not None and self.active >= limit:
            self.stats.downstream_cx_overflow.inc()
            sock.close()
            self._tell_refusal(f"it has {limit} connections (runtime key {self._limit_key})")
            return
        self._take(sock, peer, local)

    def _tell_refusal(self, why: str) -> None:
        """A limit that bites must not be found by reading counters; once a minute is enough to say it."""
        if self._context.reactor.now >= self._tell_again_at:
            self._tell_again_at = self._context.reactor.now + TELL_AGAIN_AFTER
            _log.warning("listener '%s' refuses connections: %s", self.name, why)

    def _take(self, sock: socket.socket, peer: Address, local: Address) -> None:
        """The socket counts from here on. What is not looked at before the connection exists is not made either."""
        context = self._context
        self.active += 1
        if not self._exempt:
            context.process_limit.active += 1
        info = StreamInfo(0, context.wall_clock(), context.reactor.now)
        info.listener_name = self.name
        info.downstream_remote_address = info.downstream_direct_remote_address = peer.text
        info.downstream_local_address = info.downstream_direct_local_address = local.text
        chain = self._matcher.unconditional
        if chain is not None and not self._listener_filters:
            self._new_connection(sock, peer, local, info, chain)
            return
        accepted = AcceptedSocket(sock, context.reactor, info, peer, local)
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
        accepted.transport_protocol = accepted.transport_protocol or "raw_buffer"
        info = accepted.info
        info.requested_server_name = accepted.requested_server_name
        info.downstream_remote_address = accepted.remote_address.text
        info.downstream_local_address = accepted.local_address.text
        chain = self._matcher.find(accepted)
        if chain is None:
            self._refuse_without_chain(accepted)
            return
        data = bytes(accepted.data)
        self._new_connection(accepted.sock, accepted.remote_address, accepted.local_address, info, chain, data)

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
        self._never_connected(accepted)

    def _left_filters(self, accepted: AcceptedSocket) -> None:
        self._before_chain.discard(accepted)
        self.stats.downstream_pre_cx_active.dec()

    def _refuse_without_chain(self, accepted: AcceptedSocket) -> None:
        self.stats.no_filter_chain_match.inc()
        accepted.info.add_flag("NR")
        accepted.info.response_code_details = "filter_chain_not_found"
        accepted.release()
        _log.debug("closing connection from %s: no matching filter chain found", accepted.remote_address)
        self._never_connected(accepted)

    def _never_connected(self, accepted: AcceptedSocket) -> None:
        """The end of a socket that did not become a connection."""
        self._give_back_slot()
        info = accepted.info
        info.end_mono = self._context.reactor.now
        for logger in self._access_logs:
            logger.log(info, NO_LOG_TYPE)

    def _give_back_slot(self) -> None:
        self.active -= 1
        if not self._exempt:
            self._context.process_limit.active -= 1
        self._context.descriptors.released()

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
        connection.remote_address = peer
        connection.local_address = local
        _log.debug("[C%d] new connection from %s to %s, listener '%s'", connection.id, peer, local, self.name)
        self._count_in(connection)
        try:
            chain.add_filters(connection)
            connection.read_chain.initialize()
        except Exception as error:
            connection.on_failure(error)
            raise
        if not len(connection.read_chain):
            connection.close(NO_FLUSH, "no_filters", how="error", config="the filter chain has no filters")
        elif connection.fd >= 0:
            if data:
                preload(connection, data)
            establish(connection)

    def _count_in(self, connection: Connection) -> None:
        """From here on the connection is counted, and `_finished` will be called for it."""
        stats = self.stats
        stats.downstream_cx_total.value += 1
        stats.downstream_cx_active.inc()
        stats.thread_downstream_cx_total.value += 1
        stats.thread_downstream_cx_active.inc()
        self._context.table.add(connection)
        connection.finalizers = self._finalizers

    def _finished(self, connection: Connection) -> None:
        """The connection is closed: the listener's log line comes before those of its filters."""
        stats = self.stats
        stats.downstream_cx_active.dec()
        stats.thread_downstream_cx_active.dec()
        stats.downstream_cx_destroy.inc()
        if connection.local_close_details == TRANSPORT_SOCKET_TIMEOUT:
            stats.downstream_cx_transport_socket_connect_timeout.inc()
        stats.downstream_cx_length_ms.record(int((self._context.reactor.now - connection.opened_at) * 1000))
        self._context.table.discard(connection)
        self._give_back_slot()
        _log.debug(
            "[C%d] closed: %s; %d bytes in, %d out", connection.id, connection.close_reason, connection.bytes_read,
            connection.bytes_sent,
        )
        write_access_logs(self._access_logs, connection, NO_LOG_TYPE)


def system_backlog() -> int:
    """The kernel's own limit on waiting connections; what Envoy uses when nothing is configured."""
    try:
        with open("/proc/sys/net/core/somaxconn", encoding="ascii") as limit:
            return int(limit.read())
    except (OSError, ValueError):
        return socket.SOMAXCONN


def _set_option(option: SocketOption, sock: socket.socket) -> None:
    value = option.int_value if option.int_value is not None else option.buf_value
    assert value is not None
    sock.setsockopt(option.level, option.name, value)


def _set_keepalive(keepalive: TcpKeepalive, sock: socket.socket) -> None:
    """Accepted sockets inherit these from the listening one."""
    sockets.set_keepalive(sock, keepalive.keepalive_probes, keepalive.keepalive_time, keepalive.keepalive_interval)
