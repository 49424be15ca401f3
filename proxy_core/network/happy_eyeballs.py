"""Opening one connection to whichever of several addresses answers first. Mirrors `HappyEyeballsConnectionImpl` (RFC 8305).

The first address is tried, then the others one by one, `NEXT_ATTEMPT` seconds apart, or at once when one has failed. The first
that connects gives its socket to the connection and the others are closed. Unlike in Envoy the winner is known when TCP is up,
before TLS: RFC 8305, section 5, leaves that open, and a peer whose certificate is wrong must not be hidden by another one.

As long as nobody has won, the connection carries the socket of one of the attempts: it is open, and who closes it closes that.
"""

from __future__ import annotations

import socket
from typing import Callable, Final, List, Optional, Sequence, Tuple

from ..event.reactor import WRITE
from ..event.timers import Timer
from ..filters.api import LOCAL_CLOSE, REMOTE_CLOSE, ConnectionEvent
from . import client, sockets
from .address import Address
from .connection import Connection
from .handshake import establish

NEXT_ATTEMPT: Final = 0.3  # Envoy's; RFC 8305 recommends 250 ms

Failure = Tuple[ConnectionEvent, str]  # LOCAL_CLOSE for a bind that failed, and Envoy's text


def interleaved(addresses: Sequence[Address], first_family: Optional[int] = None, count: int = 1) -> List[Address]:
    """The order of the attempts: `count` of the first family, one of another, and so on (RFC 8305, section 4).

    first_family: None = that of the first address, which is the first one then.
    """
    family = addresses[0].family if first_family is None else first_family
    first = [one for one in addresses if one.family == family]
    other = [one for one in addresses if one.family != family]
    found: List[Address] = []
    while first or other:
        found += first[:count] + other[:1]
        first, other = first[count:], other[1:]
    return found


class Attempt:
    """Handler of the socket of one attempt."""

    __slots__ = ("address", "sock", "_race")

    def __init__(self, race: Race, address: Address, sock: socket.socket) -> None:
        self.address = address
        self.sock = sock
        self._race = race

    def on_ready(self, mask: int) -> None:
        """Connected, or refused."""
        self._race.on_answer(self, sockets.pending_error(self.sock))

    def on_failure(self, error: Exception) -> None:
        """A bug on the way up: give up the connection."""
        self._race.connection.on_failure(error)


class Race:
    """All attempts of one connection.

    new_socket: makes the socket for an address, may raise OSError. on_attempt: called for each attempt after the first.
    """

    __slots__ = ("connection", "_left", "_source", "_new_socket", "_on_attempt", "_running", "_failure", "_timer", "_is_over")

    def __init__(
        self, connection: Connection, source: Optional[Address], new_socket: Callable[[Address], socket.socket],
        on_attempt: Callable[[], None],
    ) -> None:
        self.connection = connection
        self._left: List[Address] = []
        self._source = source
        self._new_socket = new_socket
        self._on_attempt = on_attempt
        self._running: List[Attempt] = []
        self._failure: Failure = REMOTE_CLOSE, ""
        self._timer: Optional[Timer] = None
        self._is_over = False

    def start(self, addresses: Sequence[Address]) -> bool:
        """Try the first of `addresses`; the connection was made with a socket for it. True if TCP is up already and nobody
        has been told: the caller goes on with `establish`. A failure comes later, as an event."""
        connection = self.connection
        self._left = list(addresses[1:])
        first = Attempt(self, addresses[0], connection.sock)
        if self._begin(first):
            return True
        if self._running:
            self._set_timer()
        elif self._start_next():
            return True
        if not self._running:
            connection.reactor.defer(self._fail, connection)
        elif not self._runs(connection.sock):
            self._carry(self._running[0]).close()
        return False

    def stop(self) -> None:
        """Somebody won, or the connection is closed (whoever made this tells so): give back what is not the connection's."""
        self._is_over = True
        self._cancel_timer()
        running, self._running = self._running, []
        for attempt in running:
            if attempt.sock is not self.connection.sock:
                self.connection.reactor.unwatch(attempt.sock.fileno())
                attempt.sock.close()

    def on_answer(self, attempt: Attempt, number: int) -> None:
        """The system knows what became of an attempt. number: errno, 0 = connected."""
        if self._is_over or self.connection.fd < 0:
            return
        if not number:
            self._win(attempt)
            establish(self.connection)
            return
        connection = self.connection
        self._failure = REMOTE_CLOSE, f"delayed connect error: {sockets.describe(number)}"
        connection.reactor.unwatch(attempt.sock.fileno())
        self._running.remove(attempt)
        if self._start_next():
            if attempt.sock.fileno() >= 0:
                attempt.sock.close()
            establish(connection)
        elif not self._running:
            self._carry(attempt)
            self._fail()
        else:
            if connection.sock is attempt.sock:
                self._carry(self._running[0])
            attempt.sock.close()

    def _begin(self, attempt: Attempt) -> bool:
        """Whether it is up at once; otherwise it runs, or `_failure` says why it does not."""
        sock, address, reactor = attempt.sock, attempt.address, self.connection.reactor
        self.connection.remote_address = address
        problem = sockets.bind_source(sock, self._source) if self._source is not None else None
        if problem is not None:
            self._failure = LOCAL_CLOSE, f"failed to bind to {self._source}: {problem}"
            return False
        problem = sockets.start_connect(sock, address)
        if problem is not None:
            self._failure = REMOTE_CLOSE, f"immediate connect error: {problem}|remote address:{address}"
            return False
        number = sockets.finish_connect(sock, address) if address.is_local else None
        if number:
            self._failure = REMOTE_CLOSE, f"delayed connect error: {sockets.describe(number)}"
            return False
        self._running.append(attempt)
        if number is None:
            reactor.watch(sock.fileno(), WRITE, attempt)
            return False
        self._win(attempt)
        return True

    def _start_next(self) -> bool:
        """Begin with one more address after the other until an attempt runs. True if it is up at once."""
        self._cancel_timer()
        before = len(self._running)
        while self._left and len(self._running) == before:
            address = self._left.pop(0)
            try:
                sock = self._new_socket(address)
            except OSError as error:
                self._failure = LOCAL_CLOSE, f"socket creation failure: {sockets.describe(error.errno)}"
                continue
            self._on_attempt()
            if self._begin(Attempt(self, address, sock)):
                return True
            if not self._runs(sock):
                sock.close()
        self._set_timer()
        return False

    def _on_timer(self) -> None:
        self._timer = None
        if self.connection.fd >= 0 and self._start_next():
            establish(self.connection)

    def _win(self, attempt: Attempt) -> None:
        unused = self._carry(attempt)
        self.stop()
        if unused.fileno() >= 0 and unused is not attempt.sock:
            self.connection.reactor.unwatch(unused.fileno())
            unused.close()

    def _carry(self, attempt: Attempt) -> socket.socket:
        """Make the socket of `attempt` the connection's; gives the one that was."""
        connection = self.connection
        before = connection.sock
        connection.sock = attempt.sock
        connection.fd = attempt.sock.fileno()
        connection.remote_address = attempt.address
        return before

    def _fail(self) -> None:
        if self.connection.fd >= 0:
            self.stop()
            client.fail(self.connection, *self._failure)

    def _runs(self, sock: socket.socket) -> bool:
        return any(one.sock is sock for one in self._running)

    def _set_timer(self) -> None:
        if self._left and self._running:
            self._timer = self.connection.reactor.after(NEXT_ATTEMPT, self._on_timer, self.connection)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
