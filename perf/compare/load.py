"""Clients and backends: forked processes with plain loops over raw sockets, so that they are not the limit.

Every process keeps off the proxy's core. A backend is an `Echo`, a `Source` (sends as many bytes as it is
asked for) or a `Sink` (swallows as many as announced, then acknowledges). Receivers of bulk let the kernel
drop the bytes (MSG_TRUNC) instead of copying them. Checksums are the tests' business.
"""

from __future__ import annotations

import array
import contextlib
import multiprocessing
import os
import select
import signal
import socket
import struct
import threading
import time
from multiprocessing.connection import Connection
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

HOST = "127.0.0.1"
MESSAGE = b"m" * 64
SIZE = struct.Struct("!Q")
PROBE = SIZE.pack(1) + b"."  # whatever the backend is, it answers this with a byte at least
PIECE = 1 << 20
LIMIT_SECONDS = 120.0  # no worker lives longer without a sign of progress
_fork = multiprocessing.get_context("fork")


def cores() -> Tuple[int, List[int]]:
    """(the proxy's core, the cores of everything else); with a single core they share it."""
    available = sorted(os.sched_getaffinity(0))
    return available[0], available[1:] or available


class Worker:
    """A forked process that runs `body(pipe, *arguments)` away from the proxy's core."""

    def __init__(self, body: Callable[..., None], *arguments: Any) -> None:
        self.pipe, theirs = _fork.Pipe()
        self._process = _fork.Process(target=self._run, args=(body, theirs, arguments), daemon=True)
        self._process.start()
        theirs.close()

    @staticmethod
    def _run(body: Callable[..., None], pipe: Connection, arguments: Sequence[Any]) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and ends its workers
        os.sched_setaffinity(0, cores()[1])
        body(pipe, *arguments)

    def ask(self, request: Any = None) -> None:
        self.pipe.send(request)

    def answer(self) -> Any:
        """The next thing that the worker says; an error when it dies or says nothing for long."""
        if not self.pipe.poll(LIMIT_SECONDS):
            raise RuntimeError("a load worker gives no sign of life")
        try:
            return self.pipe.recv()
        except EOFError:
            raise RuntimeError("a load worker died: see its traceback above") from None

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self.pipe.close()


# ---- backends


