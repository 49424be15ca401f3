"""The far end of a real connection, played by a test: a client, or a server that was connected to."""

from __future__ import annotations

import socket
import struct
from typing import Any, Callable, Iterable, Optional

from proxy_core.event.reactor import Reactor

MOST_TURNS = 500


# Kernel buffers of the far ends: small, so that a far end that does not read is soon noticed.
KERNEL_BUFFER = 65536


def connect(port: int, source: str = "127.0.0.1") -> Peer:
    """A client that has connected to 127.0.0.1."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER)
    sock.bind((source, 0))
    sock.connect(("127.0.0.1", port))
    return Peer(sock)


class Peer:
    """Never blocks: `send` queues, `pump` moves what can be moved. `got`: everything received so far."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.got = bytearray()
        self.ended = False  # a FIN was read
        self.was_reset = False
        self.reading = True  # whether `pump` reads
        self._outbox = bytearray()
        self._finish = False

    @property
    def over(self) -> bool:
        """Whether the connection has ended, one way or the other."""
        return self.ended or self.was_reset

    @property
    def unsent(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return len(self._outbox)

    def send(self, data: bytes) -> None:
        """Send now what the kernel takes, the rest from `pump`."""
        self._outbox += data
        self._push()

    def finish(self) -> None:
        """FIN, once everything is sent."""
        self._finish = True
        self._push()

    def reset(self) -> None:
        """RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        """Close the socket as a program that exits does."""
        self.sock.close()

    def pump(self) -> None:
        """Move what can be moved."""
        if self.sock.fileno() < 0:
            return
        self._push()
        while self.reading and not self.over and self._pull():
            pass

    def _push(self) -> None:
        try:
            while self._outbox:
                del self._outbox[:self.sock.send(self._outbox)]
            if self._finish:
                self._finish = False
                self.sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return
        except OSError:
            self._outbox.clear()

    def _pull(self) -> bool:
        try:
            data = self.sock.recv(1 << 16)
        except BlockingIOError:
            return False
        except ConnectionError:
            self.was_reset = True
            return False
        self.got += data
        self.ended = not data
        return True


class Server:
    """A listening socket whose connections the test accepts itself."""

    def __init__(self, family: int = socket.AF_INET, address: Any = ("127.0.0.1", 0), backlog: int = 16) -> None:
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # for one that comes up again where it was
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER)
        self.sock.bind(address)
        self.sock.listen(backlog)
        self.sock.setblocking(False)

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self.sock.getsockname()[1]
        return port

    def try_accept(self) -> Optional[Peer]:
        """The next connection, None if none waits."""
        try:
            accepted, _ = self.sock.accept()
        except BlockingIOError:
            return None
        return Peer(accepted)

    def close(self) -> None:
        """Refuse from now on."""
        self.sock.close()


class RefusedPort:
    """A port of 127.0.0.1 that refuses: bound, so that nobody else gets it, and never listening."""

    def __init__(self) -> None:
        self._sock = socket.socket()
        self._sock.bind(("127.0.0.1", 0))
        self.port: int = self._sock.getsockname()[1]

    def close(self) -> None:
        """Give the port back."""
        self._sock.close()


def turn_until(reactor: Reactor, peers: Iterable[Peer], true: Callable[[], Any]) -> None:
    """Turn until something holds, far ends moving what they can; a test that waits for what never comes fails."""
    for _ in range(MOST_TURNS):
        for peer in peers:
            peer.pump()
        if true():
            return
        reactor.turn(0.002)
    raise AssertionError(f"not so after {MOST_TURNS} turns")
