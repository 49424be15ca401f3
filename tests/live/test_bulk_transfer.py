"""A gibibyte each way with a checksum: nothing lost, doubled, reordered or changed, and memory stays bounded.

Both ends run in threads of this process. That is fast enough to fill the engine: receiving, sending and
hashing large blocks all happen outside Python's lock.
"""

from __future__ import annotations

import hashlib
import random
import socket
import threading
from typing import Callable, Iterator, List

import pytest

from tests.support.live import Engine, tcp_bootstrap, until
from tests.support.live_peers import Upstream

pytestmark = pytest.mark.live

GIBIBYTE = 1 << 30
PIECE = 1 << 18
MEMORY_LIMIT_KIB = 24 * 1024  # two watermarks of 1 MiB a direction, a read, the allocator's slack


def pieces(size: int) -> Iterator[memoryview]:
    """`size` bytes in which each stretch differs from its neighbours, so that a swap or a repeat is seen."""
    pattern = memoryview(random.Random(16).randbytes(PIECE + (1 << 20)))
    for index in range(size // PIECE):
        start = index * 40_503 % (1 << 20)
        yield pattern[start : start + PIECE]


def send(peer: socket.socket, size: int, digests: List[str]) -> None:
    """Sends `size` bytes and the end of the stream; appends their checksum."""
    checksum = hashlib.sha256()
    for piece in pieces(size):
        checksum.update(piece)
        peer.sendall(piece)
    digests.append(checksum.hexdigest())  # before the end is visible: the other side compares with it
    peer.shutdown(socket.SHUT_WR)


def receive(peer: socket.socket) -> str:
    """Receives to the end of the stream; returns "count checksum"."""
    checksum, count, room = hashlib.sha256(), 0, bytearray(PIECE)
    view = memoryview(room)
    while True:
        received = peer.recv_into(room)
        if received == 0:
            return f"{count} {checksum.hexdigest()}"
        checksum.update(view[:received])
        count += received


def test_a_gibibyte_from_the_server_arrives_whole(engine: Callable[..., Engine]) -> None:
    sent: List[str] = []
    with Upstream(lambda peer: send(peer, GIBIBYTE, sent)) as upstream:
        proxy = engine(tcp_bootstrap(upstream.port))
        before = proxy.resident_kib()
        with proxy.connect() as client:
            assert receive(client) == f"{GIBIBYTE} {sent[0]}"
        assert proxy.resident_kib() - before < MEMORY_LIMIT_KIB


def test_a_gibibyte_to_the_server_arrives_whole(engine: Callable[..., Engine]) -> None:
    sent: List[str] = []
    arrived: List[str] = []
    with Upstream(lambda peer: arrived.append(receive(peer))) as upstream:
        proxy = engine(tcp_bootstrap(upstream.port))
        before = proxy.resident_kib()
        with proxy.connect() as client:
            send(client, GIBIBYTE, sent)
            assert client.recv(1) == b""  # the server closes when it has everything
        assert arrived == [f"{GIBIBYTE} {sent[0]}"]
        assert proxy.resident_kib() - before < MEMORY_LIMIT_KIB


def test_both_directions_at_once_arrive_whole(engine: Callable[..., Engine]) -> None:
    size = GIBIBYTE // 8
    sent: List[str] = []
    arrived: List[str] = []
    server_sent: List[str] = []

    def serve(peer: socket.socket) -> None:
        sender = threading.Thread(target=send, args=(peer, size, server_sent))
        sender.start()
        arrived.append(receive(peer))
        sender.join()

    with Upstream(serve) as upstream:
        proxy = engine(tcp_bootstrap(upstream.port))
        with proxy.connect() as client:
            sender = threading.Thread(target=send, args=(client, size, sent))
            sender.start()
            assert receive(client) == f"{size} {server_sent[0]}"
            sender.join()
            until(lambda: arrived, "the server has read to the end")
        assert arrived == [f"{size} {sent[0]}"]
