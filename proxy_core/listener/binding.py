"""The listening sockets of one listener: opened with their options, or taken over from the listener that had
the address.

A socket is bound first, which finds out whether the address is free, and listens later: until then the system
refuses clients, so that nobody waits for a proxy whose clusters are not there yet.

A socket goes from one listener to the next open: its backlog stays, so nobody who connects meanwhile is
refused. That needs the same address and the same options; where the options differ a second socket is bound
beside the first (`share_port`), and whoever waits in the first one's backlog is let in before it is closed.
"""

from __future__ import annotations

import functools
import socket
from typing import Callable, Dict, Final, List, NamedTuple, Optional, Tuple

from ..config.model.address import SocketOption, TcpKeepalive
from ..config.model.listener import Listener as ListenerConfig
from ..network import sockets
from ..network.address import Address
from ..observe.stats import Histogram
from .context import ListenerContext
from .listen_socket import MOST_ACCEPTS_PER_TURN, Acceptor, ListenSocket

BEFORE_BIND: Final = "STATE_PREBIND"
BOUND: Final = "STATE_BOUND"

Step = Callable[[socket.socket], None]


class Steps(NamedTuple):
    """What to do with a new socket, and when."""

    before_bind: List[Step]
    bound: List[Step]
    listening: List[Step]


class BindError(Exception):
    """An address can't be listened on; the text is Envoy's ("cannot bind '127.0.0.1:80': Permission
    denied")."""


class ListenSockets:
    """One per listener. use_reserve: the admin's, which may have the last descriptor."""

    def __init__(
        self, config: ListenerConfig, addresses: List[Address], context: ListenerContext, acceptor: Acceptor,
        batch_sizes: Histogram, use_reserve: bool,
    ) -> None:
        self._config = config
        self._addresses = addresses
        self._context = context
        self._acceptor = acceptor
        self._batch_sizes = batch_sizes
        self._use_reserve = use_reserve
        self._open: Dict[int, ListenSocket] = {}  # by the number of the address

    def all(self) -> List[ListenSocket]:
        """The open ones in the order of the addresses."""
        return [self._open[number] for number in sorted(self._open)]

    def is_open(self, number: int) -> bool:
        """Whether the address of this number is listened on."""
        return number in self._open

    def address(self, number: int) -> Address:
        """Where the open socket of this number really listens."""
        return self._open[number].address

    def bind(self, number: int, beside: bool = False, at: Optional[Address] = None) -> None:
        """Open a socket for an address; it refuses clients. beside: another socket of ours listens there. at: the
        address with its real port, if that was the system's choice. Raises BindError."""
        address = at or self._addresses[number]
        steps = _steps(self._config, number)
        try:
            reuse_port = beside or bool(self._config.enable_reuse_port)
            sock = sockets.bind(address, reuse_port, steps.before_bind)
        except OSError as error:
            raise BindError(f"cannot bind '{address}': {sockets.describe(error.errno)}") from error
        try:
            for step in steps.bound:
                step(sock)
        except OSError as error:
            sock.close()
            raise BindError(f"cannot bind '{address}': {sockets.describe(error.errno)}") from error
        self._keep(number, sock)

    def listen(self) -> None:
        """Have clients wait in the backlog instead of refusing them. Of two sockets that were bound to one address
        before either listened, the second finds that out here. Raises BindError."""
        for number, listening in self._open.items():
            if listening.is_listening:
                continue
            address = self._addresses[number]
            try:
                listening.listen(self._backlog())
            except OSError as error:
                raise BindError(f"cannot bind '{address}': {sockets.describe(error.errno)}") from error
            try:
                listening.apply(_steps(self._config, number).listening)
            except OSError as error:
                raise BindError(f"cannot listen on '{address}': {sockets.describe(error.errno)}") from error

    def adopt(self, number: int, donor: ListenSockets, donated: int) -> None:
        """Take over the open socket of an address of another listener."""
        given = donor._open.pop(donated)
        kept = self._keep(number, given.release())
        if given.is_listening:
            kept.listen(self._backlog())

    def share_ports(self) -> None:
        """Allow a successor with other options to bind the same addresses."""
        for listening in self._open.values():
            listening.share_port()

    def _backlog(self) -> int:
        return self._config.tcp_backlog_size or system_backlog()

    def _keep(self, number: int, sock: socket.socket) -> ListenSocket:
        most = self._config.max_connections_to_accept_per_socket_event or MOST_ACCEPTS_PER_TURN
        self._open[number] = kept = ListenSocket(
            sock, self._context.reactor, self._acceptor, self._context.descriptors, self._batch_sizes, most,
            use_reserve=self._use_reserve,
        )
        return kept

    def start(self) -> None:
        """Accept from now on."""
        for listening in self.all():
            listening.start()

    def pause(self) -> None:
        """Leave what comes in the backlog."""
        for listening in self.all():
            listening.pause()

    def accept_waiting(self) -> None:
        """Let in whoever waits in the backlogs: they are about to be closed, which would reset them."""
        for listening in self.all():
            listening.accept_waiting()

    def refuse(self) -> None:
        """Refuse clients and keep the addresses: a socket that is bound and does not listen takes the place of each,
        until `listen` and `start`. Raises BindError."""
        for number, listening in list(self._open.items()):
            if not listening.is_listening:
                continue
            if listening.address.path:  # the file of a socket that answers is not taken away from it
                listening.close()
            listening.share_port()
            self.bind(number, beside=True, at=listening.address)
            listening.close()

    def close(self) -> None:
        """Stop listening. Unix socket files stay, as in Envoy."""
        for listening in self.all():
            listening.close()
        self._open.clear()


def options_of(config: ListenerConfig, number: int) -> Tuple[object, ...]:
    """Everything that is set on the socket of an address: equal for two listeners that can share a socket."""
    return (
        _socket_options(config, number), _keepalive(config, number), config.transparent, config.freebind,
        config.tcp_fast_open_queue_length, config.enable_reuse_port,
    )


def _steps(config: ListenerConfig, number: int) -> Steps:
    """An additional address inherits from the listener."""
    steps = Steps([], [], [])
    before, bound, listening = steps
    if config.freebind is not None:
        before.append(functools.partial(sockets.set_freebind, on=config.freebind))
    if config.transparent is not None:
        before.append(functools.partial(sockets.set_transparent, on=config.transparent))
    if config.tcp_fast_open_queue_length is not None:
        listening.append(functools.partial(sockets.set_fast_open, queue_length=config.tcp_fast_open_queue_length))
    for option in _socket_options(config, number):
        when = before if option.state == BEFORE_BIND else bound if option.state == BOUND else listening
        when.append(functools.partial(_set_option, option))
    keepalive = _keepalive(config, number)
    if keepalive is not None:
        before.append(functools.partial(_set_keepalive, keepalive))
    return steps


def _socket_options(config: ListenerConfig, number: int) -> List[SocketOption]:
    own = config.additional_addresses[number - 1].socket_options if number else None
    return config.socket_options if own is None else own.socket_options


def _keepalive(config: ListenerConfig, number: int) -> Optional[TcpKeepalive]:
    own = config.additional_addresses[number - 1].tcp_keepalive if number else None
    return config.tcp_keepalive if own is None else own


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
    sockets.set_keepalive(
        sock, keepalive.keepalive_probes, keepalive.keepalive_time, keepalive.keepalive_interval
    )