def listen(port: int) -> socket.socket:
    """A listener on the loopback interface; 0 is any port."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((HOST, port))
    listener.listen(4096)
    return listener


def echo_backend(pipe: Connection, port: int) -> None:
    """Says its port, then echoes for ever. Several on one port share the connections (SO_REUSEPORT)."""
    listener = listen(port)
    pipe.send(listener.getsockname()[1])
    listener.setblocking(False)
    poller = select.epoll()
    peers: Dict[int, socket.socket] = {}
    poller.register(listener.fileno(), select.EPOLLIN)
    listening = listener.fileno()
    while True:
        for fd, _ in poller.poll():
            if fd == listening:
                accept_all(listener, poller, peers)
                continue
            peer = peers[fd]
            try:
                data = peer.recv(4096)
                if data:
                    peer.send(data)
                    continue
            except OSError:
                pass  # the proxy reset it: the same as an end here
            del peers[fd]
            peer.close()


def accept_all(listener: socket.socket, poller: select.epoll, peers: Dict[int, socket.socket]) -> None:
    """Take in whoever waits."""
    with contextlib.suppress(BlockingIOError):
        while True:
            peer, _ = listener.accept()
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peers[peer.fileno()] = peer
            poller.register(peer.fileno(), select.EPOLLIN)


def threaded_backend(pipe: Connection, serve: Callable[[socket.socket], None]) -> None:
    """Says its port, then serves each connection in a thread of its own."""
    listener = listen(0)
    pipe.send(listener.getsockname()[1])
    while True:
        peer, _ = listener.accept()
        threading.Thread(target=serve, args=(peer,), daemon=True).start()


def source_backend(pipe: Connection) -> None:
    """Sends, on each connection, as many bytes as the eight that it reads first say."""

    def serve(peer: socket.socket) -> None:
        with peer, contextlib.suppress(ConnectionError):
            pour(peer, announced(peer))
            peer.recv(1)

    threaded_backend(pipe, serve)


def sink_backend(pipe: Connection) -> None:
    """Swallows, on each connection, as many bytes as the eight read first say; then sends one back."""

    def serve(peer: socket.socket) -> None:
        with peer, contextlib.suppress(ConnectionError):
            swallow(peer, announced(peer))
            peer.send(b".")
            peer.recv(1)

    threaded_backend(pipe, serve)


def announced(peer: socket.socket) -> int:
    """The number in the first eight bytes; 0 when the connection ends before them."""
    head = peer.recv(SIZE.size, socket.MSG_WAITALL)
    return int(SIZE.unpack(head)[0]) if len(head) == SIZE.size else 0


def pour(peer: socket.socket, left: int) -> None:
    """Sends `left` bytes, which the kernel copies into fresh pages.

    sendfile of one page-cache page would stay in the proxy's cache, and its copying look cheaper than it is.
    """
    blank = memoryview(bytes(PIECE))
    while left > 0:
        left -= peer.send(blank[: min(left, PIECE)])


def swallow(peer: socket.socket, left: int) -> None:
    """Receives `left` bytes without looking at them."""
    room = bytearray(PIECE)
    while left > 0:
        received = peer.recv_into(room, min(left, PIECE), socket.MSG_TRUNC)
        if received == 0:
            raise ConnectionError(f"the stream ended with {left} bytes missing")
        left -= received


# ---- clients: each says "ready", then for each request answers with its result


def connect(port: int, timeout: float = 0.0) -> socket.socket:
    """A connection. timeout: seconds, 0 = none: a socket with a timeout costs a poll() before each call."""
    client = socket.socket()
    if timeout:
        client.settimeout(timeout)
    client.connect((HOST, port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def _exchange(client: socket.socket) -> None:
    client.send(MESSAGE)
    if client.recv(len(MESSAGE), socket.MSG_WAITALL) != MESSAGE:
        raise ConnectionError("the echo is not what was sent")


def requests(pipe: Connection) -> Iterator[float]:
    pipe.send("ready")
    while True:
        yield pipe.recv()


def round_trip_client(pipe: Connection, port: int, connections: int) -> None:
    """Holds `connections`, each with one message under way at a time; a request is a number of seconds."""
    clients = [connect(port) for _ in range(connections)]
    for client in clients:
        _exchange(client)
    for seconds in requests(pipe):
        pipe.send(round_trips(clients, seconds))


def is_echo(data: bytes) -> bool:
    """Whether a whole message came back."""
    return len(data) == len(MESSAGE)


def rest(client: socket.socket) -> bytes:
    """More of an answer."""
    data = client.recv(4096)
    if not data:
        raise ConnectionError("a part of an answer only, or none")
    return data


def round_trips(
    clients: List[socket.socket], seconds: float, message: bytes = MESSAGE, is_answer: Callable[[bytes], bool] = is_echo
) -> array.array[int]:
    """Times in nanoseconds of every round trip made in that time."""
    poller, clock = select.epoll(), time.perf_counter_ns
    by_fd = {client.fileno(): client for client in clients}
    sent: Dict[int, int] = {}
    times = array.array("Q")
    end = clock() + int(seconds * 1e9)
    for fd, client in by_fd.items():
        poller.register(fd, select.EPOLLIN)
        sent[fd] = clock()
        client.send(message)
    under_way, record, poll = len(clients), times.append, poller.poll
    while under_way:
        for fd, _ in poll(30.0):
            client = by_fd[fd]
            data = client.recv(4096)
            while not is_answer(data):  # rare: a proxy that sends head and body apart
                data += rest(client)
            now = clock()
            record(now - sent[fd])
            if now < end:
                sent[fd] = now
                client.send(message)
            else:
                under_way -= 1
    poller.close()
    return times


def churn_client(pipe: Connection, port: int, at_a_time: int) -> None:
    """Connects, exchanges one message and closes, `at_a_time` at once; a request is a number of seconds."""
    for seconds in requests(pipe):
        pipe.send(_churn(port, at_a_time, seconds))


def _churn(port: int, at_a_time: int, seconds: float) -> array.array[int]:
    """Times in nanoseconds from before connect() to the echo, of every connection made in that time."""
    poller, clock = select.epoll(), time.perf_counter_ns
    open_ones: Dict[int, Tuple[socket.socket, int]] = {}
    times = array.array("Q")

    def start() -> None:
        begun, client = clock(), socket.socket()
        client.connect((HOST, port))
        client.send(MESSAGE)
        open_ones[client.fileno()] = client, begun
        poller.register(client.fileno(), select.EPOLLIN)

    end = clock() + int(seconds * 1e9)
    for _ in range(at_a_time):
        start()
    while open_ones:
        for fd, _ in poller.poll(30.0):
            client, begun = open_ones.pop(fd)
            if len(client.recv(4096)) != len(MESSAGE):
                raise ConnectionError("a part of an echo only, or a closed connection")
            now = clock()
            times.append(now - begun)
            client.close()
            if now < end:
                start()
    poller.close()
    return times


def bulk_client(pipe: Connection, port: int, streams: int, upload: bool) -> None:
    """Moves bulk on `streams` connections at once; a request is the number of bytes of each."""
    for size in requests(pipe):
        def move(count: int = int(size)) -> None:
            with connect(port) as client:
                client.send(SIZE.pack(count))
                if upload:
                    pour(client, count)
                swallow(client, 1 if upload else count)

        side_by_side(move, streams)
        pipe.send(None)


def side_by_side(move: Callable[[], None], streams: int) -> None:
    """Runs `move` in `streams` threads at once; raises what the first one that failed raised."""
    failures: List[BaseException] = []

    def guarded() -> None:
        try:
            move()
        except BaseException as failure:
            failures.append(failure)

    movers = [threading.Thread(target=guarded) for _ in range(streams)]
    for mover in movers:
        mover.start()
    for mover in movers:
        mover.join()
    if failures:
        raise failures[0]


def idle_client(pipe: Connection, port: int) -> None:
    """A request is a number of connections to open, use once and keep."""
    kept: List[socket.socket] = []
    for count in requests(pipe):
        for _ in range(int(count)):
            client = connect(port)
            _exchange(client)
            kept.append(client)
        pipe.send(None)
