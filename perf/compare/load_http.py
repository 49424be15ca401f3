"""Clients and backends that speak HTTP/1.1 over kept connections: the works `http_...`.

All requests carry the headers that a small client sends, and go to a path that the last of many routes matches.
"""

from __future__ import annotations

import contextlib
import select
import socket
from multiprocessing.connection import Connection
from typing import Dict, List, Tuple

from . import load

PATH = "/r0999/x"
PIECE = 1 << 20  # of a body
_HEADERS = b"host: bench.example\r\nuser-agent: perf\r\naccept: */*\r\n"
REQUEST = f"GET {PATH} HTTP/1.1\r\n".encode() + _HEADERS + b"\r\n"
DOWNLOAD = b"GET /bulk HTTP/1.1\r\n" + _HEADERS + b"\r\n"
UPLOAD = b"POST /bulk HTTP/1.1\r\n" + _HEADERS + b"content-length: %d\r\n\r\n" % PIECE
BODY = b"b" * 64
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n"
ANSWER = _HEAD % len(BODY) + BODY
END = b"\r\n\r\n"


# ---- backends


def small_backend(pipe: Connection, port: int) -> None:
    """Says its port, then answers each request head with 64 bytes. Several on one port share the connections."""
    listener = load.listen(port)
    pipe.send(listener.getsockname()[1])
    listener.setblocking(False)
    poller = select.epoll()
    peers: Dict[int, socket.socket] = {}
    listening = listener.fileno()
    poller.register(listening, select.EPOLLIN)
    while True:
        for fd, _ in poller.poll():
            if fd == listening:
                load.accept_all(listener, poller, peers)
                continue
            peer = peers[fd]
            with contextlib.suppress(OSError):  # the proxy reset it: the same as an end here
                data = peer.recv(65536)  # a head comes in one piece from every proxy here
                if data.endswith(END):
                    peer.send(ANSWER)
                if data:
                    continue
            del peers[fd]
            peer.close()


def bulk_backend(pipe: Connection) -> None:
    """Answers a GET with a body of PIECE bytes, swallows the body of a POST and answers it with 64 bytes."""

    def serve(peer: socket.socket) -> None:
        with peer, contextlib.suppress(ConnectionError):
            while True:
                head, early = read_head(peer)
                if head.startswith(b"POST"):
                    load.swallow(peer, PIECE - early)
                    peer.sendall(ANSWER)
                else:
                    peer.sendall(_HEAD % PIECE)
                    load.pour(peer, PIECE)

    load.threaded_backend(pipe, serve)


def read_head(peer: socket.socket) -> Tuple[bytes, int]:
    """(a head, how many bytes of the body came with it); ConnectionError where the stream ends."""
    data = b""
    while END not in data:
        more = peer.recv(4096)
        if not more:
            raise ConnectionError("the stream ended before a head")
        data += more
    head, _, body = data.partition(END)
    return head, len(body)


# ---- clients


def answers(port: int) -> bool:
    """Whether a small request is answered."""
    try:
        with load.connect(port, 5.0) as client:
            client.sendall(REQUEST)
            return client.recv(4096).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def is_answer(data: bytes) -> bool:
    """Whether this is the whole small answer."""
    return data.startswith(b"HTTP/1.1 200") and data.endswith(BODY)


def round_trip_client(pipe: Connection, port: int, connections: int) -> None:
    """As `load.round_trip_client`, a small request and its answer."""
    clients: List[socket.socket] = [load.connect(port) for _ in range(connections)]
    for client in clients:
        exchange(client)
    for seconds in load.requests(pipe):
        pipe.send(load.round_trips(clients, seconds, REQUEST, is_answer))


def exchange(client: socket.socket) -> None:
    """One small request and its whole answer."""
    client.send(REQUEST)
    data = b""
    while not is_answer(data):
        data += load.rest(client)


def bulk_client(pipe: Connection, port: int, streams: int, upload: bool) -> None:
    """Moves bodies of PIECE bytes on `streams` kept connections; a request is the number of bytes of each."""
    for size in load.requests(pipe):
        def move(count: int = int(size) // PIECE) -> None:
            with load.connect(port) as client:
                for _ in range(count):
                    client.send(UPLOAD if upload else DOWNLOAD)
                    if upload:
                        load.pour(client, PIECE)
                    _, early = read_head(client)
                    load.swallow(client, (len(BODY) if upload else PIECE) - early)

        load.side_by_side(move, streams)
        pipe.send(None)


def idle_client(pipe: Connection, port: int) -> None:
    """A request is a number of connections to open, use once and keep."""
    kept: List[socket.socket] = []
    for count in load.requests(pipe):
        for _ in range(int(count)):
            client = load.connect(port)
            exchange(client)
            kept.append(client)
        pipe.send(None)
