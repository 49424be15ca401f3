"""The demo's traffic: clients on the engine's own loop. One asks an echo server once a second, others stay and talk.

    CONNECTING -> READING -> DONE       says one line, ends its direction, reads until the other one ends
    any -> DONE                         an error, or too long: the answer is None

They speak through plain sockets, as clients from outside would, so what the demo shows is the proxy's work.
"""

from __future__ import annotations

import socket
from typing import Callable, Optional

from ..event.reactor import READ, WRITE, Reactor
from ..network import sockets
from ..network.address import Address

PATIENCE = 5.0  # seconds for one request
MOST_READ = 4096


class Request:
    """One request. on_done: called once with the whole answer, or None and the reason why there is none."""

    __slots__ = ("_reactor", "_sock", "_question", "_answer", "_on_done", "_connected", "_timer")

    def __init__(
        self,
        reactor: Reactor,
        address: Address,
        question: bytes,
        on_done: Callable[[Optional[bytes], str], None],
    ) -> None:
        self._reactor = reactor
        self._question = question
        self._answer = b""
        self._on_done = on_done
        self._connected = False
        self._sock: Optional[socket.socket] = sockets.new_stream(address)
        self._timer = reactor.after(PATIENCE, self._too_long, self)
        problem = sockets.start_connect(self._sock, address)
        if problem is None:
            reactor.watch(self._sock.fileno(), WRITE, self)
        else:
            text = problem
            reactor.defer(lambda: self._finish(None, text), self)

    def on_ready(self, mask: int) -> None:
        """Connected, or bytes, or the end."""
        if self._sock is None:
            return
        try:
            if self._connected:
                self._read(self._sock)
            else:
                self._ask(self._sock)
        except OSError as error:
            self._finish(None, sockets.describe(error.errno))
        except sockets.ConnectionLost as lost:
            self._finish(None, str(lost))

    def _ask(self, sock: socket.socket) -> None:
        number = sockets.pending_error(sock)
        if number:
            self._finish(None, sockets.describe(number))
            return
        self._connected = True
        sock.send(self._question)  # a few bytes into an empty socket buffer: taken at once, or an error
        sockets.send_fin(sock)
        self._reactor.watch(sock.fileno(), READ, self)

    def _read(self, sock: socket.socket) -> None:
        data = sockets.receive(sock, MOST_READ)
        if data:
            self._answer += data
        elif data is not None:
            self._finish(self._answer, "")

    def _too_long(self) -> None:
        self._finish(None, f"no answer within {PATIENCE:g} s")

    def on_failure(self, error: Exception) -> None:
        """A bug in a callback: this request is over."""
        self._finish(None, f"{type(error).__name__}: {error}")

    def _finish(self, answer: Optional[bytes], reason: str) -> None:
        sock, self._sock = self._sock, None
        if sock is None:
            return
        self._timer.cancel()
        self._reactor.unwatch(sock.fileno())
        sock.close()
        self._on_done(answer, reason)


class Chatter:
    """A client that stays: it says something again and again, and takes what comes back."""

    __slots__ = ("_reactor", "_sock", "_interval", "_words")

    def __init__(self, reactor: Reactor, address: Address, interval: float, size: int) -> None:
        """interval: seconds between two sayings. size: bytes of each."""
        self._reactor = reactor
        self._interval = interval
        self._words = b"." * size
        self._sock = sockets.new_stream(address)
        if sockets.start_connect(self._sock, address) is None:
            reactor.watch(self._sock.fileno(), READ, self)
            reactor.after(interval, self._say, self)

    def _say(self) -> None:
        if self._sock.fileno() >= 0:
            try:
                self._sock.send(self._words)
            except BlockingIOError:
                pass  # what came back was not yet read: this once it says nothing
            except OSError:
                self._leave()
                return
            self._reactor.after(self._interval, self._say, self)

    def on_ready(self, mask: int) -> None:
        """What comes back, or the end."""
        try:
            data = sockets.receive(self._sock, MOST_READ)
        except (OSError, sockets.ConnectionLost):
            data = b""
        if data == b"":
            self._leave()

    def on_failure(self, error: Exception) -> None:
        """A bug in a callback."""
        self._leave()

    def _leave(self) -> None:
        if self._sock.fileno() >= 0:
            self._reactor.unwatch(self._sock.fileno())
            self._sock.close()


class Traffic:
    """One request after the other. Counts those that are over (one may be under way when the demo ends) and those of them that
    came back unchanged."""

    def __init__(
        self, reactor: Reactor, address: Address, interval: float, on_trouble: Callable[[str], None]
    ) -> None:
        """interval: seconds between two requests. on_trouble: told why a request got no answer."""
        self._reactor = reactor
        self._address = address
        self._interval = interval
        self._on_trouble = on_trouble
        self._sent = 0
        self.over = 0
        self.answered = 0

    def start(self) -> None:
        """The first request now, then one each interval."""
        self._sent += 1
        ask(self._reactor, self._address, self._sent, self._on_answer)
        self._reactor.after(self._interval, self.start)

    def _on_answer(self, reason: str) -> None:
        if not self._reactor.is_running:
            return  # ended by the end of the demo
        self.over += 1
        if reason:
            self._on_trouble(reason)
        else:
            self.answered += 1


def ask(reactor: Reactor, address: Address, number: int, on_answer: Callable[[str], None]) -> None:
    """Send request `number`; `on_answer` gets "" when it came back unchanged, else what happened."""
    question = f"hello {number}\n".encode("ascii")

    def done(answer: Optional[bytes], reason: str) -> None:
        if answer is None:
            on_answer(reason)
        else:
            on_answer("" if answer == question else f"sent {question!r}, got {answer!r}")

    try:
        Request(reactor, address, question, done)
    except OSError as error:  # no descriptor left for a socket
        on_answer(sockets.describe(error.errno))
