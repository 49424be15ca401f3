"""Clients that speak TLS with the proxy, which ends it there: the works `tls_rr` and `tls_bulk`.

All engines are asked for the same cipher, so that what differs is what an engine does around it.
"""

from __future__ import annotations

import socket
import ssl
from multiprocessing.connection import Connection
from typing import List

from . import load

CIPHER = "ECDHE-ECDSA-AES128-GCM-SHA256"
PIECE = 1 << 16


def context() -> ssl.SSLContext:
    """A client that trusts everybody."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.maximum_version = ssl.TLSVersion.TLSv1_2  # the ciphers of TLSv1.3 can't be chosen
    made.set_ciphers(CIPHER)
    return made


def connect(port: int, timeout: float = 0.0) -> ssl.SSLSocket:
    """A blocking connection. timeout: seconds, 0 = none."""
    client = socket.socket()
    if timeout:
        client.settimeout(timeout)
    client.connect((load.HOST, port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context().wrap_socket(client)


def answers(port: int) -> bool:
    """Whether a byte comes back through TLS."""
    try:
        with connect(port, 5.0) as client:
            client.sendall(load.PROBE)
            return client.recv(1) != b""
    except OSError:
        return False


def round_trip_client(pipe: Connection, port: int, connections: int) -> None:
    """As `load.round_trip_client`."""
    clients: List[socket.socket] = [connect(port) for _ in range(connections)]
    for client in clients:
        client.send(load.MESSAGE)
        if client.recv(4096) != load.MESSAGE:
            raise ConnectionError("the echo is not what was sent")
    for seconds in load.requests(pipe):
        pipe.send(load.round_trips(clients, seconds))


def bulk_client(pipe: Connection, port: int, streams: int) -> None:
    """Downloads on `streams` connections at once; a request is the number of bytes of each."""
    for size in load.requests(pipe):
        def move(count: int = int(size)) -> None:
            with connect(port) as client:
                client.send(load.SIZE.pack(count))
                swallow(client, count)

        load.side_by_side(move, streams)
        pipe.send(None)


def swallow(client: ssl.SSLSocket, left: int) -> None:
    """Receives `left` bytes without looking at them."""
    room = bytearray(PIECE)
    while left > 0:
        received = client.recv_into(room, min(left, PIECE))
        if received == 0:
            raise ConnectionError(f"the stream ended with {left} bytes missing")
        left -= received
