"""Opening a connection to somewhere: socket, bind, connect, and the wait for TCP. Mirrors `ClientConnectionImpl`.

Hosts of this machine are connected at once. Else, while TCP is connecting, the reactor's handler for the socket is a
`Connecting`, which knows only how that ends; then the connection itself takes over. The time limit belongs to whoever asked
(`upstream.tcp_pool`).
"""

from __future__ import annotations

import functools
from typing import Callable, Optional

from ..event.reactor import WRITE
from ..filters.api import LOCAL_CLOSE, REMOTE_CLOSE, ConnectionEvent
from . import sockets
from .address import Address
from .close import CloseReason
from .connection import Connection
from .handshake import UNREGISTERED, establish


class Connecting:
    """Handler of a socket whose TCP connection is being set up."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def on_ready(self, mask: int) -> None:
        """Connected, or refused."""
        connection = self._connection
        if connection.fd < 0:
            return
        number = sockets.pending_error(connection.sock)
        if number:
            fail(connection, REMOTE_CLOSE, f"delayed connect error: {sockets.describe(number)}")
            return
        establish(connection)

    def on_failure(self, error: Exception) -> None:
        """A bug on the way up: give up this connection."""
        self._connection.on_failure(error)


def connect(connection: Connection, address: Address, source: Optional[Address] = None) -> None:
    """Start connecting `connection`'s socket to `address`, from `source` if given. The outcome comes as an event, never from
    inside this call. Texts of failures are Envoy's.
    """
    if connect_at_once(connection, address, source):
        connection.reactor.defer(functools.partial(_go_on, connection), connection)


def connect_at_once(connection: Connection, address: Address, source: Optional[Address] = None) -> bool:
    """`connect`, but True if TCP is up already and nobody has been told: the caller goes on with `establish`.

    On this machine TCP's handshake is over before connect(2) returns, although it says EINPROGRESS. Asking once more costs a
    system call, and saves three and a turn of the loop.
    """
    connection.remote_address = address
    if source is not None:
        problem = sockets.bind_source(connection.sock, source)
        if problem is not None:
            text = f"failed to bind to {source}: {problem}"
            connection.reactor.defer(_failure(connection, LOCAL_CLOSE, text), connection)
            return False
    problem = sockets.start_connect(connection.sock, address)
    if problem is not None:
        text = f"immediate connect error: {problem}|remote address:{address}"
        connection.reactor.defer(_failure(connection, REMOTE_CLOSE, text), connection)
        return False
    assert connection.mask == UNREGISTERED
    number = sockets.finish_connect(connection.sock, address) if address.is_local else None
    if number is None:
        connection.reactor.watch(connection.fd, WRITE, Connecting(connection))
    elif number:
        text = f"delayed connect error: {sockets.describe(number)}"
        connection.reactor.defer(_failure(connection, REMOTE_CLOSE, text), connection)
    return number == 0


def _go_on(connection: Connection) -> None:
    if connection.fd >= 0:
        establish(connection)


def _failure(connection: Connection, event: ConnectionEvent, text: str) -> Callable[[], None]:
    return lambda: fail(connection, event, text)


def fail(connection: Connection, event: ConnectionEvent, text: str) -> None:
    """There will be no connection. event: LOCAL_CLOSE or REMOTE_CLOSE; text: Envoy's."""
    connection.transport_failure_reason = text
    connection.close_socket(event, CloseReason("local" if event is LOCAL_CLOSE else "peer", "error", text))
