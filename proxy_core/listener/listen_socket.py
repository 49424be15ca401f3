"""One listening socket: the reactor's handler that accepts, a bounded number of connections per wake-up."""

from __future__ import annotations

import socket
from typing import Any, Callable, Final, Iterable, Protocol

from ..event.reactor import READ, Reactor
from ..network import sockets
from ..network.address import Address
from ..observe.stats import Histogram
from .descriptors import DescriptorGuard

# Others are ready too. What is left waits in the backlog for the next turn.
MOST_ACCEPTS_PER_TURN: Final = 64
WILDCARDS: Final = frozenset({"0.0.0.0", "::"})


class Acceptor(Protocol):
    """Whoever takes the accepted sockets."""

    def on_accepted(self, sock: socket.socket, peer: Address, local: Address) -> None:
        """One connection came in."""


class ListenSocket:
    """Accepts for one address of a listener. use_reserve: the admin's, which may have the last descriptor."""

    def __init__(
        self,
        sock: socket.socket,
        reactor: Reactor,
        acceptor: Acceptor,
        guard: DescriptorGuard,
        batch_sizes: Histogram,
        most_per_turn: int = MOST_ACCEPTS_PER_TURN,
        use_reserve: bool = False,
    ) -> None:
        self._sock = sock
        self._reactor = reactor
        self._acceptor = acceptor
        self._guard = guard
        self._batch_sizes = batch_sizes
        self._most_per_turn = most_per_turn
        self._use_reserve = use_reserve
        self._is_open = True  # neither closed nor released
        self.is_listening = False  # else bound: the system refuses clients
        self._expected = 1
        self.address = sockets.local_address(sock)
        self._is_wildcard = self.address.ip in WILDCARDS  # then each connection has a local address of its own

    def start(self) -> None:
        """Accept from now on, unless it was closed meanwhile."""
        if self._is_open:
            self._reactor.watch(self._sock.fileno(), READ, self)

    resume = start

    def listen(self, backlog: int) -> None:
        """Have the system queue clients. Raises OSError."""
        self._sock.listen(backlog)
        self.is_listening = True

    def apply(self, steps: Iterable[Callable[[socket.socket], None]]) -> None:
        """Do something to the socket itself. Raises OSError."""
        for step in steps:
            step(self._sock)

    def pause(self) -> None:
        """Leave what comes in the backlog."""
        if self._is_open:
            self._reactor.unwatch(self._sock.fileno())

    def close(self) -> None:
        """Stop listening; clients are refused from now on."""
        if self._is_open:
            self.release().close()

    def release(self) -> socket.socket:
        """The socket itself, open and not watched; this object is done."""
        self._reactor.unwatch(self._sock.fileno())
        self._is_open = False
        return self._sock

    def share_port(self) -> None:
        """Let a second socket be bound to this address."""
        sockets.share_port(self._sock)

    def accept_waiting(self) -> None:
        """Let in all who wait, as long as there are descriptors."""
        if not self.is_listening:
            return
        try:
            pair = sockets.accept(self._sock, self.address.family)
            while pair is not None:
                self._take(*pair)
                pair = sockets.accept(self._sock, self.address.family)
        except sockets.OutOfDescriptors:
            return

    def on_ready(self, mask: int) -> None:
        """Accept what waits, up to this turn's share."""
        accepted = 0
        while accepted < self._expected and self._is_open:
            try:
                pair = sockets.accept(self._sock, self.address.family)
            except sockets.OutOfDescriptors as error:
                if self._use_reserve and self._guard.lend_reserve():
                    continue
                self._guard.exhausted(self, str(error))
                break
            if pair is None:
                break
            accepted += 1
            self._take(*pair)
        if accepted:
            self._batch_sizes.record(accepted)
        # An accept that finds nobody costs a system call. As many as came last time are expected, twice as many if all did.
        full = accepted == self._expected
        self._expected = min(self._most_per_turn, accepted * 2) if full else max(1, accepted)

    def _take(self, sock: socket.socket, peer: Any) -> None:
        """Hand one socket over. Nobody else owns it yet, so a failure on the way closes it here."""
        local = self.address
        if self._is_wildcard:
            try:
                local = sockets.local_address(sock)
            except OSError:
                sock.close()  # reset before it was looked at
                return
        try:
            self._acceptor.on_accepted(sock, Address.from_sockaddr(self.address.family, peer), local)
        except Exception:
            sock.close()
            raise

    def on_failure(self, error: Exception) -> None:
        """A connection could not be set up; it is closed. The next one may be."""
