"""The bytes in front of everything else, sent whole however little the socket takes at a time."""

from __future__ import annotations

import socket
from typing import Any, List, cast

import pytest

from proxy_core.network.header_transport import HeaderTransport
from proxy_core.network.sockets import ConnectionLost
from proxy_core.network.transport import RAW
from proxy_core.testing.scripted import ScriptedSocket, reset_error


class Total:
    """A counter."""

    value = 0


class Counters:
    """Where a connection counts its bytes."""

    def __init__(self) -> None:
        self.tx_total = Total()


class Connection:
    """As much of a connection as a transport knows."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.counters = Counters()
        transport.attach(self)


class Inner:
    """A transport behind it that keeps what it was called for."""

    def __init__(self) -> None:
        self.calls: List[str] = []

    def attach(self, host: Any) -> None:
        self.calls.append("attach")

    def handshake(self, sock: socket.socket) -> bool:
        self.calls.append("handshake")
        return False

    def close(self, sock: socket.socket, goodbye: bool) -> None:
        self.calls.append(f"close {goodbye}")


@pytest.mark.parametrize("room", [1, 2, 5, 9, 100])
def test_the_header_is_sent_whole_and_then_the_inner_transport_is_on(room: int) -> None:
    scripted = ScriptedSocket()
    sock = cast(socket.socket, scripted)
    connection = Connection(HeaderTransport(lambda connection: b"PROXY ..\n", RAW))
    for _ in range(20):
        scripted.room = room
        if connection.transport.handshake(sock):
            break
        assert connection.transport.has_output
    assert bytes(scripted.sent) == b"PROXY ..\n"
    assert connection.transport is RAW
    assert connection.counters.tx_total.value == 9


def test_the_inner_handshake_begins_when_the_header_is_out() -> None:
    sock = cast(socket.socket, ScriptedSocket())
    inner = Inner()
    connection = Connection(HeaderTransport(lambda connection: b"x", cast(Any, inner)))
    assert connection.transport.handshake(sock) is False
    assert inner.calls == ["attach", "handshake"]
    assert connection.transport is inner


def test_a_peer_that_is_gone_is_lost() -> None:
    scripted = ScriptedSocket()
    scripted.send_error = reset_error()
    connection = Connection(HeaderTransport(lambda connection: b"x", RAW))
    with pytest.raises(ConnectionLost):
        connection.transport.handshake(cast(socket.socket, scripted))


def test_closing_before_the_header_is_out_says_no_goodbye() -> None:
    inner = Inner()
    transport = HeaderTransport(lambda connection: b"x", cast(Any, inner))
    transport.close(cast(socket.socket, ScriptedSocket()), True)
    assert inner.calls == ["close False"]
