"""One connection under test, its far end in the test's hand, on a reactor that is turned by hand under simulated time.

`Rig("scripted")` has a `ScriptedSocket`, `Rig("socketpair")` and `Rig("tcp")` have real ones; the far end looks the same for all
three, so one contract suite runs against each. Unlike a `ChainHarness` it turns no further than the test says.
"""

from __future__ import annotations

import socket
from typing import Any, Callable, List, Optional

from proxy_core.buffer import Buffer
from proxy_core.filters.chain import WriteChain
from proxy_core.testing.bench import Bench
from proxy_core.testing.recording import RecordingFilter
from proxy_core.testing.scripted import ScriptedPeer, ScriptedSelector, ScriptedSocket
from tests.support.peers import Peer, turn_until



class RealPeer(Peer):
    """A real socket's far end that can be made to block for certain, by filling the kernel's buffers."""

    def __init__(self, sock: socket.socket, near: socket.socket) -> None:
        super().__init__(sock)
        self._near = near
        self._junk = 0

    def block(self) -> None:
        """Stop reading and fill the way here with bytes that are left out of `got`."""
        self.reading = False
        try:
            while True:
                self._junk += self._near.send(bytes(1 << 16))
        except BlockingIOError:
            return

    def unblock(self) -> None:
        """Read again."""
        self.reading = True

    def pump(self) -> None:
        super().pump()
        junk = min(self._junk, len(self.got))
        self._junk -= junk
        del self.got[:junk]


class Rig(Bench):
    """See the module docstring. `filters`: the read chain, by default one `RecordingFilter` as `rig.filter`."""

    def __init__(
        self,
        kind: str = "scripted",
        filters: Optional[List[Any]] = None,
        half_close: bool = True,
        established: bool = True,
        write_filters: Optional[List[Any]] = None,
        **settings: Any,
    ) -> None:
        self.selector = ScriptedSelector() if kind == "scripted" else None
        self.near: Any
        self.peer: Any
        self._make_sockets(kind)
        super().__init__(self.near, self.selector, **settings)
        self.connection.half_close_enabled = half_close
        self.filter = RecordingFilter()
        for index, one in enumerate([self.filter] if filters is None else filters):
            self.connection.read_chain.add(one, getattr(one, "name", str(index)))
        for one in write_filters or []:
            if self.connection.write_chain is None:
                self.connection.write_chain = WriteChain(self.connection)
            self.connection.write_chain.add(one, one.name)
        if established:
            self.establish()

    def _make_sockets(self, kind: str) -> None:
        if self.selector is not None:
            self.near = ScriptedSocket()
            self.selector.add(self.near)
            self.peer = ScriptedPeer(self.near)
            return
        self.near, far = tcp_pair() if kind == "tcp" else socket.socketpair()
        self.near.setblocking(False)
        self.peer = RealPeer(far, self.near)

    def write(self, data: bytes, end_stream: bool = False) -> None:
        """What a filter would do."""
        self.connection.write(Buffer(data), end_stream)

    def turn(self, count: int = 1) -> None:
        """Turn the reactor without waiting."""
        for _ in range(count):
            self.reactor.turn(0)
            self.peer.pump()

    def until(self, true: Callable[[], Any]) -> None:
        """Turn until something holds; a test that waits for what never comes fails."""
        turn_until(self.reactor, [self.peer], true)

    def advance(self, seconds: float) -> None:
        """Let simulated time pass at once, and the reactor notice."""
        self.clock.advance(seconds)
        self.reactor.turn(0)
        self.peer.pump()

    @property
    def reason(self) -> str:
        """The recorded close reason."""
        return str(self.connection.close_reason)

    def close(self) -> None:
        """Give everything back."""
        if not self.closed:
            self.reactor.unwatch(self.connection.fd)
            self.near.close()
        self.peer.close()
        self.reactor.close()


def tcp_pair() -> Any:
    """Two connected sockets."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1)
        far = socket.create_connection(listening.getsockname())
        near, _ = listening.accept()
    near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return near, far
