"""A socket and a selector made of plain objects, for what real ones can't be made to do on demand.

`ScriptedSocket` is the near end of a connection; the test plays the far end, by hand or through a `ScriptedPeer`: it says what
each `recv` returns, how much each `send` takes, and which errors come. `ScriptedSelector` reports what such sockets are ready
for. This package's own contract suite runs against these and against real sockets, so the fakes stay honest.
"""

from __future__ import annotations

import collections
import errno
import itertools
import os
import selectors
import socket
from typing import Any, Deque, Dict, Iterable, List, Mapping, Optional, Tuple, Union

# Far above any descriptor of the process: a fake number must never be somebody's real file.
_numbers = itertools.count(1 << 20)

FIN = b""
Step = Union[bytes, OSError]


def reset_error() -> OSError:
    """What the kernel reports after an RST came."""
    return ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


class ScriptedSocket:
    """See the module docstring.

    incoming: what `recv` returns, one step a call (bytes that are longer than asked for are split); FIN or an error stays.
    room: how many bytes `send` still takes, None for any number. most_per_send: no send takes more than this.
    send_error: raised by every send. connect_error: what SO_ERROR reports.
    """

    def __init__(self, family: int = socket.AF_INET) -> None:
        self.family = family
        self.incoming: Deque[Step] = collections.deque()
        self.room: Optional[int] = None
        self.most_per_send = 1 << 30
        self.send_error: Optional[OSError] = None
        self.connect_error = 0
        self.sent = bytearray()
        self.sends: List[int] = []  # bytes taken by each call
        self.recv_sizes: List[int] = []  # bytes asked for by each call
        self.fin_sent = False
        self.reset_sent = False
        self._linger_zero = False
        self._number = next(_numbers)

    # -- what the engine calls -------------------------------------------------------------------------------------

    def fileno(self) -> int:
        return self._number

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def recv(self, size: int) -> bytes:
        self.recv_sizes.append(size)
        if not self.incoming:
            raise BlockingIOError(errno.EAGAIN, "nothing yet")
        step = self.incoming[0]
        if isinstance(step, OSError):
            raise step
        if step:
            self.incoming.popleft()
            if len(step) > size:
                self.incoming.appendleft(step[size:])
        return step[:size]

    def send(self, data: Any) -> int:
        if self.send_error is not None:
            raise self.send_error
        taken = min(len(data), self.most_per_send, len(data) if self.room is None else self.room)
        if not taken:
            raise BlockingIOError(errno.EAGAIN, "full")
        if self.room is not None:
            self.room -= taken
        self.sent += bytes(data[:taken])
        self.sends.append(taken)
        return taken

    def sendmsg(self, chunks: Iterable[Any]) -> int:
        return self.send(b"".join(chunks))

    def shutdown(self, how: int) -> None:
        assert how == socket.SHUT_WR
        self.fin_sent = True

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        if (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER):
            self._linger_zero = True

    def getsockopt(self, level: int, option: int) -> int:
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_ERROR)
        error, self.connect_error = self.connect_error, 0
        return error

    def getsockname(self) -> Tuple[str, int]:
        return ("127.0.0.1", 1)

    def close(self) -> None:
        if self._number >= 0:
            self._number = -1
            self.reset_sent = self._linger_zero
            self.fin_sent = self.fin_sent or not self._linger_zero

    # -- what the selector asks ------------------------------------------------------------------------------------

    @property
    def ready(self) -> int:
        """The events a kernel would report."""
        mask = 0
        if self.incoming:
            mask |= selectors.EVENT_READ
        if self.room is None or self.room > 0 or self.send_error is not None:
            mask |= selectors.EVENT_WRITE
        return mask


class ScriptedSelector(selectors.BaseSelector):
    """Reports what the scripted sockets it was told of are ready for, in the order of registration.

    timeouts: what each `select` was asked to wait. calls: every change of interest, as (name, descriptor, mask).
    idle: whether the last `select` would have slept: nothing was ready, due or pending.
    """

    def __init__(self) -> None:
        self.timeouts: List[Optional[float]] = []
        self.calls: List[Tuple[str, int, int]] = []
        self.idle = False
        self._sockets: Dict[int, ScriptedSocket] = {}
        self._keys: Dict[int, selectors.SelectorKey] = {}

    def add(self, sock: ScriptedSocket) -> None:
        """Know this socket, so that its readiness can be looked up by its number."""
        self._sockets[sock.fileno()] = sock

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if fileobj in self._keys:
            raise KeyError(f"{fileobj} is registered already")
        self.calls.append(("register", fileobj, events))
        key = self._keys[fileobj] = selectors.SelectorKey(fileobj, fileobj, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        self.calls.append(("unregister", fileobj, 0))
        return self._keys.pop(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        self.calls.append(("modify", fileobj, events))
        key = self._keys[fileobj] = self._keys[fileobj]._replace(events=events, data=data)
        return key

    def select(self, timeout: Optional[float] = None) -> List[Tuple[selectors.SelectorKey, int]]:
        self.timeouts.append(timeout)
        found = []
        for fd, key in self._keys.items():
            mask = self._sockets[fd].ready & key.events if fd in self._sockets else 0
            if mask:
                found.append((key, mask))
        self.idle = not found and timeout != 0
        return found

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys

    def close(self) -> None:
        self._keys.clear()


class ScriptedPeer:
    """The far end of a `ScriptedSocket`: what a test lets the peer do, and what the peer got."""

    def __init__(self, sock: ScriptedSocket) -> None:
        self._sock = sock
        self.reading = True

    @property
    def got(self) -> bytearray:
        """What came here."""
        return self._sock.sent

    @property
    def ended(self) -> bool:
        """Whether a FIN came."""
        return self._sock.fin_sent

    @property
    def was_reset(self) -> bool:
        """Whether an RST came."""
        return self._sock.reset_sent

    def send(self, data: bytes) -> None:
        """One segment on its way."""
        self._sock.incoming.append(data)

    def finish(self) -> None:
        """Send a FIN."""
        self._sock.incoming.append(FIN)

    def reset(self) -> None:
        """Send an RST."""
        self._sock.incoming.append(reset_error())
        self._sock.send_error = reset_error()
        self._sock.connect_error = reset_error().errno or 0

    def block(self) -> None:
        """Take nothing more."""
        self._sock.room = 0

    def unblock(self) -> None:
        """Take everything again."""
        self._sock.room = None

    def pump(self) -> None:
        """There is no kernel in between."""

    def close(self) -> None:
        """Nothing to give back."""
