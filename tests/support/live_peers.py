"""Peers for a running engine: servers that live in threads of the test, and the sockets' rougher manners.

Blocking sockets and a thread per connection, on purpose: a peer must behave in one plain way, and the reader
of a test must see which. Every socket has a timeout, so that nothing here waits for ever.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Callable, List, Optional

TIMEOUT = 60.0
Handler = Callable[[socket.socket], None]


class Upstream:
    """A TCP server on a free port; `handler` runs in a thread for each connection, which is then closed.

    `peers` are the connections accepted so far. Errors of the socket end a handler quietly: peers that die
    are what these tests are about. Anything else is kept and raised when the server is closed.
    """

    def __init__(self, handler: Handler, backlog: int = 512) -> None:
        self._handler = handler
        self._failures: List[BaseException] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.port: int = self._listener.getsockname()[1]
        self.peers: List[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def __enter__(self) -> Upstream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return  # closed
            peer.settimeout(TIMEOUT)
            self.peers.append(peer)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        try:
            with peer:
                self._handler(peer)
        except OSError:
            pass
        except BaseException as failure:
            self._failures.append(failure)

    def close(self) -> None:
        """Stops accepting and closes what is open; raises what a handler did wrong."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept()
        self._listener.close()
        self._accepting.join(TIMEOUT)
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        if self._failures:
            raise self._failures[0]


def echo(peer: socket.socket) -> None:
    """Sends back what it receives until the end of the stream."""
    while True:
        data = peer.recv(65536)
        if not data:
            return
        peer.sendall(data)


def silent(peer: socket.socket) -> None:
    """Reads for ever and says nothing."""
    while peer.recv(65536):
        pass


def reset(peer: socket.socket) -> None:
    """Closes with a RST instead of a FIN."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def receive_exactly(peer: socket.socket, size: int) -> bytes:
    """Reads `size` bytes; fewer only at the end of the stream."""
    parts: List[bytes] = []
    while size > 0:
        data = peer.recv(min(size, 65536))
        if not data:
            break
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


def receive_to_end(peer: socket.socket) -> bytes:
    """Reads to the end of the stream."""
    parts: List[bytes] = []
    while True:
        data = peer.recv(65536)
        if not data:
            return b"".join(parts)
        parts.append(data)


def ending(peer: socket.socket) -> str:
    """Reads to the end and says how it came: "fin" or "rst"."""
    try:
        receive_to_end(peer)
    except ConnectionResetError:
        return "rst"
    return "fin"


class FullBacklog:
    """A listening port whose queue is full, so that a connect neither succeeds nor fails: it hangs.

    Linux drops the SYN of a connection that the accept queue has no room for.
    """

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._fillers: List[socket.socket] = []

    def __enter__(self) -> FullBacklog:
        while self._one_more() is not None:
            pass
        return self

    def _one_more(self) -> Optional[socket.socket]:
        filler = socket.socket()
        self._fillers.append(filler)
        filler.settimeout(0.3)  # a loopback connect takes microseconds: longer means that it hangs
        try:
            filler.connect(("127.0.0.1", self.port))
        except socket.timeout:
            return None
        return filler

    def __exit__(self, *_: object) -> None:
        for filler in self._fillers:
            filler.close()
        self._listener.close()
