"""The two ends of the demo with the slow reader: a source that pours bytes, and a client that reads at a pace.

Plain sockets on the engine's own loop, as in `demo_client`: what is between them is the proxy's work alone. Their
kernel buffers are small, so that back-pressure is felt from end to end within seconds.
"""

from __future__ import annotations

import socket
from typing import Callable, List, Optional, Tuple

from ..event.reactor import READ, Reactor
from ..network import sockets
from ..network.address import Address
from .forward import LOOPBACK

TICK = 0.05  # seconds between two portions
KERNEL_BUFFER = 16 * 1024
LINE = b"a byte on its way through a proxy\n"


class Pouring:
    """One connection to the source. blocked: whether the kernel took less than it was given at the last tick."""

    __slots__ = ("blocked", "_sock", "_portion")

    def __init__(self, sock: socket.socket, portion: bytes) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER)
        self.blocked = False
        self._sock = sock
        self._portion = portion

    def pour(self) -> bool:
        """One portion, as much of it as the kernel takes; False once the other end is gone."""
        try:
            self.blocked = self._sock.send(self._portion) < len(self._portion)
        except BlockingIOError:
            self.blocked = True
        except OSError:
            self.close()
            return False
        return True

    def close(self) -> None:
        """No more."""
        self._sock.close()


class Source:
    """A server that pours at `rate` bytes a second into each connection, and looks at nothing that it is sent."""

    def __init__(self, rate: int) -> None:
        portion = max(1, int(rate * TICK))
        self._portion = (LINE * (portion // len(LINE) + 1))[:portion]
        self._listening = socket.create_server((LOOPBACK, 0))
        self._listening.setblocking(False)
        self._pourings: List[Pouring] = []
        self._reactor: Optional[Reactor] = None

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listening.getsockname()[1]
        return port

    @property
    def blocked(self) -> bool:
        """Whether it has connections and can't send to any of them."""
        return bool(self._pourings) and all(one.blocked for one in self._pourings)

    def start(self, reactor: Reactor) -> None:
        """Accept and pour."""
        self._reactor = reactor
        reactor.watch(self._listening.fileno(), READ, self)
        self._tick()

    def close(self) -> None:
        """Refuse from now on, and end what is open."""
        self._listening.close()
        for one in self._pourings:
            one.close()

    def on_ready(self, mask: int) -> None:
        """A connection."""
        try:
            sock, _ = self._listening.accept()
        except BlockingIOError:
            return
        self._pourings.append(Pouring(sock, self._portion))

    def on_failure(self, error: Exception) -> None:
        """A bug: nobody else is let in."""
        if self._reactor is not None:
            self._reactor.unwatch(self._listening.fileno())

    def _tick(self) -> None:
        assert self._reactor is not None
        self._pourings = [one for one in self._pourings if one.pour()]
        self._reactor.after(TICK, self._tick)


class Reader:
    """A client that takes `rate` bytes a second, which may be changed at any time. on_end: told why there is no more."""

    def __init__(self, reactor: Reactor, address: Address, rate: int, on_end: Callable[[str], None]) -> None:
        self.rate = rate
        self._reactor = reactor
        self._on_end = on_end
        self._sock = sockets.new_stream(address)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER)  # before connecting: the window depends on it
        problem = sockets.start_connect(self._sock, address)
        if problem is not None:
            text = problem
            reactor.defer(lambda: self._finish(text))
        else:
            reactor.after(TICK, self._tick)

    @property
    def address(self) -> Tuple[str, int]:
        """Where it comes from, as the proxy sees it."""
        ip, port = self._sock.getsockname()[:2]
        return ip, port

    def _tick(self) -> None:
        left = max(1, int(self.rate * TICK))
        try:
            while left > 0:
                data = sockets.receive(self._sock, left)
                if data is None:
                    break
                if not data:
                    self._finish("the proxy ended the connection")
                    return
                left -= len(data)
        except (OSError, sockets.ConnectionLost) as error:
            self._finish(str(error))
            return
        self._reactor.after(TICK, self._tick)

    def _finish(self, reason: str) -> None:
        self._sock.close()
        self._on_end(reason)
